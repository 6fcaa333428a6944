//! The leaves, one series at a time: instant lookback and functions over windows `(t - range, t]`.

use std::borrow::Cow;
use std::sync::Arc;

use model::is_stale;

use super::Budget;
use crate::annotations::{Annotations, mixed_floats_histograms, mixed_schemas};
use crate::error::EvalError;
use crate::functions::coarse::{self, Gap};
use crate::functions::histogram::{self, sample_size};
use crate::functions::window::{Outcome, Window, evaluate, interpolate, interpolate_histograms};
use crate::logical::{Call, EvalOptions, Extension, Function, Grid, RangeInput, Select};
use crate::value::{Series, StepValue, StepValues};

/// How far before the evaluation time a selector reads, milliseconds.
pub fn look_before(select: &Select, range_ms: Option<i64>) -> i64 {
    match (range_ms, select.extension) {
        (None, _) => select.lookback_ms,
        (Some(range), Extension::None) => range,
        (Some(range), _) => range.saturating_add(select.lookback_ms),
    }
}

/// How far after the evaluation time a selector reads, milliseconds.
pub fn look_after(select: &Select) -> i64 {
    if select.extension == Extension::Smoothed { select.lookback_ms } else { 0 }
}

fn reference_time(at: Option<model::TimestampMs>, offset_ms: i64, t: i64) -> i64 {
    at.map_or(t, |at| at.0).saturating_sub(offset_ms)
}

/// The newest sample at or before each step within the lookback, unless stale.
pub fn instant(series: &Series, select: &Select, grid: &Grid, annotations: &mut Annotations) -> Result<StepValues, EvalError> {
    let mut out = StepValues::absent(grid.len());
    if select.extension == Extension::Smoothed {
        smoothed(series, select, grid, &mut out, annotations);
        return Ok(out);
    }
    let mut cursor = Cursor::default();
    for (step, t) in grid.iter().enumerate() {
        let t = reference_time(select.at, select.offset_ms, t);
        match cursor.newest(series, t, select.lookback_ms) {
            Some(Newest::Float(i)) => out.floats[step] = series.values[i],
            Some(Newest::Histogram(i)) => out.set(step, StepValue::Histogram(Arc::clone(&series.histograms[i].histogram))),
            None => {}
        }
    }
    Ok(out)
}

#[derive(Default)]
struct Cursor {
    floats: usize,
    histograms: usize,
}

enum Newest {
    Float(usize),
    Histogram(usize),
}

impl Cursor {
    /// Moves on to `t` (never back) and finds the newest sample in `(t - lookback, t]`.
    fn newest(&mut self, series: &Series, t: i64, lookback: i64) -> Option<Newest> {
        while series.timestamps.get(self.floats).is_some_and(|s| *s <= t) {
            self.floats += 1;
        }
        while series.histograms.get(self.histograms).is_some_and(|s| s.timestamp <= t) {
            self.histograms += 1;
        }
        let float = self.floats.checked_sub(1).map(|i| (series.timestamps[i], i));
        let histogram = self.histograms.checked_sub(1).map(|i| (series.histograms[i].timestamp, i));
        let after = t.saturating_sub(lookback);
        match (float, histogram) {
            (float, Some((time, i))) if float.is_none_or(|(f, _)| f < time) => {
                (time > after && !series.histograms[i].histogram.is_stale()).then_some(Newest::Histogram(i))
            }
            (Some((time, i)), _) => (time > after && !is_stale(series.values[i])).then_some(Newest::Float(i)),
            _ => None,
        }
    }
}

/// `timestamp()` and `start_timestamp()` over a plain selector.
pub fn timestamps(series: &Series, select: &Select, grid: &Grid, function: Function, options: &EvalOptions) -> StepValues {
    let mut out = StepValues::absent(grid.len());
    if function == Function::StartTimestamp && !options.use_start_timestamps {
        return out;
    }
    let mut cursor = Cursor::default();
    for (step, t) in grid.iter().enumerate() {
        let newest = cursor.newest(series, reference_time(select.at, select.offset_ms, t), select.lookback_ms);
        let time = match (newest, function) {
            (Some(Newest::Float(i)), Function::Timestamp) => series.timestamps[i],
            (Some(Newest::Histogram(i)), Function::Timestamp) => series.histograms[i].timestamp,
            (Some(Newest::Float(i)), _) => series.start_timestamps.get(i).copied().unwrap_or(0),
            (Some(Newest::Histogram(i)), _) => series.histograms[i].start_timestamp,
            (None, _) => continue,
        };
        out.floats[step] = time as f64 / 1000.0;
    }
    out
}

fn smoothed(series: &Series, select: &Select, grid: &Grid, out: &mut StepValues, annotations: &mut Annotations) {
    let clean = without_stale(series);
    let name = series.labels.metric_name().unwrap_or("");
    for (step, t) in grid.iter().enumerate() {
        let t = reference_time(select.at, select.offset_ms, t);
        let w = window(&clean, t.saturating_sub(select.lookback_ms), t.saturating_add(select.lookback_ms));
        if !w.values.is_empty() && !w.histograms.is_empty() {
            annotations.warn(mixed_floats_histograms(name), select.span);
        } else if !w.histograms.is_empty() {
            let i = w.histograms.partition_point(|h| h.timestamp < t);
            if w.histograms.get(i).is_some_and(|h| h.timestamp == t) {
                out.set(step, StepValue::Histogram(Arc::clone(&w.histograms[i].histogram)));
            } else if i > 0 && i < w.histograms.len() {
                let (a, b) = (&w.histograms[i - 1], &w.histograms[i]);
                if a.histogram.uses_custom_buckets() != b.histogram.uses_custom_buckets() {
                    annotations.warn(mixed_schemas(name), select.span);
                    continue;
                }
                use model::CounterResetHint::Gauge;
                let counter = a.histogram.counter_reset_hint != Gauge || b.histogram.counter_reset_hint != Gauge;
                if let Ok(h) = interpolate_histograms(a, b, t, counter, annotations, select.span) {
                    out.set(step, StepValue::Histogram(Arc::new(h)));
                }
            } else if i > 0 {
                let mut h = (*w.histograms[i - 1].histogram).clone();
                h.counter_reset_hint = model::CounterResetHint::Unknown;
                out.set(step, StepValue::Histogram(Arc::new(h)));
            }
        } else {
            let i = w.timestamps.partition_point(|s| *s < t);
            if w.timestamps.get(i) == Some(&t) {
                out.floats[step] = w.values[i];
            } else if i > 0 && i < w.timestamps.len() {
                let at = |i: usize| (w.timestamps[i], w.values[i]);
                out.floats[step] = interpolate(at(i - 1), at(i), t, false);
            } else if i > 0 {
                out.floats[step] = w.values[i - 1];
            }
        }
    }
}

/// Range windows do not see staleness markers.
fn without_stale(series: &Series) -> Cow<'_, Series> {
    if !series.values.iter().any(|v| is_stale(*v)) && !series.histograms.iter().any(|h| h.histogram.is_stale()) {
        return Cow::Borrowed(series);
    }
    let keep: Vec<usize> = (0..series.values.len()).filter(|i| !is_stale(series.values[*i])).collect();
    Cow::Owned(Series {
        labels: series.labels.clone(),
        timestamps: keep.iter().map(|i| series.timestamps[*i]).collect(),
        values: keep.iter().map(|i| series.values[*i]).collect(),
        start_timestamps: keep.iter().filter_map(|i| series.start_timestamps.get(*i).copied()).collect(),
        histograms: series.histograms.iter().filter(|h| !h.histogram.is_stale()).cloned().collect(),
    })
}

impl Window<'_> {
    /// Samples, as `samples_max` counts.
    fn size(&self) -> usize {
        self.values.len() + self.histograms.iter().map(|h| sample_size(&h.histogram)).sum::<usize>()
    }
}

/// Samples in `(after, until]`.
fn window(series: &Series, after: i64, until: i64) -> Window<'_> {
    let (a, b) = (series.timestamps.partition_point(|t| *t <= after), series.timestamps.partition_point(|t| *t <= until));
    let (c, d) = (
        series.histograms.partition_point(|h| h.timestamp <= after),
        series.histograms.partition_point(|h| h.timestamp <= until),
    );
    let (b, d) = (b.max(a), d.max(c));
    Window {
        timestamps: &series.timestamps[a..b],
        values: &series.values[a..b],
        start_timestamps: if series.start_timestamps.is_empty() { &[] } else { &series.start_timestamps[a..b] },
        histograms: &series.histograms[c..d],
    }
}

/// Fails where a function cannot read an `anchored` or `smoothed` selector.
pub fn check(function: Function, input: &RangeInput) -> Result<(), EvalError> {
    let RangeInput::Select { select, .. } = input else { return Ok(()) };
    use Function::{Changes, Delta, Increase, Rate, Resets};
    let (word, names, fits) = match select.extension {
        Extension::None => return Ok(()),
        Extension::Anchored => {
            ("anchored", "changes, delta, increase, rate, resets", matches!(function, Changes | Delta | Increase | Rate | Resets))
        }
        Extension::Smoothed => ("smoothed", "delta, increase, rate", matches!(function, Delta | Increase | Rate)),
    };
    if fits {
        return Ok(());
    }
    Err(EvalError::Execution(format!("{word} modifier can only be used with: {names} - not with {}", function.as_str())))
}

/// A range function over every window of one series; `args` are the scalar arguments, one value per step each. What is left out of
/// the series, ascending, `gaps` say.
#[allow(clippy::too_many_arguments)]
pub fn range(
    call: &Call,
    (series, gaps): (&Series, &[Gap]),
    input: &RangeInput,
    args: &[Vec<f64>],
    grid: &Grid,
    options: &EvalOptions,
    annotations: &mut Annotations,
    budget: &mut Budget,
) -> Result<StepValues, EvalError> {
    let (range_ms, at, offset_ms, extension, before, after) = match input {
        RangeInput::Select { select, range_ms, .. } => {
            (*range_ms, select.at, select.offset_ms, select.extension, look_before(select, Some(*range_ms)), look_after(select))
        }
        RangeInput::Subquery { range_ms, at, offset_ms, .. } => (*range_ms, *at, *offset_ms, Extension::None, *range_ms, 0),
    };
    let clean = without_stale(series);
    let mut out = StepValues::absent(grid.len());
    let name = series.labels.metric_name().unwrap_or("");
    let first_span = call.arg_spans.first().copied().unwrap_or(call.span);
    // Samples of a subquery were read by what is inside it; under `@` every step has the window of the first.
    let is_read = |step: usize| matches!(input, RangeInput::Select { .. }) && (step == 0 || at.is_none());
    let mut held = 0;
    for (step, t) in grid.iter().enumerate() {
        let end = reference_time(at, offset_ms, t);
        let (first, last) = (end.saturating_sub(before), end.saturating_add(after));
        let w = window(&clean, first, last);
        held = w.size();
        if w.values.is_empty() && w.histograms.is_empty() {
            continue;
        }
        budget.check(held)?;
        let seen = if step == 0 { first } else { first.max(last.saturating_sub(grid.step)) };
        budget.counts.window(held, if is_read(step) { window(&clean, seen, last).size() } else { 0 });
        let args: Vec<f64> = args.iter().map(|values| values[step]).collect();
        let outcome = Outcome {
            function: call.function,
            start: end.saturating_sub(range_ms),
            end,
            at: t,
            range_seconds: range_ms as f64 / 1000.0,
            extension,
            start_timestamps: options.use_start_timestamps,
            left_out: coarse::left_out(gaps, end.saturating_sub(before), end),
            name,
            span: first_span,
        };
        if let Some(value) = evaluate(&outcome, w, &args, annotations)? {
            out.set(step, value);
        }
    }
    // The last window is held until the result is whole.
    budget.check(held + super::collect::size(&out))?;
    if matches!(call.function, Function::Rate | Function::Increase) && out.floats.iter().any(|v| !is_stale(*v)) {
        not_a_counter(&series.labels, first_span, options, annotations);
    }
    Ok(out)
}

/// Notes that a rate was asked of what does not look like a counter.
pub fn not_a_counter(labels: &model::LabelSet, span: crate::logical::Span, options: &EvalOptions, annotations: &mut Annotations) {
    let Some(name) = labels.metric_name() else { return };
    use model::quote::go_quote;
    if options.type_and_unit_labels {
        let kind = labels.get("__type__").unwrap_or("");
        if !matches!(kind, "counter" | "histogram") {
            annotations.info(
                format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                    go_quote(kind),
                    go_quote(name)
                ),
                span,
            );
        }
    } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
        annotations.info(
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}", go_quote(name)),
            span,
        );
    }
}

/// The raw samples of one window: an instant query for a range vector.
pub(super) fn raw(series: &Series, input: &RangeInput, t: i64) -> Result<Series, EvalError> {
    let (range_ms, at, offset_ms, extension, before, after) = match input {
        RangeInput::Select { select, range_ms, .. } => {
            (*range_ms, select.at, select.offset_ms, select.extension, look_before(select, Some(*range_ms)), look_after(select))
        }
        RangeInput::Subquery { range_ms, at, offset_ms, .. } => (*range_ms, *at, *offset_ms, Extension::None, *range_ms, 0),
    };
    let clean = without_stale(series);
    let end = reference_time(at, offset_ms, t);
    // A subquery at the root answers with all its steps.
    let w = window(&clean, end.saturating_sub(before), end.saturating_add(after));
    let mut out = Series {
        labels: series.labels.clone(),
        timestamps: w.timestamps.to_vec(),
        values: w.values.to_vec(),
        start_timestamps: w.start_timestamps.to_vec(),
        histograms: w.histograms.to_vec(),
    };
    if extension == Extension::None {
        return Ok(out);
    }
    let smoothed = extension == Extension::Smoothed;
    if !out.histograms.is_empty() {
        let word = if smoothed { "smoothed" } else { "anchored" };
        return Err(EvalError::Execution(format!("{word} modifier is not supported with histograms")));
    }
    if out.values.is_empty() {
        return Ok(out);
    }
    (out.timestamps, out.values) = crate::functions::window::extend(&w, end.saturating_sub(range_ms), end, smoothed);
    out.start_timestamps = Vec::new();
    Ok(out)
}

/// Leaves of the histograms in `(after, …]` what counts and sums need, with counter resets stated where none was: once the buckets
/// are gone, nobody can tell (upstream `HistogramStatsIterator`).
pub fn without_buckets(series: &mut Series, after: i64) {
    use model::CounterResetHint::{NotReset, Reset, Unknown};
    let mut previous: Option<Arc<model::Histogram>> = None;
    for sample in series.histograms.iter_mut().filter(|s| s.timestamp > after) {
        let mut kept = model::Histogram {
            counter_reset_hint: sample.histogram.counter_reset_hint,
            schema: sample.histogram.schema,
            count: sample.histogram.count,
            sum: sample.histogram.sum,
            ..model::Histogram::default()
        };
        if !kept.is_stale() {
            if let Some(previous) = previous.filter(|_| kept.counter_reset_hint == Unknown) {
                let reset = histogram::detect_reset(&sample.histogram, &previous);
                kept.counter_reset_hint = if reset { Reset } else { NotReset };
            }
            previous = Some(Arc::clone(&sample.histogram));
        }
        sample.histogram = Arc::new(kept);
    }
}
