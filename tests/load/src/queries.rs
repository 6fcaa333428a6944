//! The dashboard and incident queries M1 to M10: what each costs, and whether two servers answer alike.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::answers::{Question, ask, same, series_count};
use crate::{Target, cpu};

/// Which queries, where.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: Target,
    /// A second server with the same data: answers are compared before anything is timed.
    #[arg(long)]
    against: Option<String>,
    /// Times each query is run; the best counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Time of the last sample, milliseconds since the epoch.
    #[arg(long)]
    end_ms: i64,
    /// Relative difference of two floats that still counts as equal.
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
}

/// Hours a range query covers.
const RANGE_SECONDS: f64 = 3.0 * 3600.0;

/// A query of the set; step 0 is an instant query.
struct Query {
    name: &'static str,
    text: &'static str,
    step_seconds: u32,
}

impl Query {
    fn at(&self, end_ms: i64) -> Question {
        let end = end_ms as f64 / 1000.0;
        let step = (self.step_seconds > 0).then_some(self.step_seconds);
        Question { text: self.text.to_owned(), start: end - RANGE_SECONDS, end, step }
    }
}

const QUERIES: &[Query] = &[
    Query { name: "M1", text: "sum by (cluster) (rate(http_requests_total[5m]))", step_seconds: 60 },
    Query { name: "M2", text: r#"load_90_value{instance="host-0007.example.internal:9100"}"#, step_seconds: 15 },
    Query { name: "M3", text: "topk(10, avg_over_time(mem_bytes_value[10m]))", step_seconds: 60 },
    Query { name: "M4", text: r#"sum by (job) (rate({__name__=~".+_total"}[5m]))"#, step_seconds: 60 },
    Query { name: "M5", text: r#"max by (namespace) (max_over_time({__name__=~".+_value"}[1h]))"#, step_seconds: 60 },
    Query { name: "M6", text: r#"count({__name__!=""})"#, step_seconds: 0 },
    Query {
        name: "M7",
        text: "sum by (instance) (rate(http_requests_total[5m])) / sum by (instance) (rate(cpu_requests_total[5m]))",
        step_seconds: 60,
    },
    Query { name: "M8", text: "quantile(0.99, rate(cpu_requests_total[5m]))", step_seconds: 60 },
    Query { name: "M9", text: r#"{instance="host-0042.example.internal:9100"}"#, step_seconds: 60 },
    Query { name: "M10", text: "sum by (cluster) (rate(http_requests_total[5m])) > 0", step_seconds: 0 },
];

/// Compares (where a second server is given), then times every query.
pub fn run(options: &Options) -> Result<()> {
    let mut different = 0;
    for query in QUERIES {
        let question = query.at(options.end_ms);
        let answer = ask(&options.target.url, &question)?;
        if let Some(other) = &options.against {
            let reference = ask(other, &question)?;
            if let Err(difference) = same(&reference, &answer, options.tolerance) {
                println!("{} DIFFERS: {difference}", query.name);
                different += 1;
                continue;
            }
        }
        let (wall, cpu) = time(options, &question)?;
        println!(
            "{:4} {:8.1} ms wall {:>10} CPU  {:6} series  {}",
            query.name,
            wall.as_secs_f64() * 1000.0,
            cpu.map_or("-".to_owned(), |cpu| format!("{:.0} ms", cpu.as_secs_f64() * 1000.0)),
            series_count(&answer),
            query.text
        );
    }
    if different > 0 {
        bail!("{different} queries answered differently");
    }
    Ok(())
}

fn time(options: &Options, question: &Question) -> Result<(Duration, Option<Duration>)> {
    let mut best = Duration::MAX;
    let before = options.target.pid.map(cpu::usage).transpose()?;
    for _ in 0..options.rounds.max(1) {
        let started = Instant::now();
        ask(&options.target.url, question)?;
        best = best.min(started.elapsed());
    }
    let after = options.target.pid.map(cpu::usage).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| (after.cpu - before.cpu) / options.rounds.max(1) as u32);
    Ok((best, cpu))
}
