variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "workload_pool" {
  description = "The cluster's Workload Identity pool."
  type        = string

  validation {
    condition     = endswith(var.workload_pool, ".svc.id.goog")
    error_message = "workload_pool must be PROJECT.svc.id.goog; the module gke gives it."
  }
}

variable "buckets" {
  description = "What the module storage gave: the buckets of the store, of pipeline artefacts and of data."
  type = object({
    releases  = string
    artefacts = string
    data      = string
  })
}

variable "store_prefix" {
  description = "The folder of the store in its bucket."
  type        = string
  default     = "slate"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9/-]*[a-z0-9]$", var.store_prefix))
    error_message = "store_prefix must be a folder such as slate, without slashes at its ends."
  }
}

variable "namespaces" {
  description = "The Kubernetes namespaces of what answers users, and of Kubeflow Pipelines."
  type = object({
    serving   = optional(string, "slate")
    pipelines = optional(string, "kubeflow")
  })
  default = {}
}

variable "github" {
  description = "The repository whose workflows build and deploy, as owner/name, and the branch they must run on; no federation where absent."
  type = object({
    repository = string
    branch     = optional(string, "main")
  })
  default = null

  validation {
    condition     = var.github == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "github.repository must be owner/name."
  }
}
