mock_provider "google" {}

variables {
  project       = "slate-test"
  workload_pool = "slate-test.svc.id.goog"

  buckets = {
    releases  = "slate-test-releases"
    artefacts = "slate-test-artefacts"
    data      = "slate-test-data"
  }
}

run "one_identity_a_workload" {
  command = plan

  assert {
    condition     = google_service_account_iam_member.workload["serving"].member == "serviceAccount:slate-test.svc.id.goog[slate/slate-serving]"
    error_message = "The Kubernetes service account of the same name acts as it."
  }

  assert {
    condition     = google_service_account_iam_member.workload["pipeline"].member == "serviceAccount:slate-test.svc.id.goog[kubeflow/slate-pipeline]"
    error_message = "Pipeline steps run in their own namespace."
  }

  assert {
    condition     = output.pipeline_service_account == "slate-pipeline"
    error_message = "What slate submit names."
  }
}

run "releases_are_added_and_never_replaced" {
  command = plan

  assert {
    condition     = google_storage_bucket_iam_member.folders["pipeline-releases"].role == "roles/storage.objectCreator"
    error_message = "A creator can neither replace nor delete."
  }

  assert {
    condition     = [for key, grant in google_storage_bucket_iam_member.folders : key if strcontains(grant.condition[0].expression, "/releases/")] == ["pipeline-releases"]
    error_message = "Only the pipeline writes below releases/."
  }

  assert {
    condition     = google_storage_bucket_iam_member.folders["rollout-channels"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/slate-test-releases/objects/slate/channels/\")"
    error_message = "Writing is limited to a folder."
  }

  assert {
    condition     = !contains(keys(google_storage_bucket_iam_member.reads), "events")
    error_message = "The events endpoint has no business in the store."
  }
}

run "without_github_nothing_federates" {
  command = plan

  assert {
    condition     = output.deployer == null && output.github_provider == null && length(google_service_account.github) == 0
    error_message = "No repository, no federation."
  }
}

run "with_github_one_branch_of_one_repository" {
  command = plan

  variables {
    github = { repository = "slate-example/slate" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.repository == \"slate-example/slate\" && assertion.ref == \"refs/heads/main\""
    error_message = "Another repository or branch gets no token."
  }
}

run "a_pool_of_somewhere_else" {
  command = plan

  variables {
    workload_pool = "slate-test"
  }

  expect_failures = [var.workload_pool]
}
