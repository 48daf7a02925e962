output "cluster" {
  description = "How helm and kubectl reach the cluster."
  value = {
    name           = module.gke.name
    location       = var.location
    endpoint       = module.gke.endpoint
    ca_certificate = module.gke.ca_certificate
  }
  sensitive = true
}

output "submit" {
  description = "The options of slate submit and slate schedule."
  value = {
    store           = module.storage.store
    pipeline_root   = module.storage.pipeline_root
    checkpoints     = module.storage.checkpoints
    service_account = module.identity.pipeline_service_account
    images          = module.registry.address
  }
}

output "overlay" {
  description = "What the kustomize overlay of this environment must name."
  value = {
    store        = module.storage.store
    images       = module.registry.address
    identities   = module.identity.emails
    redis        = "rediss://${module.valkey.address}:${module.valkey.port}/0?ssl_ca_certs=/etc/valkey/ca.pem"
    certificates = module.valkey.certificates
  }
}

output "workflows" {
  description = "The variables of the GitHub workflows."
  value = {
    provider = module.identity.github_provider
    builder  = module.identity.builder
    deployer = module.identity.deployer
  }
}
