//! Real series from a file, sent as a sender would have: scrape by scrape, not series by series.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::remote_write::{Label, Sample, TimeSeries, WriteRequest, body};

/// One series of the file.
struct Recorded {
    labels: Vec<Label>,
    samples: Vec<Sample>,
}

/// Encodes the file's series, one list of requests per connection, and counts the samples. Each connection carries its own series.
pub fn encode(file: &Path, connections: usize, samples_per_request: usize, end_ms: i64) -> Result<(Vec<Vec<Vec<u8>>>, usize)> {
    let reader = BufReader::new(File::open(file).with_context(|| format!("open {}", file.display()))?);
    let mut series = reader.lines().map(|line| parse(&line?)).collect::<Result<Vec<Recorded>>>()?;
    let newest = series.iter().flat_map(|series| series.samples.last()).map(|sample| sample.timestamp).max().unwrap_or(0);
    series.iter_mut().flat_map(|series| &mut series.samples).for_each(|sample| sample.timestamp += end_ms - newest);
    let samples = series.iter().map(|series| series.samples.len()).sum();
    let per_connection = series.len().div_ceil(connections.max(1)).max(1);
    let bodies = series.chunks(per_connection).map(|series| requests(series, samples_per_request)).collect::<Result<_>>()?;
    Ok((bodies, samples))
}

/// Cuts the series' samples into requests in the order of time.
fn requests(series: &[Recorded], samples_per_request: usize) -> Result<Vec<Vec<u8>>> {
    let mut rows: Vec<(i64, usize, usize)> = Vec::new();
    for (index, series) in series.iter().enumerate() {
        rows.extend(series.samples.iter().enumerate().map(|(row, sample)| (sample.timestamp, index, row)));
    }
    rows.sort_unstable();
    rows.chunks(samples_per_request.max(1))
        .map(|rows| {
            let one = |(_, index, row): &(i64, usize, usize)| TimeSeries {
                labels: series[*index].labels.clone(),
                samples: vec![series[*index].samples[*row].clone()],
                ..TimeSeries::default()
            };
            body(&WriteRequest { timeseries: rows.iter().map(one).collect() })
        })
        .collect()
}

fn parse(line: &str) -> Result<Recorded> {
    let json: Value = serde_json::from_str(line).context("parse a series")?;
    let metric = json["metric"].as_object().context("a series has a metric")?;
    let mut labels: Vec<Label> = metric
        .iter()
        .map(|(name, value)| Label { name: name.clone(), value: value.as_str().unwrap_or_default().to_owned() })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let values = json["values"].as_array().context("a series has values")?;
    let timestamps = json["timestamps"].as_array().context("a series has timestamps")?;
    let samples = values
        .iter()
        .zip(timestamps)
        .map(|(value, at)| Ok(Sample { value: number(value), timestamp: at.as_i64().context("a timestamp is an integer")? }))
        .collect::<Result<_>>()?;
    Ok(Recorded { labels, samples })
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.starts_with('-') => f64::NEG_INFINITY,
        Value::String(_) => f64::INFINITY,
        _ => f64::NAN,
    }
}
