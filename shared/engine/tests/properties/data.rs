//! Generated series: counters with resets, gauges, native histograms of both kinds, and series that change their type; with
//! gaps, staleness markers, start timestamps and odd floats.

use std::sync::Arc;

use model::{CounterResetHint, Histogram, LabelSet, STALE_NAN, Span};
use plan::Series;
use plan::value::HistogramSample;

use crate::random::Random;

/// Start of the data: a full day, so that hours and days begin with it.
pub const T0: i64 = 1_767_225_600_000;
/// How far samples go.
pub const SPAN_MS: i64 = 10_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Exponential,
    Custom,
    Mixed,
}

const METRICS: &[(&str, Kind)] = &[
    ("requests_total", Kind::Counter),
    ("errors_total", Kind::Counter),
    ("temperature", Kind::Gauge),
    ("latency", Kind::Exponential),
    ("sizes", Kind::Custom),
    ("changing", Kind::Mixed),
    ("target_info", Kind::Gauge),
];

/// Bounds of the classic histogram.
const BOUNDS: &[&str] = &["0.1", "1", "+Inf"];

pub fn generate(random: &mut Random) -> Vec<Series> {
    let mut all = Vec::new();
    for (name, kind) in METRICS {
        for instance in 0..1 + random.below(5) {
            let job = ["api", "db", "web"][instance as usize % 3];
            let instance = format!("host-{instance}");
            let mut labels = vec![("__name__", *name), ("instance", instance.as_str()), ("job", job)];
            if random.below(5) == 0 {
                labels.push(("__type__", random.pick(&["counter", "gauge"])));
            }
            if *name == "target_info" {
                labels.push(("version", random.pick(&["1", "2"])));
            }
            all.push(series(LabelSet::from_pairs(labels), *kind, random));
        }
    }
    for bound in BOUNDS {
        let labels = [("__name__", "latency_bucket"), ("instance", "host-0"), ("job", "api"), ("le", *bound)];
        all.push(series(LabelSet::from_pairs(labels), Kind::Counter, random));
    }
    all.retain(|one| !one.timestamps.is_empty() || !one.histograms.is_empty());
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn series(labels: LabelSet, kind: Kind, random: &mut Random) -> Series {
    let (timestamps, values) = (Vec::new(), Vec::new());
    let mut series = Series { labels, timestamps, values, start_timestamps: Vec::new(), histograms: Vec::new() };
    let interval = [5_000, 15_000, 30_000, 60_000][random.below(4) as usize];
    let starts = random.below(4) == 0;
    let (mut at, mut value, mut count, mut start) = (T0 + random.below(60_000) as i64, 0.0, 0.0, T0 - 5000);
    while at < T0 + SPAN_MS {
        if random.below(40) == 0 {
            at += random.below(1_200_000) as i64;
        }
        let reset = random.below(50) == 0;
        let histogram = match kind {
            Kind::Counter | Kind::Gauge => false,
            Kind::Exponential | Kind::Custom => true,
            Kind::Mixed => (at - T0) / 1_500_000 % 2 == 1,
        };
        if reset {
            (value, count, start) = (0.0, 0.0, at - 1);
        }
        if histogram {
            count += random.below(20) as f64;
            let stale = random.below(40) == 0;
            let custom = kind == Kind::Custom || (kind == Kind::Mixed && random.below(3) == 0);
            let histogram = Arc::new(if custom { custom_buckets(count, random) } else { exponential(count, random) });
            let stale_histogram = || Arc::new(Histogram { sum: STALE_NAN, ..Histogram::default() });
            let histogram = if stale { stale_histogram() } else { histogram };
            let start_timestamp = if starts { start } else { 0 };
            series.histograms.push(HistogramSample { timestamp: at, start_timestamp, histogram });
        } else {
            value = match (kind, random.below(30)) {
                (_, 0) => STALE_NAN,
                (Kind::Gauge, 1) => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX][random.below(5) as usize],
                (Kind::Gauge, _) => random.below(1 << 30) as f64 / 7.0 - 5e7,
                _ if !value.is_finite() => 0.0,
                _ => value + random.below(1000) as f64 / 8.0,
            };
            series.timestamps.push(at);
            series.values.push(value);
            if starts {
                series.start_timestamps.push(start);
            }
        }
        at += interval + random.below(40) as i64;
    }
    series
}

fn hint(random: &mut Random) -> CounterResetHint {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    [Unknown, Unknown, Unknown, Unknown, NotReset, Reset, Gauge][random.below(7) as usize]
}

fn exponential(count: f64, random: &mut Random) -> Histogram {
    let buckets = vec![count, count / 2.0, count / 4.0];
    let zero_count = (count / 8.0).floor();
    Histogram {
        counter_reset_hint: hint(random),
        schema: random.below(3) as i32,
        zero_threshold: 0.001,
        zero_count,
        count: zero_count + buckets.iter().sum::<f64>(),
        sum: count * 1.7,
        positive_spans: vec![Span { offset: random.below(2) as i32, length: 1 }, Span { offset: 1, length: 2 }],
        positive_buckets: buckets,
        ..Histogram::default()
    }
}

fn custom_buckets(count: f64, random: &mut Random) -> Histogram {
    let bounds = if random.below(4) == 0 { vec![1.0, 5.0, 10.0] } else { vec![1.0, 10.0] };
    Histogram {
        counter_reset_hint: hint(random),
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        count: count * 2.0,
        sum: count * 3.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count, count],
        custom_values: bounds,
        ..Histogram::default()
    }
}
