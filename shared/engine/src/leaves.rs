//! Evaluates the leaves of a plan with physical operators, and hands everything above them to the reference evaluator.
//!
//! Owns: which subtrees operators evaluate (a selector, a function over one, and an aggregation right above), and what the rest
//! is fed with. Does not own: what the nodes above mean (`plan::reference`), the operators ([`crate::exec`]).

mod values;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use datafusion_execution::TaskContext;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_physical_plan::display::DisplayableExecutionPlan;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use model::{Matcher, Resolution, TimeRangeMs, TimeRangeNs, TimestampMs, is_stale};
use plan::error::EvalError;
use plan::logical::{Aggregate, Call, Dialect, Function, NodeKind, RangeInput, Select};
use plan::reference::evaluated::size;
use plan::reference::{Evaluated, Source, Weight, selected_range, selector_of, subquery_grid, windows};
use plan::{Grid, Node, SampleCounts, Series, StreamEntries, resolution};

use crate::aggregate::{self, Fold, Way};
use crate::batch::{samples_rows, series_of, windows_rows};
use crate::context::QueryContext;
use crate::exec::window::{Ask, WindowExec};
use crate::exec::{in_order, single};
use crate::federation::joined_windows;
use crate::leaf::Leaf;
use crate::limits::CELL_BYTES;
use crate::planner::{Plan, Planner};
use crate::ranges::first_step;
use crate::{EngineError, StageTimes};
use values::{LeafValues, Notes, grouped};

/// What a selector reads.
type Read = (Vec<Matcher>, TimeRangeMs);

/// Everything the reference evaluator is fed with.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    known: Mutex<Vec<Known>>,
    fetched: Vec<(Read, Vec<Series>)>,
    /// What was asked for and is not there; `info` knows what it reads only after its argument.
    missing: Mutex<Option<Read>>,
    /// Whether values may be asked for again: `info` has the evaluation begin anew.
    again: bool,
    samples: usize,
    held: Vec<MemoryReservation>,
    /// What the evaluation above holds.
    above: Option<MemoryReservation>,
    stop: Option<Arc<AtomicBool>>,
}

/// A subtree with its values.
#[derive(Debug)]
struct Known {
    node: Node,
    grid: Grid,
    histogram_stats: bool,
    value: Evaluated,
}

impl Source for Inputs {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        if let Some((_, series)) = self.fetched.iter().find(|((known, at), _)| *at == range && known == matchers) {
            return Ok(series.clone());
        }
        *self.missing.lock().expect("no call panics while it holds the lock") = Some((matchers.to_vec(), range));
        Err(EvalError::Source { kind: model::ErrorKind::Internal, message: "series are not fetched yet".into() })
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Err(EvalError::Unsupported("streams below a metric query".into()))
    }

    fn evaluated(&self, node: &Node, grid: &Grid, histogram_stats: bool) -> Option<Evaluated> {
        let mut known = self.known.lock().expect("no call panics while it holds the lock");
        let is_it = |one: &Known| one.grid == *grid && one.histogram_stats == histogram_stats && one.node == *node;
        let at = known.iter().position(is_it)?;
        Some(if self.again { known[at].value.clone() } else { known.swap_remove(at).value })
    }

    fn stop(&self) -> Option<Arc<AtomicBool>> {
        self.stop.clone()
    }

    fn grants(&self, bytes: usize) -> bool {
        self.above.as_ref().is_none_or(|above| above.try_resize(bytes).is_ok())
    }
}

impl Inputs {
    /// Has the evaluation's own values count against a pool.
    pub(crate) fn bound(&mut self, task: &TaskContext) {
        self.above = Some(MemoryConsumer::new("evaluation").register(task.memory_pool()));
    }

    pub(crate) fn take_missing(&self) -> Option<Read> {
        self.missing.lock().expect("no call panics while it holds the lock").take()
    }

    /// Returns all series fetched.
    pub(crate) fn into_fetched(self) -> Vec<Series> {
        self.fetched.into_iter().flat_map(|(_, series)| series).collect()
    }

    /// Counts what an evaluation goes over, to know whether it is worth a thread of its own.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }
}

/// Reads the leaves of one plan.
pub(crate) struct Leaves<'a> {
    planner: Planner<'a>,
    context: &'a Arc<QueryContext>,
    pub(crate) inputs: Inputs,
    /// Where the time went, as far as it is spent here: `plan` and `scan`.
    pub(crate) times: StageTimes,
    /// Physical plans as text, where they are only asked for and not run.
    pub(crate) explained: Option<String>,
}

/// Recognises a node that operators evaluate: a selector, or a function over one whose other arguments are literals.
fn ask_of(node: &Node) -> Option<Ask> {
    match node {
        Node::Instant(select) => Some(Ask::Newest(select.clone())),
        Node::Call(call) if matches!(call.function, Function::Timestamp | Function::StartTimestamp) => {
            selector_of(call.args.first()).map(|select| Ask::Times(select.clone(), call.function))
        }
        Node::Call(call) if !matches!(call.function, Function::AbsentOverTime | Function::Info) => range_of(call),
        _ => None,
    }
}

fn range_of(call: &Call) -> Option<Ask> {
    let (ranges, others): (Vec<&Node>, Vec<&Node>) = call.args.iter().partition(|arg| arg.kind() == NodeKind::Range);
    let range = match ranges[..] {
        [Node::Range(input)] => input,
        [Node::StepInvariant(inner)] => match &**inner {
            Node::Range(input) => input,
            _ => return None,
        },
        _ => return None,
    };
    let args = others.into_iter().map(|arg| if let Node::Literal(value) = arg { Some(*value) } else { None });
    let args: Vec<f64> = args.collect::<Option<_>>()?;
    let fits = matches!(range, RangeInput::Select { .. }) && windows::check(call.function, range).is_ok();
    fits.then(|| Ask::Range(Box::new(call.clone()), range.clone(), args))
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(planner: Planner<'a>, explain: bool) -> Leaves<'a> {
        let context = planner.context;
        let inputs = Inputs { stop: Some(Arc::clone(&context.stop)), ..Inputs::default() };
        Leaves { planner, context, inputs, times: StageTimes::default(), explained: explain.then(String::new) }
    }

    /// Evaluates or fetches everything that the subtree reads, as the reference evaluator will ask for it.
    pub(crate) fn read<'s>(
        &'s mut self,
        node: &'s Node,
        grid: Grid,
        histogram_stats: bool,
    ) -> BoxFuture<'s, Result<(), EngineError>> {
        Box::pin(async move {
            if grid.is_empty() {
                return Ok(());
            }
            if self.context.options.dialect == Dialect::PromQl {
                if let Some(ask) = ask_of(node) {
                    return self.leaf(node, ask, None, grid, histogram_stats).await;
                }
                if let Node::Aggregate(above) = node
                    && let Some(way) = aggregate::way(above)
                    && let Some(ask) = ask_of(&above.input)
                {
                    return self.leaf(node, ask, Some(Above { aggregate: above, way }), grid, histogram_stats).await;
                }
            }
            match node {
                Node::Literal(_) | Node::Text(_) | Node::Logs(_) => Ok(()),
                Node::Instant(select) => self.select(select, None, grid).await,
                Node::Range(RangeInput::Select { select, range_ms, .. }) => self.select(select, Some(*range_ms), grid).await,
                Node::Range(input @ RangeInput::Subquery { node, .. }) => {
                    self.read(node, subquery_grid(input, &grid), false).await
                }
                Node::Call(call) => self.call(call, grid, histogram_stats).await,
                Node::Aggregate(inner) => {
                    if let Some(param) = &inner.param {
                        self.read(param, grid, histogram_stats).await?;
                    }
                    self.read(&inner.input, grid, histogram_stats).await
                }
                Node::Binary(inner) => {
                    let trims = inner.op.is_trim();
                    let histogram_stats = histogram_stats && !trims;
                    self.read(&inner.left, grid, histogram_stats).await?;
                    self.read(&inner.right, grid, histogram_stats).await
                }
                Node::Negate(inner, _) | Node::Plus(inner) => self.read(inner, grid, histogram_stats).await,
                Node::StepInvariant(inner) => {
                    // A range vector belongs to the grid of the function around it.
                    let grid = if matches!(**inner, Node::Range(_)) { grid } else { first_step(grid) };
                    self.read(inner, grid, histogram_stats).await
                }
                Node::LogWindow(window) => {
                    let mut of_each = Vec::new();
                    for tenant in self.planner.tenants {
                        let plan = self.planner.log_window(tenant, window, grid).await?;
                        let batches = self.run(plan).await?;
                        of_each.push((&*tenant.context, series_of(&batches)?));
                    }
                    let series = joined_windows(window.function, of_each);
                    let weights = series
                        .iter()
                        .map(|one| size(&one.values))
                        .map(|result| Weight { window: 0, result, counts: SampleCounts::each(result) })
                        .collect();
                    let annotations = plan::Annotations::default();
                    self.know(node, grid, histogram_stats, Evaluated { series: Ok(series), annotations, weights });
                    Ok(())
                }
            }
        })
    }

    /// Reads the arguments; which histograms need their resets stated follows `plan::reference`.
    async fn call(&mut self, call: &Call, grid: Grid, histogram_stats: bool) -> Result<(), EngineError> {
        use Function::{HistogramAvg, HistogramCount, HistogramFraction, HistogramQuantile, HistogramQuantiles, HistogramSum};
        let over_range = call.args.iter().any(|arg| arg.kind() == NodeKind::Range);
        let inner = match call.function {
            HistogramCount | HistogramSum | HistogramAvg if !over_range => true,
            HistogramQuantile | HistogramQuantiles | HistogramFraction if !over_range => false,
            _ => histogram_stats,
        };
        // The second argument of `info` is not evaluated.
        let count = if call.function == Function::Info { 1 } else { call.args.len() };
        self.inputs.again |= call.function == Function::Info;
        for arg in call.args.iter().take(count) {
            self.read(arg, grid, inner).await?;
        }
        Ok(())
    }

    /// Evaluates a leaf, and the aggregation right above it where there is one and no histogram is met.
    async fn leaf(
        &mut self,
        node: &Node,
        ask: Ask,
        above: Option<Above<'_>>,
        grid: Grid,
        histogram_stats: bool,
    ) -> Result<(), EngineError> {
        let (first, last) = selected_range(ask.select(), ask.range_ms(), &grid);
        let range = TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)));
        let options = &self.context.options;
        let coarsest = resolution::coarsest(ask.function(), ask.select(), ask.range_ms(), &grid, options);
        let may_retry = coarsest > Resolution::Raw && resolution::wanted(options).is_none();
        let attempts = if may_retry { vec![coarsest, Resolution::Raw] } else { vec![coarsest] };
        for (attempt, coarsest) in attempts.iter().enumerate() {
            let leaf = self.select_series(ask.select().matchers.clone(), range, *coarsest).await?;
            let started = Instant::now();
            let before = (self.known_len(), self.inputs.held.len());
            let outcome = self.leaf_values(node, &leaf, ask.clone(), above, grid, histogram_stats, *coarsest).await;
            self.times.scan += started.elapsed();
            outcome?;
            if !self.context.take_inexact() {
                return Ok(());
            }
            if attempt + 1 < attempts.len() {
                // D1: what the plan could not tell, the values did. Samples say it, as far as there are any.
                self.forget(before);
                self.context.uncount_series(leaf.series_count() as u64);
                continue;
            }
            self.note_windows(&leaf);
        }
        Ok(())
    }

    /// Says that windows stand in for samples.
    fn note_windows(&self, leaf: &Leaf) {
        let widths = leaf.widths().join(" and ");
        // Asked for, a copy is read wherever it is live.
        let is_wanted = resolution::wanted(&self.context.options).is_some();
        let which = if is_wanted { "samples" } else { "samples that have expired" };
        let text = format!("PromQL info: answer is not exact, windows of {widths} stand in for {which}");
        self.context.annotations.inform(text);
    }

    fn known_len(&mut self) -> usize {
        self.inputs.known.get_mut().expect("no call panics while it holds the lock").len()
    }

    /// Takes back what became known since, and the memory it was counted with.
    fn forget(&mut self, (len, held): (usize, usize)) {
        self.inputs.held.truncate(held);
        let known = self.inputs.known.get_mut().expect("no call panics while it holds the lock");
        for gone in known.drain(len..) {
            self.inputs.samples -= gone.value.series.as_ref().map_or(0, Vec::len) * gone.grid.len();
        }
    }

    /// Opens what a selector selects.
    async fn select_series(
        &mut self,
        matchers: Vec<Matcher>,
        range: TimeRangeMs,
        coarsest: Resolution,
    ) -> Result<Arc<Leaf>, EngineError> {
        let started = Instant::now();
        let leaf = self.planner.leaf(matchers, range, coarsest).await?;
        self.times.plan += started.elapsed();
        Ok(Arc::new(leaf))
    }

    #[allow(clippy::too_many_arguments)]
    async fn leaf_values(
        &mut self,
        node: &Node,
        leaf: &Arc<Leaf>,
        ask: Ask,
        above: Option<Above<'_>>,
        grid: Grid,
        histogram_stats: bool,
        coarsest: Resolution,
    ) -> Result<(), EngineError> {
        let function = ask.function();
        let too_many = leaf.series_count().saturating_mul(grid.len()) > self.planner.values_held_max;
        if let (Some(Above { aggregate, way: Way::Fold(_) }), true) = (above, too_many && self.explained.is_none()) {
            let window = self.planner.window_in_order(leaf, ask.clone(), grid, histogram_stats).coarse(coarsest);
            if let Some(known) = self.folded(leaf, window, aggregate, function, grid.len()).await? {
                self.know(node, grid, histogram_stats, known);
                return Ok(());
            }
        }
        let window = self.planner.window(leaf, ask, grid, histogram_stats).coarse(coarsest);
        let batches = self.run(Arc::new(window)).await?;
        if self.explained.is_some() {
            return Ok(());
        }
        let values = LeafValues::of(self.context, leaf, &batches);
        match above {
            Some(above) if !values.any_histogram => {
                let known = values.aggregated(&self.context.options, above, function, grid.len());
                self.know(node, grid, histogram_stats, known);
            }
            _ => {
                let leaf_node = above.map_or(node, |above| &above.aggregate.input);
                let known = values.settled(&self.context.options, function);
                self.know(leaf_node, grid, histogram_stats, known);
            }
        }
        Ok(())
    }

    /// Folds the series of a leaf while they come, in the order of their labels, so that only the groups are held; `None` where
    /// a histogram is met.
    async fn folded(
        &mut self,
        leaf: &Arc<Leaf>,
        window: WindowExec,
        above: &Aggregate,
        function: Option<Function>,
        steps: usize,
    ) -> Result<Option<Evaluated>, EngineError> {
        let options = &self.context.options;
        let all: Vec<u32> = (0..leaf.series_count() as u32).collect();
        let groups = grouped(leaf, &all, options, above, function);
        let task = self.context.task()?;
        let held = MemoryConsumer::new("fold").register(task.memory_pool());
        held.try_grow(groups.heads.len() * steps * CELL_BYTES).map_err(|error| self.context.unboxed(error))?;
        let mut fold = Fold::new(above.op, steps, groups.heads.len());
        let (mut notes, mut present) = (Notes::default(), Vec::new());
        let mut runs = std::pin::pin!(in_order(Arc::new(window), task, self.planner.partitions));
        while let Some(batches) = runs.try_next().await.map_err(|error| self.context.unboxed(error))? {
            for row in batches.iter().flat_map(windows_rows) {
                let histograms = notes.take(self.context, &row);
                if !histograms.is_empty() {
                    return Ok(None);
                }
                if row.floats.iter().any(|value| !is_stale(*value)) {
                    present.push(row.series);
                    fold.add(groups.of[row.series as usize], row.floats);
                }
            }
        }
        Ok(Some(notes.aggregated(leaf, &present, options, above, function, &groups, fold.finish())))
    }

    fn know(&mut self, node: &Node, grid: Grid, histogram_stats: bool, value: Evaluated) {
        self.inputs.samples += value.series.as_ref().map_or(0, Vec::len) * grid.len();
        let known = self.inputs.known.get_mut().expect("no call panics while it holds the lock");
        known.push(Known { node: node.clone(), grid, histogram_stats, value });
    }

    /// Runs a plan to its end; what it returns is counted as held until the query ends.
    async fn run(&mut self, plan: Plan) -> Result<Vec<RecordBatch>, EngineError> {
        let plan = single(plan);
        if let Some(text) = &mut self.explained {
            text.push_str(&DisplayableExecutionPlan::new(plan.as_ref()).indent(false).to_string());
            return Ok(Vec::new());
        }
        let task = self.context.task()?;
        let held = MemoryConsumer::new("leaf").register(task.memory_pool());
        let mut stream = plan.execute(0, Arc::clone(task)).map_err(|error| self.context.unboxed(error))?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.try_next().await.map_err(|error| self.context.unboxed(error))? {
            held.try_grow(batch.get_array_memory_size()).map_err(|error| self.context.unboxed(error))?;
            batches.push(batch);
        }
        self.inputs.held.push(held);
        Ok(batches)
    }

    async fn select(&mut self, select: &Select, range_ms: Option<i64>, grid: Grid) -> Result<(), EngineError> {
        let (first, last) = selected_range(select, range_ms, &grid);
        let range = TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)));
        self.fetch((select.matchers.clone(), range)).await
    }

    /// Reads the series of a selector, once per query.
    pub(crate) async fn fetch(&mut self, read: Read) -> Result<(), EngineError> {
        if self.inputs.fetched.iter().any(|(known, _)| *known == read) {
            return Ok(());
        }
        let leaf = self.select_series(read.0.clone(), read.1, Resolution::Raw).await?;
        if leaf.is_coarse() {
            self.note_windows(&leaf);
        }
        let started = Instant::now();
        let batches = self.run(self.planner.scan(&leaf)).await?;
        let mut series: Vec<(u32, Series)> = Vec::new();
        for row in batches.iter().flat_map(samples_rows) {
            let extras = self.context.attachments.take_samples(row.extras);
            self.inputs.samples += row.timestamps.len() + extras.histograms.len();
            let samples = crate::leaf::Samples {
                timestamps: row.timestamps,
                values: row.values,
                start_timestamps: &extras.start_timestamps,
                histograms: &extras.histograms,
            };
            series.push((row.series, leaf.to_series(row.series, samples)));
        }
        series.sort_unstable_by_key(|(at, _)| *at);
        self.times.scan += started.elapsed();
        self.inputs.fetched.push((read, series.into_iter().map(|(_, series)| series).collect()));
        Ok(())
    }
}

/// An aggregation right above a leaf, and how it is made.
#[derive(Clone, Copy)]
struct Above<'a> {
    aggregate: &'a Aggregate,
    way: Way,
}
