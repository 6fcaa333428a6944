//! What Amazon charges: the one table from which every dollar in answers, tools and docs is computed.
//!
//! Owns: unit prices, their region and the day they were read. Does not own: how much is used (`functions/lamella`'s `cost`).

/// Unit prices in US dollars.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prices {
    /// AWS region.
    pub region: &'static str,
    /// The day on which the list prices were read.
    pub read_on: &'static str,
    /// A GB-second of an arm64 function.
    pub lambda_gb_second: f64,
    /// An invocation.
    pub lambda_request: f64,
    /// A PUT, COPY, POST or LIST request to S3 Standard.
    pub s3_put: f64,
    /// A GET request to S3 Standard.
    pub s3_get: f64,
    /// A GB (10⁹ bytes) in S3 Standard for a month.
    pub s3_gb_month: f64,
    /// A write request unit on demand: 1 KB of one item.
    pub dynamodb_write_unit: f64,
    /// A read request unit on demand: 4 KB read consistently.
    pub dynamodb_read_unit: f64,
    /// A GB in DynamoDB for a month.
    pub dynamodb_gb_month: f64,
    /// Amazon Managed Prometheus: upper bounds in samples a month, and the price of a million samples below each.
    pub amp_samples: [(f64, f64); 3],
    /// CloudWatch custom metrics: upper bounds in metrics, and the price of a metric-month below each.
    pub cloudwatch_metrics: [(f64, f64); 4],
    /// CloudWatch Logs: a GB taken in.
    pub cloudwatch_logs_gb: f64,
    /// CloudWatch Logs: a compressed GB kept for a month.
    pub cloudwatch_logs_gb_month: f64,
}

/// List prices of us-east-1. Sources: aws.amazon.com/lambda/pricing, /s3/pricing, /dynamodb/pricing/on-demand, /prometheus/pricing,
/// /cloudwatch/pricing; free tiers are left out.
pub const US_EAST_1: Prices = Prices {
    region: "us-east-1",
    read_on: "2026-11-21",
    lambda_gb_second: 0.000_013_333_4,
    lambda_request: 0.20e-6,
    s3_put: 5.0e-6,
    s3_get: 0.40e-6,
    s3_gb_month: 0.023,
    dynamodb_write_unit: 0.625e-6,
    dynamodb_read_unit: 0.125e-6,
    dynamodb_gb_month: 0.25,
    amp_samples: [(2.0e9, 0.09), (252.0e9, 0.035), (f64::INFINITY, 0.016)],
    cloudwatch_metrics: [(10_000.0, 0.30), (250_000.0, 0.10), (1_000_000.0, 0.05), (f64::INFINITY, 0.02)],
    cloudwatch_logs_gb: 0.50,
    cloudwatch_logs_gb_month: 0.03,
};

/// Returns what a quantity costs where each tier has its own unit price; `tiers` end at infinity.
pub fn tiered(quantity: f64, tiers: &[(f64, f64)]) -> f64 {
    let below = |bound: f64| quantity.min(bound);
    let lower = std::iter::once(0.0).chain(tiers.iter().map(|tier| tier.0));
    tiers.iter().zip(lower).map(|((upper, price), lower)| (below(*upper) - below(lower)) * price).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_has_its_price() {
        let tiers = [(10.0, 3.0), (20.0, 2.0), (f64::INFINITY, 1.0)];
        for (quantity, dollars) in [(0.0, 0.0), (5.0, 15.0), (10.0, 30.0), (15.0, 40.0), (25.0, 55.0)] {
            assert_eq!(tiered(quantity, &tiers), dollars, "{quantity}");
        }
    }
}
