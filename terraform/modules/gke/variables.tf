variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "location" {
  description = "A region (three control planes, nodes in three zones) or a zone (cheaper, for development)."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+(-[a-z])?$", var.location))
    error_message = "location must be a region such as europe-west1 or a zone such as europe-west1-b."
  }
}

variable "name" {
  description = "The cluster's name."
  type        = string
  default     = "slate"
}

variable "network" {
  description = "What the module network gave: network, subnetwork, the control plane's range and the nodes' tag."
  type = object({
    network       = string
    subnetwork    = string
    masters_range = string
    node_tag      = string
  })
}

variable "authorised_networks" {
  description = "Who may reach the control plane, by name: CIDR blocks."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for range in values(var.authorised_networks) : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "authorised_networks must be CIDR blocks, and none may be the whole internet."
  }
}

variable "release_channel" {
  description = "How fast Kubernetes versions arrive."
  type        = string
  default     = "REGULAR"

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE"], var.release_channel)
    error_message = "release_channel must be RAPID, REGULAR or STABLE."
  }
}

variable "pools" {
  description = "Node pools by name. Nodes count per zone. A pool with a taint takes only what tolerates slate.dev/pool=<name>."
  type = map(object({
    machine_type = string
    minimum      = number
    maximum      = number
    spot         = optional(bool, false)
    tainted      = optional(bool, false)
    disk_gb      = optional(number, 100)
    gpu          = optional(object({ type = string, count = number }))
  }))

  validation {
    condition     = alltrue([for name in ["system", "serving", "training"] : contains(keys(var.pools), name)])
    error_message = "pools must have system, serving and training; gpu and others are optional."
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : pool.minimum >= 0 && pool.minimum <= pool.maximum])
    error_message = "pools: minimum must be between 0 and maximum."
  }

  validation {
    condition     = !var.pools["serving"].spot && !var.pools["system"].spot && var.pools["serving"].minimum > 0
    error_message = "pools: serving and system may not be spot, and serving may not fall to 0 nodes."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the cluster."
  type        = bool
  default     = true
}

variable "database_key" {
  description = "The KMS key that encrypts Kubernetes Secrets at rest; Google's own key where absent."
  type        = string
  default     = null
}
