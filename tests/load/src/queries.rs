//! The dashboard and incident queries M1 to M12: what each costs, and whether two servers answer alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

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
        let answer = ask(&options.target.url, query, options.end_ms)?;
        if let Some(other) = &options.against {
            let reference = ask(other, query, options.end_ms)?;
            if let Err(difference) = same(&reference, &answer, options.tolerance) {
                println!("{} DIFFERS: {difference}", query.name);
                different += 1;
                continue;
            }
        }
        let (wall, cpu) = time(options, query)?;
        println!(
            "{:4} {:8.1} ms wall {:>10} CPU  {:6} series  {}",
            query.name,
            wall.as_secs_f64() * 1000.0,
            cpu.map_or("-".to_owned(), |cpu| format!("{:.0} ms", cpu.as_secs_f64() * 1000.0)),
            answer["data"]["result"].as_array().map_or(0, Vec::len),
            query.text
        );
    }
    if different > 0 {
        bail!("{different} queries answered differently");
    }
    Ok(())
}

fn time(options: &Options, query: &Query) -> Result<(Duration, Option<Duration>)> {
    let mut best = Duration::MAX;
    let before = options.target.pid.map(cpu::usage).transpose()?;
    for _ in 0..options.rounds.max(1) {
        let started = Instant::now();
        ask(&options.target.url, query, options.end_ms)?;
        best = best.min(started.elapsed());
    }
    let after = options.target.pid.map(cpu::usage).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| (after.cpu - before.cpu) / options.rounds.max(1) as u32);
    Ok((best, cpu))
}

fn ask(url: &str, query: &Query, end_ms: i64) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let end = end_ms as f64 / 1000.0;
    let mut response = if query.step_seconds == 0 {
        agent.get(format!("{url}/api/v1/query")).query("query", query.text).query("time", end.to_string()).call()?
    } else {
        agent
            .get(format!("{url}/api/v1/query_range"))
            .query("query", query.text)
            .query("start", (end - RANGE_SECONDS).to_string())
            .query("end", end.to_string())
            .query("step", query.step_seconds.to_string())
            .call()?
    };
    let status = response.status();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if !status.is_success() {
        bail!("{} answered {status} to {}: {text}", url, query.name);
    }
    serde_json::from_str(&text).with_context(|| format!("parse the answer to {}", query.name))
}

/// Compares two answers: the same series in any order, the same points, floats within `tolerance`.
fn same(reference: &Value, answer: &Value, tolerance: f64) -> Result<()> {
    let series = |value: &Value| -> Vec<(String, Value)> {
        let mut list: Vec<(String, Value)> = value["data"]["result"]
            .as_array()
            .map(|result| result.iter().map(|series| (series["metric"].to_string(), series.clone())).collect())
            .unwrap_or_default();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    };
    let (left, right) = (series(reference), series(answer));
    if left.len() != right.len() {
        bail!("{} series against {}", left.len(), right.len());
    }
    for ((left_labels, left), (right_labels, right)) in left.iter().zip(&right) {
        if left_labels != right_labels {
            bail!("series {left_labels} against {right_labels}");
        }
        points_same(left, right, tolerance).with_context(|| left_labels.clone())?;
    }
    Ok(())
}

fn points_same(left: &Value, right: &Value, tolerance: f64) -> Result<()> {
    let points = |series: &Value| -> Vec<Value> {
        match series["values"].as_array() {
            Some(values) => values.clone(),
            None => vec![series["value"].clone()],
        }
    };
    let (left, right) = (points(left), points(right));
    if left.len() != right.len() {
        bail!("{} points against {}", left.len(), right.len());
    }
    for (left, right) in left.iter().zip(&right) {
        let number = |point: &Value| point[1].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let (a, b) = (number(left), number(right));
        let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs());
        if left[0].as_f64() != right[0].as_f64() || !close {
            bail!("point {left} against {right}");
        }
    }
    Ok(())
}
