//! Gathers step values into series, and what happens to label sets that meet.

use std::collections::HashMap;

use model::{LabelSet, is_stale};

use super::Context;
use crate::error::EvalError;
use crate::functions::histogram::sample_size;
use crate::logical::{AggregateOp, EvalOptions, Function, Node};
use crate::value::{Series, StepSeries, StepValue, StepValues, Value};

/// Output of a node that works step by step.
pub(super) struct Collector {
    steps: usize,
    strict: bool,
    index: HashMap<LabelSet, usize>,
    series: Vec<StepSeries>,
}

impl Collector {
    pub(super) fn new(context: &Context<'_>) -> Collector {
        let strict = !(context.single() && context.options.delayed_name_removal);
        Collector { steps: context.grid.len(), strict, index: HashMap::new(), series: Vec::new() }
    }

    /// Adds a value; a label set that has one at this step already is an error, or another series where names go later.
    pub(super) fn push(&mut self, step: usize, labels: LabelSet, drop_name: bool, value: StepValue) -> Result<(), EvalError> {
        let index = match self.index.get(&labels) {
            Some(index) if self.series[*index].values.get(step).is_some() => {
                if self.strict {
                    return Err(EvalError::same_labelset());
                }
                self.add(labels, drop_name)
            }
            Some(index) => *index,
            None => {
                let index = self.add(labels.clone(), drop_name);
                self.index.insert(labels, index);
                index
            }
        };
        self.series[index].values.set(step, value);
        Ok(())
    }

    fn add(&mut self, labels: LabelSet, drop_name: bool) -> usize {
        self.series.push(StepSeries { labels, drop_name, values: StepValues::absent(self.steps) });
        self.series.len() - 1
    }

    pub(super) fn done(self, context: &mut Context<'_>) -> Result<Value, EvalError> {
        context.budget.check(self.series.iter().map(|s| size(&s.values)).sum())?;
        Ok(Value::Vector(self.series))
    }
}

/// Samples in values, as `samples_max` counts.
pub(super) fn size(values: &StepValues) -> usize {
    values.floats.iter().filter(|v| !is_stale(**v)).count()
        + values.histograms.iter().flatten().map(|h| sample_size(h)).sum::<usize>()
}

/// Samples of a series, as `samples_max` counts.
pub(super) fn series_size(series: &Series) -> usize {
    series.values.len() + series.histograms.iter().map(|sample| sample_size(&sample.histogram)).sum::<usize>()
}

/// Samples in a value, a scalar's included, as `samples_max` counts.
pub(super) fn samples(value: &Value) -> usize {
    match value {
        Value::Scalar(floats) => floats.len(),
        Value::Vector(series) => series.iter().map(|one| size(&one.values)).sum(),
        Value::Text(_) | Value::Ranges(_) | Value::Streams(_) => 0,
    }
}

/// Bytes of a value in memory, estimated.
pub(super) fn bytes(value: &Value) -> usize {
    let step_series = |one: &StepSeries| {
        let histograms: usize =
            one.values.histograms.iter().map(|at| at.as_ref().map_or(8, |one| 8 + histogram_bytes(one))).sum();
        64 + 8 * one.values.floats.len() + histograms
    };
    match value {
        Value::Scalar(floats) => 8 * floats.len(),
        Value::Vector(series) => series.iter().map(step_series).sum(),
        Value::Text(text) => text.as_bytes().len(),
        // Raw series and entries are what the source holds.
        Value::Ranges(_) | Value::Streams(_) => 0,
    }
}

/// Bytes of the samples of a series in memory, estimated.
pub(super) fn series_bytes(series: &Series) -> usize {
    let numbers = series.timestamps.len() + series.values.len() + series.start_timestamps.len();
    64 + 8 * numbers + series.histograms.iter().map(|sample| 24 + histogram_bytes(&sample.histogram)).sum::<usize>()
}

fn histogram_bytes(histogram: &model::Histogram) -> usize {
    let numbers = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
    256 + 8 * (numbers + histogram.positive_spans.len() + histogram.negative_spans.len())
}

/// Reports whether a label says what the metric is, and goes where the value is another one.
pub(super) fn is_metric_label(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// Labels without `__name__`, `__type__`, `__unit__`.
pub(super) fn without_name(labels: &LabelSet) -> LabelSet {
    labels.retain(|name| !is_metric_label(name))
}

/// Drops the name, or notes that it goes at the end.
pub(super) fn drop_name(series: StepSeries, options: &EvalOptions) -> StepSeries {
    let labels = if options.delayed_name_removal { series.labels } else { without_name(&series.labels) };
    StepSeries { labels, drop_name: true, values: series.values }
}

/// Merges series with equal labels that have no step in common. A float and a histogram may meet, upstream lets both stand; a step has
/// one value here, and takes what an instant query shows, the histogram.
pub(super) fn merge(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, EvalError> {
    let mut index: HashMap<LabelSet, usize> = HashMap::new();
    let mut out: Vec<StepSeries> = Vec::with_capacity(series.len());
    for next in series {
        let Some(at) = index.get(&next.labels) else {
            index.insert(next.labels.clone(), out.len());
            out.push(next);
            continue;
        };
        let into = &mut out[*at];
        for step in 0..next.values.len() {
            let Some(value) = next.values.get(step) else { continue };
            match (into.values.get(step), &value) {
                (Some(StepValue::Float(_)), StepValue::Histogram(_)) | (None, _) => into.values.set(step, value),
                (Some(StepValue::Histogram(_)), StepValue::Float(_)) => {}
                _ => return Err(EvalError::same_labelset()),
            }
        }
    }
    Ok(out)
}

/// Fails where labels occur twice, unless names are dropped later.
pub(super) fn unique(series: Vec<StepSeries>, context: &Context<'_>) -> Result<Value, EvalError> {
    check_unique(&series, context.options)?;
    Ok(Value::Vector(series))
}

/// Fails where labels occur twice, unless names are dropped later.
pub(super) fn check_unique(series: &[StepSeries], options: &EvalOptions) -> Result<(), EvalError> {
    if options.delayed_name_removal {
        return Ok(());
    }
    let mut seen = hashbrown::HashSet::with_capacity(series.len());
    if series.iter().all(|s| seen.insert(&s.labels)) { Ok(()) } else { Err(EvalError::same_labelset()) }
}

/// Finishes a root value: names go, equal label sets merge or fail, series are sorted by labels unless their order is the answer.
pub fn finish(value: Value, root: &Node, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let Value::Vector(mut series) = value else { return Ok(value) };
    if context.options.delayed_name_removal {
        series.iter_mut().filter(|s| s.drop_name).for_each(|s| s.labels = without_name(&s.labels));
        series = merge(series)?;
    }
    series.retain(|s| !s.values.is_absent());
    if !context.options.instant || !ordered(root) {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    if series.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        return Err(EvalError::same_labelset());
    }
    Ok(Value::Vector(series))
}

fn ordered(node: &Node) -> bool {
    match node {
        Node::StepInvariant(inner) | Node::Negate(inner, _) | Node::Plus(inner) => ordered(inner),
        Node::Call(call) => {
            use Function::{LabelJoin, LabelReplace, Sort, SortByLabel, SortByLabelDesc, SortDesc};
            match call.function {
                Sort | SortDesc | SortByLabel | SortByLabelDesc => true,
                LabelReplace | LabelJoin => call.args.first().is_some_and(ordered),
                _ => call.args.iter().any(ordered),
            }
        }
        Node::Binary(binary) => ordered(&binary.left) || ordered(&binary.right),
        Node::Aggregate(aggregate) => {
            matches!(
                aggregate.op,
                AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::Sort | AggregateOp::SortDesc | AggregateOp::ApproxTopK
            ) || (matches!(aggregate.op, AggregateOp::LimitK | AggregateOp::LimitRatio) && ordered(&aggregate.input))
        }
        _ => false,
    }
}
