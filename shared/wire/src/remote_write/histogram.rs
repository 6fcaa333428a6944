//! Native histograms of both versions: integer and float counts, exponential and custom buckets, validated as Prometheus does.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, SCHEMA_MAX, SCHEMA_MIN};
use model::{CounterResetHint, Histogram, Span, TimestampMs, go_float};

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

/// Checks that a histogram does not contradict itself, in upstream's order and words (`Validate`); `float` allows for rounding of its
/// counts.
pub(crate) fn verify(value: &Histogram, float: bool) -> Result<(), String> {
    let sides = [
        ("positive", &value.positive_spans, &value.positive_buckets),
        ("negative", &value.negative_spans, &value.negative_buckets),
    ];
    let spans = || sides.iter().try_for_each(|(side, spans, buckets)| on_side(side, check_spans(spans, buckets, 1)));
    let counts = |(side, _, buckets): (&str, _, &Vec<f64>)| on_side(side, check_counts(buckets));
    if value.is_stale() {
        return spans();
    }
    match value.schema {
        CUSTOM_BUCKETS_SCHEMA => check_custom(value)?,
        SCHEMA_MIN..=SCHEMA_REDUCIBLE_MAX => {
            spans()?;
            counts(sides[1])?;
            if value.zero_count < 0.0 {
                return Err(format!("zero bucket has observation count of {}: {NEGATIVE_BUCKET}", count(value.zero_count)));
            }
            if !value.custom_values.is_empty() {
                return Err("histogram with exponential schema must not have custom bounds".to_owned());
            }
        }
        schema => {
            return Err(format!(
                "histogram has an invalid schema, which must be between {SCHEMA_MIN} and {SCHEMA_MAX} for exponential buckets, or \
                 {CUSTOM_BUCKETS_SCHEMA} for custom buckets, got schema {schema}"
            ));
        }
    }
    if value.count < 0.0 {
        // Two blanks, as upstream.
        return Err(format!("observation count is  {}: histogram's observation count is negative", count(value.count)));
    }
    counts(sides[0])?;
    if float { Ok(()) } else { check_sum(value) }
}

const NEGATIVE_BUCKET: &str = "histogram has a bucket whose observation count is negative";

fn on_side(side: &str, checked: Result<(), String>) -> Result<(), String> {
    checked.map_err(|reason| format!("{side} side: {reason}"))
}

/// Prints a count as Go's `%v`.
fn count(value: f64) -> String {
    model::go_float::general(value, 21)
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

/// Checks spans against the buckets they cover; offsets from the `first_relative`th span on are distances and not negative.
fn check_spans(spans: &[Span], buckets: &[f64], first_relative: usize) -> Result<(), String> {
    if let Some((index, span)) = spans.iter().enumerate().skip(first_relative).find(|(_, span)| span.offset < 0) {
        let number = index + 1;
        return Err(format!("span number {number} with offset {}: histogram has a span whose offset is negative", span.offset));
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    match needed == buckets.len() as u64 {
        true => Ok(()),
        false => Err(format!(
            "spans need {needed} buckets, have {} buckets: histogram spans specify different number of buckets than provided",
            buckets.len()
        )),
    }
}

fn check_counts(buckets: &[f64]) -> Result<(), String> {
    match buckets.iter().position(|count| *count < 0.0) {
        Some(index) => {
            let number = index + 1;
            Err(format!("bucket number {number} has observation count of {}: {NEGATIVE_BUCKET}", count(buckets[index])))
        }
        None => Ok(()),
    }
}

/// Checks the count against the buckets: integers are exact, but for observations of NaN, which no bucket holds.
fn check_sum(value: &Histogram) -> Result<(), String> {
    let found: f64 = value.positive_buckets.iter().chain(&value.negative_buckets).sum::<f64>() + value.zero_count;
    let (wrong, rule) = match value.sum.is_nan() {
        true => (value.count < found, "be at least the number of observations found in the buckets"),
        false => (value.count != found, "equal the number of observations found in the buckets (in absence of NaN)"),
    };
    match wrong {
        false => Ok(()),
        true => Err(format!(
            "{found} observations found in buckets, but the Count field is {}: histogram's observation count should {rule}",
            value.count
        )),
    }
}

fn check_custom(value: &Histogram) -> Result<(), String> {
    check_bounds(value).map_err(|reason| format!("custom buckets: {reason}"))?;
    let rules = [
        (value.zero_count != 0.0, "must have zero count of 0"),
        (value.zero_threshold != 0.0, "must have zero threshold of 0"),
        (!value.negative_spans.is_empty(), "must not have negative spans"),
        (!value.negative_buckets.is_empty(), "must not have negative buckets"),
    ];
    match rules.into_iter().find(|(is_broken, _)| *is_broken) {
        Some((_, rule)) => Err(format!("custom buckets: {rule}")),
        None => Ok(()),
    }
}

fn check_bounds(value: &Histogram) -> Result<(), String> {
    let bounds = &value.custom_values;
    for (at, bound) in bounds.iter().enumerate() {
        if bound.is_nan() {
            return Err("histogram custom bounds must not be NaN".to_owned());
        }
        if let Some(previous) = at.checked_sub(1).map(|before| bounds[before]).filter(|previous| bound <= previous) {
            let text = |bound: f64| if bound.is_finite() { format!("{bound:.6}") } else { go_float::plain(bound) };
            let (previous, bound) = (text(previous), text(*bound));
            return Err(format!(
                "previous bound is {previous} and current is {bound}: histogram custom bounds must be in strictly increasing \
                 order"
            ));
        }
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite".to_owned());
    }
    check_spans(&value.positive_spans, &value.positive_buckets, 0)?;
    let end: i64 = value.positive_spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
    match end > bounds.len() as i64 + 1 {
        false => Ok(()),
        true => Err(format!(
            "only {} custom bounds defined which is insufficient to cover total span length of {end}: histogram custom bounds are \
             too few",
            bounds.len()
        )),
    }
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
