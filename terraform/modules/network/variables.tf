variable "project" {
  description = "The project that holds everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id: 6 to 30 lowercase letters, digits and hyphens, starting with a letter."
  }
}

variable "region" {
  description = "The region of the subnetwork."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone."
  }
}

variable "name" {
  description = "The name of the network and the prefix of what is in it."
  type        = string
  default     = "slate"
}

variable "ranges" {
  description = "Address ranges of nodes, pods, services and the cluster's control plane. They must not overlap."
  type = object({
    nodes    = optional(string, "10.10.0.0/20")
    pods     = optional(string, "10.20.0.0/14")
    services = optional(string, "10.24.0.0/20")
    masters  = optional(string, "10.25.0.0/28")
  })
  default = {}

  validation {
    condition     = alltrue([for range in values(var.ranges) : can(cidrhost(range, 0))])
    error_message = "ranges must be CIDR blocks such as 10.10.0.0/20."
  }

  validation {
    condition     = endswith(var.ranges.masters, "/28")
    error_message = "ranges.masters must be a /28: GKE takes no other size."
  }
}
