# Nodes run as this account, which can pull images and write logs and metrics. Workloads never use it.
resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of the cluster ${var.name}"
}

# The role that Google defines for nodes: logs, metrics, and nothing else. It exists on projects only.
resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

resource "google_container_cluster" "this" {
  #checkov:skip=CKV_GCP_12:Dataplane V2 enforces NetworkPolicies; the add-on asked for is that of the older data plane.
  #checkov:skip=CKV_GCP_65:Groups need a Workspace domain, which not every project has; people's access is the project's matter.
  project             = var.project
  name                = var.name
  location            = var.location
  network             = var.network.network
  subnetwork          = var.network.subnetwork
  deletion_protection = var.deletion_protection
  networking_mode     = "VPC_NATIVE"
  datapath_provider   = "ADVANCED_DATAPATH"

  enable_intranode_visibility = true
  enable_shielded_nodes       = true
  remove_default_node_pool    = true
  initial_node_count          = 1

  resource_labels = { app = "slate" }

  # The default pool exists for minutes, but with the settings of the others.
  node_config {
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = length(var.authorised_networks) == 0
    master_ipv4_cidr_block  = var.network.masters_range
  }

  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.authorised_networks

      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  release_channel {
    channel = var.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = "2026-01-03T02:00:00Z"
      end_time   = "2026-01-03T08:00:00Z"
      recurrence = "FREQ=WEEKLY;BYDAY=SA,SU"
    }
  }

  database_encryption {
    state    = var.database_key == null ? "DECRYPTED" : "ENCRYPTED"
    key_name = var.database_key
  }

  secret_manager_config {
    enabled = true
  }

  binary_authorization {
    evaluation_mode = "PROJECT_SINGLETON_POLICY_ENFORCE"
  }

  security_posture_config {
    mode               = "BASIC"
    vulnerability_mode = "VULNERABILITY_BASIC"
  }

  cost_management_config {
    enabled = true
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]

    managed_prometheus {
      enabled = true
    }
  }

  addons_config {
    gcs_fuse_csi_driver_config {
      enabled = true
    }

    network_policy_config {
      disabled = true # Dataplane V2 enforces NetworkPolicies itself.
    }
  }

  lifecycle {
    ignore_changes = [node_config, initial_node_count] # of the default pool, which is gone
  }
}

resource "google_container_node_pool" "this" {
  for_each = var.pools

  project  = var.project
  name     = each.key
  cluster  = google_container_cluster.this.id
  location = var.location

  initial_node_count = each.value.minimum

  autoscaling {
    min_node_count  = each.value.minimum
    max_node_count  = each.value.maximum
    location_policy = each.value.spot ? "ANY" : "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type    = each.value.machine_type
    disk_size_gb    = each.value.disk_gb
    disk_type       = "pd-balanced"
    image_type      = "COS_CONTAINERD"
    spot            = each.value.spot
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    tags            = [var.network.node_tag]
    labels          = { "slate.dev/pool" = each.key }
    metadata        = { "disable-legacy-endpoints" = "true" }

    dynamic "taint" {
      for_each = each.value.tainted ? [each.key] : []

      content {
        key    = "slate.dev/pool"
        value  = taint.value
        effect = "NO_SCHEDULE"
      }
    }

    dynamic "guest_accelerator" {
      for_each = each.value.gpu == null ? [] : [each.value.gpu]

      content {
        type  = guest_accelerator.value.type
        count = guest_accelerator.value.count

        gpu_driver_installation_config {
          gpu_driver_version = "DEFAULT"
        }
      }
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count] # the autoscaler moves it; a change would replace the pool
  }
}
