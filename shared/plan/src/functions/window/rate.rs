//! `rate`, `increase`, `delta`: extrapolated to the edges of the window (upstream `extrapolatedRate`).

use std::sync::Arc;

use model::{CounterResetHint, Histogram};

use super::{Answer, Outcome, Window, number};
use crate::annotations::{self as texts, Annotations};
use crate::functions::histogram::{self as native, IncompatibleSchema};
use crate::logical::Function;
use crate::value::{HistogramSample, StepValue};

/// Whether a start timestamp says that a counter was reset between two samples.
pub(super) fn start_reset(previous_start: i64, previous: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < previous {
        return false;
    }
    start > previous || (previous_start <= previous && previous_start != 0 && previous_start != previous)
}

fn overlaps(previous_start: i64, previous: i64, start: i64) -> bool {
    start != 0 && start < previous && start != previous_start
}

pub(super) fn rate(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
    let counter = o.function != Function::Delta;
    if !w.values.is_empty() && !w.histograms.is_empty() {
        annos.warn(texts::mixed_floats_histograms(o.name), o.span);
        return Ok(None);
    }
    let times: Vec<i64> =
        if w.values.is_empty() { w.histograms.iter().map(|h| h.timestamp).collect() } else { w.timestamps.to_vec() };
    let starts: Vec<i64> = match (o.start_timestamps && counter, w.values.is_empty()) {
        (false, _) => Vec::new(),
        (true, true) => w.histograms.iter().map(|h| h.start_timestamp).collect(),
        (true, false) => w.start_timestamps.to_vec(),
    };
    let last = times.len() - 1;
    let mut result = 0.0;
    let mut histogram = None;
    if w.values.is_empty() {
        if last > 0 {
            histogram = histogram_rate(o, w.histograms, &starts, counter, annos);
            if histogram.is_none() {
                return Ok(None);
            }
        }
    } else {
        result = w.values[last] - w.values[0];
        let mut warned = false;
        for i in (1..=last).filter(|_| counter) {
            let known = i < starts.len();
            if known && !warned && overlaps(starts[i - 1], times[i - 1], starts[i]) {
                annos.start_time_overlap(o.name, o.span);
                warned = true;
            }
            if w.values[i] < w.values[i - 1] || (known && start_reset(starts[i - 1], times[i - 1], starts[i], times[i])) {
                result += w.values[i - 1];
            }
        }
    }
    let mut to_start = (times[0] - o.start) as f64 / 1000.0;
    let mut to_end = (o.end - times[last]) as f64 / 1000.0;
    let mut sampled = (times[last] - times[0]) as f64 / 1000.0;
    let average = if last > 0 { sampled / (last + o.left_out) as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if let Some(&start) = starts.first().filter(|s| **s != 0 && **s > o.start && **s < times[0]) {
        to_start = 0.0;
        sampled = (times[last] - start) as f64 / 1000.0;
        if w.values.is_empty() {
            let first = &w.histograms[0].histogram;
            histogram = Some(match histogram {
                None => (**first).clone(),
                Some(h) => match added(&h, first, o, annos) {
                    Some(h) => h,
                    None => return Ok(None),
                },
            });
        } else {
            result += w.values[0];
        }
    } else if last == 0 {
        return Ok(None);
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if counter {
            let to_zero = match &histogram {
                None if result > 0.0 && w.values[0] >= 0.0 => sampled * (w.values[0] / result),
                Some(h) if h.count > 0.0 && w.histograms[0].histogram.count >= 0.0 => {
                    sampled * (w.histograms[0].histogram.count / h.count)
                }
                _ => to_start,
            };
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if o.function == Function::Rate {
        factor /= o.range_seconds;
    }
    match histogram {
        None => number(result * factor),
        Some(mut h) => {
            native::scale(&mut h, factor);
            Ok(Some(StepValue::Histogram(Arc::new(h))))
        }
    }
}

pub(super) fn added(a: &Histogram, b: &Histogram, o: &Outcome<'_>, annos: &mut Annotations) -> Option<Histogram> {
    combined(native::add(a, b), "addition", o, annos)
}

pub(super) fn subtracted(a: &Histogram, b: &Histogram, o: &Outcome<'_>, annos: &mut Annotations) -> Option<Histogram> {
    combined(native::sub(a, b), "subtraction", o, annos)
}

fn combined(
    result: Result<(Histogram, native::Combined), IncompatibleSchema>,
    operation: &str,
    o: &Outcome<'_>,
    annos: &mut Annotations,
) -> Option<Histogram> {
    match result {
        Ok((h, note)) => {
            if note.reconciled {
                annos.info(texts::mismatched_buckets(operation), o.span);
            }
            Some(h)
        }
        Err(IncompatibleSchema) => {
            annos.warn(texts::mixed_schemas(o.name), o.span);
            None
        }
    }
}

fn histogram_rate(
    o: &Outcome<'_>,
    points: &[HistogramSample],
    starts: &[i64],
    counter: bool,
    annos: &mut Annotations,
) -> Option<Histogram> {
    let (first, last) = (&points[0].histogram, &points[points.len() - 1].histogram);
    let gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if counter && (gauge(first) || gauge(last)) {
        annos.warn(texts::not_counter(o.name), o.span);
    }
    let mut previous: Histogram = (**first).clone();
    let reset_at =
        |i: usize| i < starts.len() && start_reset(starts[i - 1], points[i - 1].timestamp, starts[i], points[i].timestamp);
    if counter {
        let second = &points[1].histogram;
        if reset_at(1) || native::detect_reset(second, &previous) {
            previous = Histogram { schema: second.schema, custom_values: second.custom_values.clone(), ..Histogram::default() };
        }
    }
    let custom = previous.uses_custom_buckets();
    if last.uses_custom_buckets() != custom {
        annos.warn(texts::mixed_schemas(o.name), o.span);
        return None;
    }
    let mut schema = last.schema.min(previous.schema);
    if counter {
        for point in &points[1..points.len() - 1] {
            let h = &point.histogram;
            if gauge(h) {
                annos.warn(texts::not_counter(o.name), o.span);
            }
            schema = schema.min(h.schema);
            if h.uses_custom_buckets() != custom {
                annos.warn(texts::mixed_schemas(o.name), o.span);
                return None;
            }
        }
    }
    let mut h = subtracted(&native::to_schema(last, schema), &previous, o, annos)?;
    if counter {
        let mut warned = false;
        for (i, point) in points.iter().enumerate().skip(1) {
            if !warned && i < starts.len() && overlaps(starts[i - 1], points[i - 1].timestamp, starts[i]) {
                annos.start_time_overlap(o.name, o.span);
                warned = true;
            }
            if reset_at(i) || native::detect_reset(&point.histogram, &previous) {
                h = added(&h, &previous, o, annos)?;
            }
            previous = (*point.histogram).clone();
        }
    } else if !gauge(first) || !gauge(last) {
        annos.warn(texts::not_gauge(o.name), o.span);
    }
    h.counter_reset_hint = CounterResetHint::Gauge;
    Some(h)
}
