# Workflows prove who they are with a token of GitHub's that lives minutes. Nothing long-lived exists.
resource "google_iam_workload_identity_pool" "github" {
  count = var.github == null ? 0 : 1

  project                   = var.project
  workload_identity_pool_id = "slate-github"
  display_name              = "GitHub workflows of Slate"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:The condition below names one repository and one branch; the check does not read expressions.
  count = var.github == null ? 0 : 1

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub"
  attribute_condition                = "assertion.repository == \"${var.github.repository}\" && assertion.ref == \"refs/heads/${var.github.branch}\""

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "github" {
  for_each = toset(var.github == null ? [] : ["build", "deploy"])

  project      = var.project
  account_id   = "slate-${each.key}"
  display_name = "Slate: GitHub workflow ${each.key}"
}

resource "google_service_account_iam_member" "github" {
  for_each = google_service_account.github

  service_account_id = each.value.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.repository/${var.github.repository}"
}
