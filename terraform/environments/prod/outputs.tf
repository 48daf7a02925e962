output "submit" {
  description = "The options of slate submit and slate schedule."
  value       = module.slate.submit
}

output "overlay" {
  description = "What the kustomize overlay of this environment must name."
  value       = module.slate.overlay
}

output "workflows" {
  description = "The variables of the GitHub workflows."
  value       = module.slate.workflows
}
