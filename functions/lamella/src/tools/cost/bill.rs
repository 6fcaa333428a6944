//! Rates to dollars. The formulas are those of the design's cost model: requests, not bytes, are most of the bill.

use model::prices::{Prices, tiered};
use serde::Serialize;

/// Seconds of a day.
pub const DAY_S: f64 = 86_400.0;
/// Seconds of a month of 30.4 days.
const MONTH_S: f64 = 30.4 * DAY_S;
const GB: f64 = 1e9;

/// What one write takes on a function of 512 MB: mostly waiting for S3 and DynamoDB.
const WRITE_S: f64 = 0.045;
const WRITE_GB: f64 = 0.5;
/// CPU of ingest and compaction together, per million samples and per GB of lines, on one vCPU (1,769 MB).
const CPU_S_PER_MSAMPLE: f64 = 2.5 / 2.0;
const CPU_S_PER_LOG_GB: f64 = 2.5 * 1000.0 / 60.0;
const VCPU_GB: f64 = 1.769;
/// A run of compaction that finds nothing to do, each minute, on 3,538 MB.
const RUN_S: f64 = 0.1;
const RUN_GB: f64 = 3.538;
const RUNS_A_SECOND: f64 = 1.0 / 60.0;
/// A query of a dashboard: three rounds of 30 ms and some decoding, on 3,538 MB; objects and records it reads.
const QUERY_S: f64 = 0.2;
const QUERY_GB: f64 = 3.538;
const QUERY_GETS: f64 = 10.0;
const QUERY_READ_UNITS: f64 = 6.0;
/// Stored bytes a sample and raw bytes a stored byte of logs (BENCHMARKS.md, the careful end).
const BYTES_PER_SAMPLE: f64 = 1.1;
const LOG_RATIO: f64 = 5.0;
/// Objects that a compacted hour or day leaves, per object written: L0, L1, L2, hour and day.
const REWRITES_PER_WRITE: f64 = 1.0 / 32.0;
/// Seconds between two samples of a series, for those who bill by series.
const SCRAPE_S: f64 = 15.0;

/// A load, per second.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
pub struct Rates {
    /// Samples.
    pub samples: f64,
    /// Requests that carry them.
    pub metric_requests: f64,
    /// Raw bytes of lines.
    pub log_bytes: f64,
    /// Requests that carry them.
    pub log_requests: f64,
    /// Queries.
    pub queries: f64,
    /// Days that metrics are kept.
    pub metrics_days: f64,
    /// Days that logs are kept.
    pub logs_days: f64,
}

/// One line of the bill.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Item {
    /// What is paid for.
    pub name: &'static str,
    /// How much of it a month.
    pub quantity: f64,
    /// Of what.
    pub unit: &'static str,
    /// Dollars a month.
    pub dollars: f64,
}

/// The same load at a managed service.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Elsewhere {
    /// Whose.
    pub name: &'static str,
    /// Dollars a month.
    pub dollars: f64,
    /// As a multiple of the part of our bill that it compares with.
    pub times: f64,
}

/// Dollars a month.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Bill {
    /// The load.
    pub rates: Rates,
    /// What it takes.
    pub items: Vec<Item>,
    /// All of it.
    pub dollars: f64,
    /// What others ask.
    pub elsewhere: Vec<Elsewhere>,
    /// Region of the prices.
    pub region: &'static str,
    /// Day of the prices.
    pub read_on: &'static str,
}

impl Bill {
    /// Computes the bill of a load.
    pub fn of(rates: &Rates, prices: &Prices) -> Bill {
        let items = items(rates, prices);
        let dollars = items.iter().map(|item| item.dollars).sum();
        let alone = |part: Rates| self::items(&part, prices).iter().map(|item| item.dollars).sum::<f64>();
        let metrics = alone(Rates { log_bytes: 0.0, log_requests: 0.0, queries: 0.0, ..*rates });
        let logs = alone(Rates { samples: 0.0, metric_requests: 0.0, queries: 0.0, ..*rates });
        let elsewhere = elsewhere(rates, prices, metrics, logs);
        Bill { rates: *rates, items, dollars, elsewhere, region: prices.region, read_on: prices.read_on }
    }
}

fn items(rates: &Rates, prices: &Prices) -> Vec<Item> {
    let writes = rates.metric_requests + rates.log_requests;
    let invocations = writes + rates.queries + RUNS_A_SECOND;
    let cpu = rates.samples / 1e6 * CPU_S_PER_MSAMPLE + rates.log_bytes / GB * CPU_S_PER_LOG_GB;
    let gb_seconds =
        writes * WRITE_S * WRITE_GB + cpu * VCPU_GB + RUNS_A_SECOND * RUN_S * RUN_GB + rates.queries * QUERY_S * QUERY_GB;
    let rewrites = writes * REWRITES_PER_WRITE;
    // A write is one record; compaction deletes it again, and changes heads.
    let write_units = writes * 2.0 + rewrites;
    let read_units = writes + rates.queries * QUERY_READ_UNITS + RUNS_A_SECOND * 2.0;
    let stored = rates.samples * BYTES_PER_SAMPLE * rates.metrics_days + rates.log_bytes / LOG_RATIO * rates.logs_days;
    let a_second = [
        ("Lambda requests", invocations, "requests", prices.lambda_request),
        ("Lambda time", gb_seconds, "GB-s", prices.lambda_gb_second),
        ("S3 PUT", writes + rewrites, "requests", prices.s3_put),
        ("S3 GET", writes + rates.queries * QUERY_GETS, "requests", prices.s3_get),
        ("DynamoDB writes", write_units, "units", prices.dynamodb_write_unit),
        ("DynamoDB reads", read_units, "units", prices.dynamodb_read_unit),
    ];
    let storage_gb = stored * DAY_S / GB;
    let storage = Item { name: "S3 storage", quantity: storage_gb, unit: "GB", dollars: storage_gb * prices.s3_gb_month };
    let item = |(name, rate, unit, price): (_, f64, _, f64)| {
        let quantity = rate * MONTH_S;
        Item { name, quantity, unit, dollars: quantity * price }
    };
    a_second.into_iter().map(item).chain([storage]).collect()
}

fn elsewhere(rates: &Rates, prices: &Prices, metrics: f64, logs: f64) -> Vec<Elsewhere> {
    let mut others = Vec::new();
    let mut add = |name, dollars: f64, ours: f64| others.push(Elsewhere { name, dollars, times: dollars / ours });
    if rates.samples > 0.0 {
        let million = |(bound, price): (f64, f64)| (bound, price / 1e6);
        let samples = rates.samples * MONTH_S;
        add("Amazon Managed Prometheus, ingest", tiered(samples, &prices.amp_samples.map(million)), metrics);
        let series = rates.samples * SCRAPE_S;
        add("CloudWatch custom metrics, a series each 15 s", tiered(series, &prices.cloudwatch_metrics), metrics);
    }
    if rates.log_bytes > 0.0 {
        let gb = rates.log_bytes * MONTH_S / GB;
        // CloudWatch bills what it keeps compressed, by its own estimate to 15 %.
        let kept = rates.log_bytes * rates.logs_days * DAY_S / GB * 0.15;
        add("CloudWatch Logs", gb * prices.cloudwatch_logs_gb + kept * prices.cloudwatch_logs_gb_month, logs);
    }
    others
}

#[cfg(test)]
mod tests {
    use model::prices::US_EAST_1;

    use super::*;

    #[test]
    fn two_thousand_samples_a_request_cost_what_the_design_says() {
        // Design: $0.00362 per million samples written directly and kept a month; the idle schedule is not in it.
        let rates = Rates { samples: 1e6, metric_requests: 500.0, metrics_days: 30.4, ..Rates::default() };
        let idle = Bill::of(&Rates::default(), &US_EAST_1).dollars;
        let per_million = (Bill::of(&rates, &US_EAST_1).dollars - idle) / MONTH_S;
        assert!((per_million / 0.00362 - 1.0).abs() < 0.15, "{per_million}");
    }

    #[test]
    fn a_bill_grows_with_each_rate() {
        let base = Rates {
            samples: 1e4,
            metric_requests: 5.0,
            log_bytes: 1e5,
            log_requests: 0.1,
            queries: 0.1,
            metrics_days: 7.0,
            logs_days: 90.0,
        };
        let dollars = |rates: &Rates| Bill::of(rates, &US_EAST_1).dollars;
        for more in [
            Rates { samples: 2e4, ..base },
            Rates { metric_requests: 10.0, ..base },
            Rates { log_bytes: 2e5, ..base },
            Rates { log_requests: 0.2, ..base },
            Rates { queries: 0.2, ..base },
            Rates { metrics_days: 14.0, ..base },
            Rates { logs_days: 180.0, ..base },
        ] {
            assert!(dollars(&more) > dollars(&base), "{more:?}");
        }
    }
}
