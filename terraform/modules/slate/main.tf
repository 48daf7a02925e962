module "network" {
  source = "../network"

  project = var.project
  region  = var.region
}

module "gke" {
  source = "../gke"

  project             = var.project
  location            = var.location
  network             = module.network
  authorised_networks = var.authorised_networks
  pools               = var.pools
  deletion_protection = var.protected
  database_key        = var.kms_key
}

module "storage" {
  source = "../storage"

  project       = var.project
  location      = var.region
  prefix        = var.project
  kms_key       = var.kms_key
  force_destroy = !var.protected
}

module "identity" {
  source = "../identity"

  project       = var.project
  workload_pool = module.gke.workload_pool
  github        = var.github

  buckets = {
    releases  = module.storage.releases
    artefacts = module.storage.artefacts
    data      = module.storage.data
  }
}

module "registry" {
  source = "../registry"

  project  = var.project
  location = var.region
  readers = merge(
    { nodes = "serviceAccount:${module.gke.node_service_account}" },
    var.github == null ? {} : { deploy = "serviceAccount:${module.identity.deployer}" },
  )
  writers = var.github == null ? {} : { build = module.identity.builder }
  kms_key = var.kms_key
}

module "valkey" {
  source = "../valkey"

  project             = var.project
  location            = var.region
  network             = module.network.network
  node_type           = var.valkey.node_type
  replicas            = var.valkey.replicas
  append_only         = var.valkey.append_only
  deletion_protection = var.protected

  depends_on = [module.network]
}

module "monitoring" {
  source = "../monitoring"

  project = var.project
  host    = var.host
  email   = var.email
  budget  = var.budget
}
