//! `lamella cost`: what a load costs a month on AWS, item by item, beside what the managed services ask for it.
//!
//! Owns: where the rates come from (flags, or the counters of a running server) and how the bill is shown.
//! Does not own: the arithmetic ([`bill`]), the prices (`model::prices`).

mod bill;
mod counters;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use model::prices::US_EAST_1;

use super::output;
use super::output::Answer;
use super::table::Table;
pub use bill::{Bill, Rates};

/// The load: given rates, or those that a running server has counted.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Samples a second.
    #[arg(long, default_value_t = 0.0)]
    pub samples_per_second: f64,
    /// Samples in a remote-write request; Prometheus sends 2,000.
    #[arg(long, default_value_t = 2000.0)]
    pub samples_per_request: f64,
    /// Raw bytes of log lines a second.
    #[arg(long, default_value_t = 0.0)]
    pub log_bytes_per_second: f64,
    /// Raw bytes of lines in a push; Promtail and Alloy send up to a MB.
    #[arg(long, default_value_t = 1e6)]
    pub log_bytes_per_request: f64,
    /// Queries a day.
    #[arg(long, default_value_t = 0.0)]
    pub queries_per_day: f64,
    /// Days that metrics are kept.
    #[arg(long, default_value_t = 7.0)]
    pub metrics_days: f64,
    /// Days that logs are kept.
    #[arg(long, default_value_t = 90.0)]
    pub logs_days: f64,
    /// Takes the rates from a running server's /metrics, read twice, in place of the flags. The variable LAMELLA_TOKEN holds the
    /// bearer token of an account with the role `metrics`, where the server asks for one.
    #[arg(long)]
    pub url: Option<String>,
    /// Seconds between the two readings.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Prints JSON in place of text. The shapes are in TOOLS.md.
    #[arg(long)]
    pub json: bool,
}

/// Computes and prints the bill.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let rates = match &options.url {
        Some(url) => measured(options, url).await?,
        None => given(options),
    };
    let bill = Bill::of(&rates, &US_EAST_1);
    output::print(&if options.json { output::json(&bill)? } else { bill.text() })?;
    Ok(ExitCode::SUCCESS)
}

fn given(options: &Options) -> Rates {
    Rates {
        samples: options.samples_per_second,
        metric_requests: options.samples_per_second / options.samples_per_request,
        log_bytes: options.log_bytes_per_second,
        log_requests: options.log_bytes_per_second / options.log_bytes_per_request,
        queries: options.queries_per_day / bill::DAY_S,
        metrics_days: options.metrics_days,
        logs_days: options.logs_days,
    }
}

async fn measured(options: &Options, url: &str) -> Result<Rates> {
    let before = counters::parse(&page(url).await?);
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let after = counters::parse(&page(url).await?);
    let counted = after.since(&before, options.seconds as f64);
    Ok(Rates { metrics_days: options.metrics_days, logs_days: options.logs_days, ..counted })
}

async fn page(url: &str) -> Result<String> {
    // Not a flag: command lines are seen by everybody on a machine.
    let token = std::env::var("LAMELLA_TOKEN").map(|token| format!("Bearer {token}")).ok();
    let headers: Vec<(&str, &str)> = token.iter().map(|token| ("Authorization", token.as_str())).collect();
    Ok(boot::fetch::get(url, "/metrics", &headers).await?)
}

impl Answer for Bill {
    fn text(&self) -> String {
        let mut table = Table::new(&["item", ">a month", "unit", ">dollars"]);
        for item in &self.items {
            table.row([item.name.to_owned(), quantity(item.quantity), item.unit.to_owned(), dollars(item.dollars)]);
        }
        table.row(["all".to_owned(), String::new(), String::new(), dollars(self.dollars)]);
        let mut text = table.render();
        if !self.elsewhere.is_empty() {
            let mut others = Table::new(&["elsewhere", ">dollars", ">times"]);
            for other in &self.elsewhere {
                others.row([other.name.to_owned(), dollars(other.dollars), format!("{:.0}×", other.times)]);
            }
            text = format!("{text}\n{}", others.render());
        }
        format!("{text}\nlist prices of {} on {}, without free tiers\n", self.region, self.read_on)
    }
}

/// Three digits are enough for a bill.
fn quantity(number: f64) -> String {
    match number {
        n if n >= 1e9 => format!("{:.2} G", n / 1e9),
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.2} k", n / 1e3),
        n => format!("{n:.2}"),
    }
}

fn dollars(number: f64) -> String {
    format!("{number:.2}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_bill_reads_well() {
        let load = Rates {
            samples: 6667.0,
            metric_requests: 3.33,
            log_bytes: 1e6,
            log_requests: 1.0,
            queries: 0.1,
            metrics_days: 30.0,
            logs_days: 30.0,
        };
        expect![[r#"
            item              a month  unit      dollars
            Lambda requests   11.68 M  requests     2.34
            Lambda time      689.56 k  GB-s         9.19
            S3 PUT            11.73 M  requests    58.64
            S3 GET            14.00 M  requests     5.60
            DynamoDB writes   23.10 M  units       14.44
            DynamoDB reads    13.04 M  units        1.63
            S3 storage         537.41  GB          12.36
            all                                   104.20

            elsewhere                                       dollars  times
            Amazon Managed Prometheus, ingest                722.89    11×
            CloudWatch custom metrics, a series each 15 s  12000.50   181×
            CloudWatch Logs                                 1324.94    39×

            list prices of us-east-1 on 2026-11-21, without free tiers
        "#]]
        .assert_eq(&Bill::of(&load, &US_EAST_1).text());
    }

    #[test]
    fn nothing_written_and_nothing_asked_costs_the_schedule_only() {
        let bill = Bill::of(&Rates::default(), &US_EAST_1);
        assert!(bill.dollars < 1.0, "{}", bill.dollars);
        assert!(bill.elsewhere.is_empty());
    }
}
