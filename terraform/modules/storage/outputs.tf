output "releases" {
  description = "The bucket of the store."
  value       = google_storage_bucket.releases.name
}

output "artefacts" {
  description = "The bucket of pipeline artefacts and checkpoints."
  value       = google_storage_bucket.artefacts.name
}

output "data" {
  description = "The bucket of data sets."
  value       = google_storage_bucket.data.name
}

output "store" {
  description = "What --store takes."
  value       = "gs://${google_storage_bucket.releases.name}/slate"
}

output "pipeline_root" {
  description = "What slate submit --pipeline-root takes."
  value       = "gs://${google_storage_bucket.artefacts.name}/kfp"
}

output "checkpoints" {
  description = "What slate submit --checkpoints takes."
  value       = "gs://${google_storage_bucket.artefacts.name}/checkpoints"
}
