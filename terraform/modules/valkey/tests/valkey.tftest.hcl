mock_provider "google" {}

variables {
  project  = "slate-test"
  location = "europe-west1"
  network  = "projects/slate-test/global/networks/slate"
}

run "durable" {
  command = plan

  assert {
    condition     = google_memorystore_instance.this.persistence_config[0].aof_config[0].append_fsync == "EVERY_SEC"
    error_message = "Acknowledged events reach the disk."
  }

  assert {
    condition     = google_memorystore_instance.this.engine_configs["maxmemory-policy"] == "noeviction"
    error_message = "A full memory refuses."
  }
}

run "not_a_cache" {
  command = plan

  variables {
    append_only = "NEVER"
  }

  expect_failures = [var.append_only]
}

run "too_many_replicas" {
  command = plan

  variables {
    replicas = 6
  }

  expect_failures = [var.replicas]
}
