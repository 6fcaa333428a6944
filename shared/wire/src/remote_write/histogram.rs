//! Native histograms of both versions: integer and float counts, exponential and custom buckets, validated as Prometheus does.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, SCHEMA_MAX, SCHEMA_MIN};
use model::{CounterResetHint, Histogram, Span, TimestampMs};

use crate::protobuf::{Fields, Malformed, Value, zigzag};

/// Finest exponential schema that is reduced to ours (Prometheus).
const SCHEMA_REDUCIBLE_MAX: i32 = 52;

/// Decodes one histogram: malformed bytes fail the request, a histogram that contradicts itself only itself.
pub(super) fn decode(message: &[u8]) -> Result<Result<(TimestampMs, TimestampMs, Histogram), String>, Malformed> {
    let mut raw = Raw::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        raw.field(number, value)?;
    }
    Ok(raw.settle())
}

#[derive(Default)]
struct Raw {
    value: Histogram,
    timestamp: i64,
    start: i64,
    float: bool,
    positive_deltas: Vec<i64>,
    negative_deltas: Vec<i64>,
}

impl Raw {
    fn field(&mut self, number: u64, field: Value<'_>) -> Result<(), Malformed> {
        let value = &mut self.value;
        match number {
            1 => value.count = field.varint()? as f64,
            2 => {
                value.count = field.double()?;
                self.float = true;
            }
            3 => value.sum = field.double()?,
            4 => value.schema = i32::try_from(zigzag(field.varint()?)).map_err(|_| Malformed)?,
            5 => value.zero_threshold = field.double()?,
            6 => value.zero_count = field.varint()? as f64,
            7 => {
                value.zero_count = field.double()?;
                self.float = true;
            }
            8 => value.negative_spans.push(span(field.bytes()?)?),
            9 => field.each_varint(|delta| self.negative_deltas.push(zigzag(delta)))?,
            10 => field.each_double(|count| value.negative_buckets.push(count))?,
            11 => value.positive_spans.push(span(field.bytes()?)?),
            12 => field.each_varint(|delta| self.positive_deltas.push(zigzag(delta)))?,
            13 => field.each_double(|count| value.positive_buckets.push(count))?,
            14 => {
                value.counter_reset_hint = match field.varint()? {
                    1 => CounterResetHint::Reset,
                    2 => CounterResetHint::NotReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => self.timestamp = field.varint()? as i64,
            16 => field.each_double(|bound| value.custom_values.push(bound))?,
            17 => self.start = field.varint()? as i64,
            _ => {}
        }
        Ok(())
    }

    fn settle(mut self) -> Result<(TimestampMs, TimestampMs, Histogram), String> {
        if !self.float {
            self.value.positive_buckets = absolute(&self.positive_deltas);
            self.value.negative_buckets = absolute(&self.negative_deltas);
        }
        verify(&self.value, self.float)?;
        if self.value.schema > SCHEMA_MAX && self.value.schema <= SCHEMA_REDUCIBLE_MAX {
            reduce(&mut self.value);
        }
        Ok((TimestampMs(self.timestamp), TimestampMs(self.start), self.value))
    }
}

/// Checks that a histogram does not contradict itself; `float` allows for rounding of its counts.
pub(crate) fn verify(value: &Histogram, float: bool) -> Result<(), String> {
    check_spans("positive", &value.positive_spans, &value.positive_buckets)?;
    check_spans("negative", &value.negative_spans, &value.negative_buckets)?;
    if value.is_stale() { Ok(()) } else { check(value, float) }
}

fn span(message: &[u8]) -> Result<Span, Malformed> {
    let mut span = Span { offset: 0, length: 0 };
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => span.offset = i32::try_from(zigzag(field.varint()?)).map_err(|_| Malformed)?,
            2 => span.length = u32::try_from(field.varint()?).map_err(|_| Malformed)?,
            _ => {}
        }
    }
    Ok(span)
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut count = 0i64;
    deltas
        .iter()
        .map(|delta| {
            count = count.wrapping_add(*delta);
            count as f64
        })
        .collect()
}

fn check_spans(side: &str, spans: &[Span], buckets: &[f64]) -> Result<(), String> {
    if let Some((index, span)) = spans.iter().enumerate().skip(1).find(|(_, span)| span.offset < 0) {
        return Err(format!(
            "{side} side: span number {} with offset {}: histogram has a span whose offset is negative",
            index + 1,
            span.offset
        ));
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != buckets.len() as u64 {
        let have = buckets.len();
        return Err(format!(
            "{side} side: spans need {needed} buckets, have {have} buckets: histogram spans specify different number of buckets than provided"
        ));
    }
    match buckets.iter().position(|count| *count < 0.0) {
        Some(index) => Err(format!(
            "{side} side: bucket number {} has observation count of {}: histogram has a bucket whose observation count is negative",
            index + 1,
            buckets[index]
        )),
        None => Ok(()),
    }
}

fn check(value: &Histogram, float: bool) -> Result<(), String> {
    match value.schema {
        CUSTOM_BUCKETS_SCHEMA => check_custom(value)?,
        SCHEMA_MIN..=SCHEMA_REDUCIBLE_MAX if value.custom_values.is_empty() => {}
        SCHEMA_MIN..=SCHEMA_REDUCIBLE_MAX => {
            return Err("histogram with exponential schema must not have custom bounds".to_owned());
        }
        schema => return Err(format!("histogram has an invalid schema: {schema}")),
    }
    if value.zero_count < 0.0 || value.count < 0.0 {
        return Err(format!("histogram has a negative count: {} and zero bucket {}", value.count, value.zero_count));
    }
    let found: f64 = value.positive_buckets.iter().chain(&value.negative_buckets).sum::<f64>() + value.zero_count;
    // Float counts may differ by rounding; integer counts are exact, but for observations of NaN, which no bucket holds.
    let wrong = if value.sum.is_nan() { value.count < found } else { value.count != found };
    if !float && wrong {
        let count = value.count;
        return Err(format!(
            "{found} observations found in buckets, but the Count field is {count}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
        ));
    }
    Ok(())
}

fn check_custom(value: &Histogram) -> Result<(), String> {
    let bounds = &value.custom_values;
    if bounds.iter().any(|bound| !bound.is_finite()) || bounds.windows(2).any(|two| two[0] >= two[1]) {
        return Err("histogram custom bounds must be finite and strictly increasing".to_owned());
    }
    if value.zero_count != 0.0
        || value.zero_threshold != 0.0
        || !value.negative_spans.is_empty()
        || !value.negative_buckets.is_empty()
    {
        return Err("custom buckets: must have no zero bucket and no negative buckets".to_owned());
    }
    let end: i64 = value.positive_spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
    let first = value.positive_spans.first().map_or(0, |span| span.offset);
    if first < 0 || end > bounds.len() as i64 + 1 {
        return Err(format!("custom buckets: spans reach bucket {end}, there are {} bounds", bounds.len()));
    }
    Ok(())
}

/// Reduces an exponential histogram to the finest schema we keep: neighbouring buckets become one.
pub(crate) fn reduce(value: &mut Histogram) {
    let by = (value.schema - SCHEMA_MAX) as u32;
    (value.positive_spans, value.positive_buckets) = reduce_side(&value.positive_spans, &value.positive_buckets, by);
    (value.negative_spans, value.negative_buckets) = reduce_side(&value.negative_spans, &value.negative_buckets, by);
    value.schema = SCHEMA_MAX;
}

fn reduce_side(spans: &[Span], buckets: &[f64], by: u32) -> (Vec<Span>, Vec<f64>) {
    let (mut to_spans, mut to_buckets): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let (mut index, mut next, mut counts) = (0i64, 0i64, buckets.iter());
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            let target = ((index - 1) >> by) + 1;
            index += 1;
            match (to_spans.last_mut(), to_buckets.last_mut()) {
                (Some(_), Some(last)) if target == next - 1 => *last += count,
                (Some(open), _) if target == next => {
                    open.length += 1;
                    to_buckets.push(*count);
                }
                _ => {
                    to_spans.push(Span { offset: (target - next) as i32, length: 1 });
                    to_buckets.push(*count);
                }
            }
            next = target + 1;
        }
    }
    (to_spans, to_buckets)
}
