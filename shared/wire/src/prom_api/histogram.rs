//! A native histogram as JSON: count, sum, and every bucket that is not empty as `[bounds kind, "lower", "upper", "count"]`.

use model::{Histogram, Span};

use crate::json_text::{comma, prometheus_float, write_to};

/// Which bounds belong to a bucket, as the API numbers it: `(lower, upper]` is 0.
const OPEN_LEFT: u8 = 0;
/// `[lower, upper)`
const OPEN_RIGHT: u8 = 1;
/// `[lower, upper]`
const CLOSED: u8 = 3;

/// One bucket with its bounds.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Bucket {
    bounds: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

/// Writes the histogram's object.
pub(super) fn write(out: &mut Vec<u8>, histogram: &Histogram) {
    out.extend_from_slice(b"{\"count\":\"");
    prometheus_float(out, histogram.count);
    out.extend_from_slice(b"\",\"sum\":\"");
    prometheus_float(out, histogram.sum);
    out.push(b'"');
    for (index, bucket) in buckets(histogram).iter().filter(|bucket| bucket.count != 0.0).enumerate() {
        out.extend_from_slice(if index == 0 { b",\"buckets\":[".as_slice() } else { b"" });
        comma(out, index);
        write_to(out, format_args!("[{}", bucket.bounds));
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.extend_from_slice(b",\"");
            prometheus_float(out, value);
            out.push(b'"');
        }
        out.push(b']');
    }
    out.extend_from_slice(if out.ends_with(b"]") { b"]}" } else { b"}" });
}

/// Returns the buckets in ascending order: negative from the outside in, zero, positive.
fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let mut buckets = Vec::with_capacity(histogram.negative_buckets.len() + histogram.positive_buckets.len() + 1);
    for (index, count) in indexed(&histogram.negative_spans, &histogram.negative_buckets) {
        let (lower, upper) = (-upper_bound(histogram, index), -upper_bound(histogram, index - 1));
        buckets.push(Bucket { bounds: OPEN_RIGHT, lower, upper, count });
    }
    buckets.reverse();
    if histogram.zero_count != 0.0 {
        let threshold = histogram.zero_threshold;
        buckets.push(Bucket { bounds: CLOSED, lower: -threshold, upper: threshold, count: histogram.zero_count });
    }
    for (index, count) in indexed(&histogram.positive_spans, &histogram.positive_buckets) {
        let (lower, upper) = (lower_bound(histogram, index), upper_bound(histogram, index));
        let bounds = if lower == f64::NEG_INFINITY || (lower < 0.0 && upper > 0.0) { CLOSED } else { OPEN_LEFT };
        buckets.push(Bucket { bounds, lower, upper, count });
    }
    buckets
}

/// Pairs bucket counts with their bucket indexes.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let indexes = spans.iter().scan(0i64, |next, span| {
        let first = *next + i64::from(span.offset);
        *next = first + i64::from(span.length);
        Some(first..*next)
    });
    indexes.flatten().zip(counts.iter().copied())
}

fn lower_bound(histogram: &Histogram, index: i64) -> f64 {
    match (histogram.uses_custom_buckets(), index) {
        (true, 0) => f64::NEG_INFINITY,
        _ => upper_bound(histogram, index - 1),
    }
}

/// Returns the upper bound of a bucket: `2^(index · 2^-schema)`, or the custom bound.
fn upper_bound(histogram: &Histogram, index: i64) -> f64 {
    if histogram.uses_custom_buckets() {
        return usize::try_from(index)
            .ok()
            .and_then(|index| histogram.custom_values.get(index))
            .copied()
            .unwrap_or(f64::INFINITY);
    }
    if histogram.schema <= 0 {
        let exponent = index.saturating_mul(1 << histogram.schema.unsigned_abs().min(16));
        return if exponent == 1024 { f64::MAX } else { power_of_two(exponent) };
    }
    let parts = 1i64 << histogram.schema.min(16);
    if index == 1024 * parts {
        return f64::MAX;
    }
    // Prometheus splits the exponent so that whole powers of two are exact.
    let fraction = 2f64.powf(index.rem_euclid(parts) as f64 / parts as f64);
    fraction * power_of_two(index.div_euclid(parts))
}

fn power_of_two(exponent: i64) -> f64 {
    2f64.powi(exponent.clamp(-1075, 1025) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(histogram: &Histogram) -> String {
        let mut out = Vec::new();
        write(&mut out, histogram);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn custom_and_negative_buckets() {
        let custom = Histogram {
            schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
            count: 3.0,
            sum: 1.0,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![1.0, 1.0, 1.0],
            custom_values: vec![0.5, 5.0],
            ..Histogram::default()
        };
        let expected = r#"{"count":"3","sum":"1","buckets":[[3,"-Inf","0.5","1"],[0,"0.5","5","1"],[0,"5","+Inf","1"]]}"#;
        assert_eq!(json(&custom), expected);
        let negative = Histogram {
            schema: 1,
            count: 2.0,
            negative_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 1, length: 1 }],
            negative_buckets: vec![1.0, 1.0],
            ..Histogram::default()
        };
        let expected =
            r#"{"count":"2","sum":"0","buckets":[[1,"-2.8284271247461903","-2","1"],[1,"-1.4142135623730951","-1","1"]]}"#;
        assert_eq!(json(&negative), expected);
    }
}
