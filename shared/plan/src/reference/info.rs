//! `info()`: data labels of info series joined to other series by `instance` and `job` (upstream `promql/info.go`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{LabelSet, MatchOp, Matcher, TimestampMs};

use super::collect::Collector;
use super::{Context, Source, fetch, node, selector_of, windows};
use crate::error::EvalError;
use crate::logical::{Call, Extension, Function, Node, RangeInput, Select};
use crate::value::{StepSeries, Value};

const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Which matchers on the name select info series.
fn name_matchers(given: Vec<Matcher>) -> Result<Vec<Matcher>, EvalError> {
    if given.is_empty() {
        return Ok(vec![Matcher::equal("__name__", "target_info")]);
    }
    if given.iter().any(|m| matches!(m.op(), MatchOp::Equal | MatchOp::Regex)) {
        return Ok(given);
    }
    let mut all = vec![regex("__name__", ".+_info")?];
    all.extend(given);
    Ok(all)
}

fn regex(name: &str, pattern: &str) -> Result<Matcher, EvalError> {
    Matcher::new(name, MatchOp::Regex, pattern).map_err(|e| EvalError::Execution(e.to_string()))
}

/// The time of the first selector: its `@` or that of the subqueries around it, and the offsets up to there.
fn time_of(node: &Node, around: (Option<TimestampMs>, i64)) -> Option<(Option<TimestampMs>, i64, i64)> {
    let of = |select: &Select| match select.at {
        Some(at) => (Some(at), select.offset_ms, select.lookback_ms),
        None => (around.0, select.offset_ms + around.1, select.lookback_ms),
    };
    match node {
        Node::Instant(select) | Node::Range(RangeInput::Select { select, .. }) => Some(of(select)),
        Node::Range(RangeInput::Subquery { node, offset_ms, at, .. }) => {
            let around = if at.is_some() { (*at, *offset_ms) } else { (around.0, around.1 + offset_ms) };
            time_of(node, around)
        }
        Node::StepInvariant(inner) | Node::Negate(inner, _) | Node::Plus(inner) => time_of(inner, around),
        Node::Call(call) => call.args.iter().find_map(|arg| time_of(arg, around)),
        Node::Aggregate(aggregate) => time_of(&aggregate.input, around),
        Node::Binary(binary) => time_of(&binary.left, around).or_else(|| time_of(&binary.right, around)),
        _ => None,
    }
}

fn identity(labels: &LabelSet) -> LabelSet {
    labels.retain(|name| IDENTIFYING.contains(&name))
}

pub(super) fn evaluate(call: &Call, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let first = call.args.first().ok_or_else(|| EvalError::Unsupported("info without argument".to_owned()))?;
    let (at, offset_ms, lookback_ms) = time_of(first, (None, 0)).unwrap_or((None, 0, 300_000));
    let Value::Vector(base) = node(first, source, context)? else {
        return Err(EvalError::Unsupported("argument of info".to_owned()));
    };
    let given = selector_of(call.args.get(1)).map_or(Vec::new(), |select| select.matchers.clone());
    let (names, data): (Vec<Matcher>, Vec<Matcher>) = given.into_iter().partition(|m| m.name() == "__name__");
    let names = name_matchers(names)?;
    let is_info = |labels: &LabelSet| names.iter().all(|m| m.matches_labels(labels));
    let mut matchers = Vec::new();
    for label in IDENTIFYING {
        let values: BTreeSet<String> =
            base.iter().filter(|s| !is_info(&s.labels)).filter_map(|s| s.labels.get(label)).map(regex_quote).collect();
        if !values.is_empty() {
            matchers.push(regex(label, &values.into_iter().collect::<Vec<_>>().join("|"))?);
        }
    }
    let info = if matchers.is_empty() {
        Vec::new()
    } else {
        matchers.extend(data.iter().cloned().chain(names.iter().cloned()));
        let select = Select { matchers, offset_ms, at, lookback_ms, extension: Extension::None, span: call.span };
        info_series(&select, source, context)?
    };
    combine(&base, &info, &data, is_info, context)
}

fn regex_quote(text: &str) -> String {
    regex::escape(text)
}

/// Info series with the time of the sample seen at each step, in seconds.
fn info_series(select: &Select, source: &dyn Source, context: &mut Context<'_>) -> Result<Vec<StepSeries>, EvalError> {
    let mut out = Vec::new();
    for series in fetch(select, None, source, context)? {
        if series.values.is_empty() && !series.histograms.is_empty() {
            return Err(EvalError::Execution(format!("this should be an info metric, with float samples: {}", series.labels)));
        }
        let values = windows::timestamps(&series, select, &context.grid, Function::Timestamp, context.options);
        if !values.is_absent() {
            context.budget.load(super::collect::size(&values))?;
            out.push(StepSeries { labels: series.labels, drop_name: false, values });
        }
    }
    Ok(out)
}

fn combine(
    base: &[StepSeries],
    info: &[StepSeries],
    data: &[Matcher],
    is_info: impl Fn(&LabelSet) -> bool,
    context: &mut Context<'_>,
) -> Result<Value, EvalError> {
    let mut out = Collector::new(context);
    for step in 0..context.grid.len() {
        let newest = newest_at(info, step)?;
        for series in base {
            let Some(value) = series.values.get(step) else { continue };
            if is_info(&series.labels) {
                out.push(step, series.labels.clone(), series.drop_name, value)?;
                continue;
            }
            let mut added: BTreeMap<&str, &str> = BTreeMap::new();
            let found = newest.get(&identity(&series.labels)).map_or(&[][..], |found| &found[..]);
            for (name, label) in found.iter().flat_map(|s| s.labels.iter()).filter(|(name, _)| *name != "__name__") {
                if !data.is_empty() && !data.iter().any(|m| m.name() == name) {
                    continue;
                }
                if added.get(name).is_some_and(|old| *old != label) {
                    return Err(EvalError::Execution(format!("conflicting label: {name}")));
                }
                if series.labels.get(name).is_none() {
                    added.insert(name, label);
                }
            }
            if found.is_empty() && data.iter().any(|m| !m.matches_empty()) {
                continue;
            }
            let mut builder = series.labels.to_builder();
            for (name, label) in added {
                builder.set(name, label);
            }
            out.push(step, builder.build(), series.drop_name, value)?;
        }
    }
    out.done(context)
}

/// Per identity the newest info series of each metric at a step; two of one age are an error.
fn newest_at(info: &[StepSeries], step: usize) -> Result<HashMap<LabelSet, Vec<&StepSeries>>, EvalError> {
    let mut newest: HashMap<LabelSet, Vec<&StepSeries>> = HashMap::new();
    for series in info.iter().filter(|s| s.values.get(step).is_some()) {
        let time = |s: &StepSeries| (s.values.floats[step] * 1000.0).round() as i64;
        let same = newest.entry(identity(&series.labels)).or_default();
        let Some(held) = same.iter_mut().find(|s| s.labels.metric_name() == series.labels.metric_name()) else {
            same.push(series);
            continue;
        };
        if time(held) == time(series) {
            return Err(EvalError::Execution(format!(
                "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                held.labels,
                time(held),
                series.labels,
                time(series)
            )));
        }
        if time(held) < time(series) {
            *held = series;
        }
    }
    Ok(newest)
}
