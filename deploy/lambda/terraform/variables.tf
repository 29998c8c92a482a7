# The defaults are those of template.yaml; .ci/check-aws compares them.

variable "name" {
  description = "Name of the stack, and of the function and the state machine in it."
  type        = string
  default     = "martsync"
}

variable "program" {
  description = "Path of the zip that make lambda-zip makes."
  type        = string
}

variable "configuration" {
  description = "Path of martsync.yaml."
  type        = string
}

variable "sync" {
  description = "The name of the sync in the configuration."
  type        = string
}

variable "bucket" {
  description = "An existing bucket in the provider's region, for the program, the configuration, the state and the data."
  type        = string
}

variable "state_prefix" {
  description = "Where in the bucket progress and runs are kept."
  type        = string
  default     = "martsync/state"
}

variable "data_prefix" {
  description = "Where in the bucket tables go if the destination is files."
  type        = string
  default     = "martsync/data"
}

variable "raw_prefix" {
  description = "Where in the bucket a sync with raw keeps what the vendor sent."
  type        = string
  default     = "martsync/raw"
}

variable "secret_prefix" {
  description = "The secrets that may be read: below this path in Parameter Store, and with this beginning and a slash in Secrets Manager."
  type        = string
  default     = "martsync"
}

variable "key_arn" {
  description = "Key of KMS with which the bucket or the secrets are encrypted, if it is one of your own."
  type        = string
  default     = ""
}

variable "schedule_expression" {
  description = "When a sync begins, as EventBridge Scheduler writes it."
  type        = string
  default     = "cron(0 9 ? * WED *)"
}

variable "schedule_expression_timezone" {
  description = "The IANA time zone of the schedule."
  type        = string
  default     = "UTC"
}

variable "schedule_state" {
  description = "ENABLED or DISABLED."
  type        = string
  default     = "ENABLED"
}

variable "alarm_email" {
  description = "Who gets a mail when a sync fails."
  type        = string
  default     = ""
}

variable "log_retention_in_days" {
  description = "How long log lines are kept."
  type        = number
  default     = 30
}

variable "memory_size" {
  description = "Memory of the function in MB."
  type        = number
  default     = 256
}

variable "tags" {
  description = "Tags of the stack and of what is in it."
  type        = map(string)
  default     = {}
}
