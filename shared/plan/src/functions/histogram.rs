//! Native histogram arithmetic (upstream `model/histogram`): buckets are handled as sorted `(index, count)` pairs.

mod estimate;
mod trim;

use std::collections::BTreeMap;
use std::fmt::Write;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
pub use model::histogram::{bound, entries};
use model::{CounterResetHint, Histogram, Span};

use super::exponent::log2;
use super::float::Kahan;
use super::format::general;

pub use estimate::{NanNote, fraction, quantile, variance};
pub use trim::trim;

/// The histograms cannot be combined: one has exponential, the other custom buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IncompatibleSchema;

/// What happened while two histograms were combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Combined {
    /// One says "reset", the other "no reset".
    pub collision: bool,
    /// Custom bounds differed and were intersected.
    pub reconciled: bool,
}

/// Spans and buckets of sorted pairs; empty buckets are kept.
fn from_entries(pairs: impl Iterator<Item = (i64, f64)>) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut buckets, mut next) = (Vec::<Span>::new(), Vec::new(), 0i64);
    for (index, count) in pairs {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
        }
        buckets.push(count);
        next = index + 1;
    }
    (spans, buckets)
}

/// Drops empty buckets and joins spans (upstream `Compact(0)`).
pub fn compact(h: &mut Histogram) {
    let (spans, buckets) = from_entries(entries(&h.positive_spans, &h.positive_buckets).filter(|(_, c)| *c != 0.0));
    (h.positive_spans, h.positive_buckets) = (spans, buckets);
    let (spans, buckets) = from_entries(entries(&h.negative_spans, &h.negative_buckets).filter(|(_, c)| *c != 0.0));
    (h.negative_spans, h.negative_buckets) = (spans, buckets);
}

/// Multiplies everything; a negative factor makes a gauge.
pub fn scale(h: &mut Histogram, factor: f64) {
    map(h, |v| v * factor);
    if factor < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

/// Divides everything; by zero removes all buckets.
pub fn divide(h: &mut Histogram, by: f64) {
    map(h, |v| v / by);
    if by == 0.0 {
        (h.positive_spans, h.positive_buckets, h.negative_spans, h.negative_buckets) = Default::default();
    } else if by < 0.0 {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
}

fn map(h: &mut Histogram, f: impl Fn(f64) -> f64) {
    h.zero_count = f(h.zero_count);
    h.count = f(h.count);
    h.sum = f(h.sum);
    h.positive_buckets.iter_mut().chain(&mut h.negative_buckets).for_each(|v| *v = f(*v));
}

/// Size in samples, as `samples_max` counts (upstream `HPoint.size`).
pub fn sample_size(h: &Histogram) -> usize {
    let slots = h.positive_spans.len()
        + h.negative_spans.len()
        + h.positive_buckets.len()
        + h.negative_buckets.len()
        + h.custom_values.len();
    (168 + 8 * slots + 8) / 16
}

fn target(index: i64, from: i32, to: i32) -> i64 {
    ((index - 1) >> (from - to)) + 1
}

type Cells = BTreeMap<i64, Kahan>;

/// A histogram in the making: every number with its Kahan compensation.
#[derive(Clone, Debug)]
pub struct Accumulator {
    hint: CounterResetHint,
    schema: i32,
    zero_threshold: f64,
    zero: Kahan,
    count: Kahan,
    sum: Kahan,
    positive: Cells,
    negative: Cells,
    custom: Vec<f64>,
    plain: bool,
}

impl Accumulator {
    /// Starts with a histogram; sums are compensated.
    pub fn new(h: &Histogram) -> Accumulator {
        let cell = |sum| Kahan { sum, c: 0.0 };
        let cells = |spans, buckets| entries(spans, buckets).map(|(i, v)| (i, cell(v))).collect();
        Accumulator {
            hint: h.counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero: cell(h.zero_count),
            count: cell(h.count),
            sum: cell(h.sum),
            positive: cells(&h.positive_spans, &h.positive_buckets),
            negative: cells(&h.negative_spans, &h.negative_buckets),
            custom: h.custom_values.clone(),
            plain: false,
        }
    }

    fn plain(h: &Histogram) -> Accumulator {
        Accumulator { plain: true, ..Accumulator::new(h) }
    }

    fn inc(&self, mut cell: Kahan, value: f64) -> Kahan {
        if self.plain {
            cell.sum += value;
        } else {
            cell.add(value);
        }
        cell
    }

    /// Adds (`sign` 1) or subtracts (`sign` -1) a histogram.
    pub fn add(&mut self, other: &Histogram, sign: f64) -> Result<Combined, IncompatibleSchema> {
        let custom = self.schema == CUSTOM_BUCKETS_SCHEMA;
        if custom != other.uses_custom_buckets() {
            return Err(IncompatibleSchema);
        }
        let mut combined = Combined { collision: self.adjust_hint(other.counter_reset_hint), reconciled: false };
        if !custom {
            let zero = self.reconcile_zero(other);
            self.zero = self.inc(self.zero, sign * zero);
        }
        self.count = self.inc(self.count, sign * other.count);
        self.sum = self.inc(self.sum, sign * other.sum);
        if custom {
            combined.reconciled = self.custom != other.custom_values;
            if combined.reconciled {
                self.add_reconciled(other, sign);
                return Ok(combined);
            }
        } else if other.schema < self.schema {
            let (from, to) = (self.schema, other.schema);
            self.positive = self.reduced(&self.positive, from, to);
            self.negative = self.reduced(&self.negative, from, to);
            self.schema = to;
        }
        for positive in [true, false] {
            let (spans, buckets) = side(other, positive);
            let mut merged = BTreeMap::<i64, Kahan>::new();
            for (index, value) in entries(spans, buckets) {
                let index = if custom { index } else { target(index, other.schema, self.schema) };
                match merged.get_mut(&index) {
                    Some(cell) => *cell = self.inc(*cell, value),
                    None => drop(merged.insert(index, Kahan { sum: value, c: 0.0 })),
                }
            }
            let mut below = !custom;
            for (index, cell) in merged {
                below = below && bound(index, self.schema, &[]) <= self.zero_threshold;
                if below {
                    continue;
                }
                let cells = if positive { &self.positive } else { &self.negative };
                let sum = match cells.get(&index) {
                    Some(old) => {
                        let sum = self.inc(*old, sign * cell.sum);
                        if cell.c != 0.0 { self.inc(sum, sign * cell.c) } else { sum }
                    }
                    None => Kahan { sum: sign * cell.sum, c: sign * cell.c },
                };
                if positive { &mut self.positive } else { &mut self.negative }.insert(index, sum);
            }
        }
        Ok(combined)
    }

    fn add_reconciled(&mut self, other: &Histogram, sign: f64) {
        let bounds: Vec<f64> = self.custom.iter().copied().filter(|b| other.custom_values.contains(b)).collect();
        let place = |index: i64, from: &[f64]| match usize::try_from(index).ok().and_then(|i| from.get(i)) {
            Some(upper) => bounds.iter().position(|b| b >= upper).unwrap_or(bounds.len()) as i64,
            None => bounds.len() as i64,
        };
        let mut cells = Cells::new();
        for (index, cell) in &self.positive {
            let target = cells.entry(place(*index, &self.custom)).or_default();
            target.add(cell.sum);
            target.add(cell.c);
        }
        for (index, value) in entries(&other.positive_spans, &other.positive_buckets) {
            cells.entry(place(index, &other.custom_values)).or_default().add(sign * value);
        }
        if self.plain {
            cells.values_mut().for_each(|cell| cell.c = 0.0);
        }
        self.positive = cells;
        self.custom = bounds;
    }

    fn reduced(&self, cells: &Cells, from: i32, to: i32) -> Cells {
        let mut out = Cells::new();
        for (index, cell) in cells {
            let index = target(*index, from, to);
            let merged = match out.get(&index) {
                Some(old) => self.inc(self.inc(*old, cell.sum), cell.c),
                None => *cell,
            };
            out.insert(index, merged);
        }
        out
    }

    fn adjust_hint(&mut self, other: CounterResetHint) -> bool {
        use CounterResetHint::*;
        match (self.hint, other) {
            (a, b) if a == b => {}
            (Gauge, _) => {}
            (_, Gauge) => self.hint = Gauge,
            (Unknown, _) => {}
            (_, Unknown) => self.hint = Unknown,
            _ => {
                self.hint = Unknown;
                return true;
            }
        }
        false
    }

    /// Widens the zero bucket until it fits both; returns the other's zero count then.
    fn reconcile_zero(&mut self, other: &Histogram) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (count, threshold) = zero_count_for(other, self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                let mut flat = self.clone().finish();
                let (own, widened) = zero_count_for(&flat, threshold);
                flat.zero_threshold = widened;
                self.zero = Kahan { sum: own, c: 0.0 };
                self.zero_threshold = widened;
                let schema = self.schema;
                self.positive.retain(|index, _| bound(index - 1, schema, &[]) >= widened);
                self.negative.retain(|index, _| bound(index - 1, schema, &[]) >= widened);
            }
            if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        count
    }

    /// Scales all numbers, compensation included.
    pub fn scale(&mut self, f: impl Fn(f64) -> f64) {
        let apply = |cell: &mut Kahan| *cell = Kahan { sum: f(cell.sum), c: f(cell.c) };
        [&mut self.zero, &mut self.count, &mut self.sum].into_iter().for_each(apply);
        self.positive.values_mut().chain(self.negative.values_mut()).for_each(apply);
    }

    /// Reports whether any number is infinite.
    pub fn overflows(&self) -> bool {
        let cells = self.positive.values().chain(self.negative.values()).chain([&self.zero, &self.count, &self.sum]);
        cells.into_iter().any(|cell| cell.sum.is_infinite()) || self.custom.iter().any(|v| v.is_infinite())
    }

    /// Returns the histogram, compensation applied, compacted.
    pub fn finish(self) -> Histogram {
        let plain = self.plain;
        let total = move |cell: Kahan| if plain { cell.sum } else { cell.total() };
        let cells = |cells: Cells| from_entries(cells.into_iter().map(|(i, cell)| (i, total(cell))).filter(|(_, v)| *v != 0.0));
        let (positive_spans, positive_buckets) = cells(self.positive);
        let (negative_spans, negative_buckets) = cells(self.negative);
        Histogram {
            counter_reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: total(self.zero),
            count: total(self.count),
            sum: total(self.sum),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: self.custom,
        }
    }
}

fn side(h: &Histogram, positive: bool) -> (&[Span], &[f64]) {
    if positive { (&h.positive_spans, &h.positive_buckets) } else { (&h.negative_spans, &h.negative_buckets) }
}

/// Zero count under a larger threshold; the threshold grows to the end of a populated bucket it falls into.
fn zero_count_for(h: &Histogram, mut larger: f64) -> (f64, f64) {
    if larger <= h.zero_threshold || larger.is_nan() {
        return (h.zero_count, larger);
    }
    'outer: loop {
        let mut zero = Kahan { sum: h.zero_count, c: 0.0 };
        for positive in [true, false] {
            let (spans, buckets) = side(h, positive);
            for (index, count) in entries(spans, buckets) {
                let (lower, upper) = (bound(index - 1, h.schema, &[]), bound(index, h.schema, &[]));
                if lower >= larger {
                    break;
                }
                zero.add(count);
                if upper > larger {
                    if count != 0.0 {
                        larger = upper;
                        if !positive {
                            continue 'outer;
                        }
                    }
                    break;
                }
            }
        }
        return (zero.sum, larger);
    }
}

/// `a + b`, compacted.
pub fn add(a: &Histogram, b: &Histogram) -> Result<(Histogram, Combined), IncompatibleSchema> {
    let mut acc = Accumulator::plain(a);
    let combined = acc.add(b, 1.0)?;
    Ok((acc.finish(), combined))
}

/// `a - b`, compacted; the hint is combined as in an addition.
pub fn sub(a: &Histogram, b: &Histogram) -> Result<(Histogram, Combined), IncompatibleSchema> {
    let mut acc = Accumulator::plain(a);
    let combined = acc.add(b, -1.0)?;
    Ok((acc.finish(), combined))
}

/// Reduces to a coarser schema, compacted; the hint is forgotten if that changes anything.
pub fn to_schema(h: &Histogram, schema: i32) -> Histogram {
    if schema >= h.schema || h.uses_custom_buckets() {
        return h.clone();
    }
    let mut acc = Accumulator::plain(h);
    acc.positive = acc.reduced(&acc.positive, h.schema, schema);
    acc.negative = acc.reduced(&acc.negative, h.schema, schema);
    acc.schema = schema;
    acc.hint = CounterResetHint::Unknown;
    acc.finish()
}

/// Reports whether the histograms are the same data, bit for bit (upstream `Equals`).
pub fn equals(a: &Histogram, b: &Histogram) -> bool {
    let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let sides = |x: bool| {
        let ((sa, ba), (sb, bb)) = (side(a, x), side(b, x));
        ba.len() == bb.len() && entries(sa, ba).zip(entries(sb, bb)).all(|(p, q)| p.0 == q.0 && bits(p.1, q.1))
    };
    a.schema == b.schema
        && bits(a.count, b.count)
        && bits(a.sum, b.sum)
        && a.zero_threshold == b.zero_threshold
        && bits(a.zero_count, b.zero_count)
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && sides(true)
        && sides(false)
}

/// Reports whether a counter reset lies between two histograms (upstream `DetectReset`).
pub fn detect_reset(h: &Histogram, previous: &Histogram) -> bool {
    match h.counter_reset_hint {
        CounterResetHint::Reset => return true,
        CounterResetHint::NotReset => return false,
        CounterResetHint::Unknown | CounterResetHint::Gauge => {}
    }
    if h.count < previous.count {
        return true;
    }
    if h.uses_custom_buckets() {
        if !previous.uses_custom_buckets() {
            return true;
        }
        if h.custom_values != previous.custom_values {
            return reset_of_reconciled(h, previous);
        }
    }
    if h.schema > previous.schema || h.zero_threshold < previous.zero_threshold {
        return true;
    }
    let (zero, threshold) = zero_count_for(previous, h.zero_threshold);
    if threshold != h.zero_threshold || h.zero_count < zero {
        return true;
    }
    [true, false].into_iter().any(|positive| {
        let cells = |h: &Histogram, from: i32, to: i32| -> BTreeMap<i64, f64> {
            let (spans, buckets) = side(h, positive);
            let mut out = BTreeMap::new();
            for (index, count) in entries(spans, buckets) {
                *out.entry(if from == to { index } else { target(index, from, to) }).or_insert(0.0) += count;
            }
            out
        };
        let (now, then) = (cells(h, h.schema, h.schema), cells(previous, previous.schema, h.schema));
        let inside =
            |index: i64| !h.uses_custom_buckets() && h.zero_threshold > 0.0 && bound(index, h.schema, &[]) <= h.zero_threshold;
        then.into_iter().filter(|(index, _)| !inside(*index)).any(|(index, count)| match now.get(&index) {
            Some(current) => *current < count,
            None => count != 0.0,
        })
    })
}

fn reset_of_reconciled(h: &Histogram, previous: &Histogram) -> bool {
    let bounds: Vec<f64> =
        h.custom_values.iter().copied().filter(|b| previous.custom_values.contains(b)).chain([f64::INFINITY]).collect();
    let rolled = |h: &Histogram| {
        let mut out = vec![0.0; bounds.len()];
        for (index, count) in entries(&h.positive_spans, &h.positive_buckets) {
            let upper = bound(index, h.schema, &h.custom_values);
            out[bounds.iter().position(|b| *b >= upper).unwrap_or(bounds.len() - 1)] += count;
        }
        out
    };
    rolled(h).iter().zip(rolled(previous)).any(|(now, then)| *now < then)
}

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Observations.
    pub count: f64,
    /// Whether the lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to the bucket.
    pub upper_inclusive: bool,
}

impl Bucket {
    fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, v2) = (log2(self.lower.abs()), log2(self.upper.abs()), log2(v.abs()));
        if v > 0.0 { (v2 - lower) / (upper - lower) } else { 1.0 - ((v2 - upper) / (lower - upper)) }
    }
}

/// All positive (or negative) buckets, from zero outwards.
pub fn side_buckets(h: &Histogram, positive: bool) -> Vec<Bucket> {
    let (spans, buckets) = side(h, positive);
    let custom = h.uses_custom_buckets();
    let of = |(index, count): (i64, f64)| {
        let (near, far) = (bound(index - 1, h.schema, &h.custom_values), bound(index, h.schema, &h.custom_values));
        let (lower, upper) = if positive { (near, far) } else { (-far, -near) };
        let lower_inclusive = if custom { index == 0 } else { lower < 0.0 };
        Bucket { lower, upper, count, lower_inclusive, upper_inclusive: custom || upper > 0.0 }
    };
    entries(spans, buckets).map(of).collect()
}

/// All buckets in ascending order; the zero bucket only where populated, its neighbours cut to its threshold.
pub fn buckets(h: &Histogram) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = side_buckets(h, false).into_iter().rev().collect();
    if h.zero_count > 0.0 {
        let t = h.zero_threshold;
        out.push(Bucket { lower: -t, upper: t, count: h.zero_count, lower_inclusive: true, upper_inclusive: true });
    }
    let zero_at = out.len();
    out.extend(side_buckets(h, true));
    for (index, bucket) in out.iter_mut().enumerate() {
        if h.zero_count > 0.0 && index + 1 == zero_at {
            continue;
        }
        if bucket.upper < 0.0 && bucket.upper > -h.zero_threshold {
            bucket.upper = -h.zero_threshold;
        } else if bucket.lower > 0.0 && bucket.lower < h.zero_threshold {
            bucket.lower = h.zero_threshold;
        }
    }
    out
}

/// Prints as Prometheus does (label values of `count_values`).
pub fn text(h: &Histogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", general(h.count), general(h.sum));
    let mut uncut = h.clone();
    uncut.zero_threshold = 0.0;
    let t = h.zero_threshold;
    let zero = Bucket { lower: -t, upper: t, count: h.zero_count, lower_inclusive: true, upper_inclusive: true };
    let all = side_buckets(h, false).into_iter().rev().chain([zero]).chain(side_buckets(h, true));
    for b in all.filter(|b| b.count != 0.0) {
        let (open, close) = (if b.lower_inclusive { '[' } else { '(' }, if b.upper_inclusive { ']' } else { ')' });
        let _ = write!(out, ", {open}{},{}{close}:{}", general(b.lower), general(b.upper), general(b.count));
    }
    out.push('}');
    out
}
