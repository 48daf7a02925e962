module "slate" {
  source = "../../modules/slate"

  project             = var.project
  region              = var.region
  location            = var.location
  host                = var.host
  email               = var.email
  authorised_networks = var.authorised_networks
  pools               = var.pools
  valkey              = var.valkey
  github              = var.github
  budget              = var.budget
  kms_key             = var.kms_key
  protected           = var.protected
}

module "platform" {
  source = "../../modules/platform"

  depends_on = [module.slate]
}
