# The whole of it in one root: terraform -chdir=infra/terraform/examples/basic apply
provider "aws" {
  region = "eu-central-1"
}

module "lamella" {
  source = "../.."

  packages               = "${path.root}/../../../../target/lambda"
  retention              = "metrics=30d,logs=14d"
  alarm_email            = "on-call@example.com"
  monthly_budget_dollars = 50
}

output "prometheus" {
  value = module.lamella.prometheus_snippet
}

output "grafana" {
  value = module.lamella.grafana_snippet
}
