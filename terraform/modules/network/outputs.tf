output "network" {
  description = "The network's id."
  value       = google_compute_network.this.id
}

output "subnetwork" {
  description = "The id of the nodes' subnetwork."
  value       = google_compute_subnetwork.nodes.id
}

output "masters_range" {
  description = "The address range of the cluster's control plane."
  value       = var.ranges.masters
}

output "node_tag" {
  description = "The network tag that nodes carry, which the webhooks' firewall rule names."
  value       = "${var.name}-node"
}

output "connection_policy" {
  description = "The policy that lets Memorystore connect; an instance waits for it."
  value       = google_network_connectivity_service_connection_policy.valkey.id
}
