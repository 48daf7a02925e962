mock_provider "google" {
  mock_resource "google_container_cluster" {
    defaults = { endpoint = "10.25.0.2" }
  }
}

variables {
  project  = "slate-test"
  region   = "europe-west1"
  location = "europe-west1"
  host     = "slate.example.com"
  email    = "oncall@example.com"
  valkey   = { node_type = "STANDARD_SMALL", replicas = 1 }

  pools = {
    system   = { machine_type = "e2-standard-2", minimum = 1, maximum = 2 }
    serving  = { machine_type = "n2-standard-4", minimum = 1, maximum = 3, tainted = true }
    training = { machine_type = "n2-standard-8", minimum = 0, maximum = 2, spot = true, tainted = true }
  }
}

run "what_slate_submit_needs" {
  command = plan

  assert {
    condition     = output.submit.store == "gs://slate-test-releases/slate"
    error_message = "The store of the environment."
  }

  assert {
    condition     = output.submit.service_account == "slate-pipeline"
    error_message = "The steps' service account."
  }

  assert {
    condition     = output.submit.images == "europe-west1-docker.pkg.dev/slate-test/slate"
    error_message = "Where images lie."
  }
}

run "with_github" {
  command = plan

  variables {
    github = { repository = "slate-example/slate" }
  }

  assert {
    condition     = output.submit.store == "gs://slate-test-releases/slate"
    error_message = "Federation changes nothing but who builds and deploys."
  }
}
