//! The reference evaluator on a handful of series: kernels and operators, which the engine shares.

use std::sync::{Arc, LazyLock};

use model::{CounterResetHint, Histogram, LabelSet, Matcher, Span, TimeRangeMs, TimeRangeNs, TimestampMs};
use plan::reference::{Source, evaluate};
use plan::value::{HistogramSample, Series, StreamEntries};
use plan::{EvalError, EvalOptions};
use promql::{EvalParams, Options};

use crate::text;

const START_MS: i64 = 1_788_220_800_000;
const SAMPLES: i64 = 20;
/// So few that no input evaluates for long.
const SAMPLES_MAX: usize = 20_000;

struct Shelf(Vec<Series>);

static SHELF: LazyLock<Shelf> = LazyLock::new(|| {
    let odd = [0.0, f64::NAN, -1.5, f64::INFINITY, 1e300, f64::NEG_INFINITY, -0.0, 3.0, f64::MIN_POSITIVE, f64::MAX];
    Shelf(vec![
        floats(&[("__name__", "g"), ("a", "1")], |step| odd[step as usize % odd.len()]),
        floats(&[("__name__", "c"), ("a", "1"), ("b", "x")], |step| (step % 7) as f64),
        floats(&[("__name__", "c"), ("a", "2"), ("b", "y")], |step| step as f64 * 2.5),
        floats(&[("__name__", "b_bucket"), ("le", "0.1")], |step| step as f64),
        floats(&[("__name__", "b_bucket"), ("le", "+Inf")], |step| step as f64 * 2.0),
        histograms(&[("__name__", "h"), ("a", "1")], exponential),
        histograms(&[("__name__", "h"), ("a", "2")], custom),
    ])
});

fn timestamp(step: i64) -> i64 {
    START_MS + step * 15_000
}

fn floats(labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    Series {
        labels: LabelSet::from_pairs(labels.iter().copied()),
        timestamps: (0..SAMPLES).map(timestamp).collect(),
        values: (0..SAMPLES).map(value).collect(),
        start_timestamps: Vec::new(),
        histograms: Vec::new(),
    }
}

fn histograms(labels: &[(&str, &str)], value: impl Fn(i64) -> Histogram) -> Series {
    let sample = |step| HistogramSample { timestamp: timestamp(step), start_timestamp: 0, histogram: Arc::new(value(step)) };
    Series {
        labels: LabelSet::from_pairs(labels.iter().copied()),
        timestamps: Vec::new(),
        values: Vec::new(),
        start_timestamps: Vec::new(),
        histograms: (0..SAMPLES).map(sample).collect(),
    }
}

/// The schema changes half way.
fn exponential(step: i64) -> Histogram {
    let counts = vec![step as f64, 1.0, (step % 5) as f64];
    Histogram {
        counter_reset_hint: CounterResetHint::Unknown,
        schema: if step < SAMPLES / 2 { 1 } else { 3 },
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: counts.iter().sum::<f64>() + 3.0,
        sum: step as f64 * 1.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: counts,
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_buckets: vec![1.0],
        custom_values: Vec::new(),
    }
}

fn custom(step: i64) -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: -53,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: step as f64 + 1.0,
        sum: step as f64,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![step as f64, 1.0],
        negative_spans: Vec::new(),
        negative_buckets: Vec::new(),
        custom_values: if step % 3 == 0 { vec![1.0, 5.0] } else { vec![1.0, 2.0, 5.0] },
    }
}

impl Source for Shelf {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let cut = |series: &Series| {
            let at = |time: TimestampMs| series.timestamps.partition_point(|timestamp| *timestamp < time.0);
            let floats = at(range.start)..at(range.end).max(at(range.start));
            let kept = |sample: &&HistogramSample| (range.start.0..range.end.0).contains(&sample.timestamp);
            Series {
                labels: series.labels.clone(),
                timestamps: series.timestamps[floats.clone()].to_vec(),
                values: series.values[floats].to_vec(),
                start_timestamps: Vec::new(),
                histograms: series.histograms.iter().filter(kept).cloned().collect(),
            }
        };
        let matching = self.0.iter().filter(|series| matchers.iter().all(|matcher| matcher.matches_labels(&series.labels)));
        Ok(matching.map(cut).filter(|series| !series.timestamps.is_empty() || !series.histograms.is_empty()).collect())
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}

/// Whatever parses evaluates to an answer or an error, at one instant and over a range.
pub(crate) fn promql_evaluate(data: &[u8]) {
    let text = text(data);
    let Ok(expr) = promql::parse(text, &Options::all()) else { return };
    for (step_ms, delayed_name_removal) in [(0, false), (35_000, true)] {
        let options = EvalOptions { samples_max: SAMPLES_MAX, delayed_name_removal, ..EvalOptions::default() };
        let end = TimestampMs(timestamp(SAMPLES - 2));
        let start = if step_ms == 0 { end } else { TimestampMs(timestamp(2)) };
        let params = EvalParams { start, end, step_ms, lookback_ms: 300_000, options };
        if let Ok(plan) = promql::lower(text, &expr, &params) {
            let _ = evaluate(&plan, &*SHELF);
        }
    }
}
