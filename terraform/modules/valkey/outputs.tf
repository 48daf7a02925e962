output "address" {
  description = "The address of the primary, in the network."
  value       = google_memorystore_instance.this.endpoints[0].connections[0].psc_auto_connection[0].ip_address
}

output "port" {
  description = "The primary's port."
  value       = google_memorystore_instance.this.endpoints[0].connections[0].psc_auto_connection[0].port
}

output "certificates" {
  description = "The certificate authorities that clients check the server against, PEM."
  value       = flatten([for authority in google_memorystore_instance.this.managed_server_ca[0].ca_certs : authority.certificates])
}
