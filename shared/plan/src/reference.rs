//! The reference evaluator: slow, obvious, and what every other evaluation must agree with.
//!
//! Owns: evaluation of a whole plan over a [`Source`]; [`apply`], everything above the leaves, for evaluators that bring
//! their own leaves; [`windows`], the leaves one series at a time.
//! Does not own: IO, concurrency, text.

mod aggregate;
mod binary;
mod call;
mod collect;
pub mod evaluated;
mod histogram_functions;
mod info;
mod logs;
pub mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Matcher, TimeRangeMs, TimeRangeNs, TimestampMs};

use crate::annotations::Annotations;
use crate::error::EvalError;
use crate::logical::{Call, EvalOptions, Function, Grid, LogicalPlan, Node, NodeKind, RangeInput, Select};
use crate::value::{Answer, HistogramSample, SampleCounts, Series, StepSeries, StepValues, StreamEntries, Value};

pub use collect::finish;
pub use evaluated::{Evaluated, Weight};

/// Where the reference evaluator reads from.
pub trait Source {
    /// Returns the series with a sample in range, ordered by labels.
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError>;
    /// Returns the streams with an entry in range, entries in ascending order.
    fn streams(&self, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError>;
    /// Returns the values of a subtree that are known already; `None` has it evaluated here. `histogram_stats` is what
    /// [`Context`] says.
    fn evaluated(&self, _node: &Node, _grid: &Grid, _histogram_stats: bool) -> Option<Evaluated> {
        None
    }
    /// Returns what stops the evaluation once it is set, looked at wherever samples are counted.
    fn stop(&self) -> Option<Arc<AtomicBool>> {
        None
    }
    /// Reports whether an evaluation may hold so many bytes of values beside what the source holds itself.
    fn grants(&self, _bytes: usize) -> bool {
        true
    }
}

/// Samples held at once, against `samples_max`.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Samples held now.
    pub held: usize,
    /// Most samples held or asked for so far.
    pub peak: usize,
    /// Samples used so far.
    pub counts: SampleCounts,
    /// The bound.
    pub max: usize,
    /// Set by whoever no longer waits for the answer.
    pub stop: Option<Arc<AtomicBool>>,
    /// Bytes of the values that nodes have returned and nobody has used yet.
    pub bytes: usize,
}

impl Budget {
    /// Counts what a selector selects.
    fn load(&mut self, samples: usize) -> Result<(), EvalError> {
        self.counts += SampleCounts::each(samples);
        self.hold(samples)
    }

    /// Leaves of what was held since `before` only so many samples: a node's result takes the place of its operands.
    fn settle(&mut self, before: usize, samples: usize) -> Result<(), EvalError> {
        self.held = before;
        self.hold(samples)
    }

    /// Counts samples as held.
    pub fn hold(&mut self, samples: usize) -> Result<(), EvalError> {
        self.held += samples;
        self.check(0)
    }

    /// Fails where `more` samples on top of those held are too many, or nobody waits any more.
    pub fn check(&mut self, more: usize) -> Result<(), EvalError> {
        self.peak = self.peak.max(self.held + more);
        if self.held + more > self.max { Err(EvalError::TooManySamples) } else { self.go_on() }
    }

    /// Fails where nobody waits for the answer any more.
    pub fn go_on(&self) -> Result<(), EvalError> {
        let stopped = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        if stopped { Err(EvalError::Stopped) } else { Ok(()) }
    }
}

/// What evaluation of one node needs besides its children.
pub struct Context<'a> {
    /// Steps of this node.
    pub grid: Grid,
    /// Steps of the whole query: what `start()`, `end()`, `step()` and `range()` speak of.
    pub query: Grid,
    /// Settings.
    pub options: &'a EvalOptions,
    /// Warnings and infos so far.
    pub annotations: &'a mut Annotations,
    /// Samples so far.
    pub budget: &'a mut Budget,
    /// Whether only count and sum of histograms are asked for: storage then states counter resets from sample to sample.
    pub histogram_stats: bool,
}

impl Context<'_> {
    /// Returns this context for another grid.
    fn over(&mut self, grid: Grid) -> Context<'_> {
        Context {
            grid,
            query: self.query,
            options: self.options,
            annotations: self.annotations,
            budget: self.budget,
            histogram_stats: self.histogram_stats,
        }
    }

    /// Reports whether `grid` starts where it ends: results are then a vector whose order counts. A grid whose step is longer than it is
    /// none (upstream compares its bounds as well).
    fn single(&self) -> bool {
        self.grid.start == self.grid.end
    }
}

/// Evaluates a plan.
pub fn evaluate(plan: &LogicalPlan, source: &dyn Source) -> Result<Answer, EvalError> {
    let mut annotations = Annotations::default();
    let mut budget = Budget { max: plan.options.samples_max, stop: source.stop(), ..Budget::default() };
    let mut context = Context {
        grid: plan.grid,
        query: plan.grid,
        options: &plan.options,
        annotations: &mut annotations,
        budget: &mut budget,
        histogram_stats: false,
    };
    let value = match &plan.root {
        Node::Range(input) => Value::Ranges(ranges(input, source, &mut context)?),
        Node::StepInvariant(inner) if matches!(**inner, Node::Range(_)) => {
            let Node::Range(input) = &**inner else { unreachable!("matched above") };
            Value::Ranges(ranges(input, source, &mut context)?)
        }
        Node::Text(text) => Value::Text(text.clone()),
        root => {
            let value = node(root, source, &mut context)?;
            finish(value, root, &mut context)?
        }
    };
    let (warnings, infos) = annotations.render(&plan.text);
    Ok(Answer { value, warnings, infos, samples: budget.counts, samples_peak: budget.peak as u64 })
}

/// Evaluates a node over the context's grid, and counts the samples and bytes of its value: on top of those of its children while it
/// is made, in their place from then on. Bytes of values that somebody else has evaluated are that source's to count.
fn node(node_: &Node, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    context.budget.go_on()?;
    let (held, before) = (context.budget.held, context.budget.bytes);
    if let Some(evaluated) = source.evaluated(node_, &context.grid, context.histogram_stats) {
        let value = evaluated.enter(context)?;
        context.budget.settle(held, collect::samples(&value))?;
        return Ok(value);
    }
    let value = inner(node_, source, context)?;
    context.budget.settle(held, collect::samples(&value))?;
    let bytes = collect::bytes(&value);
    if !source.grants(context.budget.bytes + bytes) {
        return Err(EvalError::TooMuchMemory);
    }
    context.budget.bytes = before + bytes;
    Ok(value)
}

/// First the children of a node, then [`apply`].
fn inner(node_: &Node, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    match node_ {
        Node::Instant(select) => instant(select, source, context),
        Node::Call(call) => call_(call, node_, source, context),
        Node::StepInvariant(inner) => {
            let grid = Grid { end: context.grid.start, ..context.grid };
            let before = context.budget.counts.queryable;
            let value = node(inner, source, &mut context.over(grid))?;
            // What one step used, every step uses.
            let used = context.budget.counts.queryable - before;
            context.budget.counts.queryable = before + used.saturating_mul(context.grid.len() as u64);
            apply(node_, vec![value], context)
        }
        Node::Aggregate(aggregate) => {
            let mut children = Vec::new();
            if let Some(param) = &aggregate.param {
                children.push(node(param, source, context)?);
            }
            children.push(node(&aggregate.input, source, context)?);
            apply(node_, children, context)
        }
        Node::Binary(binary) => {
            let trims = binary.op.is_trim();
            let stats = context.histogram_stats && !trims;
            let outer = std::mem::replace(&mut context.histogram_stats, stats);
            let left = node(&binary.left, source, context);
            let right = if left.is_ok() { node(&binary.right, source, context) } else { Ok(Value::Scalar(Vec::new())) };
            context.histogram_stats = outer;
            let (left, right) = (left?, right?);
            applied(node_, vec![left, right], context)
        }
        Node::Negate(inner, _) | Node::Plus(inner) => {
            let value = node(inner, source, context)?;
            apply(node_, vec![value], context)
        }
        Node::LogWindow(window) => logs::window(window, source, context),
        Node::Logs(query) => logs::query(query, source, context),
        Node::Literal(_) | Node::Text(_) => apply(node_, Vec::new(), context),
        Node::Range(_) => Err(EvalError::Unsupported("range vector outside of a function".to_owned())),
    }
}

/// Applies a node whose result stands beside its operands before it takes their place; an aggregation's grows in their place.
fn applied(node: &Node, children: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let value = apply(node, children, context)?;
    context.budget.check(collect::samples(&value))?;
    Ok(value)
}

/// Evaluates a node whose children are evaluated already, in the order of its fields (aggregation: parameter, input).
/// Leaves (selectors, range functions, `info`, log nodes) are not taken; a step-invariant child has one step.
pub fn apply(node: &Node, children: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mut children = children.into_iter();
    let mut next = || children.next().ok_or_else(|| EvalError::Unsupported("a node without its child".to_owned()));
    match node {
        Node::Literal(value) => Ok(Value::Scalar(vec![*value; context.grid.len()])),
        Node::Text(text) => Ok(Value::Text(text.clone())),
        Node::StepInvariant(_) => repeat(next()?, context),
        Node::Negate(..) => negate(next()?, context),
        Node::Plus(_) => next(),
        Node::Binary(binary) => binary::apply(binary, next()?, next()?, context),
        Node::Aggregate(aggregate) => {
            let param = if aggregate.param.is_some() { Some(next()?) } else { None };
            aggregate::apply(aggregate, param, next()?, context)
        }
        Node::Call(call) => call::apply(call, children.collect(), context),
        Node::Instant(_) | Node::Range(_) | Node::LogWindow(_) | Node::Logs(_) => {
            Err(EvalError::Unsupported("apply of a leaf".to_owned()))
        }
    }
}

fn repeat(value: Value, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let steps = context.grid.len();
    Ok(match value {
        Value::Scalar(values) => Value::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); steps]),
        Value::Vector(series) => {
            context.budget.hold(series.len() * steps.saturating_sub(1))?;
            Value::Vector(
                series
                    .into_iter()
                    .map(|s| {
                        let histograms = s.values.histograms.first().map_or(Vec::new(), |h| vec![h.clone(); steps]);
                        StepSeries { values: StepValues { floats: vec![s.values.floats[0]; steps], histograms }, ..s }
                    })
                    .collect(),
            )
        }
        other => other,
    })
}

fn negate(value: Value, context: &mut Context<'_>) -> Result<Value, EvalError> {
    match value {
        Value::Scalar(values) => Ok(Value::Scalar(values.into_iter().map(|v| -v).collect())),
        Value::Vector(series) => {
            let negated = series.into_iter().map(|mut s| {
                s.values.floats.iter_mut().filter(|v| !model::is_stale(**v)).for_each(|v| *v = -*v);
                s.values.histograms.iter_mut().flatten().for_each(|h| {
                    crate::functions::histogram::scale(std::sync::Arc::make_mut(h), -1.0);
                });
                s
            });
            let series = negated.map(|s| collect::drop_name(s, context.options)).collect();
            let merge = !context.options.delayed_name_removal;
            Ok(Value::Vector(if merge { collect::merge(series)? } else { series }))
        }
        _ => Err(EvalError::Unsupported("negation of this type".to_owned())),
    }
}

/// Returns the samples a selector needs over a grid, as `[first, last]` in milliseconds.
pub fn selected_range(select: &Select, range_ms: Option<i64>, grid: &Grid) -> (i64, i64) {
    let (first, last) = match select.at {
        Some(at) => (at.0, at.0),
        None => (grid.start, grid.at(grid.len().saturating_sub(1))),
    };
    let before = windows::look_before(select, range_ms);
    (
        first.saturating_sub(select.offset_ms).saturating_sub(before),
        last.saturating_sub(select.offset_ms).saturating_add(windows::look_after(select)),
    )
}

/// Reads what a selector selects; it counts against memory until the node that reads it has its value.
fn fetch(
    select: &Select,
    range_ms: Option<i64>,
    source: &dyn Source,
    context: &mut Context<'_>,
) -> Result<Vec<Series>, EvalError> {
    if context.grid.is_empty() {
        return Ok(Vec::new());
    }
    let (first, last) = selected_range(select, range_ms, &context.grid);
    let range = TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)));
    let series = source.series(&select.matchers, range)?;
    context.budget.bytes += series.iter().map(collect::series_bytes).sum::<usize>();
    if source.grants(context.budget.bytes) { Ok(series) } else { Err(EvalError::TooMuchMemory) }
}

fn instant(select: &Select, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mut out = Vec::new();
    for mut series in fetch(select, None, source, context)? {
        if context.histogram_stats {
            windows::without_buckets(&mut series, selected_range(select, None, &context.grid).0);
        }
        let values = windows::instant(&series, select, &context.grid, context.annotations)?;
        if values.is_absent() {
            continue;
        }
        context.budget.load(collect::size(&values))?;
        out.push(StepSeries { labels: series.labels, drop_name: false, values });
    }
    Ok(Value::Vector(out))
}

fn call_(call: &Call, node_: &Node, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    if matches!(call.function, Function::Timestamp | Function::StartTimestamp)
        && let Some(select) = selector_of(call.args.first())
    {
        let mut out = Vec::new();
        for series in fetch(select, None, source, context)? {
            let values = windows::timestamps(&series, select, &context.grid, call.function, context.options);
            if !values.is_absent() {
                context.budget.load(collect::size(&values))?;
                out.push(collect::drop_name(StepSeries { labels: series.labels, drop_name: false, values }, context.options));
            }
        }
        return collect::unique(out, context);
    }
    if call.function == Function::Info {
        return info::evaluate(call, source, context);
    }
    let is_range = |node: &&Node| node.kind() == NodeKind::Range;
    let Some(range) = call.args.iter().find(is_range) else {
        use Function::{HistogramAvg, HistogramCount, HistogramFraction, HistogramQuantile, HistogramQuantiles, HistogramSum};
        let outer = context.histogram_stats;
        match call.function {
            HistogramCount | HistogramSum | HistogramAvg => context.histogram_stats = true,
            HistogramQuantile | HistogramQuantiles | HistogramFraction => context.histogram_stats = false,
            _ => {}
        }
        let children = call.args.iter().map(|arg| node(arg, source, context)).collect::<Result<Vec<_>, _>>();
        context.histogram_stats = outer;
        return applied(node_, children?, context);
    };
    let input = match range {
        Node::Range(input) => input,
        Node::StepInvariant(inner) => match &**inner {
            Node::Range(input) => input,
            _ => return Err(EvalError::Unsupported("range vector of this form".to_owned())),
        },
        _ => return Err(EvalError::Unsupported("range vector of this form".to_owned())),
    };
    windows::check(call.function, input)?;
    let used = context.budget.counts.queryable;
    let (mut series, names_dropped) = input_series(input, source, context)?;
    if matches!(input, RangeInput::Subquery { .. }) {
        // What counts are the windows over its steps.
        context.budget.counts.queryable = used;
        series.iter_mut().flat_map(|one| &mut one.histograms).for_each(forget_reset);
    }
    let mut args = Vec::new();
    for arg in call.args.iter().filter(|arg| !is_range(arg)) {
        match node(arg, source, context)? {
            Value::Scalar(values) => args.push(values),
            _ => return Err(EvalError::Unsupported(format!("argument of {}", call.function.as_str()))),
        }
    }
    let mut out = Vec::new();
    for (series, dropped) in series.iter().zip(names_dropped) {
        let grid = context.grid;
        let values =
            windows::range(call, (series, &[]), input, &args, &grid, context.options, context.annotations, context.budget)?;
        if values.is_absent() {
            continue;
        }
        context.budget.hold(collect::size(&values))?;
        let keeps = matches!(call.function, Function::LastOverTime | Function::FirstOverTime) && !dropped;
        let series = StepSeries { labels: series.labels.clone(), drop_name: false, values };
        out.push(if keeps { series } else { collect::drop_name(series, context.options) });
    }
    if call.function == Function::AbsentOverTime {
        return Ok(call::absent_over_time(input, &out, context));
    }
    collect::unique(out, context)
}

/// Returns the selector that `timestamp` and `start_timestamp` look at themselves.
pub fn selector_of(arg: Option<&Node>) -> Option<&Select> {
    match arg? {
        Node::Instant(select) => Some(select),
        Node::StepInvariant(inner) => selector_of(Some(inner)),
        _ => None,
    }
}

/// Series a range input reads, and which of them have lost their name (subqueries).
fn input_series(
    input: &RangeInput,
    source: &dyn Source,
    context: &mut Context<'_>,
) -> Result<(Vec<Series>, Vec<bool>), EvalError> {
    match input {
        RangeInput::Select { select, range_ms, .. } => {
            let mut series = fetch(select, Some(*range_ms), source, context)?;
            if context.histogram_stats {
                let after = selected_range(select, Some(*range_ms), &context.grid).0;
                series.iter_mut().for_each(|s| windows::without_buckets(s, after));
            }
            let dropped = vec![false; series.len()];
            Ok((series, dropped))
        }
        RangeInput::Subquery { node: inner, .. } => {
            let grid = subquery_grid(input, &context.grid);
            if grid.is_empty() {
                return Ok((Vec::new(), Vec::new()));
            }
            // Resets between the samples of a subquery are told by buckets.
            let value = node(inner, source, &mut Context { histogram_stats: false, ..context.over(grid) })?;
            let steps = match value {
                Value::Vector(series) => series,
                Value::Scalar(floats) => vec![StepSeries {
                    labels: model::LabelSet::empty(),
                    drop_name: false,
                    values: StepValues { floats, histograms: Vec::new() },
                }],
                _ => return Err(EvalError::Unsupported("subquery of this type".to_owned())),
            };
            let dropped = steps.iter().map(|s| s.drop_name).collect();
            Ok((steps.into_iter().map(|s| as_samples(s, &grid)).collect(), dropped))
        }
    }
}

/// Returns the steps of a subquery under an outer grid: multiples of its step in `(start - offset - range, end - offset]`.
pub fn subquery_grid(input: &RangeInput, outer: &Grid) -> Grid {
    let RangeInput::Subquery { range_ms, step_ms, offset_ms, at, .. } = input else { return *outer };
    let (first, last) = match at {
        Some(at) => (at.0, at.0),
        None => (outer.start, outer.at(outer.len().saturating_sub(1))),
    };
    let step = (*step_ms).max(1);
    let after = first.saturating_sub(*offset_ms).saturating_sub(*range_ms);
    let start = step.saturating_mul(after.div_euclid(step).saturating_add(1));
    Grid { start, end: last.saturating_sub(*offset_ms), step, unit: outer.unit }
}

/// A function over a subquery looks for resets itself: between the steps there may be more of them, or one may be seen twice
/// (upstream `evalSubquery`).
fn forget_reset(sample: &mut HistogramSample) {
    use model::CounterResetHint::{NotReset, Reset, Unknown};
    if matches!(sample.histogram.counter_reset_hint, Reset | NotReset) {
        Arc::make_mut(&mut sample.histogram).counter_reset_hint = Unknown;
    }
}

/// Turns values over a grid into samples.
fn as_samples(series: StepSeries, grid: &Grid) -> Series {
    let mut out = Series {
        labels: series.labels,
        timestamps: Vec::new(),
        values: Vec::new(),
        start_timestamps: Vec::new(),
        histograms: Vec::new(),
    };
    for (step, t) in grid.iter().enumerate() {
        if let Some(Some(h)) = series.values.histograms.get(step) {
            let histogram = Arc::clone(h);
            out.histograms.push(HistogramSample { timestamp: t, start_timestamp: 0, histogram });
        } else if !model::is_stale(series.values.floats[step]) {
            out.timestamps.push(t);
            out.values.push(series.values.floats[step]);
        }
    }
    out
}

/// Root range vectors: raw samples of one window.
fn ranges(input: &RangeInput, source: &dyn Source, context: &mut Context<'_>) -> Result<Vec<Series>, EvalError> {
    let (series, dropped) = input_series(input, source, context)?;
    let mut out = Vec::new();
    for (series, dropped) in series.into_iter().zip(dropped) {
        let mut window = windows::raw(&series, input, context.grid.start)?;
        if matches!(input, RangeInput::Select { .. }) {
            context.budget.load(collect::series_size(&window))?;
        }
        if dropped {
            window.labels = collect::without_name(&window.labels);
        }
        if !window.values.is_empty() || !window.histograms.is_empty() {
            out.push(window);
        }
    }
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    if out.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        return Err(EvalError::same_labelset());
    }
    Ok(out)
}
