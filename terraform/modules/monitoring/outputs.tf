output "notification_channel" {
  description = "The channel that other alerts may name."
  value       = google_monitoring_notification_channel.email.name
}
