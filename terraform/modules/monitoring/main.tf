# What happens inside the cluster is watched there (k8s/options/monitoring). This watches from outside, so that
# it still speaks when the cluster cannot.
resource "google_monitoring_notification_channel" "email" {
  project      = var.project
  display_name = "Slate on-call"
  type         = "email"
  labels       = { email_address = var.email }
}

resource "google_monitoring_uptime_check_config" "ready" {
  project      = var.project
  display_name = "Slate answers"
  timeout      = "10s"
  period       = "60s"

  http_check {
    path           = "/v2/models/recommender/ready"
    port           = 443
    use_ssl        = true
    validate_ssl   = true
    request_method = "GET"
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project
      host       = var.host
    }
  }
}

resource "google_monitoring_alert_policy" "unreachable" {
  project               = var.project
  display_name          = "Slate is not reachable"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.name]

  conditions {
    display_name = "The uptime check fails from two places"

    condition_threshold {
      filter          = "resource.type = \"uptime_url\" AND metric.type = \"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id = \"${google_monitoring_uptime_check_config.ready.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"

      aggregations {
        alignment_period     = "120s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }

      trigger {
        count = 1
      }
    }
  }

  documentation {
    content   = "No answer from https://${var.host}/v2/models/recommender/ready. See docs/guides/deploy-on-gke.md, \"When it does not answer\"."
    mime_type = "text/markdown"
  }
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Slate: ${var.project}"

  budget_filter {
    projects = ["projects/${var.project}"]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(floor(var.budget.amount))
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 1.0, 1.2]

    content {
      threshold_percent = threshold_rules.value
    }
  }
}
