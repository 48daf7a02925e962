# The queue of events and exposures and the online state. Not a cache: evicting a key would lose a user's event.
resource "google_memorystore_instance" "this" {
  project                     = var.project
  location                    = var.location
  instance_id                 = var.name
  engine_version              = "VALKEY_8_0"
  mode                        = "CLUSTER_DISABLED"
  shard_count                 = 1
  replica_count               = var.replicas
  node_type                   = var.node_type
  transit_encryption_mode     = "SERVER_AUTHENTICATION"
  authorization_mode          = "AUTH_DISABLED" # The endpoint is private, and NetworkPolicies say which pods reach it.
  deletion_protection_enabled = var.deletion_protection

  engine_configs = {
    maxmemory-policy = "noeviction"
  }

  persistence_config {
    mode = "AOF"

    aof_config {
      append_fsync = var.append_only
    }
  }

  zone_distribution_config {
    mode = "MULTI_ZONE"
  }

  desired_auto_created_endpoints {
    project_id = var.project
    network    = var.network
  }

  maintenance_policy {
    weekly_maintenance_window {
      day = "SUNDAY"

      start_time {
        hours = 3
      }
    }
  }
}
