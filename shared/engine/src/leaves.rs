//! Evaluates the leaves of a plan with physical operators, and hands everything above them to the reference evaluator.
//!
//! Owns: which subtrees operators evaluate (a window over floats, and an aggregation right above it), and what the rest is
//! fed with. Does not own: what the nodes above mean (`plan::reference`), the operators ([`crate::exec`]).
//!
//! A subtree that is evaluated already is replaced by a selector that only [`Inputs`] can answer: its samples are the
//! subtree's values, one per step.

use std::sync::{Arc, Mutex};

use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_physical_plan::display::DisplayableExecutionPlan;
use futures::future::BoxFuture;
use model::{Matcher, TimeRangeMs, TimeRangeNs, TimestampMs, is_stale};
use plan::error::EvalError;
use plan::logical::{Aggregate, Call, Dialect, Extension, Function, Node, RangeInput, Select, Span};
use plan::reference::{Source, selected_range, subquery_grid};
use plan::{EvalOptions, Grid, LogicalPlan, Series, StepSeries, StreamEntries};

use crate::EngineError;
use crate::aggregate;
use crate::batch::{label_set, samples_rows, series_of};
use crate::context::QueryContext;
use crate::exec::aggregate::{aggregate as folded, folds};
use crate::exec::{collect, single};
use crate::limits::VALUES_HELD_MAX;
use crate::planner::{FloatWindow, Plan, Planner, float_window};
use crate::ranges::first_step;

/// The label of selectors that stand for a subtree; no query text can spell it.
const SUBTREE: &str = "\0subtree";

/// What a selector reads.
type Ask = (Vec<Matcher>, TimeRangeMs);

/// Everything the reference evaluator reads.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    subtrees: Vec<Vec<Series>>,
    fetched: Vec<(Ask, Vec<Series>)>,
    /// What was asked for and is not there; `info` knows what it reads only after its argument.
    missing: Mutex<Option<Ask>>,
    samples: usize,
    held: Vec<MemoryReservation>,
}

impl Source for Inputs {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        if let [only] = matchers
            && only.name() == SUBTREE
        {
            let subtree = only.value().parse().ok().and_then(|index: usize| self.subtrees.get(index));
            return Ok(subtree.cloned().unwrap_or_default());
        }
        if let Some((_, series)) = self.fetched.iter().find(|((known, at), _)| *at == range && known == matchers) {
            return Ok(series.clone());
        }
        *self.missing.lock().expect("no call panics while it holds the lock") = Some((matchers.to_vec(), range));
        Err(EvalError::Source { kind: model::ErrorKind::Internal, message: "series are not fetched yet".into() })
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Err(EvalError::Unsupported("streams below a metric query".into()))
    }
}

impl Inputs {
    pub(crate) fn take_missing(&self) -> Option<Ask> {
        self.missing.lock().expect("no call panics while it holds the lock").take()
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
    /// Physical plans as text, where they are only asked for and not run.
    pub(crate) explained: Option<String>,
}

/// Whether float windows may stand in for the reference's leaves: the operators know no delayed names, start timestamps or
/// type labels.
fn is_plain(options: &EvalOptions) -> bool {
    let special = options.delayed_name_removal || options.use_start_timestamps || options.type_and_unit_labels;
    options.dialect == Dialect::PromQl && !special
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(planner: Planner<'a>, explain: bool) -> Leaves<'a> {
        let context = planner.context;
        Leaves { planner, context, inputs: Inputs::default(), explained: explain.then(String::new) }
    }

    /// Returns the plan with evaluated subtrees replaced; what else it reads is fetched.
    pub(crate) async fn rewrite(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan, EngineError> {
        let root = self.node(&plan.root, plan.grid, is_plain(&plan.options)).await?;
        let samples_max = plan.options.samples_max.min(self.context.limits.query_samples_max);
        let options = EvalOptions { samples_max, ..plan.options.clone() };
        Ok(LogicalPlan { grid: plan.grid, root, options, text: Arc::clone(&plan.text) })
    }

    fn node<'s>(&'s mut self, node: &'s Node, grid: Grid, fast: bool) -> BoxFuture<'s, Result<Node, EngineError>> {
        Box::pin(async move {
            if grid.is_empty() {
                return Ok(node.clone());
            }
            if fast && let Some(replaced) = self.subtree(node, grid).await? {
                return Ok(replaced);
            }
            Ok(match node {
                Node::Literal(_) | Node::Text(_) | Node::Logs(_) => node.clone(),
                Node::Instant(select) => {
                    self.select(select, None, grid).await?;
                    node.clone()
                }
                Node::Range(input) => self.range(input, grid, fast).await?,
                Node::Call(call) => Node::Call(self.call(call, grid, fast).await?),
                Node::Aggregate(inner) => {
                    let mut inner = inner.clone();
                    if let Some(param) = &inner.param {
                        inner.param = Some(self.node(param, grid, fast).await?);
                    }
                    inner.input = self.node(&inner.input, grid, fast).await?;
                    Node::Aggregate(inner)
                }
                Node::Binary(inner) => {
                    let mut inner = inner.clone();
                    inner.left = self.node(&inner.left, grid, fast).await?;
                    inner.right = self.node(&inner.right, grid, fast).await?;
                    Node::Binary(inner)
                }
                Node::Negate(inner, span) => Node::Negate(Box::new(self.node(inner, grid, fast).await?), *span),
                Node::StepInvariant(inner) => {
                    // A range vector belongs to the grid of the function around it.
                    let grid = if matches!(**inner, Node::Range(_)) { grid } else { first_step(grid) };
                    Node::StepInvariant(Box::new(self.node(inner, grid, fast).await?))
                }
                Node::LogWindow(window) => {
                    let plan = self.planner.log_window(window, grid);
                    let values = self.run(plan).await?;
                    self.replace(values, grid, window.span)
                }
            })
        })
    }

    async fn range(&mut self, input: &RangeInput, grid: Grid, fast: bool) -> Result<Node, EngineError> {
        let mut input = input.clone();
        let inner_grid = subquery_grid(&input, &grid);
        match &mut input {
            RangeInput::Select { select, range_ms, .. } => self.select(select, Some(*range_ms), grid).await?,
            RangeInput::Subquery { node, .. } => **node = self.node(node, inner_grid, fast).await?,
        }
        Ok(Node::Range(input))
    }

    async fn call(&mut self, call: &Call, grid: Grid, fast: bool) -> Result<Call, EngineError> {
        // These look at the selector itself.
        let looks = matches!(call.function, Function::Absent | Function::Timestamp | Function::StartTimestamp | Function::Info);
        let mut call = call.clone();
        // The second argument of `info` is not evaluated.
        let count = if call.function == Function::Info { 1 } else { call.args.len() };
        for arg in call.args.iter_mut().take(count) {
            *arg = self.node(arg, grid, fast && !looks).await?;
        }
        Ok(call)
    }

    /// Evaluates a subtree that operators know; `None` where it is none, or its series hold histograms.
    async fn subtree(&mut self, node: &Node, grid: Grid) -> Result<Option<Node>, EngineError> {
        let (window, above) = match node {
            Node::Aggregate(above) if folds(above.op) && above.param.is_none() => (float_window(&above.input), Some(&**above)),
            node => (float_window(node), None),
        };
        let Some(window) = window else { return Ok(None) };
        match self.values(window, above, grid).await {
            Ok(values) => Ok(Some(self.replace(values, grid, above.map_or(Span::default(), |above| above.span)))),
            Err(EngineError::Histograms) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn values(
        &mut self,
        window: FloatWindow<'_>,
        above: Option<&Aggregate>,
        grid: Grid,
    ) -> Result<Vec<StepSeries>, EngineError> {
        let (plan, series) = self.planner.window(window, grid).await?;
        match above {
            Some(above) if series.saturating_mul(grid.len()) > VALUES_HELD_MAX => {
                self.run(folded(self.context, plan, above.op, &above.grouping, grid.len())).await
            }
            Some(above) => Ok(aggregate::apply(above, self.run_sorted(plan).await?, grid.len())),
            None => self.run_sorted(plan).await,
        }
    }

    async fn run_sorted(&mut self, plan: Plan) -> Result<Vec<StepSeries>, EngineError> {
        let mut values = self.run(plan).await?;
        values.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(values)
    }

    async fn run(&mut self, plan: Plan) -> Result<Vec<StepSeries>, EngineError> {
        let plan = single(plan);
        if let Some(text) = &mut self.explained {
            text.push_str(&DisplayableExecutionPlan::new(plan.as_ref()).indent(false).to_string());
            return Ok(Vec::new());
        }
        let batches = collect(&plan, self.context.task()?).await.map_err(|error| self.context.unboxed(error))?;
        series_of(&batches)
    }

    /// Makes the selector that stands for values over a grid.
    fn replace(&mut self, values: Vec<StepSeries>, grid: Grid, span: Span) -> Node {
        let series: Vec<Series> = values.into_iter().map(|one| as_samples(one, grid)).collect();
        self.inputs.samples += series.len() * grid.len();
        let matchers = vec![Matcher::equal(SUBTREE, &self.inputs.subtrees.len().to_string())];
        self.inputs.subtrees.push(series);
        Node::Instant(Select { matchers, offset_ms: 0, at: None, lookback_ms: 1, extension: Extension::None, span })
    }

    async fn select(&mut self, select: &Select, range_ms: Option<i64>, grid: Grid) -> Result<(), EngineError> {
        let (first, last) = selected_range(select, range_ms, &grid);
        let range = TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)));
        self.fetch((select.matchers.clone(), range)).await
    }

    /// Reads the series of a selector, once per query.
    pub(crate) async fn fetch(&mut self, ask: Ask) -> Result<(), EngineError> {
        if self.inputs.fetched.iter().any(|(known, _)| *known == ask) {
            return Ok(());
        }
        let (plan, _) = self.planner.scan(ask.0.clone(), ask.1).await?;
        let plan = single(plan);
        if let Some(text) = &mut self.explained {
            text.push_str(&DisplayableExecutionPlan::new(plan.as_ref()).indent(false).to_string());
            return Ok(());
        }
        let task = self.context.task()?;
        let batches = collect(&plan, task).await.map_err(|error| self.context.unboxed(error))?;
        let mut series = Vec::new();
        let mut samples = 0;
        for row in batches.iter().flat_map(samples_rows) {
            let extras = self.context.attachments.take_samples(row.extras);
            samples += row.timestamps.len() + extras.histograms.len();
            series.push(Series {
                labels: label_set(row.labels)?,
                timestamps: row.timestamps.to_vec(),
                values: row.values.to_vec(),
                start_timestamps: extras.start_timestamps,
                histograms: extras.histograms,
            });
        }
        let held = MemoryConsumer::new("series").register(task.memory_pool());
        held.try_grow(samples * 16).map_err(|error| self.context.unboxed(error))?;
        self.inputs.held.push(held);
        self.inputs.samples += samples;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.inputs.fetched.push((ask, series));
        Ok(())
    }
}

fn as_samples(series: StepSeries, grid: Grid) -> Series {
    let floats = grid.iter().zip(series.values.floats).filter(|(_, value)| !is_stale(*value));
    let (timestamps, values) = floats.unzip();
    Series { labels: series.labels, timestamps, values, start_timestamps: Vec::new(), histograms: Vec::new() }
}
