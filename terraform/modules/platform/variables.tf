variable "versions" {
  description = "Pinned chart versions."
  type = object({
    cert_manager  = optional(string, "v1.19.1")
    envoy_gateway = optional(string, "v1.9.2")
    keda          = optional(string, "2.21.1")
    kserve        = optional(string, "v0.21.0")
    prometheus    = optional(string, "79.7.1")
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.versions) : can(regex("^v?[0-9]+\\.[0-9]+\\.[0-9]+$", version))])
    error_message = "versions must be exact, such as v1.9.0: a range would change a cluster without a review."
  }

  validation {
    condition     = tonumber(split(".", trimprefix(var.versions.envoy_gateway, "v"))[0]) > 1 || tonumber(split(".", var.versions.envoy_gateway)[1]) >= 9
    error_message = "versions.envoy_gateway must be 1.9.0 or later: before it, consistent hashing ignores the weights of backends."
  }
}

variable "pipelines" {
  description = "A chart of Kubeflow Pipelines. The project publishes none, so without one it is applied with kubectl (docs/guides/deploy-on-gke.md)."
  type = object({
    repository = string
    chart      = string
    version    = string
  })
  default = null

  validation {
    condition     = var.pipelines == null || can(regex("^v?[0-9]+\\.[0-9]+\\.[0-9]+$", var.pipelines.version))
    error_message = "pipelines.version must be exact."
  }
}

variable "prometheus" {
  description = "Whether a Prometheus with Grafana is installed in the cluster, and KEDA, which scales by what it measures. Google Managed Prometheus needs neither."
  type        = bool
  default     = true
}

variable "system_pool" {
  description = "The node pool that takes the controllers."
  type        = string
  default     = "system"
}
