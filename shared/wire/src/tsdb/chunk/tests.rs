use model::{CounterResetHint, LabelSet, Span};

use super::*;
use crate::remote_read::{SeriesSamples, chunk};

const GOLDEN: &str = include_str!("../../../tests/golden/tsdb/chunks.txt");

/// Encoding, data, and the lines of the samples.
fn golden() -> Vec<(u8, Vec<u8>, Vec<&'static str>)> {
    let mut chunks: Vec<(u8, Vec<u8>, Vec<&str>)> = Vec::new();
    for line in GOLDEN.lines() {
        match line.strip_prefix("chunk ") {
            Some(chunk) => {
                let (encoding, hex) = chunk.split_once(' ').unwrap();
                let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                chunks.push((encoding.parse().unwrap(), (0..hex.len()).step_by(2).map(byte).collect(), Vec::new()));
            }
            None => chunks.last_mut().unwrap().2.push(line),
        }
    }
    chunks
}

/// One line as the golden files have it.
pub(in crate::tsdb) fn line(sample: &Sample) -> String {
    let value = match &sample.value {
        Value::Float(value) => format!("F {:016x}", value.to_bits()),
        Value::Histogram(histogram) if histogram.is_stale() => "H stale".to_owned(),
        Value::Histogram(histogram) => format!("H {}", histogram_line(histogram)),
    };
    format!("{} {} {value}", sample.timestamp.0, sample.start.0)
}

fn histogram_line(histogram: &Histogram) -> String {
    let bits = |values: &[f64]| values.iter().map(|value| format!("{:016x}", value.to_bits())).collect::<Vec<_>>().join(",");
    let spans =
        |spans: &[Span]| spans.iter().map(|span| format!("{}:{}", span.offset, span.length)).collect::<Vec<_>>().join(",");
    let kind = if histogram.counter_reset_hint == CounterResetHint::Gauge { "gauge" } else { "counter" };
    let totals = [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum].map(|value| bits(&[value]));
    let sides = [
        spans(&histogram.positive_spans),
        bits(&histogram.positive_buckets),
        spans(&histogram.negative_spans),
        bits(&histogram.negative_buckets),
        bits(&histogram.custom_values),
    ];
    format!("{kind} {} {} {}", histogram.schema, totals.join(" "), sides.map(|side| format!("[{side}]")).join(" "))
}

fn samples(encoding: u8, data: &[u8]) -> Result<Vec<Sample>, BlockError> {
    let mut samples = Vec::new();
    decode_data(encoding, data, &mut |sample| samples.push(sample))?;
    Ok(samples)
}

#[test]
fn every_encoding_is_read_as_upstream_reads_it() {
    let golden = golden();
    for encoding in 1..=6 {
        assert!(golden.iter().any(|chunk| chunk.0 == encoding), "no chunk of encoding {encoding}");
    }
    for (index, (encoding, data, expected)) in golden.iter().enumerate() {
        let read: Vec<String> = samples(*encoding, data).unwrap().iter().map(line).collect();
        assert_eq!(read, *expected, "chunk {index} of encoding {encoding}");
    }
}

#[test]
fn damaged_data_ends_in_an_error_or_in_other_samples() {
    for (encoding, data, expected) in golden() {
        for len in 0..data.len() {
            // The last byte may be padding only.
            let read = samples(encoding, &data[..len]).map(|samples| samples.len());
            assert!(
                read.is_err() || len + 1 == data.len() && read == Ok(expected.len()),
                "{encoding}: {len} bytes gave {read:?}"
            );
        }
        for bit in 0..data.len() * 8 {
            let mut damaged = data.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let count = samples(encoding, &damaged).map_or(0, |samples| samples.len());
            assert!(count <= usize::from(u16::MAX));
        }
    }
}

#[test]
fn what_remote_read_writes_is_read() {
    let floats = |count: i64| (0..count).map(|at| (at * 15_000 + at % 7, (at as f64).sin())).unzip();
    let (timestamps, values): (Vec<i64>, Vec<f64>) = floats(500);
    let histogram = |count: f64| Histogram {
        count,
        sum: count,
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![count, 0.0],
        ..Histogram::default()
    };
    let histograms: Vec<Histogram> = (0..200).map(|index| histogram(f64::from(index % 150))).collect();
    let histograms: Vec<(i64, &Histogram)> = (10_000_000..).step_by(1_000).zip(&histograms).collect();
    let labels = &LabelSet::empty();
    let series = SeriesSamples { labels, timestamps: &timestamps, values: &values, histograms: histograms.clone() };
    let mut expected: Vec<Sample> = Vec::new();
    for (at, value) in timestamps.iter().zip(&values) {
        expected.push(Sample { timestamp: TimestampMs(*at), start: TimestampMs(0), value: Value::Float(*value) });
    }
    for (at, value) in &histograms {
        let value = Value::Histogram((*value).clone());
        expected.push(Sample { timestamp: TimestampMs(*at), start: TimestampMs(0), value });
    }
    let chunks: Vec<_> = chunk::of(&series).collect();
    assert!(chunks.len() > 5);
    let read: Vec<Sample> = chunks.iter().flat_map(|chunk| samples(chunk.encoding as u8, &chunk.data).unwrap()).collect();
    assert_eq!(read, expected);
}
