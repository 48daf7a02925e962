output "emails" {
  description = "The email of each workload's service account, by workload: what overlays annotate Kubernetes service accounts with."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "pipeline_service_account" {
  description = "What slate submit --service-account takes: the Kubernetes service account of pipeline steps."
  value       = google_service_account.this["pipeline"].account_id
}

output "github_provider" {
  description = "The federation provider that workflows name; null without GitHub."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}

output "builder" {
  description = "The IAM member that pushes images; null without GitHub."
  value       = try(google_service_account.github["build"].member, null)
}

output "deployer" {
  description = "The email of the identity that deploys overlays; null without GitHub."
  value       = try(google_service_account.github["deploy"].email, null)
}
