variable "project" {
  description = "The project that holds everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id: 6 to 30 lowercase letters, digits and hyphens, starting with a letter."
  }
}

variable "region" {
  description = "The region of everything regional."
  type        = string
}

variable "location" {
  description = "The cluster's region or zone."
  type        = string
}

variable "host" {
  description = "The public host name of the gateway."
  type        = string
}

variable "email" {
  description = "Who is told when the service is not reachable."
  type        = string
}

variable "authorised_networks" {
  description = "Who may reach the control plane, by name: CIDR blocks."
  type        = map(string)
  default     = {}
}

variable "pools" {
  description = "Node pools; see the module gke."
  type = map(object({
    machine_type = string
    minimum      = number
    maximum      = number
    spot         = optional(bool, false)
    tainted      = optional(bool, false)
    disk_gb      = optional(number, 100)
    gpu          = optional(object({ type = string, count = number }))
  }))
}

variable "valkey" {
  description = "Size and durability of the online state; see the module valkey."
  type = object({
    node_type   = string
    replicas    = number
    append_only = optional(string, "EVERY_SEC")
  })
}

variable "github" {
  description = "The repository whose workflows build and deploy; see the module identity."
  type = object({
    repository = string
    branch     = optional(string, "main")
  })
  default = null
}

variable "budget" {
  description = "Billing account and monthly amount; see the module monitoring."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string, "EUR")
  })
  default = null
}

variable "kms_key" {
  description = "The KMS key of buckets, images and Kubernetes Secrets; Google's own where absent."
  type        = string
  default     = null
}

variable "protected" {
  description = "Whether cluster, online state and buckets refuse to be deleted."
  type        = bool
  default     = true
}
