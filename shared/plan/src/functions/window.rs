//! Range functions over one window (upstream `promql/functions.go`).

use std::sync::Arc;

use model::{CounterResetHint, Histogram};

use super::float;
use super::histogram::{self as native, Accumulator, IncompatibleSchema};
use crate::annotations::{self as texts, Annotations};
use crate::error::EvalError;
use crate::logical::{Extension, Function, Span};
use crate::value::{HistogramSample, StepValue};

/// Samples of one window, staleness markers left out.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Times of floats, milliseconds.
    pub timestamps: &'a [i64],
    /// Floats.
    pub values: &'a [f64],
    /// Start timestamps of floats, or empty.
    pub start_timestamps: &'a [i64],
    /// Histograms.
    pub histograms: &'a [HistogramSample],
}

/// What is asked of a window.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Function.
    pub function: Function,
    /// Window start, exclusive, milliseconds.
    pub start: i64,
    /// Window end, inclusive.
    pub end: i64,
    /// Evaluation time.
    pub at: i64,
    /// Window length.
    pub range_seconds: f64,
    /// `smoothed` / `anchored`.
    pub extension: Extension,
    /// Whether start timestamps take part.
    pub start_timestamps: bool,
    /// Samples that were there and are left out ([`super::coarse::Gap`]).
    pub left_out: usize,
    /// Metric name, for annotations.
    pub name: &'a str,
    /// Where annotations point.
    pub span: Span,
}

type Answer = Result<Option<StepValue>, EvalError>;

fn number(value: f64) -> Answer {
    Ok(Some(StepValue::Float(value)))
}

/// Evaluates a range function over a window that is not empty.
pub fn evaluate(o: &Outcome<'_>, w: Window<'_>, args: &[f64], annos: &mut Annotations) -> Answer {
    use Function::*;
    let (floats, histograms) = (w.values, w.histograms);
    match o.function {
        Rate | Increase | Delta if o.extension != Extension::None => return extended_rate(o, w, annos),
        Rate | Increase | Delta => return rate(o, w, annos),
        Irate | Idelta => return instant_value(o, w, annos),
        Resets | Changes => return Ok(resets_or_changes(o, w)),
        CountOverTime => return number((floats.len() + histograms.len() + o.left_out) as f64),
        PresentOverTime | AbsentOverTime => return number(1.0),
        FirstOverTime | LastOverTime => return Ok(edge(o.function == FirstOverTime, w)),
        TsOfFirstOverTime => {
            let t = w.timestamps.first().into_iter().chain(histograms.first().map(|h| &h.timestamp)).min();
            return Ok(t.map(|t| StepValue::Float(*t as f64 / 1000.0)));
        }
        TsOfLastOverTime => {
            let t = w.timestamps.last().copied().unwrap_or(0).max(histograms.last().map_or(0, |h| h.timestamp));
            return number(t as f64 / 1000.0);
        }
        SumOverTime | AvgOverTime => {
            if !floats.is_empty() && !histograms.is_empty() {
                annos.warn(texts::mixed_floats_histograms(o.name), o.span);
                return Ok(None);
            }
            if floats.is_empty() {
                return Ok(sum_histograms(o, histograms, o.function == AvgOverTime, annos));
            }
            if o.function == SumOverTime {
                return number(float::sum(floats));
            }
            let mut mean = float::Mean::new(floats[0]);
            floats[1..].iter().for_each(|v| mean.add(*v));
            return number(mean.value());
        }
        DoubleExponentialSmoothing => {
            let [sf, tf] = [args[0], args[1]];
            if sf <= 0.0 || sf >= 1.0 {
                return Err(EvalError::Execution(format!("invalid smoothing factor. Expected: 0 < sf < 1, got: {sf:.6}")));
            }
            if tf <= 0.0 || tf >= 1.0 {
                return Err(EvalError::Execution(format!("invalid trend factor. Expected: 0 < tf < 1, got: {tf:.6}")));
            }
        }
        _ => {}
    }
    if floats.is_empty() {
        return Ok(None);
    }
    if o.function == QuantileOverTime && (args[0].is_nan() || args[0] < 0.0 || args[0] > 1.0) {
        annos.warn(texts::invalid_quantile(args[0]), o.span);
    }
    if !histograms.is_empty() {
        annos.info(texts::ignored_in_range(o.name), o.span);
    }
    let few = floats.len() < 2;
    number(match o.function {
        MinOverTime | MaxOverTime | TsOfMinOverTime | TsOfMaxOverTime => extreme(o.function, w),
        StdvarOverTime => float::variance(floats),
        StddevOverTime => float::variance(floats).sqrt(),
        QuantileOverTime => float::quantile(args[0], &mut floats.to_vec()),
        MadOverTime => float::mad(floats),
        Deriv | PredictLinear | DoubleExponentialSmoothing if few => return Ok(None),
        Deriv => float::linear_regression(w.timestamps, floats, w.timestamps[0]).0,
        PredictLinear => {
            let (slope, intercept) = float::linear_regression(w.timestamps, floats, o.at);
            slope * args[0] + intercept
        }
        DoubleExponentialSmoothing => float::double_exponential_smoothing(floats, args[0], args[1]),
        other => return Err(EvalError::Unsupported(format!("{} over a range vector", other.as_str()))),
    })
}

fn extreme(function: Function, w: Window<'_>) -> f64 {
    use Function::*;
    let (mut best, mut time) = (w.values[0], w.timestamps[0]);
    for (t, v) in w.timestamps.iter().zip(w.values) {
        let better = match function {
            MaxOverTime => *v > best,
            MinOverTime => *v < best,
            TsOfMaxOverTime => *v >= best,
            _ => *v <= best,
        };
        if better || best.is_nan() {
            (best, time) = (*v, *t);
        }
    }
    if matches!(function, MaxOverTime | MinOverTime) { best } else { time as f64 / 1000.0 }
}

fn edge(first: bool, w: Window<'_>) -> Option<StepValue> {
    let (float, histogram) = if first {
        (w.timestamps.first().zip(w.values.first()), w.histograms.first())
    } else {
        (w.timestamps.last().zip(w.values.last()), w.histograms.last())
    };
    match (float, histogram) {
        (Some((t, v)), Some(h)) if (if first { *t < h.timestamp } else { h.timestamp < *t }) => Some(StepValue::Float(*v)),
        (_, Some(h)) => Some(StepValue::Histogram(Arc::clone(&h.histogram))),
        (Some((_, v)), None) => Some(StepValue::Float(*v)),
        (None, None) => None,
    }
}

fn sum_histograms(o: &Outcome<'_>, samples: &[HistogramSample], mean: bool, annos: &mut Annotations) -> Option<StepValue> {
    let histograms: Vec<&Histogram> = samples.iter().map(|s| &*s.histogram).collect();
    let combined = combine(&histograms, mean);
    let Ok((histogram, collision, reconciled)) = combined else {
        annos.warn(texts::mixed_schemas(o.name), o.span);
        return None;
    };
    if collision {
        annos.warn(texts::reset_collision("aggregation"), o.span);
    }
    if reconciled {
        annos.info(texts::mismatched_buckets("aggregation"), o.span);
    }
    Some(StepValue::Histogram(Arc::new(histogram)))
}

/// Sum or mean of histograms; says whether reset hints collided and whether custom bounds were reconciled.
pub fn combine(histograms: &[&Histogram], mean: bool) -> Result<(Histogram, bool, bool), IncompatibleSchema> {
    let seen = |hint| histograms.iter().any(|h| h.counter_reset_hint == hint);
    let collision = seen(CounterResetHint::Reset) && seen(CounterResetHint::NotReset);
    let mut acc = Accumulator::new(histograms[0]);
    let (mut reconciled, mut incremental) = (false, false);
    for (index, h) in histograms.iter().enumerate().skip(1) {
        let count = (index + 1) as f64;
        if !mean {
            reconciled |= acc.add(h, 1.0)?.reconciled;
            continue;
        }
        if !incremental {
            let mut next = acc.clone();
            reconciled |= next.add(h, 1.0)?.reconciled;
            if !next.overflows() {
                acc = next;
                continue;
            }
            incremental = true;
            acc.scale(|v| v / (count - 1.0));
        }
        let q = (count - 1.0) / count;
        acc.scale(|v| v * q);
        let mut part = (*h).clone();
        native::divide(&mut part, count);
        reconciled |= acc.add(&part, 1.0)?.reconciled;
    }
    if mean && !incremental {
        let count = histograms.len() as f64;
        acc.scale(|v| v / count);
    }
    Ok((acc.finish(), collision, reconciled))
}

/// Whether a start timestamp says that a counter was reset between two samples.
fn start_reset(previous_start: i64, previous: i64, start: i64, time: i64) -> bool {
    if start == 0 || start >= time || start < previous {
        return false;
    }
    start > previous || (previous_start <= previous && previous_start != 0 && previous_start != previous)
}

fn overlaps(previous_start: i64, previous: i64, start: i64) -> bool {
    start != 0 && start < previous && start != previous_start
}

fn rate(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
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

fn added(a: &Histogram, b: &Histogram, o: &Outcome<'_>, annos: &mut Annotations) -> Option<Histogram> {
    combined(native::add(a, b), "addition", o, annos)
}

fn subtracted(a: &Histogram, b: &Histogram, o: &Outcome<'_>, annos: &mut Annotations) -> Option<Histogram> {
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

fn instant_value(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
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

fn resets_or_changes(o: &Outcome<'_>, w: Window<'_>) -> Option<StepValue> {
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

fn extended_rate(o: &Outcome<'_>, w: Window<'_>, annos: &mut Annotations) -> Answer {
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

#[cfg(test)]
mod tests;
