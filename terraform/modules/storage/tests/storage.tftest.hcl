mock_provider "google" {}

variables {
  project  = "slate-test"
  location = "europe-west1"
  prefix   = "slate-test"
}

run "names" {
  command = plan

  assert {
    condition     = output.store == "gs://slate-test-releases/slate"
    error_message = "The store lies in the release bucket."
  }

  assert {
    condition     = startswith(output.pipeline_root, "gs://slate-test-artefacts/")
    error_message = "Pipelines write elsewhere."
  }

  assert {
    condition     = google_storage_bucket.releases.soft_delete_policy[0].retention_duration_seconds == 2592000
    error_message = "Thirty days."
  }

  assert {
    condition     = length(google_storage_bucket.releases.encryption) == 0
    error_message = "Without a key, none is named."
  }
}

run "with_a_key" {
  command = plan

  variables {
    kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
  }

  assert {
    condition     = google_storage_bucket.data.encryption[0].default_kms_key_name == var.kms_key
    error_message = "The key encrypts every bucket."
  }
}

run "deleted_for_too_short" {
  command = plan

  variables {
    retention = { deleted = 1 }
  }

  expect_failures = [var.retention]
}
