locals {
  seconds_per_day = 86400
}

# Access and changes of every bucket, for the question of who wrote a release.
resource "google_storage_bucket" "logs" {
  #checkov:skip=CKV_GCP_62:This bucket holds the access logs; logging its own access would never end.
  #checkov:skip=CKV_GCP_78:Log objects are written once under names of their own, so versions would hold nothing.
  project                     = var.project
  name                        = "${var.prefix}-logs"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = 90
    }
  }
}

# Releases, channels, rollouts, runs and the feedback streams: one Slate store. It has no retention policy
# of the bucket, because that forbids replacing any object, and a channel is an object that is replaced.
# Releases are kept by who may do what (module identity: nobody who runs may delete or replace one), by soft
# deletion and by versions.
resource "google_storage_bucket" "releases" {
  project                     = var.project
  name                        = "${var.prefix}-releases"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = var.retention.deleted * local.seconds_per_day
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = "releases"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = var.retention.replaced
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 1
    }
  }
}

# What pipeline steps hand to each other, and checkpoints: all of it can be made again.
resource "google_storage_bucket" "artefacts" {
  project                     = var.project
  name                        = "${var.prefix}-artefacts"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = true
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = "artefacts"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = var.retention.artefacts
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 1
      with_state                 = "ARCHIVED"
    }
  }
}

# The data sets that training reads. People and upstream jobs write it; Slate does not.
resource "google_storage_bucket" "data" {
  project                     = var.project
  name                        = "${var.prefix}-data"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = true
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = "data"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = var.retention.replaced
      with_state                 = "ARCHIVED"
    }
  }
}
