mock_provider "google" {}

variables {
  project  = "slate-test"
  location = "europe-west1"
  readers  = { nodes = "serviceAccount:nodes@slate-test.iam.gserviceaccount.com" }
}

run "address" {
  command = plan

  assert {
    condition     = output.address == "europe-west1-docker.pkg.dev/slate-test/slate"
    error_message = "Images are named region, project, repository."
  }

  assert {
    condition     = google_artifact_registry_repository.this.docker_config[0].immutable_tags
    error_message = "A tag stays where it is."
  }

  assert {
    condition     = length(google_artifact_registry_repository_iam_member.readers) == 1
    error_message = "Each reader is granted reading."
  }
}

run "not_the_public" {
  command = plan

  variables {
    readers = { all = "allUsers" }
  }

  expect_failures = [var.readers]
}

run "people_do_not_push" {
  command = plan

  variables {
    writers = { somebody = "user:somebody@example.com" }
  }

  expect_failures = [var.writers]
}
