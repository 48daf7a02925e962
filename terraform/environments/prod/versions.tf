terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
  }

  # The bucket is named at init (-backend-config=backend.hcl). Google Cloud Storage locks the state itself.
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region

  default_labels = { app = "slate" }
}

data "google_client_config" "this" {}

provider "helm" {
  kubernetes = {
    host                   = "https://${module.slate.cluster.endpoint}"
    cluster_ca_certificate = base64decode(module.slate.cluster.ca_certificate)
    token                  = data.google_client_config.this.access_token
  }
}
