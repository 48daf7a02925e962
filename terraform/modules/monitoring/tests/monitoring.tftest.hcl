mock_provider "google" {}

variables {
  project = "slate-test"
  host    = "slate.example.com"
  email   = "oncall@example.com"
}

run "asks_what_the_pods_are_asked" {
  command = plan

  assert {
    condition     = google_monitoring_uptime_check_config.ready.http_check[0].path == "/v2/models/recommender/ready"
    error_message = "The path that waits for a release."
  }

  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "No budget without an account."
  }
}

run "a_budget" {
  command = plan

  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 500 }
  }

  assert {
    condition     = google_billing_budget.this[0].amount[0].specified_amount[0].units == "500"
    error_message = "The amount is passed on."
  }

  assert {
    condition     = length(google_billing_budget.this[0].threshold_rules) == 3
    error_message = "It is reported three times."
  }
}

run "an_address_with_a_scheme" {
  command = plan

  variables {
    host = "https://slate.example.com"
  }

  expect_failures = [var.host]
}
