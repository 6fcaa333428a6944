//! Histogram chunks: one layout of buckets in front, then what changes from sample to sample.

use model::histogram::SCHEMA_MAX;
use model::{CounterResetHint, Histogram, STALE_NAN, Span, TimestampMs};

use super::bits::{Bits, Xor};
use super::start::Starts;
use super::{BlockError, Sample, Value, WHAT, malformed};
use crate::remote_write::histogram::{reduce, verify};

/// Both kinds of gauge bits set.
const GAUGE: u8 = 0b1100_0000;
/// Of a chunk with start timestamps: reset bits share the count's bytes.
const COUNT_MASK: u16 = 0x3fff;

/// What stands in front of the samples.
struct Header {
    count: usize,
    gauge: bool,
    starts: Starts,
}

/// How one kind of chunk writes the numbers of a sample.
trait Counts: Sized {
    /// Takes those of the first sample: count, zero count, sum, buckets of both sides.
    fn first(bits: &mut Bits<'_>, positive: usize, negative: usize) -> Option<Self>;
    /// Takes those of the next one; buckets are left out behind a stale sum.
    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()>;
    fn sum(&self) -> f64;
    /// Writes the numbers into a histogram that has the layout.
    fn write(&self, histogram: &mut Histogram);
}

pub(super) fn integer(data: &[u8], with_starts: bool, visit: &mut dyn FnMut(Sample)) -> Result<(), BlockError> {
    decode::<Whole>(data, with_starts, visit)
}

pub(super) fn float(data: &[u8], with_starts: bool, visit: &mut dyn FnMut(Sample)) -> Result<(), BlockError> {
    decode::<Floats>(data, with_starts, visit)
}

fn decode<C: Counts>(data: &[u8], with_starts: bool, visit: &mut dyn FnMut(Sample)) -> Result<(), BlockError> {
    let (header, data) = header(data, with_starts).ok_or_else(malformed)?;
    if header.count == 0 {
        return Ok(());
    }
    let mut bits = Bits::new(data);
    let layout = layout(&mut bits, header.gauge).ok_or_else(malformed)?;
    samples::<C>(bits, header, layout, visit)
}

fn header(data: &[u8], with_starts: bool) -> Option<(Header, &[u8])> {
    let (&[high, low, third], data) = data.split_first_chunk::<3>()?;
    let count = u16::from_be_bytes([high, low]);
    let header = match with_starts {
        true => Header { count: usize::from(count & COUNT_MASK), gauge: high & GAUGE == GAUGE, starts: Starts::new(third) },
        false => Header { count: usize::from(count), gauge: third & GAUGE == GAUGE, starts: Starts::new(0) },
    };
    Some((header, data))
}

fn samples<C: Counts>(
    mut bits: Bits<'_>,
    mut header: Header,
    layout: Histogram,
    visit: &mut dyn FnMut(Sample),
) -> Result<(), BlockError> {
    let buckets = |spans: &[Span]| spans.iter().map(|span| span.length as usize).fold(0, usize::saturating_add);
    let (positive, negative) = (buckets(&layout.positive_spans), buckets(&layout.negative_spans));
    let mut at = bits.varbit().ok_or_else(malformed)?;
    let (mut before, mut delta) = (at, 0i64);
    let mut counts = C::first(&mut bits, positive, negative).ok_or_else(malformed)?;
    // Of one layout: what holds for the spans of the first holds for all.
    let mut verified = false;
    for index in 0..header.count {
        if index > 0 {
            before = at;
            delta = delta.wrapping_add(bits.varbit().ok_or_else(malformed)?);
            at = at.wrapping_add(delta);
            counts.next(&mut bits).ok_or_else(malformed)?;
        }
        let start = header.starts.next(&mut bits, index, at, before).ok_or_else(malformed)?;
        let histogram = histogram(&layout, &counts);
        if !verified && !histogram.is_stale() {
            verify(&histogram, true).map_err(|how| BlockError::corrupt(WHAT, how))?;
            verified = true;
        }
        let value = Value::Histogram(reduced(histogram));
        visit(Sample { timestamp: TimestampMs(at), start: TimestampMs(start), value });
    }
    Ok(())
}

fn histogram(layout: &Histogram, counts: &impl Counts) -> Histogram {
    if model::is_stale(counts.sum()) {
        return Histogram { sum: STALE_NAN, ..Histogram::default() };
    }
    let mut histogram = layout.clone();
    counts.write(&mut histogram);
    histogram
}

/// Brings resolutions that only newer versions know down to the finest one of ours, as upstream does.
fn reduced(mut histogram: Histogram) -> Histogram {
    if histogram.schema > SCHEMA_MAX {
        reduce(&mut histogram);
    }
    histogram
}

fn layout(bits: &mut Bits<'_>, gauge: bool) -> Option<Histogram> {
    let counter_reset_hint = if gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
    let zero_threshold = zero_threshold(bits)?;
    let schema = i32::try_from(bits.varbit()?).ok()?;
    let (positive_spans, negative_spans) = (spans(bits)?, spans(bits)?);
    let mut layout =
        Histogram { counter_reset_hint, schema, zero_threshold, positive_spans, negative_spans, ..Histogram::default() };
    if layout.uses_custom_buckets() {
        layout.custom_values = list(bits, custom_bound)?;
    }
    Some(layout)
}

/// Takes a count and as many items, each of a bit at least.
fn list<T>(bits: &mut Bits<'_>, item: fn(&mut Bits<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = usize::try_from(bits.varbit_unsigned()?).ok().filter(|count| *count <= bits.len())?;
    (0..count).map(|_| item(bits)).collect()
}

fn spans(bits: &mut Bits<'_>) -> Option<Vec<Span>> {
    list(bits, |bits| {
        let length = u32::try_from(bits.varbit_unsigned()?).ok()?;
        Some(Span { offset: i32::try_from(bits.varbit()?).ok()?, length })
    })
}

/// A byte for 0 and for powers of two, else a marker and the float.
fn zero_threshold(bits: &mut Bits<'_>) -> Option<f64> {
    match bits.take(8)? {
        0 => Some(0.0),
        255 => bits.float(),
        // As 0.5 · 2^(byte − 243): the biased exponent counts from 1022.
        byte => Some(f64::from_bits((byte + 1022 - 243) << 52)),
    }
}

/// Thousandths, or a zero and the float.
fn custom_bound(bits: &mut Bits<'_>) -> Option<f64> {
    match bits.varbit_unsigned()? {
        0 => bits.float(),
        thousandths => Some((thousandths - 1) as f64 / 1000.0),
    }
}

/// Whole counts, as what changed in their change; buckets are differences to the one before, and those change.
struct Whole {
    /// Count and zero count.
    totals: [Changing; 2],
    sum: Xor,
    buckets: Vec<Changing>,
    /// How many of them are positive ones.
    positive: usize,
}

#[derive(Clone, Copy, Default)]
struct Changing {
    value: i64,
    change: i64,
}

impl Changing {
    fn step(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.change = self.change.wrapping_add(bits.varbit()?);
        self.value = self.value.wrapping_add(self.change);
        Some(())
    }
}

impl Counts for Whole {
    fn first(bits: &mut Bits<'_>, positive: usize, negative: usize) -> Option<Whole> {
        let total = |bits: &mut Bits<'_>| Some(Changing { value: bits.varbit_unsigned()? as i64, change: 0 });
        let totals = [total(bits)?, total(bits)?];
        let sum = Xor::new(bits.float()?);
        let count = positive.checked_add(negative).filter(|count| *count <= bits.len())?;
        let bucket = |_| Some(Changing { value: bits.varbit()?, change: 0 });
        Some(Whole { totals, sum, buckets: (0..count).map(bucket).collect::<Option<_>>()?, positive })
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.totals.iter_mut().try_for_each(|total| total.step(bits))?;
        if model::is_stale(self.sum.next(bits)?) {
            return Some(());
        }
        self.buckets.iter_mut().try_for_each(|bucket| bucket.step(bits))
    }

    fn sum(&self) -> f64 {
        self.sum.value()
    }

    fn write(&self, histogram: &mut Histogram) {
        let absolute = |buckets: &[Changing]| {
            let sums = buckets.iter().scan(0i64, |sum, bucket| {
                *sum = sum.wrapping_add(bucket.value);
                Some(*sum as f64)
            });
            sums.collect()
        };
        let (positive, negative) = self.buckets.split_at(self.positive);
        [histogram.count, histogram.zero_count] = self.totals.map(|total| total.value as u64 as f64);
        histogram.sum = self.sum.value();
        histogram.positive_buckets = absolute(positive);
        histogram.negative_buckets = absolute(negative);
    }
}

/// Float counts, each as what changed in its bits.
struct Floats {
    /// Count, zero count and sum.
    totals: [Xor; 3],
    buckets: Vec<Xor>,
    positive: usize,
}

impl Counts for Floats {
    fn first(bits: &mut Bits<'_>, positive: usize, negative: usize) -> Option<Floats> {
        let next = |bits: &mut Bits<'_>| bits.float().map(Xor::new);
        let totals = [next(bits)?, next(bits)?, next(bits)?];
        let count = positive.checked_add(negative).filter(|count| *count <= bits.len() / 64)?;
        Some(Floats { totals, buckets: (0..count).map(|_| next(bits)).collect::<Option<_>>()?, positive })
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.totals.iter_mut().try_for_each(|total| total.next(bits).map(drop))?;
        if model::is_stale(self.sum()) {
            return Some(());
        }
        self.buckets.iter_mut().try_for_each(|bucket| bucket.next(bits).map(drop))
    }

    fn sum(&self) -> f64 {
        self.totals[2].value()
    }

    fn write(&self, histogram: &mut Histogram) {
        let values = |buckets: &[Xor]| buckets.iter().map(|bucket| bucket.value()).collect();
        let (positive, negative) = self.buckets.split_at(self.positive);
        [histogram.count, histogram.zero_count, histogram.sum] = self.totals.map(Xor::value);
        histogram.positive_buckets = values(positive);
        histogram.negative_buckets = values(negative);
    }
}
