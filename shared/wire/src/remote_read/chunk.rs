//! Samples as Prometheus's chunks: XOR for floats, float histogram chunks for histograms (upstream `tsdb/chunkenc`).

use model::{CounterResetHint, Histogram, Span};

use super::SeriesSamples;
use super::bits::{Bits, Xor, fits};

/// Samples of one chunk (upstream `DefaultSamplesPerChunk`).
const SAMPLES_MAX: usize = 120;

/// What a chunk holds, as upstream numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Xor = 1,
    FloatHistogram = 3,
}

/// One encoded chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Time of the first sample.
    pub(super) first: i64,
    /// Time of the last one.
    pub(super) last: i64,
    pub(crate) encoding: Encoding,
    pub(crate) data: Vec<u8>,
}

/// Cuts a series into chunks in the order of time.
pub(crate) fn of<'a>(series: &'a SeriesSamples<'a>) -> impl Iterator<Item = Chunk> + 'a {
    let (mut timestamps, mut values, mut histograms) = (series.timestamps, series.values, &series.histograms[..]);
    std::iter::from_fn(move || {
        let (float, histogram) = (timestamps.first().copied(), histograms.first().map(|(at, _)| *at));
        match (float, histogram) {
            (None, None) => None,
            (Some(at), histogram) if histogram.is_none_or(|other| at < other) => {
                let until = histogram.unwrap_or(i64::MAX);
                let len = timestamps.iter().take(SAMPLES_MAX).take_while(|at| **at < until || histogram.is_none()).count();
                let chunk = floats(&timestamps[..len], &values[..len]);
                (timestamps, values) = (&timestamps[len..], &values[len..]);
                Some(chunk)
            }
            (float, _) => {
                let len = run(histograms, float.unwrap_or(i64::MAX));
                let chunk = histogram_chunk(&histograms[..len]);
                histograms = &histograms[len..];
                Some(chunk)
            }
        }
    })
}

fn floats(timestamps: &[i64], values: &[f64]) -> Chunk {
    let mut bits = Bits::after(&(timestamps.len() as u16).to_be_bytes());
    bits.push_varint((timestamps[0] << 1 ^ timestamps[0] >> 63) as u64);
    bits.push_float(values[0]);
    let (mut xor, mut delta) = (Xor::new(values[0]), 0i64);
    for index in 1..timestamps.len() {
        let next = timestamps[index].wrapping_sub(timestamps[index - 1]);
        match index {
            1 => bits.push_varint(next as u64),
            _ => delta_of_delta(&mut bits, next.wrapping_sub(delta)),
        }
        delta = next;
        xor.push(&mut bits, values[index]);
    }
    let (first, last) = (timestamps[0], timestamps[timestamps.len() - 1]);
    Chunk { first, last, encoding: Encoding::Xor, data: bits.into_bytes() }
}

fn delta_of_delta(bits: &mut Bits, value: i64) {
    let (prefix, prefix_bits, size) = match value {
        0 => return bits.push(0, 1),
        value if fits(value, 14) => (0b10, 2, 14),
        value if fits(value, 17) => (0b110, 3, 17),
        value if fits(value, 20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };
    bits.push(prefix, prefix_bits);
    bits.push(value as u64, size);
}

/// Counts the histograms of one chunk: one layout, no reset inside, all before `until`.
fn run(histograms: &[(i64, &Histogram)], until: i64) -> usize {
    let first = histograms[0].1;
    if first.is_stale() {
        return 1;
    }
    let follows = |pair: &&[(i64, &Histogram)]| {
        let [(_, before), (at, after)] = pair else { return false };
        *at < until && same_layout(before, after) && !after.is_stale() && continues(before, after)
    };
    1 + histograms.windows(2).take(SAMPLES_MAX - 1).take_while(follows).count()
}

fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.custom_values == b.custom_values
}

/// A reader takes what follows in a chunk as "no reset", or as a gauge where the chunk is one.
fn continues(before: &Histogram, after: &Histogram) -> bool {
    let gauges = (hint(before) == Header::Gauge, hint(after) == Header::Gauge);
    if gauges != (false, false) {
        return gauges == (true, true);
    }
    let grows = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a <= b);
    hint(after) != Header::Reset
        && before.count <= after.count
        && before.zero_count <= after.zero_count
        && grows(&before.positive_buckets, &after.positive_buckets)
        && grows(&before.negative_buckets, &after.negative_buckets)
}

/// What is known of counter resets, as protobuf numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Header {
    Unknown = 0,
    Reset = 1,
    NotReset = 2,
    Gauge = 3,
}

/// Returns a histogram's hint.
pub(super) fn hint(histogram: &Histogram) -> Header {
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown => Header::Unknown,
        CounterResetHint::Reset => Header::Reset,
        CounterResetHint::NotReset => Header::NotReset,
        CounterResetHint::Gauge => Header::Gauge,
    }
}

fn histogram_chunk(histograms: &[(i64, &Histogram)]) -> Chunk {
    let empty;
    let (first_at, mut first) = histograms[0];
    let header = match hint(first) {
        Header::Unknown => 0,
        Header::NotReset => 0b0100_0000,
        Header::Reset => 0b1000_0000,
        Header::Gauge => 0b1100_0000,
    };
    if first.is_stale() {
        empty = Histogram { sum: first.sum, ..Histogram::default() };
        first = &empty;
    }
    let [high, low] = (histograms.len() as u16).to_be_bytes();
    let mut bits = Bits::after(&[high, low, header]);
    layout(&mut bits, first);
    bits.push_varbit(first_at);
    let mut xors: Vec<Xor> = Vec::new();
    for value in fields(first) {
        bits.push_float(value);
        xors.push(Xor::new(value));
    }
    let (mut before, mut delta) = (first_at, 0i64);
    for (at, histogram) in &histograms[1..] {
        let next = at.wrapping_sub(before);
        bits.push_varbit(next.wrapping_sub(delta));
        (before, delta) = (*at, next);
        for (xor, value) in xors.iter_mut().zip(fields(histogram)) {
            xor.push(&mut bits, value);
        }
    }
    Chunk { first: first_at, last: before, encoding: Encoding::FloatHistogram, data: bits.into_bytes() }
}

/// Every number of a sample, in the chunk's order.
fn fields(histogram: &Histogram) -> impl Iterator<Item = f64> + '_ {
    let head = [histogram.count, histogram.zero_count, histogram.sum];
    head.into_iter().chain(histogram.positive_buckets.iter().copied()).chain(histogram.negative_buckets.iter().copied())
}

fn layout(bits: &mut Bits, histogram: &Histogram) {
    zero_threshold(bits, histogram.zero_threshold);
    bits.push_varbit(i64::from(histogram.schema));
    spans(bits, &histogram.positive_spans);
    spans(bits, &histogram.negative_spans);
    if histogram.uses_custom_buckets() {
        bits.push_varbit_unsigned(histogram.custom_values.len() as u64);
        histogram.custom_values.iter().for_each(|bound| custom_bound(bits, *bound));
    }
}

fn spans(bits: &mut Bits, spans: &[Span]) {
    bits.push_varbit_unsigned(spans.len() as u64);
    for span in spans {
        bits.push_varbit_unsigned(u64::from(span.length));
        bits.push_varbit(i64::from(span.offset));
    }
}

/// One byte for 0 and for the powers of two between 2^-243 and 2^10, else a marker and the float.
fn zero_threshold(bits: &mut Bits, threshold: f64) {
    let raw = threshold.to_bits();
    // As 0.5 · 2^e: the biased exponent counts from 1022.
    let (exponent, power_of_two) = ((raw >> 52) as i64 - 1022, raw << 12 == 0);
    if threshold == 0.0 {
        bits.push(0, 8);
    } else if power_of_two && (-242..=11).contains(&exponent) {
        bits.push((exponent + 243) as u64, 8);
    } else {
        bits.push(255, 8);
        bits.push_float(threshold);
    }
}

/// Thousandths up to 33,554.43 in few bits, else a zero bit and the float.
fn custom_bound(bits: &mut Bits, bound: f64) {
    let thousandths = bound * 1000.0;
    if (0.0..=33_554_430.0).contains(&thousandths) && thousandths.round() / 1000.0 == bound {
        bits.push_varbit_unsigned(thousandths.round() as u64 + 1);
    } else {
        bits.push(0, 1);
        bits.push_float(bound);
    }
}
