variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "location" {
  description = "The region of the instance."
  type        = string
}

variable "name" {
  description = "The instance's id."
  type        = string
  default     = "slate"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.name))
    error_message = "name must be 4 to 63 lowercase letters, digits and hyphens, starting with a letter."
  }
}

variable "network" {
  description = "The id of the network whose connection policy lets the instance connect."
  type        = string
}

variable "node_type" {
  description = "The size of a node."
  type        = string
  default     = "STANDARD_SMALL"

  validation {
    condition     = contains(["SHARED_CORE_NANO", "STANDARD_SMALL", "HIGHMEM_MEDIUM", "HIGHMEM_XLARGE"], var.node_type)
    error_message = "node_type must be SHARED_CORE_NANO, STANDARD_SMALL, HIGHMEM_MEDIUM or HIGHMEM_XLARGE."
  }
}

variable "replicas" {
  description = "Replicas beside the primary. 0 means that a failed node is down until it is back."
  type        = number
  default     = 1

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must be 0 to 5."
  }
}

variable "append_only" {
  description = "How often the append-only file reaches the disk. Of events acknowledged before a node is lost, EVERY_SEC can lose a second, ALWAYS none on that node; a failover to a replica can lose what replication had not carried over yet."
  type        = string
  default     = "EVERY_SEC"

  validation {
    condition     = contains(["EVERY_SEC", "ALWAYS"], var.append_only)
    error_message = "append_only must be EVERY_SEC or ALWAYS: without it a restart loses every acknowledged event."
  }
}

variable "deletion_protection" {
  description = "Whether the instance refuses to be deleted."
  type        = bool
  default     = true
}
