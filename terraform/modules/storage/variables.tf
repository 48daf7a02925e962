variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "location" {
  description = "Where the buckets lie: a region, or a dual or multi region."
  type        = string
}

variable "prefix" {
  description = "What the buckets' names begin with. Bucket names are global, so the project's id is a good one."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{2,45}$", var.prefix))
    error_message = "prefix must be 3 to 46 lowercase letters, digits and hyphens."
  }
}

variable "kms_key" {
  description = "The KMS key that encrypts the buckets; Google's own key where absent."
  type        = string
  default     = null
}

variable "retention" {
  description = "Days: how long deleted objects of the release bucket can be restored, how long its replaced versions stay, and when pipeline artefacts are deleted."
  type = object({
    deleted   = optional(number, 30)
    replaced  = optional(number, 90)
    artefacts = optional(number, 60)
  })
  default = {}

  validation {
    condition     = var.retention.deleted >= 7 && var.retention.deleted <= 90
    error_message = "retention.deleted must be 7 to 90 days: the limits of soft deletion."
  }

  validation {
    condition     = var.retention.replaced >= 1 && var.retention.artefacts >= 1
    error_message = "retention.replaced and retention.artefacts must be at least one day."
  }
}

variable "force_destroy" {
  description = "Whether terraform destroy may delete buckets that hold objects."
  type        = bool
  default     = false
}
