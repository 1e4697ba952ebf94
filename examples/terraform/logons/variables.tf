variable "endpoint" {
  description = "Where Nightbell listens, such as http://127.0.0.1:8600. Null: AWS_ENDPOINT_URL, else AWS itself."
  type        = string
  default     = null
}

variable "region" {
  description = "The region to build in. Null: AWS_REGION."
  type        = string
  default     = null
}

variable "access_key" {
  description = "The id of the key to build with. Null: AWS_ACCESS_KEY_ID."
  type        = string
  default     = null
}

variable "secret_key" {
  description = "The secret of that key. Null: AWS_SECRET_ACCESS_KEY."
  type        = string
  default     = null
  sensitive   = true
}

variable "name" {
  description = "What the resources are called; another name is another stack beside this one."
  type        = string
  default     = "logons"
}

variable "log_group" {
  description = "The log group that the Security logs of all machines go to."
  type        = string
  default     = "windows-security"
}

variable "retention_days" {
  description = "How long events are kept."
  type        = number
  default     = 365
}

variable "failures_max" {
  description = "So many failed logons has one account on one machine in five minutes; one more is an alarm."
  type        = number
  default     = 5
}

variable "webhook" {
  description = "Who is told: an HTTP address that confirms SNS subscriptions by itself, such as a chat bridge."
  type        = string
  default     = "http://127.0.0.1:8700/nightbell"
}

variable "sender" {
  description = "The address that the function's mails come from. It gets a mail and confirms by its link."
  type        = string
  default     = "nightbell@example.org"
}

variable "recipient" {
  description = "Who gets the function's mails."
  type        = string
  default     = "operators@example.org"
}

variable "bucket" {
  description = "Where every event goes as well, compressed, for years."
  type        = string
  default     = "logons-archive"
}

variable "tags" {
  description = "What every resource is tagged with."
  type        = map(string)
  default     = { purpose = "logon audit" }
}
