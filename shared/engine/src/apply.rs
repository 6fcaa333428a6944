//! What the upper nodes of a plan mean, over materialised children.
//!
//! Owns: scalars, arithmetic and comparison, vector matching, functions of instant values.
//! Does not own: windows ([`crate::kernels`]), aggregations that fold ([`crate::exec::aggregate`]).

mod binary;
mod function;

use hashbrown::HashMap;
use model::{LabelSet, is_stale};
use plan::logical::{Node, Span};
use plan::{Grid, StepSeries, StepValues, Value};

use crate::EngineError;
use crate::context::QueryContext;

/// Prometheus's text for two series of one label set.
const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

/// Evaluates `node` over the values of its children.
pub(crate) fn apply(context: &QueryContext, node: &Node, children: Vec<Value>, grid: Grid) -> Result<Value, EngineError> {
    let mut children = children.into_iter();
    let mut next = || children.next().ok_or_else(|| EngineError::Internal("a child is missing".into()));
    match node {
        Node::Literal(value) => Ok(Value::Scalar(vec![*value; grid.len()])),
        Node::Text(text) => Ok(Value::Text(text.clone())),
        Node::Negate(..) => match next()? {
            Value::Scalar(floats) => Ok(Value::Scalar(floats.into_iter().map(|value| -value).collect())),
            Value::Vector(series) => map_floats(context, series, |value| -value).map(Value::Vector),
            _ => Err(EngineError::Internal("minus of a string or range".into())),
        },
        Node::Binary(binary) => binary::apply(context, binary, next()?, next()?, grid),
        Node::Call(call) => function::apply(context, call, children.collect(), grid),
        Node::Aggregate(aggregate) => Err(EngineError::Unsupported(format!("aggregation \"{}\"", aggregate.op.as_str()))),
        _ => Err(EngineError::Unsupported(describe(node))),
    }
}

/// Names a node in one word or two.
pub(crate) fn describe(node: &Node) -> String {
    match node {
        Node::Literal(value) => format!("{value}"),
        Node::Text(_) => "string".into(),
        Node::Instant(_) => "selector".into(),
        Node::Range(_) => "range vector".into(),
        Node::Call(call) => format!("function \"{}\"", call.function.as_str()),
        Node::Aggregate(aggregate) => format!("aggregation \"{}\"", aggregate.op.as_str()),
        Node::Binary(binary) => format!("operator \"{}\"", binary.op.as_str()),
        Node::Negate(..) => "unary minus".into(),
        Node::StepInvariant(inner) => describe(inner),
        Node::LogWindow(window) => format!("log window \"{}\"", window.function.as_str()),
        Node::Logs(_) => "log query".into(),
    }
}

/// Drops what names a metric.
pub(crate) fn without_name(labels: &LabelSet) -> LabelSet {
    labels.retain(|name| !matches!(name, "__name__" | "__type__" | "__unit__"))
}

/// Returns the 1-based line and column of a span's start.
pub(crate) fn line_col(text: &str, span: Span) -> (usize, usize) {
    let before = &text.as_bytes()[..(span.start as usize).min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    (before.iter().filter(|b| **b == b'\n').count() + 1, before.len() - line_start + 1)
}

/// Makes the one row a scalar travels as.
pub(crate) fn scalar_series(floats: Vec<f64>) -> StepSeries {
    StepSeries { labels: LabelSet::empty(), drop_name: false, values: StepValues { floats, histograms: Vec::new() } }
}

/// Sorts by labels, leaves absent series out, joins series of one label set that never meet.
///
/// # Errors
/// `Evaluation` where two of one label set have a value at the same step.
pub(crate) fn ordered(mut series: Vec<StepSeries>) -> Result<Vec<StepSeries>, EngineError> {
    series.retain(|one| !one.values.is_absent());
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut unique: Vec<StepSeries> = Vec::with_capacity(series.len());
    for one in series {
        match unique.last_mut() {
            Some(last) if last.labels == one.labels => join(&mut last.values, &one.values)?,
            _ => unique.push(one),
        }
    }
    Ok(unique)
}

fn join(into: &mut StepValues, from: &StepValues) -> Result<(), EngineError> {
    for step in 0..from.len() {
        if let Some(value) = from.get(step) {
            if into.get(step).is_some() {
                return Err(EngineError::Evaluation(SAME_LABELSET.into()));
            }
            into.set(step, value);
        }
    }
    Ok(())
}

/// Applies a function of floats to every value and drops the name; histograms have no result.
fn map_floats(
    context: &QueryContext,
    series: Vec<StepSeries>,
    each: impl Fn(f64) -> f64,
) -> Result<Vec<StepSeries>, EngineError> {
    let mapped = series.into_iter().map(|mut one| {
        one.values.floats.iter_mut().filter(|value| !is_stale(**value)).for_each(|value| *value = each(*value));
        one.values.histograms = Vec::new();
        nameless(context, one)
    });
    ordered(mapped.collect())
}

/// Drops the name of a result, or marks it for the end.
fn nameless(context: &QueryContext, mut one: StepSeries) -> StepSeries {
    if context.options.delayed_name_removal {
        one.drop_name = true;
    } else {
        one.labels = without_name(&one.labels);
    }
    one
}

/// Drops the names that were kept for the end.
pub(crate) fn finish_names(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, EngineError> {
    let named = series.into_iter().map(|mut one| {
        if one.drop_name {
            one.labels = without_name(&one.labels);
            one.drop_name = false;
        }
        one
    });
    ordered(named.collect())
}

/// Indexes of series by the labels they are matched on.
type Signatures = HashMap<LabelSet, Vec<usize>>;
