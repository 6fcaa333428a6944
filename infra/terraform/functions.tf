# What runs, and what it may do.

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
    sid       = "Segments"
    actions   = each.value.s3
    resources = ["${aws_s3_bucket.segments.arn}/*"]
  }

  dynamic "statement" {
    for_each = each.value.list ? [1] : []

    content {
      sid       = "ListSegments"
      actions   = ["s3:ListBucket"]
      resources = [aws_s3_bucket.segments.arn]
    }
  }

  statement {
    sid       = "Records"
    actions   = each.value.dynamodb
    resources = [aws_dynamodb_table.manifest.arn]
  }

  dynamic "statement" {
    for_each = length(each.value.marks) > 0 ? [1] : []

    content {
      sid       = "MarkInCatalogs"
      actions   = each.value.marks
      resources = [aws_dynamodb_table.manifest.arn]

      condition {
        test     = "ForAllValues:StringLike"
        variable = "dynamodb:LeadingKeys"
        values   = ["C#*"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.value.url && var.credentials_secret != "" ? [1] : []

    content {
      sid       = "ReadAccounts"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [var.credentials_secret]
    }
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  dynamic "statement" {
    for_each = var.tracing == "Active" ? [1] : []

    content {
      sid       = "Traces"
      actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "compact" ? [1] : []

    content {
      sid       = "KeepFailedJobs"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.failed_jobs.arn]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each           = local.functions
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions
  role     = aws_iam_role.function[each.key].id
  policy   = data.aws_iam_policy_document.function[each.key].json
}

resource "aws_cloudwatch_log_group" "function" {
  for_each          = local.functions
  name              = "/lamella/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_lambda_function" "function" {
  for_each                       = local.functions
  function_name                  = "${var.name}-${each.key}"
  role                           = aws_iam_role.function[each.key].arn
  filename                       = "${var.packages}/fn-${each.key}/bootstrap.zip"
  source_code_hash               = filebase64sha256("${var.packages}/fn-${each.key}/bootstrap.zip")
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = local.managed[each.key] ? 4096 : each.value.memory_mib
  timeout                        = each.value.timeout_s
  reserved_concurrent_executions = local.managed[each.key] ? null : each.value.concurrency
  publish                        = local.managed[each.key]
  layers                         = each.value.url && var.credentials_secret != "" ? [var.secrets_extension] : []
  tags                           = local.tags

  environment {
    variables = {
      LAMELLA_STORAGE            = "aws"
      LAMELLA_BUCKET             = aws_s3_bucket.segments.id
      LAMELLA_TABLE              = aws_dynamodb_table.manifest.name
      LAMELLA_CREDENTIALS_SECRET = each.value.url ? var.credentials_secret : ""
      LAMELLA_REQUIRE_TENANT     = tostring(var.require_tenant)
      LAMELLA_RETENTION          = var.retention
      LAMELLA_LOG                = var.log_level
      LAMELLA_LOG_FORMAT         = "json"
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  tracing_config {
    mode = var.tracing
  }

  dynamic "capacity_provider_config" {
    for_each = local.managed[each.key] ? [1] : []

    content {
      lambda_managed_instances_capacity_provider_config {
        capacity_provider_arn                     = aws_lambda_capacity_provider.ingest[0].arn
        per_execution_environment_max_concurrency = 16
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.credentials_secret == "" || var.secrets_extension != ""
      error_message = "credentials_secret needs secrets_extension: the ARN of the layer that reads it."
    }
  }
}

resource "aws_lambda_function_url" "function" {
  for_each           = local.urls
  function_name      = aws_lambda_function.function[each.key].function_name
  qualifier          = local.managed[each.key] ? aws_lambda_alias.live[0].name : null
  authorization_type = var.invoke_auth
}

# An open URL needs both permissions: new ones since October 2025 ask for lambda:InvokeFunction as well.
resource "aws_lambda_permission" "open_url" {
  for_each               = var.invoke_auth == "NONE" ? local.urls : {}
  statement_id           = "OpenUrl"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.function[each.key].function_name
  qualifier              = aws_lambda_function_url.function[each.key].qualifier
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "open_url_function" {
  for_each                 = var.invoke_auth == "NONE" ? local.urls : {}
  statement_id             = "OpenUrlFunction"
  action                   = "lambda:InvokeFunction"
  function_name            = aws_lambda_function.function[each.key].function_name
  qualifier                = aws_lambda_function_url.function[each.key].qualifier
  principal                = "*"
  invoked_via_function_url = true
}

# Lambda Managed Instances, for ingest only: requests that arrive together become one segment.
locals {
  managed = { for name, _ in local.functions : name => name == "ingest" && var.managed_instances != null }
}

data "aws_iam_policy_document" "assume_operator" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "operator" {
  count              = var.managed_instances == null ? 0 : 1
  name               = "${var.name}-operator"
  assume_role_policy = data.aws_iam_policy_document.assume_operator.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "operator" {
  count      = var.managed_instances == null ? 0 : 1
  role       = aws_iam_role.operator[0].name
  policy_arn = "arn:aws:iam::aws:policy/AWSLambdaManagedEC2ResourceOperator"
}

resource "aws_lambda_capacity_provider" "ingest" {
  count = var.managed_instances == null ? 0 : 1
  name  = "${var.name}-ingest"
  tags  = local.tags

  vpc_config {
    subnet_ids         = var.managed_instances.subnet_ids
    security_group_ids = var.managed_instances.security_group_ids
  }

  permissions_config {
    capacity_provider_operator_role_arn = aws_iam_role.operator[0].arn
  }

  instance_requirements {
    architectures = [var.architecture]
  }

  capacity_provider_scaling_config {
    max_vcpu_count = var.managed_instances.vcpu_max
    scaling_mode   = "Auto"
  }
}

resource "aws_lambda_alias" "live" {
  count            = var.managed_instances == null ? 0 : 1
  name             = "live"
  function_name    = aws_lambda_function.function["ingest"].function_name
  function_version = aws_lambda_function.function["ingest"].version
}
