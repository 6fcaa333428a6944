//! A native histogram as JSON: count, sum, and every bucket that is not empty as `[bounds kind, "lower", "upper", "count"]`.

use model::Histogram;
use model::histogram::{bound, entries};

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

/// Returns the buckets in ascending order: negative from the outside in, zero, positive. Where the zero bucket reaches into
/// a neighbour, the neighbour begins at its threshold (upstream `allFloatBucketIterator`).
fn buckets(histogram: &Histogram) -> Vec<Bucket> {
    let threshold = histogram.zero_threshold;
    let upper_bound = |index| bound(index, histogram.schema, &histogram.custom_values);
    let mut buckets = Vec::with_capacity(histogram.negative_buckets.len() + histogram.positive_buckets.len() + 1);
    for (index, count) in entries(&histogram.negative_spans, &histogram.negative_buckets) {
        let (lower, upper) = (-upper_bound(index), -upper_bound(index - 1));
        let upper = if upper < 0.0 && upper > -threshold { -threshold } else { upper };
        buckets.push(Bucket { bounds: OPEN_RIGHT, lower, upper, count });
    }
    buckets.reverse();
    if histogram.zero_count > 0.0 {
        buckets.push(Bucket { bounds: CLOSED, lower: -threshold, upper: threshold, count: histogram.zero_count });
    }
    let custom = histogram.uses_custom_buckets();
    for (index, count) in entries(&histogram.positive_spans, &histogram.positive_buckets) {
        let (lower, upper) = (upper_bound(index - 1), upper_bound(index));
        let lower = if lower > 0.0 && lower < threshold { threshold } else { lower };
        let bounds = if custom && index == 0 { CLOSED } else { OPEN_LEFT };
        buckets.push(Bucket { bounds, lower, upper, count });
    }
    buckets
}

#[cfg(test)]
mod tests {
    use model::Span;

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
            r#"{"count":"2","sum":"0","buckets":[[1,"-2.82842712474619","-2","1"],[1,"-1.414213562373095","-1","1"]]}"#;
        assert_eq!(json(&negative), expected);
    }
}
