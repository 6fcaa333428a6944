//! Binary operators: matching is computed once per pair of series, arithmetic runs over columns.

use model::{LabelSet, STALE_NAN, is_stale};
use plan::logical::{Binary, BinaryOp, Cardinality, Matching};
use plan::{Grid, StepSeries, StepValues, Value};

use super::{Signatures, nameless, ordered, without_name};
use crate::EngineError;
use crate::context::QueryContext;

pub(super) fn apply(
    context: &QueryContext,
    binary: &Binary,
    left: Value,
    right: Value,
    grid: Grid,
) -> Result<Value, EngineError> {
    let op = binary.op;
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Ok(Value::Scalar(left.iter().zip(&right).map(|(l, r)| scalar(op, *l, *r)).collect()))
        }
        (Value::Vector(series), Value::Scalar(scalar)) => with_scalar(context, binary, series, &scalar, false).map(Value::Vector),
        (Value::Scalar(scalar), Value::Vector(series)) => with_scalar(context, binary, series, &scalar, true).map(Value::Vector),
        (Value::Vector(left), Value::Vector(right)) if op.is_set() => Ok(Value::Vector(set(binary, left, right, grid))),
        (Value::Vector(left), Value::Vector(right)) => vectors(context, binary, left, right).map(Value::Vector),
        _ => Err(EngineError::Internal("operator over a string or range".into())),
    }
}

/// Comparisons between scalars answer 0 or 1.
fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match compare(op, left, right) {
        Some(holds) => f64::from(u8::from(holds)),
        None => arithmetic(op, left, right),
    }
}

fn compare(op: BinaryOp, left: f64, right: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Eq => left == right,
        BinaryOp::Ne => left != right,
        BinaryOp::Gt => left > right,
        BinaryOp::Lt => left < right,
        BinaryOp::Ge => left >= right,
        BinaryOp::Le => left <= right,
        _ => return None,
    })
}

fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::NAN,
    }
}

fn refuse(binary: &Binary, series: &[StepSeries]) -> Result<(), EngineError> {
    let trims = matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
    if trims || series.iter().any(|one| !one.values.histograms.is_empty()) {
        return Err(EngineError::Unsupported(format!("operator \"{}\" of native histograms", binary.op.as_str())));
    }
    Ok(())
}

fn with_scalar(
    context: &QueryContext,
    binary: &Binary,
    series: Vec<StepSeries>,
    scalar: &[f64],
    scalar_left: bool,
) -> Result<Vec<StepSeries>, EngineError> {
    refuse(binary, &series)?;
    let keeps_name = binary.op.is_comparison() && !binary.return_bool;
    let mapped = series.into_iter().map(|mut one| {
        for (value, other) in one.values.floats.iter_mut().zip(scalar) {
            if !is_stale(*value) {
                let (left, right) = if scalar_left { (*other, *value) } else { (*value, *other) };
                *value = combine(binary, left, right, *value);
            }
        }
        if keeps_name { one } else { nameless(context, one) }
    });
    ordered(mapped.collect())
}

/// One value of a vector operation; `kept` is what a filter lets through.
fn combine(binary: &Binary, left: f64, right: f64, kept: f64) -> f64 {
    match compare(binary.op, left, right) {
        Some(holds) if binary.return_bool => f64::from(u8::from(holds)),
        Some(true) => kept,
        Some(false) => STALE_NAN,
        None => arithmetic(binary.op, left, right),
    }
}

fn signature(matching: &Matching, labels: &LabelSet) -> LabelSet {
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on { labels.retain(named) } else { labels.retain(|name| name != "__name__" && !named(name)) }
}

fn signatures(matching: &Matching, series: &[StepSeries]) -> Signatures {
    let mut found = Signatures::new();
    for (index, one) in series.iter().enumerate() {
        found.entry(signature(matching, &one.labels)).or_default().push(index);
    }
    found
}

fn set(binary: &Binary, left: Vec<StepSeries>, right: Vec<StepSeries>, grid: Grid) -> Vec<StepSeries> {
    let present = |series: &[StepSeries], members: Option<&Vec<usize>>, step: usize| {
        members.is_some_and(|members| members.iter().any(|index| series[*index].values.get(step).is_some()))
    };
    let (of_left, of_right) = (signatures(&binary.matching, &left), signatures(&binary.matching, &right));
    let filter = |series: &[StepSeries], others: &[StepSeries], by: &Signatures, wanted: bool| -> Vec<StepSeries> {
        let filtered = series.iter().map(|one| {
            let members = by.get(&signature(&binary.matching, &one.labels));
            let mut kept = StepSeries { values: StepValues::absent(grid.len()), ..one.clone() };
            for step in 0..grid.len() {
                if present(others, members, step) == wanted
                    && let Some(value) = one.values.get(step)
                {
                    kept.values.set(step, value);
                }
            }
            kept
        });
        filtered.filter(|one| !one.values.is_absent()).collect()
    };
    match binary.op {
        BinaryOp::And => filter(&left, &right, &of_right, true),
        BinaryOp::Unless => filter(&left, &right, &of_right, false),
        _ => {
            let more = filter(&right, &left, &of_left, false);
            left.into_iter().chain(more).collect()
        }
    }
}

fn vectors(
    context: &QueryContext,
    binary: &Binary,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
) -> Result<Vec<StepSeries>, EngineError> {
    refuse(binary, &left)?;
    refuse(binary, &right)?;
    if binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some() {
        return Err(EngineError::Unsupported("fill modifier".into()));
    }
    // With group_right the right side is the many; everything else is written for many on the left.
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let by = signatures(&binary.matching, &one);
    check_one_side(binary, &one, &by, &many, swapped)?;
    let mut results = Vec::new();
    for series in &many {
        let Some(members) = by.get(&signature(&binary.matching, &series.labels)) else { continue };
        for member in members {
            let other = &one[*member];
            let mut values = StepValues::absent(series.values.len());
            for (step, out) in values.floats.iter_mut().enumerate() {
                let (m, o) = (series.values.floats[step], other.values.floats[step]);
                if !is_stale(m) && !is_stale(o) {
                    let (l, r) = if swapped { (o, m) } else { (m, o) };
                    *out = combine(binary, l, r, l);
                }
            }
            if !values.is_absent() {
                let labels = result_labels(binary, &series.labels, &other.labels);
                let drop_name = context.options.delayed_name_removal && (!binary.op.is_comparison() || binary.return_bool);
                results.push(StepSeries { labels, drop_name, values });
            }
        }
    }
    let text = match binary.matching.cardinality {
        Cardinality::OneToOne => "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        _ => "multiple matches for labels: grouping labels must ensure unique matches",
    };
    ordered(results).map_err(|_| EngineError::Evaluation(text.into()))
}

/// At no step may two series of the "one" side share a signature that the other side has.
fn check_one_side(
    binary: &Binary,
    one: &[StepSeries],
    by: &Signatures,
    many: &[StepSeries],
    swapped: bool,
) -> Result<(), EngineError> {
    let side = if swapped { "left" } else { "right" };
    for (group, members) in by.iter().filter(|(_, members)| members.len() > 1) {
        let steps = one[members[0]].values.len();
        for step in 0..steps {
            let here: Vec<&StepSeries> =
                members.iter().map(|index| &one[*index]).filter(|series| series.values.get(step).is_some()).collect();
            let asked = || many.iter().any(|m| m.values.get(step).is_some() && signature(&binary.matching, &m.labels) == *group);
            if let [first, second, ..] = &here[..]
                && asked()
            {
                return Err(EngineError::Evaluation(format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}];\
                     many-to-many matching not allowed: matching labels must be unique on one side",
                    second.labels, first.labels
                )));
            }
        }
    }
    Ok(())
}

fn result_labels(binary: &Binary, many: &LabelSet, one: &LabelSet) -> LabelSet {
    let matching = &binary.matching;
    let keeps_name = binary.op.is_comparison() && !binary.return_bool;
    let labels = if keeps_name { many.clone() } else { without_name(many) };
    if matching.cardinality == Cardinality::OneToOne {
        let named = |name: &str| matching.labels.iter().any(|label| label == name);
        return if matching.on { labels.retain(named) } else { labels.retain(|name| !named(name)) };
    }
    let mut builder = labels.to_builder();
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.build()
}
