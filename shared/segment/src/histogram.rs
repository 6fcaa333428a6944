//! Native histograms as bytes: in L0 blocks, and as the tie break of a merge.

use model::labels::put_varint;
use model::{CounterResetHint, Histogram, Span};

use crate::SegmentError;
use crate::cursor::{Cursor, put_zigzag};

pub(crate) fn hint_code(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

pub(crate) fn hint_of(code: u8) -> Option<CounterResetHint> {
    [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge]
        .get(code as usize)
        .copied()
}

/// Appends a histogram; equal histograms are equal bytes, NaN bits included.
pub(crate) fn put(out: &mut Vec<u8>, histogram: &Histogram) {
    out.push(hint_code(histogram.counter_reset_hint));
    put_zigzag(out, i64::from(histogram.schema));
    for value in [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for (spans, buckets) in
        [(&histogram.positive_spans, &histogram.positive_buckets), (&histogram.negative_spans, &histogram.negative_buckets)]
    {
        put_varint(out, spans.len() as u64);
        for span in spans {
            put_zigzag(out, i64::from(span.offset));
            put_varint(out, u64::from(span.length));
        }
        put_doubles(out, buckets);
    }
    put_doubles(out, &histogram.custom_values);
}

fn put_doubles(out: &mut Vec<u8>, values: &[f64]) {
    put_varint(out, values.len() as u64);
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

pub(crate) fn take(cursor: &mut Cursor<'_>) -> Result<Histogram, SegmentError> {
    let hint = cursor.u8()?;
    let counter_reset_hint = hint_of(hint).ok_or_else(|| cursor.fail("has an unknown reset hint"))?;
    let schema = i32::try_from(cursor.zigzag()?).map_err(|_| cursor.fail("has a bad schema"))?;
    let (zero_threshold, zero_count, count, sum) = (cursor.f64()?, cursor.f64()?, cursor.f64()?, cursor.f64()?);
    let (positive_spans, positive_buckets) = take_side(cursor)?;
    let (negative_spans, negative_buckets) = take_side(cursor)?;
    let custom_values = take_doubles(cursor)?;
    Ok(Histogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
    })
}

fn take_side(cursor: &mut Cursor<'_>) -> Result<(Vec<Span>, Vec<f64>), SegmentError> {
    let count = cursor.count()?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = i32::try_from(cursor.zigzag()?).map_err(|_| cursor.fail("has a bad span"))?;
        spans.push(Span { offset, length: cursor.u32_varint()? });
    }
    let buckets = take_doubles(cursor)?;
    verify_spans(&spans, buckets.len()).ok_or_else(|| cursor.fail("has spans that do not fit the buckets"))?;
    Ok((spans, buckets))
}

/// Checks that span lengths add up to the buckets.
pub(crate) fn verify_spans(spans: &[Span], buckets: usize) -> Option<()> {
    (spans.iter().map(|span| u64::from(span.length)).sum::<u64>() == buckets as u64).then_some(())
}

fn take_doubles(cursor: &mut Cursor<'_>) -> Result<Vec<f64>, SegmentError> {
    let count = cursor.count()?;
    let bytes = cursor.take(count.checked_mul(8).ok_or_else(|| cursor.fail("has a bad count"))?)?;
    Ok(bytes.chunks_exact(8).map(|chunk| f64::from_le_bytes(chunk.try_into().expect("eight bytes"))).collect())
}
