//! Aggregations over the series of one step.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Histogram, LabelSet, is_stale};

use super::Context;
use super::collect::Collector;
use crate::annotations::{invalid_quantile, mismatched_buckets, mixed_schemas, reset_collision};
use crate::error::EvalError;
use crate::functions::float::{self, Kahan, Mean};
use crate::functions::{format, histogram as native, ranking, window};
use crate::logical::{Aggregate, AggregateOp, Dialect};
use crate::value::{StepSeries, StepValue, StepValues, Value};

type Groups = Vec<(LabelSet, Vec<usize>)>;

fn groups(aggregate: &Aggregate, input: &[StepSeries]) -> Groups {
    let mut index: HashMap<LabelSet, usize> = HashMap::new();
    let mut out: Groups = Vec::new();
    for (position, series) in input.iter().enumerate() {
        let labels = aggregate.grouping.labels_of(&series.labels);
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            out.push((labels, Vec::new()));
            out.len() - 1
        });
        out[at].1.push(position);
    }
    out
}

pub(super) fn apply(
    aggregate: &Aggregate,
    param: Option<Value>,
    input: Value,
    context: &mut Context<'_>,
) -> Result<Value, EvalError> {
    let Value::Vector(input) = input else {
        return Err(EvalError::Unsupported(format!("input of {}", aggregate.op.as_str())));
    };
    use AggregateOp::*;
    match aggregate.op {
        CountValues => return count_values(aggregate, param, &input, context),
        TopK | BottomK | LimitK | LimitRatio | ApproxTopK => return choose(aggregate, param, input, context),
        Sort | SortDesc => return Ok(Value::Vector(sorted(aggregate.op, input))),
        _ => {}
    }
    let phi = match param {
        Some(Value::Scalar(values)) => values,
        _ => vec![0.0; context.grid.len()],
    };
    if aggregate.op == Quantile {
        check_quantiles(&phi, aggregate, context);
    }
    let mut out = Vec::new();
    for (labels, members) in groups(aggregate, &input) {
        context.budget.go_on()?;
        let mut values = StepValues::absent(context.grid.len());
        let mut drop_name = false;
        for (step, phi) in phi.iter().enumerate() {
            let present: Vec<(usize, StepValue)> =
                members.iter().filter_map(|i| Some((*i, input[*i].values.get(step)?))).collect();
            if present.is_empty() {
                continue;
            }
            if let Some(value) = one(aggregate, *phi, &present, &input, context) {
                drop_name = present.iter().any(|(i, _)| input[*i].drop_name);
                values.set(step, value);
            }
        }
        if !values.is_absent() {
            out.push(StepSeries { labels, drop_name, values });
        }
    }
    Ok(Value::Vector(out))
}

fn check_quantiles(phi: &[f64], aggregate: &Aggregate, context: &mut Context<'_>) {
    let Bounds { min, max, nan } = Bounds::of(phi);
    for q in nan.then_some(f64::NAN).into_iter().chain((max > 1.0).then_some(max)).chain((min < 0.0).then_some(min)) {
        context.annotations.warn(invalid_quantile(q), aggregate.param_span);
    }
}

/// Least and greatest value of a parameter over all steps, with Go's idea of NaN (upstream `fParams`).
struct Bounds {
    min: f64,
    max: f64,
    nan: bool,
}

impl Bounds {
    fn of(params: &[f64]) -> Bounds {
        Bounds {
            min: params.iter().copied().fold(f64::MAX, float::go_min),
            max: params.iter().copied().fold(f64::MIN, float::go_max),
            nan: params.iter().any(|v| v.is_nan()),
        }
    }
}

fn one(
    aggregate: &Aggregate,
    phi: f64,
    present: &[(usize, StepValue)],
    input: &[StepSeries],
    context: &mut Context<'_>,
) -> Option<StepValue> {
    use AggregateOp::*;
    let float = |(_, value): &(usize, StepValue)| if let StepValue::Float(v) = value { Some(*v) } else { None };
    let mut floats: Vec<f64> = present.iter().filter_map(float).collect();
    let has_histograms = floats.len() < present.len();
    match aggregate.op {
        Count => return Some(StepValue::Float(present.len() as f64)),
        Group => return Some(StepValue::Float(1.0)),
        Sum | Avg if has_histograms => return add_up(aggregate, present, input, context),
        Sum | Avg => {}
        _ if has_histograms => {
            let text = format!("ignored histogram in {} aggregation", aggregate.op.as_str());
            context.annotations.info(text, aggregate.input_span);
            if floats.is_empty() {
                return None;
            }
        }
        _ => {}
    }
    Some(StepValue::Float(match aggregate.op {
        Sum => {
            let mut acc = Kahan { sum: floats[0], c: 0.0 };
            floats[1..].iter().for_each(|v| acc.add(*v));
            acc.total()
        }
        Avg => {
            let mut mean = Mean::new(floats[0]);
            floats[1..].iter().for_each(|v| mean.add(*v));
            mean.value()
        }
        Min => floats.iter().copied().reduce(|a, b| if a > b || a.is_nan() { b } else { a })?,
        Max => floats.iter().copied().reduce(|a, b| if a < b || a.is_nan() { b } else { a })?,
        Quantile => float::quantile(phi, &mut floats),
        // Loki does not ask whether the first value is finite.
        Stdvar | Stddev if context.options.dialect == Dialect::LogQl => {
            let variance = deviations(&floats, 0.0) / floats.len() as f64;
            if aggregate.op == Stddev { variance.sqrt() } else { variance }
        }
        Stdvar => variance(&floats),
        Stddev => variance(&floats).sqrt(),
        _ => return None,
    }))
}

fn variance(floats: &[f64]) -> f64 {
    deviations(floats, if floats[0].is_finite() { 0.0 } else { f64::NAN }) / floats.len() as f64
}

/// Adds the squared deviations from the mean to `sum` (Welford).
fn deviations(floats: &[f64], mut sum: f64) -> f64 {
    let (mut mean, mut count) = (floats[0], 1.0);
    for v in &floats[1..] {
        count += 1.0;
        let delta = v - mean;
        mean += delta / count;
        sum += delta * (v - mean);
    }
    sum
}

/// Adds up values of which some are histograms, in the order of their series, on which upstream's notes depend: nothing is looked at
/// behind a histogram of the other kind of schema, and where a float comes first no histogram is added.
fn add_up(
    aggregate: &Aggregate,
    present: &[(usize, StepValue)],
    input: &[StepSeries],
    context: &mut Context<'_>,
) -> Option<StepValue> {
    let mut note = |is_warning: bool, text: String| match is_warning {
        true => context.annotations.warn(text, aggregate.input_span),
        false => context.annotations.info(text, aggregate.input_span),
    };
    let is_added = matches!(present[0].1, StepValue::Histogram(_));
    let (mut added, mut has_floats, mut has_odd): (Vec<&Histogram>, bool, bool) = (Vec::new(), false, false);
    for (index, value) in present {
        let StepValue::Histogram(h) = value else {
            has_floats = true;
            continue;
        };
        has_odd = is_added && added.first().is_some_and(|first| first.uses_custom_buckets() != h.uses_custom_buckets());
        if has_odd {
            note(true, mixed_schemas(input[*index].labels.metric_name().unwrap_or("")));
            break;
        }
        added.push(h);
    }
    if has_floats {
        note(true, "encountered a mix of histograms and floats for aggregation".to_owned());
    }
    let (histogram, collision, reconciled) =
        is_added.then(|| window::combine(&added, aggregate.op == AggregateOp::Avg).ok()).flatten()?;
    if reconciled {
        note(false, mismatched_buckets("aggregation"));
    }
    if has_floats || has_odd {
        return None;
    }
    if collision {
        note(true, reset_collision("aggregation"));
    }
    Some(StepValue::Histogram(Arc::new(histogram)))
}

fn sorted(op: AggregateOp, mut input: Vec<StepSeries>) -> Vec<StepSeries> {
    input.sort_by(|a, b| {
        let (x, y) = (a.values.floats.first().copied().unwrap_or(0.0), b.values.floats.first().copied().unwrap_or(0.0));
        let order = x.is_nan().cmp(&y.is_nan());
        let by_value = x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal);
        order.then(if op == AggregateOp::SortDesc { by_value.reverse() } else { by_value })
    });
    input
}

fn count_values(
    aggregate: &Aggregate,
    param: Option<Value>,
    input: &[StepSeries],
    context: &mut Context<'_>,
) -> Result<Value, EvalError> {
    let Some(Value::Text(label)) = param else { return Err(EvalError::Unsupported("parameter of count_values".to_owned())) };
    let Some(label) = super::call::label_name(&label) else {
        return Err(EvalError::Execution(format!("invalid label name {label:?}")));
    };
    let mut grouping = aggregate.grouping.clone();
    if !grouping.without {
        grouping.labels.push(label.to_owned());
    }
    let mut out = Collector::new(context);
    for step in 0..context.grid.len() {
        context.budget.go_on()?;
        let mut index: HashMap<LabelSet, usize> = HashMap::new();
        let mut counts: Vec<(LabelSet, f64)> = Vec::new();
        for series in input {
            let text = match series.values.get(step) {
                Some(StepValue::Float(v)) => format::plain(v),
                Some(StepValue::Histogram(h)) => native::text(&h),
                None => continue,
            };
            let mut builder = series.labels.to_builder();
            builder.set(label, &text);
            let labels = grouping.labels_of(&builder.build());
            let at = *index.entry(labels.clone()).or_insert_with(|| {
                counts.push((labels, 0.0));
                counts.len() - 1
            });
            counts[at].1 += 1.0;
        }
        for (labels, count) in counts {
            out.push(step, labels, false, StepValue::Float(count))?;
        }
    }
    out.done(context)
}

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the input series per group and step.
fn choose(
    aggregate: &Aggregate,
    param: Option<Value>,
    input: Vec<StepSeries>,
    context: &mut Context<'_>,
) -> Result<Value, EvalError> {
    use AggregateOp::*;
    let Some(Value::Scalar(params)) = param else {
        return Err(EvalError::Unsupported(format!("parameter of {}", aggregate.op.as_str())));
    };
    if !check_params(aggregate, &params, context)? {
        return Ok(Value::Vector(Vec::new()));
    }
    let mut chosen: Vec<StepSeries> = input
        .iter()
        .map(|s| StepSeries { labels: s.labels.clone(), drop_name: s.drop_name, values: StepValues::absent(s.values.len()) })
        .collect();
    let mut order = Vec::new();
    for (_, members) in groups(aggregate, &input) {
        context.budget.go_on()?;
        for (step, param) in params.iter().enumerate() {
            let mut present: Vec<usize> = members.iter().copied().filter(|i| input[*i].values.get(step).is_some()).collect();
            if matches!(aggregate.op, TopK | BottomK | ApproxTopK) && *param >= 1.0 {
                let before = present.len();
                present.retain(|i| matches!(input[*i].values.get(step), Some(StepValue::Float(_))));
                if present.len() < before {
                    let text = format!("ignored histogram in {} aggregation", aggregate.op.as_str());
                    context.annotations.info(text, aggregate.span);
                }
            }
            for index in picked(aggregate.op, *param, present, &input, step) {
                if let Some(value) = input[index].values.get(step) {
                    chosen[index].values.set(step, value);
                }
                if step == 0 {
                    order.push(index);
                }
            }
        }
    }
    let mut out: Vec<StepSeries> = Vec::new();
    if context.single() {
        let mut slots: Vec<Option<StepSeries>> = chosen.into_iter().map(Some).collect();
        out.extend(order.into_iter().filter_map(|i| slots[i].take()));
    } else {
        out.extend(chosen.into_iter().filter(|s| !s.values.is_absent()));
    }
    Ok(Value::Vector(out))
}

fn check_params(aggregate: &Aggregate, params: &[f64], context: &mut Context<'_>) -> Result<bool, EvalError> {
    use crate::functions::format::general;
    let Bounds { min, max, nan } = Bounds::of(params);
    let fail = |text: String| Err(EvalError::Execution(text));
    if aggregate.op == AggregateOp::LimitRatio {
        if max == 0.0 && min == 0.0 {
            return Ok(false);
        }
        if nan {
            return fail("Ratio value is NaN".to_owned());
        }
        let cap = |v: f64, to: f64| format!("ratio value should be between -1 and 1, got {}, capping to {to}", general(v));
        if max > 1.0 {
            context.annotations.warn(cap(max, 1.0), aggregate.param_span);
        }
        if min < -1.0 {
            context.annotations.warn(cap(min, -1.0), aggregate.param_span);
        }
        return Ok(true);
    }
    if max < 1.0 {
        return Ok(false);
    }
    if nan {
        return fail("Parameter value is NaN".to_owned());
    }
    if min <= i64::MIN as f64 {
        return fail(format!("Scalar value {} underflows int64", general(min)));
    }
    if max >= i64::MAX as f64 {
        return fail(format!("Scalar value {} overflows int64", general(max)));
    }
    Ok(true)
}

/// Returns which of the members present at a step are chosen, in the order in which upstream's heap and sort leave them.
fn picked(op: AggregateOp, param: f64, present: Vec<usize>, input: &[StepSeries], step: usize) -> Vec<usize> {
    // Histograms, which `limitk` and `limit_ratio` take as well, weigh nothing.
    let value = |i: &usize| match input[*i].values.floats[step] {
        absent if is_stale(absent) => 0.0,
        value => value,
    };
    let smaller = |a: &usize, b: &usize| value(a).is_nan() || value(a) < value(b);
    let greater = |a: &usize, b: &usize| value(a).is_nan() || value(a) > value(b);
    let better = |new: &usize, old: &usize| value(old).is_nan() && !value(new).is_nan();
    let k = if param < 1.0 { 0 } else { param as usize };
    let mut heap = Vec::new();
    for member in present {
        match op {
            AggregateOp::LimitRatio if is_sampled(&input[member].labels, param.clamp(-1.0, 1.0)) => {
                ranking::push(&mut heap, member, smaller);
            }
            AggregateOp::LimitRatio => {}
            AggregateOp::BottomK if heap.len() < k => ranking::push(&mut heap, member, greater),
            _ if heap.len() < k => ranking::push(&mut heap, member, smaller),
            AggregateOp::LimitK => break,
            _ if k == 0 => break,
            AggregateOp::BottomK if value(&heap[0]) > value(&member) || better(&member, &heap[0]) => {
                ranking::replace_first(&mut heap, member, greater);
            }
            AggregateOp::TopK | AggregateOp::ApproxTopK if value(&heap[0]) < value(&member) || better(&member, &heap[0]) => {
                ranking::replace_first(&mut heap, member, smaller);
            }
            _ => {}
        }
    }
    match op {
        AggregateOp::TopK | AggregateOp::ApproxTopK => ranking::sort(&mut heap, |a, b| smaller(b, a)),
        AggregateOp::BottomK => ranking::sort(&mut heap, |a, b| greater(b, a)),
        _ => {}
    }
    heap
}

/// Reports whether `limit_ratio` keeps a series.
fn is_sampled(labels: &LabelSet, ratio: f64) -> bool {
    let offset = sample_offset(labels);
    (ratio > 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
}

/// Where a series lies in [0, 1), which decides about it in `limit_ratio`: the hash that a stock build of Prometheus has of its labels
/// (xxh64 over each name and value behind its length: a byte, from 255 on that byte and three of little endian).
fn sample_offset(labels: &LabelSet) -> f64 {
    let mut bytes = Vec::with_capacity(labels.encoded().len());
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        match u8::try_from(text.len()) {
            Ok(len) if len < u8::MAX => bytes.push(len),
            _ => {
                bytes.push(u8::MAX);
                bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_lie_where_a_stock_prometheus_has_them() {
        let offset = |bytes: &[u8]| xxhash_rust::xxh64::xxh64(bytes, 0) as f64 / u64::MAX as f64;
        assert_eq!(sample_offset(&LabelSet::from_pairs([("a", "b"), ("le", "+Inf")])), offset(b"\x01a\x01b\x02le\x04+Inf"));
        let long = "x".repeat(300);
        assert_eq!(
            sample_offset(&LabelSet::from_pairs([("a", long.as_str())])),
            offset(&[b"\x01a\xff\x2c\x01\x00", long.as_bytes()].concat())
        );
    }
}
