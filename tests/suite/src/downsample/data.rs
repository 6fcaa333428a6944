//! Generated series of every temper, and as the reference evaluator's source.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, Histogram, LabelSet, Matcher, STALE_NAN, Span, TimeRangeMs, TimeRangeNs};
use plan::reference::Source;
use plan::value::HistogramSample;
use plan::{EvalError, Series, StreamEntries};
use std::sync::Arc;

use super::Random;

/// 2026-11-20, 20:00 UTC: the data reaches over midnight.
pub const START_MS: i64 = (20_777 * 24 + 20) * 3_600_000;
/// Where the data ends.
pub const END_MS: i64 = START_MS + 7 * 3_600_000;

/// All samples.
#[derive(Clone, Debug)]
pub struct Data(pub Vec<Series>);

impl Data {
    /// Makes a dozen series and some of native histograms.
    pub fn generate(random: &mut Random) -> Data {
        let floats = (0..11).map(|index| floats(random, index)).collect::<Vec<Series>>();
        Data(floats.into_iter().chain((11..16).map(|index| histograms(random, index))).collect())
    }

    /// Returns the data without some samples, named by series and place.
    pub fn without(&self, gone: impl Fn(usize, usize) -> bool) -> Data {
        let series = self.0.iter().enumerate().map(|(at, series)| {
            let kept: Vec<usize> = (0..series.timestamps.len()).filter(|place| !gone(at, *place)).collect();
            let of_histograms = (0..series.histograms.len()).filter(|place| !gone(at, *place));
            Series {
                timestamps: kept.iter().map(|place| series.timestamps[*place]).collect(),
                values: kept.iter().map(|place| series.values[*place]).collect(),
                histograms: of_histograms.map(|place| series.histograms[place].clone()).collect(),
                ..series.clone()
            }
        });
        Data(series.collect())
    }
}

fn labels(name: &str, index: u64) -> LabelSet {
    LabelSet::from_pairs([("__name__", name), ("i", &*index.to_string()), ("job", if index < 6 { "a" } else { "b" })])
}

/// Irregular scrapes with gaps, resets and stale markers.
fn floats(random: &mut Random, index: u64) -> Series {
    let name = ["steps_total", "seconds_total", "temperature", "constant", "toggles", "odd"][index as usize % 6];
    let interval_ms = [15_000, 15_000, 10_000, 15_000, 60_000, 20_000][random.below(6) as usize];
    // On the grid, the samples at full hours and at midnight belong to the window before.
    let jitter_ms = if random.below(2) == 0 { 0 } else { interval_ms / 3 };
    let (mut timestamps, mut values, mut at, mut value) = (Vec::new(), Vec::new(), START_MS, 0.0);
    while at < END_MS {
        timestamps.push(at + random.below(1 + jitter_ms as u64) as i64);
        at += if random.below(300) == 0 { interval_ms * (2 + random.below(200) as i64) } else { interval_ms };
        value = match (name, random.below(400)) {
            ("constant", _) => 42.5,
            (_, 0) => 0.0,
            ("steps_total", step) => value + (step % 50) as f64,
            ("seconds_total", step) => value + step as f64 / 700.0,
            ("temperature", step) => 20.0 + step as f64 / 10.0,
            ("toggles", step) => (step % 2) as f64,
            (_, 1) => f64::NAN,
            (_, 2) => f64::INFINITY,
            (_, step) => -(step as f64),
        };
        values.push(if random.below(250) == 0 { STALE_NAN } else { value });
    }
    Series { labels: labels(name, index), timestamps, values, start_timestamps: Vec::new(), histograms: Vec::new() }
}

/// Native histograms of every temper: counters that are reset, stale markers, schemas and bounds that change, floats in between, gauges.
fn histograms(random: &mut Random, index: u64) -> Series {
    let name = ["latency_seconds", "sizes_count", "mixed_total", "queue_depth", "layouts_total"][index as usize - 11];
    let interval_ms = [15_000, 30_000, 60_000][random.below(3) as usize];
    let (mut counts, mut samples, mut at) = ([0.0f64; 3], Vec::new(), START_MS);
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    let (mut schema, mut bound) = (1, 2.0);
    while at < END_MS {
        let timestamp = at + 7 + random.below(40) as i64;
        at += if random.below(200) == 0 { interval_ms * (2 + random.below(100) as i64) } else { interval_ms };
        counts = match (name, random.below(200)) {
            (_, 0) => [0.0; 3],
            ("queue_depth", _) => counts.map(|_| random.below(9) as f64),
            _ => counts.map(|count| count + random.below(5) as f64),
        };
        if name == "layouts_total" && random.below(40) == 0 {
            (schema, bound) = (random.below(4) as i32, 1.0 + random.below(3) as f64);
        }
        if name == "mixed_total" && random.below(30) == 0 {
            timestamps.push(timestamp);
            values.push(counts[0]);
            continue;
        }
        let is_custom = name == "sizes_count" || name == "layouts_total" && schema == 3;
        let hint = match (name, random.below(60)) {
            ("queue_depth", _) => CounterResetHint::Gauge,
            (_, 0) => CounterResetHint::Reset,
            (_, 1..20) => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        };
        let histogram = Histogram {
            counter_reset_hint: hint,
            schema: if is_custom { CUSTOM_BUCKETS_SCHEMA } else { schema },
            count: counts.iter().sum(),
            sum: if random.below(150) == 0 { STALE_NAN } else { counts[0] * 2.0 + counts[1] / 3.0 },
            zero_count: if is_custom { 0.0 } else { counts[2] },
            positive_spans: vec![Span { offset: i32::from(!is_custom), length: if is_custom { 3 } else { 2 } }],
            positive_buckets: if is_custom { counts.to_vec() } else { counts[..2].to_vec() },
            custom_values: if is_custom { vec![bound, 5.0] } else { Vec::new() },
            ..Histogram::default()
        };
        samples.push(HistogramSample { timestamp, start_timestamp: 0, histogram: Arc::new(histogram) });
    }
    Series { labels: labels(name, index), timestamps, values, start_timestamps: Vec::new(), histograms: samples }
}

impl Source for Data {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let selected = self.0.iter().filter(|series| matchers.iter().all(|matcher| matcher.matches_labels(&series.labels)));
        let cut = selected.map(|series| {
            let from = series.timestamps.partition_point(|at| *at < range.start.0);
            let to = series.timestamps.partition_point(|at| *at < range.end.0).max(from);
            let inside = |sample: &&HistogramSample| range.start.0 <= sample.timestamp && sample.timestamp < range.end.0;
            Series {
                labels: series.labels.clone(),
                timestamps: series.timestamps[from..to].to_vec(),
                values: series.values[from..to].to_vec(),
                start_timestamps: Vec::new(),
                histograms: series.histograms.iter().filter(inside).cloned().collect(),
            }
        });
        let mut found: Vec<Series> =
            cut.filter(|series| !series.timestamps.is_empty() || !series.histograms.is_empty()).collect();
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Err(EvalError::Unsupported("streams".into()))
    }
}
