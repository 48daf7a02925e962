mock_provider "google" {}

variables {
  project = "slate-test"
  region  = "europe-west1"
}

run "private" {
  command = plan

  assert {
    condition     = google_compute_network.this.auto_create_subnetworks == false
    error_message = "Subnetworks must be ours alone."
  }

  assert {
    condition     = google_compute_subnetwork.nodes.private_ip_google_access
    error_message = "Nodes reach Google's interfaces without public addresses."
  }

  assert {
    condition     = tolist(google_compute_firewall.webhooks.source_ranges) == tolist([output.masters_range])
    error_message = "Only the control plane may call webhooks."
  }

  assert {
    condition     = contains(google_compute_firewall.webhooks.target_tags, output.node_tag)
    error_message = "The rule must meet the nodes' tag."
  }
}

run "a_zone_is_no_region" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "control_plane_of_another_size" {
  command = plan

  variables {
    ranges = { masters = "10.25.0.0/24" }
  }

  expect_failures = [var.ranges]
}
