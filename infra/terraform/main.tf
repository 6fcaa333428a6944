# Lamella on AWS: bucket, table, three functions, a schedule, alarms. The same resources as ../template.yaml.
# Build first, for the architecture named in variables.tf:
#   cargo lambda build --release --arm64 --output-format zip -p fn-ingest -p fn-query -p fn-compact
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

data "aws_region" "current" {}

locals {
  tags = merge(var.tags, { lamella = var.name })

  # What each function may do, and no more. tests/infra.py checks it against the template.
  functions = {
    ingest = {
      memory_mib  = var.ingest_memory_mib
      timeout_s   = 30
      url         = true
      concurrency = var.ingest_concurrency
      s3          = ["s3:PutObject"]
      list        = false
      # A query an hour for the ring, one in 64 writes to count what waits for compaction, and one for each new cluster of
      # replicas, whose election is then read and updated (docs/0021).
      dynamodb = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"]
      marks    = []
    }
    query = {
      memory_mib  = var.query_memory_mib
      timeout_s   = 150
      url         = true
      concurrency = var.query_concurrency
      s3          = ["s3:GetObject"]
      # Without it S3 answers 403 for an object that was collected meanwhile; 404 makes the query take a new snapshot.
      list     = true
      dynamodb = ["dynamodb:GetItem", "dynamodb:Query"]
      # What a query may write: that a segment is corrupt, and what a deletion request leaves out. Never what is live.
      marks = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
    }
    compact = {
      memory_mib  = var.compact_memory_mib
      timeout_s   = 900
      url         = false
      concurrency = var.compact_concurrency
      s3          = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"]
      # As for queries, and for the inventory that finds orphans.
      list     = true
      dynamodb = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:Query"]
      marks    = []
    }
  }
  urls = { for name, function in local.functions : name => function if function.url }
}
