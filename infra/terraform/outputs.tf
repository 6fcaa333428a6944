locals {
  ingest_url = aws_lambda_function_url.function["ingest"].function_url
  query_url  = aws_lambda_function_url.function["query"].function_url
}

output "remote_write_url" {
  description = "remote_write url for Prometheus; Loki push lies at the same host under /loki/api/v1/push, OTLP under /otlp."
  value       = "${local.ingest_url}api/v1/write"
}

output "query_url" {
  description = "URL of Grafana's Prometheus and Loki data sources."
  value       = local.query_url
}

output "prometheus_snippet" {
  description = "For prometheus.yml. Without retry_on_http_429 Prometheus drops what it is asked to send later."
  value       = <<-YAML
    remote_write:
      - url: ${local.ingest_url}api/v1/write
        queue_config: { max_samples_per_send: 2000, retry_on_http_429: true }
  YAML
}

output "grafana_snippet" {
  description = "For Grafana's provisioning/datasources/lamella.yaml."
  value       = <<-YAML
    apiVersion: 1
    datasources:
      - { name: Lamella metrics, type: prometheus, access: proxy, url: "${local.query_url}", jsonData: { httpMethod: POST, prometheusType: Prometheus, prometheusVersion: "3.14.0" } }
      - { name: Lamella logs, type: loki, access: proxy, url: "${local.query_url}" }
  YAML
}

output "segments_bucket" {
  description = "Bucket of the segments."
  value       = aws_s3_bucket.segments.id
}

output "manifest_table" {
  description = "Table of the manifest."
  value       = aws_dynamodb_table.manifest.name
}
