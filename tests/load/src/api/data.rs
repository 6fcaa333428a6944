//! The series that scripts ask about: few, fixed in time, one of each kind.

use anyhow::Result;

use super::{Request, Sameness};
use crate::remote_write::{BucketSpan, Exemplar, Histogram, Label, Sample, TimeSeries, WriteRequest, body};

/// Time of the last sample, seconds since the epoch: 2026-01-01T00:00:00Z. Ten minutes, a sample every 15 s.
pub const END_S: i64 = 1_767_225_600;
const STEP_MS: i64 = 15_000;
const STEPS: i64 = 40;

/// Returns the remote write request that brings the series.
pub fn written() -> Result<Request> {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(Request {
        sameness: Sameness::Exact,
        line: String::new(),
        method: "POST".to_owned(),
        target: "/api/v1/write".to_owned(),
        headers: vec![header("Content-Type", "application/x-protobuf"), header("Content-Encoding", "snappy")],
        body: body(&WriteRequest { timeseries: series() })?,
    })
}

fn series() -> Vec<TimeSeries> {
    let api = [("job", "api")];
    let mut all = vec![
        floats("up", &[("instance", "a:1"), ("job", "api")], |_| 1.0),
        floats("up", &[("instance", "b:1"), ("job", "db")], |step| f64::from(step % 10 != 0)),
        floats("requests_total", &[("code", "200"), ("job", "api")], |step| f64::from(step) * 30.0 + 7.0),
        floats("requests_total", &[("code", "500"), ("job", "api")], |step| f64::from(step % 25)),
        floats("temperature", &api, |step| {
            [20.5, -0.0, f64::NAN, f64::INFINITY, 1e21, 1e-7, f64::NEG_INFINITY][step as usize % 7]
        }),
        floats("http.server.duration", &[("a.b", "dötted")], f64::from),
        floats("latency_seconds_bucket", &[("job", "api"), ("le", "0.1")], f64::from),
        floats("latency_seconds_bucket", &[("job", "api"), ("le", "1")], |step| f64::from(step) * 2.0),
        floats("latency_seconds_bucket", &[("job", "api"), ("le", "+Inf")], |step| f64::from(step) * 2.5),
        TimeSeries { histograms: times().map(native).collect(), ..floats("native_seconds", &api, |_| 0.0) },
    ];
    for series in &mut all {
        if !series.histograms.is_empty() {
            series.samples.clear();
        }
    }
    all[2].exemplars = [(5, "abc"), (39, "def")]
        .map(|(step, trace)| Exemplar {
            labels: vec![label("trace_id", trace)],
            value: f64::from(step) + 0.5,
            timestamp: END_S * 1000 - (STEPS - i64::from(step)) * STEP_MS,
        })
        .into();
    all
}

fn times() -> impl Iterator<Item = (i32, i64)> {
    (1..=STEPS).map(|step| (step as i32, END_S * 1000 - (STEPS - step) * STEP_MS))
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn floats(name: &str, labels: &[(&str, &str)], value: impl Fn(i32) -> f64) -> TimeSeries {
    let mut labels: Vec<Label> = labels.iter().map(|(name, value)| label(name, value)).collect();
    labels.push(label("__name__", name));
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let samples = times().map(|(step, timestamp)| Sample { value: value(step), timestamp }).collect();
    TimeSeries { labels, samples, ..TimeSeries::default() }
}

fn native((step, timestamp): (i32, i64)) -> Histogram {
    let step = step as u64;
    Histogram {
        count_int: Some(4 * step),
        sum: step as f64 * 1.25,
        schema: 1,
        zero_threshold: 0.001,
        zero_count_int: Some(step),
        positive_spans: vec![BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 2, length: 1 }],
        positive_deltas: vec![step as i64, 0, 0],
        timestamp,
        ..Histogram::default()
    }
}
