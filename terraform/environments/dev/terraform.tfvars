project  = "slate-example-dev"
region   = "europe-west1"
location = "europe-west1-b" # one zone: a control plane without a fee, and nodes once instead of three times
host     = "dev.slate.example.com"
email    = "slate-dev@example.com"

authorised_networks = {
  office = "203.0.113.0/24"
}

pools = {
  system   = { machine_type = "e2-standard-2", minimum = 1, maximum = 3 }
  serving  = { machine_type = "n2-standard-4", minimum = 1, maximum = 3, tainted = true }
  training = { machine_type = "n2-standard-8", minimum = 0, maximum = 2, spot = true, tainted = true }
}

valkey = {
  node_type = "SHARED_CORE_NANO"
  replicas  = 0
}

protected = false
