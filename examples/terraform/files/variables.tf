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
  default     = "files"
}

variable "log_group" {
  description = "The log group the file server writes to. Amazon FSx asks for names that begin with /aws/fsx/."
  type        = string
  default     = "/aws/fsx/windows"
}

variable "servers" {
  description = "The file servers; each has a log stream."
  type        = set(string)
  default     = ["fs1"]
}

variable "retention_days" {
  description = "How long events are kept."
  type        = number
  default     = 90
}

variable "mail" {
  description = "Who is told. The address gets a mail and confirms by its link."
  type        = string
  default     = "security@example.org"
}

variable "denied_max" {
  description = "So many denied reads in a minute are nobody's typing error; one more is an alarm."
  type        = number
  default     = 5
}

variable "deletions_max" {
  description = "So many files may one user delete in five minutes."
  type        = number
  default     = 100
}

variable "tags" {
  description = "What every resource is tagged with."
  type        = map(string)
  default     = { purpose = "file audit" }
}
