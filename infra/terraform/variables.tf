variable "name" {
  description = "Prefix of every resource, and value of the tag lamella."
  type        = string
  default     = "lamella"
}

variable "tags" {
  description = "Further tags of every resource that has tags."
  type        = map(string)
  default     = {}
}

variable "packages" {
  description = "Folder in which cargo-lambda leaves FUNCTION/bootstrap.zip."
  type        = string
  default     = "../../target/lambda"
}

variable "architecture" {
  description = "arm64, a fifth cheaper, or x86_64; the packages must be built for it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

variable "invoke_auth" {
  description = "Who may call the function URLs: AWS_IAM, or NONE, which is open to the internet."
  type        = string
  default     = "AWS_IAM"

  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.invoke_auth)
    error_message = "invoke_auth is AWS_IAM or NONE."
  }
}

variable "require_tenant" {
  description = "Refuse requests without X-Scope-OrgID instead of using the tenant anonymous."
  type        = bool
  default     = false
}

variable "retention" {
  description = "Entries such as metrics=7d, logs=90d or team-a/metrics=30d, separated by commas."
  type        = string
  default     = "metrics=7d,logs=90d"
}

variable "intelligent_tiering_days" {
  description = "Age at which segments move to S3 Intelligent-Tiering; 0 leaves them in Standard."
  type        = number
  default     = 0
}

variable "ingest_memory_mib" {
  description = "Memory of fn-ingest; more memory is more CPU."
  type        = number
  default     = 512
}

variable "query_memory_mib" {
  description = "Memory of fn-query; 3,538 are two vCPUs."
  type        = number
  default     = 3538
}

variable "compact_memory_mib" {
  description = "Memory of fn-compact; a merge holds at most some 600 MiB."
  type        = number
  default     = 3538
}

variable "ingest_concurrency" {
  description = "Reserved concurrency of fn-ingest, and so a bound on what it can cost; -1 reserves none."
  type        = number
  default     = -1
}

variable "query_concurrency" {
  description = "Reserved concurrency of fn-query, and so a bound on what it can cost; -1 reserves none."
  type        = number
  default     = 20
}

variable "compact_concurrency" {
  description = "Compactions at once. More are correct, and need not be faster."
  type        = number
  default     = 2
}

variable "managed_instances" {
  description = "Run fn-ingest on Lambda Managed Instances, where requests are grouped into fewer segments; null for classic Lambda."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
    vcpu_max           = optional(number, 24)
  })
  default = null
}

variable "alarm_email" {
  description = "Who is told of alarms and of the budget; nobody where empty."
  type        = string
  default     = ""
}

variable "monthly_budget_dollars" {
  description = "Dollars a month for what carries the tag lamella, told at 80 % and when forecast to be passed; 0 sets none."
  type        = number
  default     = 0
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the functions' own logs."
  type        = number
  default     = 14
}

variable "log_level" {
  description = "Filter of the functions' own logs, such as info,store=debug."
  type        = string
  default     = "info"
}

variable "tracing" {
  description = "PassThrough, or Active to sample requests into X-Ray."
  type        = string
  default     = "PassThrough"
}

variable "credentials_secret" {
  description = "ARN of the Secrets Manager secret that holds accounts and their hashes (docs/edge.md); empty leaves authentication to the function URLs."
  type        = string
  default     = ""

  validation {
    condition     = var.credentials_secret == "" || can(regex("^arn:[a-z0-9-]+:secretsmanager:", var.credentials_secret))
    error_message = "credentials_secret is the ARN of a Secrets Manager secret."
  }
}

variable "secrets_extension" {
  description = "With credentials_secret: ARN of the layer AWS-Parameters-and-Secrets-Lambda-Extension of this region and architecture."
  type        = string
  default     = ""
}
