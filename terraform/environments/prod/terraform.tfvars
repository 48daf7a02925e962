project  = "slate-example-prod"
region   = "europe-west1"
location = "europe-west1"
host     = "slate.example.com"
email    = "slate-oncall@example.com"

authorised_networks = {
  office = "203.0.113.0/24"
}

# Nodes count per zone, of which there are three.
pools = {
  system   = { machine_type = "e2-standard-4", minimum = 1, maximum = 2 }
  serving  = { machine_type = "n2-standard-8", minimum = 1, maximum = 6, tainted = true }
  training = { machine_type = "n2-standard-16", minimum = 0, maximum = 4, spot = true, tainted = true }
  gpu = {
    machine_type = "g2-standard-8"
    minimum      = 0
    maximum      = 1
    spot         = true
    tainted      = true
    gpu          = { type = "nvidia-l4", count = 1 }
  }
}

valkey = {
  node_type   = "HIGHMEM_MEDIUM"
  replicas    = 2
  append_only = "ALWAYS"
}

protected = true
