//! What changes from a sample to the next: `irate`, `idelta`, `resets`, `changes`.

use std::sync::Arc;

use model::{CounterResetHint, Histogram};

use super::rate::{start_reset, subtracted};
use super::{Answer, Outcome, Window, number};
use crate::annotations::{self as texts, Annotations};
use crate::functions::histogram as native;
use crate::logical::{Extension, Function};
use crate::value::StepValue;

pub(super) fn instant_value(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
    let is_rate = o.function == Function::Irate;
    if w.values.len() + w.histograms.len() < 2 {
        return Ok(None);
    }
    struct Sample<'a> {
        time: i64,
        start: i64,
        value: f64,
        histogram: Option<&'a Histogram>,
    }
    let n = w.values.len();
    let mut samples: Vec<Sample<'_>> = (n.saturating_sub(2)..n)
        .map(|i| Sample {
            time: w.timestamps[i],
            start: w.start_timestamps.get(i).copied().unwrap_or(0),
            value: w.values[i],
            histogram: None,
        })
        .collect();
    samples.extend(w.histograms.iter().rev().take(2).map(|h| Sample {
        time: h.timestamp,
        start: h.start_timestamp,
        value: 0.0,
        histogram: Some(&h.histogram),
    }));
    samples.sort_by_key(|s| s.time);
    let [a, b] = [&samples[samples.len() - 2], &samples[samples.len() - 1]];
    let interval = b.time - a.time;
    if interval == 0 {
        return Ok(None);
    }
    let reset = o.start_timestamps && start_reset(a.start, a.time, b.start, b.time);
    let seconds = interval as f64 / 1000.0;
    let (x, y) = match (a.histogram, b.histogram) {
        (None, None) => {
            let value = if is_rate && (b.value < a.value || reset) { b.value } else { b.value - a.value };
            return number(if is_rate { value / seconds } else { value });
        }
        (Some(x), Some(y)) => (x, y),
        _ => {
            annos.warn(texts::mixed_floats_histograms(o.name), o.span);
            return Ok(None);
        }
    };
    let gauge = |h: &Histogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if is_rate && (gauge(x) || gauge(y)) {
        annos.warn(texts::not_counter(o.name), o.span);
    }
    if !is_rate && (!gauge(x) || !gauge(y)) {
        annos.warn(texts::not_gauge(o.name), o.span);
    }
    let mut h = y.clone();
    if !is_rate || (!reset && !native::detect_reset(y, x)) {
        match subtracted(y, x, o, annos) {
            Some(difference) => h = difference,
            None => return Ok(None),
        }
    }
    h.counter_reset_hint = CounterResetHint::Gauge;
    native::compact(&mut h);
    if is_rate {
        native::divide(&mut h, seconds);
    }
    Ok(Some(StepValue::Histogram(Arc::new(h))))
}

pub(super) fn resets_or_changes(o: &Outcome<'_>, w: Window<'_>) -> Option<StepValue> {
    enum Item<'a> {
        Float(f64),
        Histogram(&'a Histogram),
    }
    let starts = o.start_timestamps;
    let mut items: Vec<(i64, i64, Item<'_>)> = (0..w.values.len())
        .map(|i| (w.timestamps[i], w.start_timestamps.get(i).copied().unwrap_or(0), Item::Float(w.values[i])))
        .chain(w.histograms.iter().map(|h| (h.timestamp, h.start_timestamp, Item::Histogram(&h.histogram))))
        .collect();
    items.sort_by_key(|item| item.0);
    if o.extension == Extension::Anchored {
        let inside = items.partition_point(|item| item.0 <= o.start);
        if inside == items.len() {
            return None;
        }
        items.drain(..inside.saturating_sub(1));
    }
    let mut count = 0;
    for pair in items.windows(2) {
        let [(t0, s0, a), (t1, s1, b)] = pair else { continue };
        let restarted = starts && start_reset(*s0, *t0, *s1, *t1);
        let counts = match (a, b, o.function) {
            (Item::Float(a), Item::Float(b), Function::Resets) => b < a || restarted,
            (Item::Histogram(a), Item::Histogram(b), Function::Resets) => restarted || native::detect_reset(b, a),
            (Item::Float(a), Item::Float(b), _) => a != b && !(a.is_nan() && b.is_nan()),
            (Item::Histogram(a), Item::Histogram(b), _) => !native::equals(a, b),
            _ => true,
        };
        count += u32::from(counts);
    }
    Some(StepValue::Float(f64::from(count)))
}
