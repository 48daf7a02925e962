output "name" {
  description = "The cluster's name, for gcloud container clusters get-credentials."
  value       = google_container_cluster.this.name
}

output "endpoint" {
  description = "The address of the control plane."
  value       = google_container_cluster.this.endpoint
  sensitive   = true
}

output "ca_certificate" {
  description = "The control plane's certificate authority, base64."
  value       = google_container_cluster.this.master_auth[0].cluster_ca_certificate
  sensitive   = true
}

output "workload_pool" {
  description = "The Workload Identity pool, which identities of Kubernetes service accounts belong to."
  value       = google_container_cluster.this.workload_identity_config[0].workload_pool
}

output "node_service_account" {
  description = "The email of the nodes' service account, which must be able to pull images."
  value       = google_service_account.nodes.email
}
