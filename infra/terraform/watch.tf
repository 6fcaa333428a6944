# Alarms, the budget and the dashboard.

resource "aws_sns_topic" "alarms" {
  count             = var.alarm_email == "" ? 0 : 1
  name              = "${var.name}-alarms"
  kms_master_key_id = "alias/aws/sns"
  tags              = local.tags
}

resource "aws_sns_topic_subscription" "alarms" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

locals {
  dimensions = {
    ingest  = { FunctionName = aws_lambda_function.function["ingest"].function_name }
    query   = { FunctionName = aws_lambda_function.function["query"].function_name }
    compact = { FunctionName = aws_lambda_function.function["compact"].function_name }
    jobs    = { QueueName = aws_sqs_queue.failed_jobs.name }
    table   = { TableName = aws_dynamodb_table.manifest.name }
  }

  # An alarm a line: what is counted over `period_s`, `times` in a row, against `at`.
  alarms = {
    compaction-stands  = { of = "compact", namespace = "AWS/Lambda", metric = "Invocations", statistic = "Sum", period_s = 300, times = 3, below = true, at = 1, text = "fn-compact has not ended a run for a quarter of an hour - see docs/operate.md, \"Lag\"." }
    compaction-errors  = { of = "compact", namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", period_s = 300, times = 3, below = false, at = 3, text = "fn-compact fails - nothing is lost, but segments pile up." }
    failed-jobs-wait   = { of = "jobs", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", period_s = 300, times = 1, below = false, at = 1, text = "Jobs that could not be started or failed lie in the dead-letter queue." }
    ingest-errors      = { of = "ingest", namespace = "AWS/Lambda", metric = "Url5xxCount", statistic = "Sum", period_s = 60, times = 5, below = false, at = 5, text = "Writes are answered 5xx - senders keep and repeat them, until their own buffers are full." }
    ingest-throttles   = { of = "ingest", namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", period_s = 60, times = 5, below = false, at = 1, text = "Writes meet the concurrency limit - raise ingest_concurrency, or the account's quota." }
    query-errors       = { of = "query", namespace = "AWS/Lambda", metric = "Url5xxCount", statistic = "Sum", period_s = 60, times = 5, below = false, at = 5, text = "Queries are answered 5xx." }
    manifest-throttles = { of = "table", namespace = "AWS/DynamoDB", metric = "WriteThrottleEvents", statistic = "Sum", period_s = 60, times = 5, below = false, at = 10, text = "The table throttles - a tenant with more than a thousand commits a second to one hour needs more write groups." }
  }
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = local.dimensions[each.value.of]
  statistic           = each.value.statistic
  period              = each.value.period_s
  evaluation_periods  = each.value.times
  threshold           = each.value.at
  comparison_operator = each.value.below ? "LessThanThreshold" : "GreaterThanOrEqualToThreshold"
  treat_missing_data  = each.value.below ? "breaching" : "notBreaching"
  alarm_actions       = aws_sns_topic.alarms[*].arn
  tags                = local.tags
}

# The tag lamella must be activated once as a cost allocation tag (docs/deploy.md).
resource "aws_budgets_budget" "monthly" {
  count        = var.monthly_budget_dollars > 0 && var.alarm_email != "" ? 1 : 0
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget_dollars)
  limit_unit   = "USD"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:lamella$%s", var.name)]
  }

  notification {
    notification_type          = "ACTUAL"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.alarm_email]
  }

  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.alarm_email]
  }
}

locals {
  widgets = [
    { title = "Writes", of = "ingest", stat = "Sum", metrics = ["UrlRequestCount", "Url4xxCount", "Url5xxCount", "Throttles"] },
    { title = "Write latency, ms", of = "ingest", stat = "p99", metrics = ["UrlRequestLatency"] },
    { title = "Queries", of = "query", stat = "Sum", metrics = ["UrlRequestCount", "Url4xxCount", "Url5xxCount", "Throttles"] },
    { title = "Query latency, ms", of = "query", stat = "p99", metrics = ["UrlRequestLatency"] },
    { title = "Compaction, longest run in ms", of = "compact", stat = "Maximum", metrics = ["Duration"] },
    { title = "Compaction, failed runs", of = "compact", stat = "Sum", metrics = ["Errors"] },
    { title = "Manifest units (what DynamoDB bills)", of = "table", stat = "Sum", metrics = ["ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits", "WriteThrottleEvents"] },
    { title = "Failed jobs kept", of = "jobs", stat = "Maximum", metrics = ["ApproximateNumberOfMessagesVisible"] },
  ]
  namespaces = { ingest = "AWS/Lambda", query = "AWS/Lambda", compact = "AWS/Lambda", table = "AWS/DynamoDB", jobs = "AWS/SQS" }
}

resource "aws_cloudwatch_dashboard" "lamella" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for index, widget in local.widgets : {
      type = "metric", x = index % 2 * 12, y = floor(index / 2) * 6, width = 12, height = 6
      properties = {
        title = widget.title, region = data.aws_region.current.region, stat = widget.stat, period = 60
        metrics = [for metric in widget.metrics : concat(
          [local.namespaces[widget.of], metric],
          flatten([for dimension, value in local.dimensions[widget.of] : [dimension, value]]),
        )]
      }
    }]
  })
}
