locals {
  objects = "projects/_/buckets/${var.buckets.releases}/objects/${var.store_prefix}"

  # One identity a workload. reads: the whole store. adds: folders where it may create, never replace or
  # delete. writes: folders where it may do both.
  workloads = {
    serving = {
      namespace = var.namespaces.serving
      reads     = true
      adds      = []
      writes    = []
    }
    events = {
      namespace = var.namespaces.serving
      reads     = false
      adds      = []
      writes    = []
    }
    consumer = {
      namespace = var.namespaces.serving
      reads     = true
      adds      = []
      writes    = ["events", "exposures", "outcomes", "quarantine"]
    }
    rollout = {
      namespace = var.namespaces.serving
      reads     = true
      adds      = []
      writes    = ["channels", "rollouts"]
    }
    batch = {
      namespace = var.namespaces.serving
      reads     = true
      adds      = []
      writes    = ["monitoring"]
    }
    pipeline = {
      namespace = var.namespaces.pipelines
      reads     = true
      adds      = ["releases"]
      writes    = ["channels", "rollouts", "runs", "tracking"]
    }
  }

  folders = merge([
    for name, workload in local.workloads : merge(
      { for folder in workload.adds : "${name}-${folder}" => { name = name, folder = folder, role = "roles/storage.objectCreator" } },
      { for folder in workload.writes : "${name}-${folder}" => { name = name, folder = folder, role = "roles/storage.objectUser" } },
    )
  ]...)
}

resource "google_service_account" "this" {
  for_each = local.workloads

  project      = var.project
  account_id   = "slate-${each.key}"
  display_name = "Slate: ${each.key}"
}

# The Kubernetes service account of the same name acts as the identity; there are no keys.
resource "google_service_account_iam_member" "workload" {
  for_each = local.workloads

  service_account_id = google_service_account.this[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.workload_pool}[${each.value.namespace}/slate-${each.key}]"
}

resource "google_storage_bucket_iam_member" "reads" {
  for_each = { for name, workload in local.workloads : name => workload if workload.reads }

  bucket = var.buckets.releases
  role   = "roles/storage.objectViewer"
  member = google_service_account.this[each.key].member
}

resource "google_storage_bucket_iam_member" "folders" {
  for_each = local.folders

  bucket = var.buckets.releases
  role   = each.value.role
  member = google_service_account.this[each.value.name].member

  condition {
    title      = each.value.folder
    expression = "resource.name.startsWith(\"${local.objects}/${each.value.folder}/\")"
  }
}

resource "google_storage_bucket_iam_member" "pipeline_artefacts" {
  bucket = var.buckets.artefacts
  role   = "roles/storage.objectUser"
  member = google_service_account.this["pipeline"].member
}

resource "google_storage_bucket_iam_member" "pipeline_data" {
  bucket = var.buckets.data
  role   = "roles/storage.objectViewer"
  member = google_service_account.this["pipeline"].member
}

# Values are put in by people (docs/guides/deploy-on-gke.md), so no state and no plan ever holds one.
resource "google_secret_manager_secret" "this" {
  for_each = toset(["slate-signing-keys", "slate-api-keys", "slate-redis-url"])

  project   = var.project
  secret_id = each.key

  replication {
    auto {}
  }
}
