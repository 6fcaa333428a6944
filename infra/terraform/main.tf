# Lamella on AWS: bucket, table, three functions, a schedule. Build first:
#   cargo lambda build --release --arm64 --output-format zip -p fn-ingest -p fn-query -p fn-compact
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

variable "name" {
  description = "Prefix of every resource."
  type        = string
  default     = "lamella"
}

variable "packages" {
  description = "Folder in which cargo-lambda leaves FUNCTION/bootstrap.zip."
  type        = string
  default     = "../../target/lambda"
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

locals {
  objects = "${aws_s3_bucket.segments.arn}/*"
  functions = {
    ingest = {
      memory_mib = 512
      timeout_s  = 30
      url        = true
      s3         = ["s3:PutObject"]
      dynamodb   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    }
    query = {
      memory_mib = 3538
      timeout_s  = 150
      url        = true
      s3         = ["s3:GetObject"]
      dynamodb   = ["dynamodb:GetItem", "dynamodb:Query"]
    }
    compact = {
      memory_mib = 3538
      timeout_s  = 900
      url        = false
      s3         = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      dynamodb   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query"]
    }
  }
  urls = { for name, function in local.functions : name => function if function.url }
}

resource "aws_s3_bucket" "segments" {
  bucket_prefix = "${var.name}-"
}

resource "aws_s3_bucket_public_access_block" "segments" {
  bucket                  = aws_s3_bucket.segments.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "segments" {
  bucket = aws_s3_bucket.segments.id

  rule {
    id     = "abandoned-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_dynamodb_table" "manifest" {
  name         = "${var.name}-manifest"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    actions   = each.value.s3
    resources = [local.objects]
  }

  # Without it S3 answers 403 for an object that was collected meanwhile; 404 makes a query take a new snapshot.
  dynamic "statement" {
    for_each = contains(each.value.s3, "s3:GetObject") ? [1] : []
    content {
      actions   = ["s3:ListBucket"]
      resources = [aws_s3_bucket.segments.arn]
    }
  }

  statement {
    actions   = each.value.dynamodb
    resources = [aws_dynamodb_table.manifest.arn]
  }
}

resource "aws_iam_role" "function" {
  for_each           = local.functions
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions
  role     = aws_iam_role.function[each.key].id
  policy   = data.aws_iam_policy_document.function[each.key].json
}

resource "aws_iam_role_policy_attachment" "logs" {
  for_each   = local.functions
  role       = aws_iam_role.function[each.key].name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "function" {
  for_each         = local.functions
  function_name    = "${var.name}-${each.key}"
  role             = aws_iam_role.function[each.key].arn
  filename         = "${var.packages}/fn-${each.key}/bootstrap.zip"
  source_code_hash = filebase64sha256("${var.packages}/fn-${each.key}/bootstrap.zip")
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = ["arm64"]
  memory_size      = each.value.memory_mib
  timeout          = each.value.timeout_s

  environment {
    variables = {
      LAMELLA_STORAGE        = "aws"
      LAMELLA_BUCKET         = aws_s3_bucket.segments.id
      LAMELLA_TABLE          = aws_dynamodb_table.manifest.name
      LAMELLA_REQUIRE_TENANT = tostring(var.require_tenant)
      LAMELLA_LOG            = "info"
    }
  }
}

resource "aws_lambda_function_url" "function" {
  for_each           = local.urls
  function_name      = aws_lambda_function.function[each.key].function_name
  authorization_type = var.invoke_auth
}

data "aws_iam_policy_document" "schedule_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "schedule" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.function["compact"].arn]
  }
}

resource "aws_iam_role" "schedule" {
  name               = "${var.name}-schedule"
  assume_role_policy = data.aws_iam_policy_document.schedule_assume.json
}

resource "aws_iam_role_policy" "schedule" {
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.schedule.json
}

resource "aws_scheduler_schedule" "compact" {
  name                = "${var.name}-compact"
  schedule_expression = "rate(1 minute)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.function["compact"].arn
    role_arn = aws_iam_role.schedule.arn
    retry_policy {
      maximum_retry_attempts = 0
    }
  }
}

output "remote_write_url" {
  description = "remote_write url for Prometheus; Loki push lies at the same host under /loki/api/v1/push."
  value       = "${aws_lambda_function_url.function["ingest"].function_url}api/v1/write"
}

output "query_url" {
  description = "URL of Grafana's Prometheus and Loki data sources."
  value       = aws_lambda_function_url.function["query"].function_url
}
