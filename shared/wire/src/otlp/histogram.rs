//! Exponential and explicit histograms as native ones.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, SCHEMA_MAX, SCHEMA_MIN};
use model::{CounterResetHint, Histogram, STALE_NAN, Span};

use super::payload::{Buckets, ExponentialPoint, HistogramPoint, Temporality};
use crate::remote_write::histogram::verify;

/// Width of the zero bucket; OTLP's own threshold is not used (upstream `defaultZeroThreshold`).
const ZERO_THRESHOLD: f64 = 1e-128;
/// Empty buckets that are written rather than skipped (upstream).
const GAP_MAX: i64 = 2;
/// Buckets of one side; SDKs make at most 160.
const BUCKETS_MAX: usize = 10_000;

/// Translates an exponential histogram; finer scales than ours are merged down.
pub(super) fn exponential(point: &ExponentialPoint, temporality: Temporality) -> Result<Histogram, String> {
    if point.scale < SCHEMA_MIN {
        let (least, scale) = (SCHEMA_MIN, point.scale);
        return Err(format!("cannot convert exponential to native histogram. Scale must be >= {least}, was {scale}"));
    }
    let mut histogram = Histogram {
        counter_reset_hint: hint(temporality),
        schema: point.scale.min(SCHEMA_MAX),
        zero_threshold: ZERO_THRESHOLD,
        ..Histogram::default()
    };
    if point.head.has_ended() {
        histogram.sum = STALE_NAN;
        return Ok(histogram);
    }
    let down = (point.scale - SCHEMA_MAX).max(0) as u32;
    (histogram.positive_spans, histogram.positive_buckets) = side(&point.positive, down)?;
    (histogram.negative_spans, histogram.negative_buckets) = side(&point.negative, down)?;
    histogram.zero_count = point.zero_count as f64;
    histogram.count = point.count as f64;
    histogram.sum = point.sum.unwrap_or(0.0);
    verify(&histogram, false)?;
    Ok(histogram)
}

/// A delta is no counter: it says so by being a gauge (upstream).
fn hint(temporality: Temporality) -> CounterResetHint {
    match temporality {
        Temporality::Delta => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

/// Merges `2^down` buckets into one. OTLP's bucket 0 begins at 1, ours ends there: indexes move by one.
fn side(buckets: &Buckets, down: u32) -> Result<(Vec<Span>, Vec<f64>), String> {
    check_len(buckets.counts.len())?;
    let index = |position: usize| ((position as i64 + i64::from(buckets.offset)) >> down.min(62)) + 1;
    Ok(sparse(buckets.counts.iter().enumerate().map(|(position, count)| (index(position), *count))))
}

fn check_len(len: usize) -> Result<(), String> {
    if len > BUCKETS_MAX { Err(format!("histogram has {len} buckets, limit is {BUCKETS_MAX}")) } else { Ok(()) }
}

/// Writes ascending buckets as spans; neighbours of one index are added up, long gaps begin a span.
fn sparse(buckets: impl Iterator<Item = (i64, u64)>) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0i64;
    for (index, count) in buckets.filter(|(_, count)| *count != 0) {
        if index == next - 1
            && let Some(last) = counts.last_mut()
        {
            *last += count as f64;
            continue;
        }
        match spans.last_mut() {
            Some(open) if index - next <= GAP_MAX => {
                counts.extend((next..index).map(|_| 0.0));
                open.length += (index - next) as u32 + 1;
            }
            _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
        }
        counts.push(count as f64);
        next = index + 1;
    }
    (spans, counts)
}

/// Translates an explicit histogram into one with custom buckets.
pub(super) fn custom(point: &HistogramPoint, temporality: Temporality) -> Result<Histogram, String> {
    check_len(point.counts.len())?;
    let mut histogram = Histogram {
        counter_reset_hint: hint(temporality),
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_values: point.bounds.clone(),
        ..Histogram::default()
    };
    if point.head.has_ended() {
        histogram.sum = STALE_NAN;
        return Ok(histogram);
    }
    let counts = point.counts.iter().enumerate().map(|(index, count)| (index as i64, *count));
    (histogram.positive_spans, histogram.positive_buckets) = sparse(counts);
    histogram.count = point.count as f64;
    histogram.sum = point.sum.unwrap_or(0.0);
    verify(&histogram, false)?;
    Ok(histogram)
}
