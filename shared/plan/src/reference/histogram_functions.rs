//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: classic and native histograms of one step.

use std::collections::HashMap;

use model::{Histogram, LabelSet, go_float};

use super::Context;
use super::collect::{Collector, without_name};
use crate::annotations::{Annotations, Forced, invalid_quantile, named};
use crate::error::EvalError;
use crate::functions::histogram::{self as native, NanNote};
use crate::functions::histogram_classic::{self as classic, Bucket};
use crate::logical::{Call, Function, Span};
use crate::value::{StepSeries, StepValue, Value};

struct Groups {
    classic: Vec<(LabelSet, Vec<Bucket>)>,
    native: Vec<(LabelSet, std::sync::Arc<Histogram>)>,
}

fn split(input: &[StepSeries], step: usize, span: Span, context: &mut Context<'_>) -> Groups {
    let delayed = context.options.delayed_name_removal;
    let name = |labels: &LabelSet| if delayed { labels.metric_name().unwrap_or("").to_owned() } else { String::new() };
    let mut groups = Groups { classic: Vec::new(), native: Vec::new() };
    let mut index: HashMap<LabelSet, usize> = HashMap::new();
    for series in input {
        let count = match series.values.get(step) {
            Some(StepValue::Histogram(h)) => {
                groups.native.push((series.labels.clone(), h));
                continue;
            }
            Some(StepValue::Float(count)) => count,
            None => continue,
        };
        let le = series.labels.get("le").unwrap_or("");
        let Ok(upper) = go_float::parse(le) else {
            let text = format!("bucket label \"le\" is missing or has a malformed value of {}", model::quote::go_quote(le));
            context.annotations.warn(named(&text, &name(&series.labels)), span);
            continue;
        };
        let labels = series.labels.without("le");
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            groups.classic.push((labels, Vec::new()));
            groups.classic.len() - 1
        });
        groups.classic[at].1.push(Bucket { upper, count });
    }
    groups.native.retain(|(labels, _)| {
        let Some(at) = index.get(labels).filter(|at| !groups.classic[**at].1.is_empty()) else { return true };
        groups.classic[*at].1.clear();
        context.annotations.warn(named("vector contains a mix of classic and native histograms", &name(labels)), span);
        false
    });
    groups.classic.retain(|(_, buckets)| !buckets.is_empty());
    groups
}

pub(super) fn apply(call: &Call, args: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mut vector = None;
    let mut scalars = Vec::new();
    let mut label = String::new();
    for (position, arg) in args.into_iter().enumerate() {
        match arg {
            Value::Vector(series) => vector = Some((position, series)),
            Value::Scalar(values) => scalars.push((position, values)),
            Value::Text(text) => label = text.to_lossy().into_owned(),
            _ => {}
        }
    }
    let Some((position, input)) = vector else {
        return Err(EvalError::Unsupported(format!("argument of {}", call.function.as_str())));
    };
    let span = call.arg_spans.get(position).copied().unwrap_or(call.span);
    let delayed = context.options.delayed_name_removal;
    let quantiles = call.function != Function::HistogramFraction;
    let mut out = Collector::new(context);
    let before = std::mem::take(context.annotations);
    let mut said = Annotations::default();
    for (step, at) in context.grid.iter().enumerate() {
        context.budget.go_on()?;
        if quantiles {
            for (position, values) in &scalars {
                let q = values[step];
                if q.is_nan() || !(0.0..=1.0).contains(&q) {
                    context.annotations.warn(invalid_quantile(q), call.arg_spans.get(*position).copied().unwrap_or(call.span));
                }
            }
        }
        let mut groups = split(&input, step, span, context);
        let rounds = if quantiles { scalars.len() } else { 1 };
        for round in 0..rounds {
            let argument = scalars[round].1[step];
            let relabel = |labels: &LabelSet| {
                let labels = if delayed { labels.clone() } else { without_name(labels) };
                if call.function != Function::HistogramQuantiles {
                    return labels;
                }
                let mut builder = labels.to_builder();
                builder.set(&label, &open_metrics(argument));
                builder.build()
            };
            for (labels, h) in &groups.native {
                let metric = if delayed { labels.metric_name().unwrap_or("") } else { "" };
                let (value, note) =
                    if quantiles { native::quantile(argument, h) } else { native::fraction(argument, scalars[1].1[step], h) };
                let text = match (note, quantiles) {
                    (NanNote::None, _) => None,
                    (NanNote::Result, _) => Some("input to histogram_quantile has NaN observations, result is NaN"),
                    (NanNote::Skew, true) => Some("input to histogram_quantile has NaN observations, result is skewed higher"),
                    (NanNote::Skew, false) => {
                        Some("input to histogram_fraction has NaN observations, which are excluded from all fractions")
                    }
                };
                if let Some(text) = text {
                    context.annotations.info(named(text, metric), span);
                }
                out.push(step, relabel(labels), delayed, StepValue::Float(value))?;
            }
            for (labels, buckets) in &mut groups.classic {
                let metric = if delayed { labels.metric_name().unwrap_or("") } else { "" };
                let value = if quantiles {
                    let (value, correction) = classic::quantile(argument, buckets);
                    if let Some((bucket_min, bucket_max, diff_max)) = correction {
                        let forced = Forced { first_ms: at, last_ms: at, bucket_min, bucket_max, diff_max };
                        context.annotations.forced_monotonicity(metric, span, forced);
                    }
                    value
                } else {
                    classic::fraction(argument, scalars[1].1[step], buckets.clone())
                };
                out.push(step, relabel(labels), delayed, StepValue::Float(value))?;
            }
        }
        said.step(std::mem::take(context.annotations));
    }
    *context.annotations = before;
    context.annotations.merge(said);
    out.done(context)
}

/// A number as OpenMetrics writes label values: `1.0`, not `1`.
fn open_metrics(value: f64) -> String {
    let text = crate::functions::format::general(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}
