//! The dashboard and incident queries M1 to M12: what each costs, and whether two servers answer alike.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use crate::answers::{Question, ask, look_up, same, same_lists, series_count};
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
    /// Only these, by name; what comes first on a fresh process is cold.
    #[arg(long)]
    only: Vec<String>,
    /// Time of the last sample, milliseconds since the epoch.
    #[arg(long)]
    end_ms: i64,
    /// Relative difference of two floats that still counts as equal.
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
}

/// Hours a range query covers.
const RANGE_SECONDS: f64 = 3.0 * 3600.0;

/// How a query of the set is asked.
enum Api {
    /// Over the range, at steps of so many seconds.
    Range(u32),
    /// At its end.
    Instant,
    /// What the text matches: values of a label, or series.
    Lookup(&'static str),
}

/// A query of the set.
struct Query {
    name: &'static str,
    text: &'static str,
    api: Api,
}

impl Query {
    fn ask(&self, url: &str, end_ms: i64) -> Result<Value> {
        let end = end_ms as f64 / 1000.0;
        let start = end - RANGE_SECONDS;
        let step = match self.api {
            Api::Range(step) => Some(step),
            Api::Instant => None,
            Api::Lookup(path) => return look_up(url, path, self.text, (start, end)),
        };
        ask(url, &Question { text: self.text.to_owned(), start, end, step })
    }

    fn same(&self, reference: &Value, answer: &Value, tolerance: f64) -> Result<()> {
        match self.api {
            Api::Lookup(_) => same_lists(reference, answer),
            _ => same(reference, answer, tolerance),
        }
    }
}

const QUERIES: &[Query] = &[
    Query { name: "M1", text: "sum by (cluster) (rate(http_requests_total[5m]))", api: Api::Range(60) },
    Query { name: "M2", text: r#"load_90_value{instance="host-0007.example.internal:9100"}"#, api: Api::Range(15) },
    Query { name: "M3", text: "topk(10, avg_over_time(mem_bytes_value[10m]))", api: Api::Range(60) },
    Query { name: "M4", text: r#"sum by (job) (rate({__name__=~".+_total"}[5m]))"#, api: Api::Range(60) },
    Query { name: "M5", text: r#"max by (namespace) (max_over_time({__name__=~".+_value"}[1h]))"#, api: Api::Range(60) },
    Query { name: "M6", text: r#"count({__name__!=""})"#, api: Api::Instant },
    Query {
        name: "M7",
        text: "sum by (instance) (rate(http_requests_total[5m])) / sum by (instance) (rate(cpu_requests_total[5m]))",
        api: Api::Range(60),
    },
    Query { name: "M8", text: "quantile(0.99, rate(cpu_requests_total[5m]))", api: Api::Range(60) },
    Query { name: "M9", text: r#"{instance="host-0042.example.internal:9100"}"#, api: Api::Range(60) },
    Query { name: "M10", text: "sum by (cluster) (rate(http_requests_total[5m])) > 0", api: Api::Instant },
    Query { name: "M11", text: "http_requests_total", api: Api::Lookup("label/instance/values") },
    Query { name: "M12", text: r#"http_requests_total{cluster="cluster-1"}"#, api: Api::Lookup("series") },
];

/// Asks every query once, compares (where a second server is given), then times it warm.
pub fn run(options: &Options) -> Result<()> {
    let mut different = 0;
    for query in QUERIES.iter().filter(|query| options.only.is_empty() || options.only.iter().any(|name| name == query.name)) {
        let mut answer = Value::Null;
        let first = time(options, 1, || {
            answer = query.ask(&options.target.url, options.end_ms)?;
            Ok(())
        })?;
        if let Some(other) = &options.against {
            let reference = query.ask(other, options.end_ms)?;
            if let Err(difference) = query.same(&reference, &answer, options.tolerance) {
                println!("{} DIFFERS: {difference}", query.name);
                different += 1;
                continue;
            }
        }
        let warm = time(options, options.rounds.max(1), || query.ask(&options.target.url, options.end_ms).map(drop))?;
        let (name, series, text) = (query.name, series_count(&answer), query.text);
        println!("{name:4} first {first}  warm {warm}  {series:6} series  {text}");
    }
    if different > 0 {
        bail!("{different} queries answered differently");
    }
    Ok(())
}

/// What a query took: the best wall time of some rounds, and CPU time per round where the server's process is known.
struct Took {
    wall: Duration,
    cpu: Option<Duration>,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
        write!(f, "{:>7} ms wall {:>6} ms CPU", ms(self.wall), self.cpu.map_or("-".to_owned(), ms))
    }
}

fn time(options: &Options, rounds: usize, mut ask: impl FnMut() -> Result<()>) -> Result<Took> {
    let mut wall = Duration::MAX;
    let before = options.target.pid.map(cpu::fine).transpose()?;
    for _ in 0..rounds {
        let started = Instant::now();
        ask()?;
        wall = wall.min(started.elapsed());
    }
    let after = options.target.pid.map(cpu::fine).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before) / rounds as u32);
    Ok(Took { wall, cpu })
}
