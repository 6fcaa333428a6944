//! Sends a file of queries to two servers and says where their answers differ.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::answers::{Question, ask, same, series_count};

/// Which queries, where.
#[derive(Args)]
pub struct Options {
    /// Server under test.
    #[arg(long)]
    url: String,
    /// Server that is right, such as a real Prometheus with the same samples.
    #[arg(long)]
    against: String,
    /// One query a line: `instant QUERY` or `range STEP_SECONDS QUERY`; `#` begins a comment.
    #[arg(long)]
    queries: PathBuf,
    /// First evaluation time of range queries, seconds since the epoch.
    #[arg(long)]
    start: f64,
    /// Last evaluation time, and the time of instant queries.
    #[arg(long)]
    end: f64,
    /// Relative difference of two floats that still counts as equal.
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
}

/// Compares every query; an error if any answer differs or if no query had an answer to compare.
pub fn run(options: &Options) -> Result<()> {
    let text = std::fs::read_to_string(&options.queries).with_context(|| format!("read {}", options.queries.display()))?;
    let (mut equal, mut different, mut series) = (0, 0, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let question = parse(line, options)?;
        let reference = ask(&options.against, &question)?;
        match ask(&options.url, &question).and_then(|answer| same(&reference, &answer, options.tolerance)) {
            Ok(()) => {
                equal += 1;
                series += series_count(&reference);
                println!("equal   {:5} series  {line}", series_count(&reference));
            }
            Err(difference) => {
                different += 1;
                println!("DIFFERS {line}\n        {difference:#}");
            }
        }
    }
    println!("{equal} queries equal with {series} series, {different} different");
    if different > 0 || series == 0 {
        bail!("{different} queries differ, {series} series compared");
    }
    Ok(())
}

fn parse(line: &str, options: &Options) -> Result<Question> {
    let (kind, rest) = line.split_once(' ').with_context(|| format!("no query in {line:?}"))?;
    let (step, text) = match kind {
        "instant" => (None, rest),
        "range" => {
            let (step, text) = rest.trim().split_once(' ').with_context(|| format!("no step in {line:?}"))?;
            (Some(step.parse().with_context(|| format!("step of {line:?}"))?), text)
        }
        _ => bail!("a line begins with `instant` or `range`: {line:?}"),
    };
    Ok(Question { text: text.trim().to_owned(), start: options.start, end: options.end, step })
}
