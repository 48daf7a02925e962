variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "location" {
  description = "The region of the registry, near the cluster."
  type        = string
}

variable "name" {
  description = "The repository's name."
  type        = string
  default     = "slate"
}

variable "readers" {
  description = "IAM members that may pull images, such as the nodes' service account, by a name of your own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.readers) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "readers must be named: neither allUsers nor allAuthenticatedUsers."
  }
}

variable "writers" {
  description = "IAM members that may push images, such as the builder's service account, by a name of your own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for member in values(var.writers) : startswith(member, "serviceAccount:") || startswith(member, "principalSet:")])
    error_message = "writers must be service accounts or federated identities: images come from the build, not from people."
  }
}

variable "kms_key" {
  description = "The KMS key that encrypts the images; Google's own key where absent."
  type        = string
  default     = null
}
