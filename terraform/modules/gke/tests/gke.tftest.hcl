mock_provider "google" {}

variables {
  project  = "slate-test"
  location = "europe-west1"

  network = {
    network       = "n"
    subnetwork    = "s"
    masters_range = "10.25.0.0/28"
    node_tag      = "slate-node"
  }

  pools = {
    system   = { machine_type = "e2-standard-2", minimum = 1, maximum = 2 }
    serving  = { machine_type = "n2-standard-4", minimum = 1, maximum = 3, tainted = true }
    training = { machine_type = "n2-standard-8", minimum = 0, maximum = 2, spot = true, tainted = true }
  }
}

run "pools" {
  command = plan

  assert {
    condition     = toset(keys(google_container_node_pool.this)) == toset(["system", "serving", "training"])
    error_message = "There is a pool for each entry."
  }

  assert {
    condition     = google_container_node_pool.this["training"].node_config[0].spot
    error_message = "Training runs on spot nodes where asked."
  }

  assert {
    condition     = google_container_node_pool.this["serving"].node_config[0].taint[0].value == "serving"
    error_message = "A tainted pool carries its name."
  }

  assert {
    condition     = length(google_container_node_pool.this["system"].node_config[0].taint) == 0
    error_message = "The system pool takes everything."
  }
}

run "without_networks_the_control_plane_is_private" {
  command = plan

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "Nobody named, nobody outside."
  }
}

run "a_named_network_reaches_it" {
  command = plan

  variables {
    authorised_networks = { office = "203.0.113.0/24" }
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint == false
    error_message = "Somebody outside is named."
  }
}

run "not_the_internet" {
  command = plan

  variables {
    authorised_networks = { all = "0.0.0.0/0" }
  }

  expect_failures = [var.authorised_networks]
}

run "serving_is_never_spot" {
  command = plan

  variables {
    pools = {
      system   = { machine_type = "e2-standard-2", minimum = 1, maximum = 2 }
      serving  = { machine_type = "n2-standard-4", minimum = 1, maximum = 3, spot = true }
      training = { machine_type = "n2-standard-8", minimum = 0, maximum = 2 }
    }
  }

  expect_failures = [var.pools]
}
