variable "project" {
  description = "The project that holds everything."
  type        = string
}

variable "host" {
  description = "The public host name of the gateway."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.host))
    error_message = "host must be a host name such as slate.example.com, without a scheme."
  }
}

variable "email" {
  description = "Who is told when the service is not reachable from outside."
  type        = string

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.email))
    error_message = "email must be an address."
  }
}

variable "budget" {
  description = "The billing account and the monthly amount at which half, all and 120% of it are reported; no budget where absent."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string, "EUR")
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.amount > 0, false)
    error_message = "budget.amount must be more than 0."
  }
}
