//! Range functions over one window (upstream `promql/functions.go`).
//!
//! Owns: which function a window is for, and those that look at all of its samples alike. Does not own: rates ([`rate`]), what changes
//! from a sample to the next ([`neighbours`]), windows with boundaries made up ([`extended`]).

mod extended;
mod neighbours;
mod rate;

use std::sync::Arc;

use model::{CounterResetHint, Histogram};

use super::float;
use super::histogram::{self as native, Accumulator, IncompatibleSchema};
use crate::annotations::{self as texts, Annotations};
use crate::error::EvalError;
use crate::logical::{Extension, Function, Span};
use crate::value::{HistogramSample, StepValue};
use extended::extended_rate;
pub use extended::{extend, interpolate, interpolate_histograms};
use neighbours::{instant_value, resets_or_changes};
use rate::rate;

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

#[cfg(test)]
mod tests;
