//! Binary operators: arithmetic, comparison, set operators, trimming; vector matching with its exact errors.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{CounterResetHint, Histogram, LabelSet};

use super::Context;
use super::collect::{self, Collector};
use crate::annotations::{mismatched_buckets, reset_collision};
use crate::error::EvalError;
use crate::functions::{histogram as native, power, trigonometry};
use crate::logical::{Binary, BinaryOp, Cardinality, Dialect, Matching};
use crate::value::{StepSeries, StepValue, Value};

pub(super) fn apply(binary: &Binary, left: Value, right: Value, context: &mut Context<'_>) -> Result<Value, EvalError> {
    match (left, right) {
        (Value::Scalar(_), Value::Scalar(_)) if binary.op.is_trim() => Err(EvalError::Execution(format!(
            "operator {} not allowed for Scalar operations",
            model::quote::go_quote(binary.op.as_str())
        ))),
        (Value::Scalar(a), Value::Scalar(b)) => {
            Ok(Value::Scalar(a.into_iter().zip(b).map(|(a, b)| scalar(binary.op, a, b)).collect()))
        }
        (Value::Vector(vector), Value::Scalar(scalars)) => vector_scalar(binary, vector, &scalars, false, context),
        (Value::Scalar(scalars), Value::Vector(vector)) => vector_scalar(binary, vector, &scalars, true, context),
        (Value::Vector(left), Value::Vector(right)) if binary.op.is_set() => set(binary, left, right, context),
        (Value::Vector(left), Value::Vector(right)) => vectors(binary, &left, &right, context),
        _ => Err(EvalError::Unsupported(format!("operands of {}", binary.op.as_str()))),
    }
}

fn arithmetic(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => power::pow(a, b),
        BinaryOp::Atan2 => trigonometry::atan2(a, b),
        _ => return None,
    })
}

fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eq => a == b,
        BinaryOp::Ne => a != b,
        BinaryOp::Gt => a > b,
        BinaryOp::Lt => a < b,
        BinaryOp::Ge => a >= b,
        BinaryOp::Le => a <= b,
        _ => false,
    }
}

fn scalar(op: BinaryOp, a: f64, b: f64) -> f64 {
    arithmetic(op, a, b).unwrap_or_else(|| f64::from(u8::from(compare(op, a, b))))
}

/// What an operator makes of two elements.
struct Element {
    value: StepValue,
    keep: bool,
}

/// What an operator has to say about two elements. Of a step's notes only the last is heard (upstream `VectorBinop`).
enum Note {
    Warning(String),
    Info(String),
}

impl Note {
    fn write(self, binary: &Binary, context: &mut Context<'_>) {
        match self {
            Note::Warning(text) => context.annotations.warn(text, binary.span),
            Note::Info(text) => context.annotations.info(text, binary.span),
        }
    }
}

/// An element without value makes no pair: neither a result, nor a match.
type Outcome = (Option<Element>, Option<Note>);

fn element(binary: &Binary, a: &StepValue, b: &StepValue, dialect: Dialect) -> Outcome {
    use StepValue::{Float, Histogram as Hist};
    let op = binary.op;
    let kept = |value| (Some(Element { value, keep: true }), None);
    let own = |h: Histogram| Hist(Arc::new(h));
    let changed = |h: &Histogram, f: fn(&mut Histogram, f64), by: f64| {
        let mut h = h.clone();
        f(&mut h, by);
        native::compact(&mut h);
        own(h)
    };
    match (a, b, op) {
        (Float(a), Float(b), _) if !op.is_trim() => {
            // Loki: a vector divided by zero has no value, which it writes as NaN.
            let by_zero = dialect == Dialect::LogQl && matches!(op, BinaryOp::Div | BinaryOp::Mod) && *b == 0.0;
            match arithmetic(op, *a, *b) {
                Some(_) if by_zero => kept(Float(f64::NAN)),
                Some(value) => kept(Float(value)),
                None => (Some(Element { value: Float(*a), keep: compare(op, *a, *b) }), None),
            }
        }
        (Float(f), Hist(h), BinaryOp::Mul) | (Hist(h), Float(f), BinaryOp::Mul) => kept(changed(h, native::scale, *f)),
        (Hist(h), Float(f), BinaryOp::Div) => kept(changed(h, native::divide, *f)),
        (Hist(h), Float(f), BinaryOp::TrimUpper) => kept(own(native::trim(h, *f, true))),
        (Hist(h), Float(f), BinaryOp::TrimLower) => kept(own(native::trim(h, *f, false))),
        (Hist(a), Hist(b), BinaryOp::Add | BinaryOp::Sub) => add_histograms(op, a, b),
        (Hist(x), Hist(y), BinaryOp::Eq | BinaryOp::Ne) => {
            let keep = native::equals(x, y) == (op == BinaryOp::Eq);
            (Some(Element { value: Hist(Arc::clone(x)), keep }), None)
        }
        _ => (None, Some(Note::Info(incompatible_types(op, a, b)))),
    }
}

/// Adds or subtracts. Where counter resets collide there is a warning and no result (upstream takes it for an error of the pair).
fn add_histograms(op: BinaryOp, a: &Histogram, b: &Histogram) -> Outcome {
    let subtract = op == BinaryOp::Sub;
    let Ok((mut h, note)) = (if subtract { native::sub(a, b) } else { native::add(a, b) }) else {
        let text = format!("incompatible bucket layout encountered for binary operator {}", op.as_str());
        return (None, Some(Note::Warning(text)));
    };
    let word = if subtract { "subtraction" } else { "addition" };
    if note.collision {
        return (None, Some(Note::Warning(reset_collision(word))));
    }
    if subtract {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
    let said = note.reconciled.then(|| Note::Info(mismatched_buckets(word)));
    (Some(Element { value: StepValue::Histogram(Arc::new(h)), keep: true }), said)
}

fn incompatible_types(op: BinaryOp, a: &StepValue, b: &StepValue) -> String {
    let kind = |v: &StepValue| if matches!(v, StepValue::Float(_)) { "float" } else { "histogram" };
    let (quoted, op) = (model::quote::go_quote(op.as_str()), op.as_str());
    format!("incompatible sample types encountered for binary operator {quoted}: {} {op} {}", kind(a), kind(b))
}

fn changes_schema(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

fn vector_scalar(
    binary: &Binary,
    vector: Vec<StepSeries>,
    scalars: &[f64],
    swap: bool,
    context: &mut Context<'_>,
) -> Result<Value, EvalError> {
    let drops = changes_schema(binary.op) || binary.return_bool;
    let dialect = context.options.dialect;
    let mut out = Vec::new();
    let mut notes: Vec<Option<Note>> = scalars.iter().map(|_| None).collect();
    for series in vector {
        let mut values = crate::value::StepValues::absent(series.values.len());
        for (step, scalar) in scalars.iter().enumerate() {
            let Some(own) = series.values.get(step) else { continue };
            let other = StepValue::Float(*scalar);
            let (a, b) = if swap { (&other, &own) } else { (&own, &other) };
            let (result, note) = element(binary, a, b, dialect);
            notes[step] = note.or(notes[step].take());
            let Some(mut result) = result else { continue };
            if binary.op.is_comparison() {
                result.value = own;
            }
            if binary.return_bool {
                result = Element { value: StepValue::Float(f64::from(u8::from(result.keep))), keep: true };
            }
            if result.keep {
                values.set(step, result.value);
            }
        }
        if !values.is_absent() {
            let kept = StepSeries { labels: series.labels, drop_name: series.drop_name, values };
            out.push(if drops { collect::drop_name(kept, context.options) } else { kept });
        }
    }
    notes.into_iter().flatten().for_each(|note| note.write(binary, context));
    if context.options.delayed_name_removal || !drops {
        return Ok(Value::Vector(out));
    }
    if context.single() { collect::unique(out, context) } else { Ok(Value::Vector(collect::merge(out)?)) }
}

fn signature(matching: &Matching, labels: &LabelSet) -> LabelSet {
    let named = |name: &str| matching.labels.iter().any(|l| l == name);
    if matching.on { labels.retain(named) } else { labels.retain(|name| name != "__name__" && !named(name)) }
}

fn ordinals(matching: &Matching, left: &[StepSeries], right: &[StepSeries]) -> (Vec<usize>, Vec<usize>, usize) {
    let mut index: HashMap<LabelSet, usize> = HashMap::new();
    let mut of = |series: &StepSeries| {
        let next = index.len();
        *index.entry(signature(matching, &series.labels)).or_insert(next)
    };
    let left = left.iter().map(&mut of).collect();
    let right = right.iter().map(&mut of).collect();
    let count = index.len();
    (left, right, count)
}

fn set(binary: &Binary, left: Vec<StepSeries>, right: Vec<StepSeries>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let (left_sigs, right_sigs, count) = ordinals(&binary.matching, &left, &right);
    let mut out = Collector::new(context);
    for step in 0..context.grid.len() {
        context.budget.go_on()?;
        let present = |series: &[StepSeries], sigs: &[usize]| {
            let mut seen = vec![false; count];
            series.iter().zip(sigs).filter(|(s, _)| s.values.get(step).is_some()).for_each(|(_, sig)| seen[*sig] = true);
            seen
        };
        let (in_left, in_right) = (present(&left, &left_sigs), present(&right, &right_sigs));
        for (series, sig) in left.iter().zip(&left_sigs) {
            let keep = match binary.op {
                BinaryOp::And => in_right[*sig],
                BinaryOp::Unless => !in_right[*sig],
                _ => true,
            };
            if let Some(value) = series.values.get(step).filter(|_| keep) {
                out.push(step, series.labels.clone(), series.drop_name, value)?;
            }
        }
        for (series, sig) in right.iter().zip(&right_sigs).filter(|_| binary.op == BinaryOp::Or) {
            if let Some(value) = series.values.get(step).filter(|_| !in_left[*sig]) {
                out.push(step, series.labels.clone(), series.drop_name, value)?;
            }
        }
    }
    out.done(context)
}

fn match_labels(matching: &Matching, labels: &LabelSet) -> LabelSet {
    let named = |name: &str| matching.labels.iter().any(|l| l == name);
    if matching.on { labels.retain(named) } else { labels.retain(|name| name != "__name__" && !named(name)) }
}

struct Side<'a> {
    series: &'a [StepSeries],
    sigs: Vec<usize>,
}

fn vectors(binary: &Binary, left: &[StepSeries], right: &[StepSeries], context: &mut Context<'_>) -> Result<Value, EvalError> {
    let matching = &binary.matching;
    let (left_sigs, right_sigs, count) = ordinals(matching, left, right);
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (mut many, mut one) = (Side { series: left, sigs: left_sigs }, Side { series: right, sigs: right_sigs });
    if swapped {
        std::mem::swap(&mut many, &mut one);
    }
    let (dialect, delayed) = (context.options.dialect, context.options.delayed_name_removal);
    let mut out = Collector::new(context);
    let mut metrics: HashMap<(LabelSet, LabelSet), LabelSet> = HashMap::new();
    for step in 0..context.grid.len() {
        context.budget.go_on()?;
        let gather = |side: &Side<'_>| -> Vec<(usize, StepValue)> {
            side.series.iter().enumerate().filter_map(|(i, s)| Some((i, s.values.get(step)?))).collect()
        };
        let (many_now, one_now) = (gather(&many), gather(&one));
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        // Loki looks for duplicates also where the other side is empty.
        let checks = context.options.dialect == Dialect::LogQl && !one_now.is_empty();
        if !checks && (one_now.is_empty() || many_now.is_empty()) && (!fills || (many_now.is_empty() && one_now.is_empty())) {
            continue;
        }
        let mut by_sig: Vec<Option<usize>> = vec![None; count];
        for (position, (index, _)) in one_now.iter().enumerate() {
            let slot = &mut by_sig[one.sigs[*index]];
            if let Some(first) = *slot {
                if dialect == Dialect::LogQl {
                    return Err(duplicate_in_logql(matching));
                }
                return Err(duplicate(matching, &one.series[*index].labels, &one.series[one_now[first].0].labels));
            }
            *slot = Some(position);
        }
        let mut matched: Vec<HashSet<LabelSet>> = vec![HashSet::new(); count];
        let mut said = None;
        let mut hit = |matched: &mut [HashSet<LabelSet>],
                       many_labels: &LabelSet,
                       one_labels: &LabelSet,
                       many_value: &StepValue,
                       one_value: &StepValue,
                       sig: usize|
         -> Result<(), EvalError> {
            let (a, b) = if swapped { (one_value, many_value) } else { (many_value, one_value) };
            let (result, note) = element(binary, a, b, dialect);
            said = note.or(said.take());
            let Some(mut result) = result else { return Ok(()) };
            if binary.return_bool {
                result.value = StepValue::Float(f64::from(u8::from(result.keep)));
            }
            let metric = metrics
                .entry((many_labels.clone(), one_labels.clone()))
                .or_insert_with(|| result_labels(binary, many_labels, one_labels, delayed))
                .clone();
            if matching.cardinality == Cardinality::OneToOne {
                if !matched[sig].is_empty() {
                    let text = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                    return Err(EvalError::Execution(text.to_owned()));
                }
                matched[sig].insert(metric.clone());
            } else if !matched[sig].insert(metric.clone()) {
                let text = "multiple matches for labels: grouping labels must ensure unique matches";
                return Err(EvalError::Execution(text.to_owned()));
            }
            if result.keep || binary.return_bool {
                out.push(step, metric, binary.return_bool, result.value)?;
            }
            Ok(())
        };
        // Upstream swaps the sides of group_right but not the fill values: fill_left is for the many side, always.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        for (index, value) in &many_now {
            let sig = many.sigs[*index];
            let labels = &many.series[*index].labels;
            if let Some(position) = by_sig[sig] {
                let (other, other_value) = &one_now[position];
                hit(&mut matched, labels, &one.series[*other].labels, value, other_value, sig)?;
            } else if let Some(fill) = fill_one {
                hit(&mut matched, labels, &match_labels(matching, labels), value, &StepValue::Float(fill), sig)?;
            }
        }
        if let Some(fill) = fill_many {
            for (index, value) in &one_now {
                let sig = one.sigs[*index];
                if matched[sig].is_empty() {
                    let labels = &one.series[*index].labels;
                    hit(&mut matched, &match_labels(matching, labels), labels, &StepValue::Float(fill), value, sig)?;
                }
            }
        }
        if let Some(note) = said {
            note.write(binary, context);
        }
    }
    out.done(context)
}

fn result_labels(binary: &Binary, many: &LabelSet, one: &LabelSet, delayed: bool) -> LabelSet {
    let matching = &binary.matching;
    let mut labels = many.clone();
    if changes_schema(binary.op) || (binary.return_bool && !delayed) {
        labels = collect::without_name(&labels);
    }
    if matching.cardinality == Cardinality::OneToOne {
        let named = |name: &str| matching.labels.iter().any(|l| l == name);
        labels = labels.retain(|name| named(name) == matching.on);
    }
    if matching.include.is_empty() {
        return labels;
    }
    let mut builder = labels.to_builder();
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or(""));
    }
    builder.build()
}

/// Loki's text: Prometheus's without the match group.
fn duplicate_in_logql(matching: &Matching) -> EvalError {
    let side = if matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
    EvalError::Execution(format!(
        "found duplicate series on the {side} hand-side;many-to-many matching not allowed: matching labels must be unique on one side"
    ))
}

fn duplicate(matching: &Matching, a: &LabelSet, b: &LabelSet) -> EvalError {
    let side = if matching.cardinality == Cardinality::OneToMany { "left" } else { "right" };
    let mut pair = [a.to_string(), b.to_string()];
    pair.sort();
    EvalError::Execution(format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
        match_labels(matching, a),
        pair[0],
        pair[1]
    ))
}
