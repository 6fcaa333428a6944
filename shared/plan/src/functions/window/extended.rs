//! Windows of `smoothed` and `anchored` selectors, whose boundaries have values of their own.

use std::sync::Arc;

use model::{CounterResetHint, Histogram};

use super::rate::{added, subtracted};
use super::{Answer, Outcome, Window, number};
use crate::annotations::{self as texts, Annotations};
use crate::functions::histogram::{self as native, IncompatibleSchema};
use crate::logical::{Extension, Function, Span};
use crate::value::{HistogramSample, StepValue};

/// Linear interpolation; a counter that was reset in between starts from zero.
pub fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let y = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    y + (b.1 - y) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// Linear interpolation between histograms.
pub fn interpolate_histograms(
    a: &HistogramSample,
    b: &HistogramSample,
    t: i64,
    counter: bool,
    annos: &mut Annotations,
    span: Span,
) -> Result<Histogram, IncompatibleSchema> {
    if t == a.timestamp {
        return Ok((*a.histogram).clone());
    }
    if t == b.timestamp {
        return Ok((*b.histogram).clone());
    }
    let fraction = (t - a.timestamp) as f64 / (b.timestamp - a.timestamp) as f64;
    let mut result = (*b.histogram).clone();
    if counter && native::detect_reset(&b.histogram, &a.histogram) {
        native::scale(&mut result, fraction);
        return Ok(result);
    }
    let (mut result, note) = native::sub(&result, &a.histogram)?;
    if note.reconciled {
        annos.info(texts::mismatched_buckets("subtraction"), span);
    }
    native::scale(&mut result, fraction);
    let (result, note) = native::add(&result, &a.histogram)?;
    if note.reconciled {
        annos.info(texts::mismatched_buckets("addition"), span);
    }
    Ok(result)
}

/// First and last sample that count: the one at or before the start, and (smoothed) the first at or after the end.
fn boundaries(times: &[i64], start: i64, end: i64, smoothed: bool) -> Option<(usize, usize)> {
    let last = times.len() - 1;
    let first = times[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { times[..last].partition_point(|t| *t < end) } else { last };
    (times[last] > start && !(smoothed && times[first] > end)).then_some((first, last))
}

fn left_of(w: &Window<'_>, first: usize, start: i64, smoothed: bool, counter: bool) -> f64 {
    let at = |i: usize| (w.timestamps[i], w.values[i]);
    if smoothed && w.timestamps[first] < start { interpolate(at(first), at(first + 1), start, counter) } else { w.values[first] }
}

fn right_of(w: &Window<'_>, last: usize, end: i64, smoothed: bool, counter: bool) -> f64 {
    let at = |i: usize| (w.timestamps[i], w.values[i]);
    if smoothed && last > 0 && w.timestamps[last] > end {
        interpolate(at(last - 1), at(last), end, counter)
    } else {
        w.values[last]
    }
}

/// Samples of an extended range vector with its boundary values.
pub fn extend(w: &Window<'_>, start: i64, end: i64, smoothed: bool) -> (Vec<i64>, Vec<f64>) {
    let last = w.timestamps.len() - 1;
    let first = w.timestamps[..last].partition_point(|t| *t <= start).saturating_sub(1);
    let last = if smoothed { w.timestamps[..last].partition_point(|t| *t < end) } else { last };
    if w.timestamps[last] <= start {
        return (Vec::new(), Vec::new());
    }
    let (left, right) = (left_of(w, first, start, smoothed, false), right_of(w, last, end, smoothed, false));
    let (mut times, mut values) = (vec![start], vec![left]);
    for i in (first..=last).filter(|i| w.timestamps[*i] > start && w.timestamps[*i] < end) {
        times.push(w.timestamps[i]);
        values.push(w.values[i]);
    }
    times.push(end);
    values.push(right);
    (times, values)
}

pub(super) fn extended_rate(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
    let counter = o.function != Function::Delta;
    let smoothed = o.extension == Extension::Smoothed;
    if !w.values.is_empty() && !w.histograms.is_empty() {
        annos.warn(texts::mixed_floats_histograms(o.name), o.span);
        return Ok(None);
    }
    if w.values.is_empty() {
        return Ok(extended_histogram_rate(o, w.histograms, counter, smoothed, annos));
    }
    let Some((mut first, last)) = boundaries(w.timestamps, o.start, o.end, smoothed) else { return Ok(None) };
    let left = left_of(&w, first, o.start, smoothed, counter);
    let right = right_of(&w, last, o.end, smoothed, counter);
    let mut result = right - left;
    if counter {
        if w.timestamps[first] <= o.start {
            first += 1;
        }
        let end = if w.timestamps[last] >= o.end { last } else { last + 1 };
        let mut previous = left;
        let inner = if first < end { &w.values[first..end] } else { &[][..] };
        let mut correction = 0.0;
        for value in inner {
            if *value < previous {
                correction += previous;
            }
            previous = *value;
        }
        if right < previous {
            correction += previous;
        }
        result += correction;
    }
    number(if o.function == Function::Rate { result / o.range_seconds } else { result })
}

fn extended_histogram_rate(
    o: &Outcome<'_>,
    h: &[HistogramSample],
    counter: bool,
    smoothed: bool,
    annos: &mut Annotations,
) -> Option<StepValue> {
    let times: Vec<i64> = h.iter().map(|s| s.timestamp).collect();
    let (first, last) = boundaries(&times, o.start, o.end, smoothed)?;
    let custom = h[first].histogram.uses_custom_buckets();
    for sample in &h[first..=last] {
        if sample.histogram.uses_custom_buckets() != custom {
            annos.warn(texts::mixed_schemas(o.name), o.span);
            return None;
        }
        if counter && sample.histogram.counter_reset_hint == CounterResetHint::Gauge {
            annos.warn(texts::not_counter(o.name), o.span);
        }
    }
    let left = if smoothed && times[first] < o.start {
        interpolate_histograms(&h[first], &h[first + 1], o.start, counter, annos, o.span).ok()?
    } else {
        (*h[first].histogram).clone()
    };
    let right = if smoothed && last > 0 && times[last] > o.end {
        interpolate_histograms(&h[last - 1], &h[last], o.end, counter, annos, o.span).ok()?
    } else {
        (*h[last].histogram).clone()
    };
    let gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if !counter && (!gauge(&left) || !gauge(&right)) {
        annos.warn(texts::not_gauge(o.name), o.span);
    }
    let mut result = subtracted(&right, &left, o, annos)?;
    if counter && let Some(correction) = reset_correction(o, h, first, last, &left, &right, smoothed, annos)? {
        result = added(&result, &correction, o, annos)?;
    }
    if o.function == Function::Rate {
        native::divide(&mut result, o.range_seconds);
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    native::compact(&mut result);
    Some(StepValue::Histogram(Arc::new(result)))
}

/// What counter resets between the boundaries took away; outer `None` where histograms cannot be combined.
#[allow(clippy::too_many_arguments)]
fn reset_correction(
    o: &Outcome<'_>,
    h: &[HistogramSample],
    first: usize,
    last: usize,
    left: &Histogram,
    right: &Histogram,
    smoothed: bool,
    annos: &mut Annotations,
) -> Option<Option<Histogram>> {
    let mut start = first + 1;
    let mut previous = left;
    if smoothed && h[first].timestamp < o.start && native::detect_reset(&h[first + 1].histogram, &h[first].histogram) {
        previous = &h[first + 1].histogram;
        start += 1;
    }
    if start > last {
        return Some(None);
    }
    let mut correction: Option<Histogram> = None;
    for current in h[start..last].iter().map(|s| &*s.histogram).chain([right]) {
        if native::detect_reset(current, previous) {
            correction = Some(match correction {
                None => previous.clone(),
                Some(sum) => added(&sum, previous, o, annos)?,
            });
        }
        previous = current;
    }
    Some(correction)
}
