//! Logical nodes → physical operators. Tails are opened here, samples are not read.

use std::sync::Arc;

use datafusion_physical_plan::ExecutionPlan;
use futures::future::BoxFuture;
use manifest::Part;
use model::TimestampMs;
use plan::Grid;
use plan::logical::{Call, Extension, Function, Node, NodeKind, RangeInput, Select};
use segment::{logs, metrics};

use crate::EngineError;
use crate::cache::TailCache;
use crate::context::QueryContext;
use crate::exec::aggregate::{aggregate, folds};
use crate::exec::apply::{ApplyExec, Input};
use crate::exec::log_window::LogWindowExec;
use crate::exec::repeat::RepeatExec;
use crate::exec::scan::{Leaf, SegmentScanExec};
use crate::exec::subquery::SubqueryExec;
use crate::exec::window::{Pick, WindowExec};
use crate::kernels::{Windows, is_supported};
use crate::ranges::{first_step, select_range, subquery_grid};

/// What planning needs.
pub(crate) struct Planner<'a> {
    pub(crate) context: &'a Arc<QueryContext>,
    pub(crate) parts: Arc<Vec<Part>>,
    pub(crate) metric_tails: &'a TailCache<metrics::Index>,
    pub(crate) log_tails: &'a Arc<TailCache<logs::Index>>,
    pub(crate) partitions: usize,
}

type Plan = Arc<dyn ExecutionPlan>;

impl Planner<'_> {
    /// Plans a node that evaluates to a scalar or a vector.
    pub(crate) fn plan<'s>(&'s self, node: &'s Node, grid: Grid) -> BoxFuture<'s, Result<Plan, EngineError>> {
        Box::pin(async move {
            match node {
                Node::Instant(select) => self.instant(select, Pick::Newest, grid).await,
                Node::Call(call) => self.call(node, call, grid).await,
                Node::Aggregate(inner) if folds(inner.op) && inner.param.is_none() => {
                    let child = self.plan(&inner.input, grid).await?;
                    Ok(aggregate(self.context, child, inner.op, &inner.grouping, grid.len()))
                }
                Node::Aggregate(inner) => {
                    let children = inner.param.iter().chain([&inner.input]);
                    self.apply(node, children.collect(), grid).await
                }
                Node::Binary(binary) => self.apply(node, vec![&binary.left, &binary.right], grid).await,
                Node::Negate(inner, _) => self.apply(node, vec![inner], grid).await,
                Node::StepInvariant(inner) => {
                    let child = self.plan(inner, first_step(grid)).await?;
                    Ok(Arc::new(RepeatExec::new(Arc::clone(self.context), child, grid.len())) as Plan)
                }
                Node::LogWindow(window) => {
                    let (parts, tails) = (Arc::clone(&self.parts), Arc::clone(self.log_tails));
                    Ok(Arc::new(LogWindowExec::new(Arc::clone(self.context), parts, tails, window, grid)) as Plan)
                }
                Node::Literal(_) => self.apply(node, Vec::new(), grid).await,
                Node::Text(_) | Node::Range(_) | Node::Logs(_) => Err(EngineError::Unsupported(crate::apply::describe(node))),
            }
        })
    }

    async fn instant(&self, select: &Select, pick: Pick, grid: Grid) -> Result<Plan, EngineError> {
        let scan = self.scan(select, grid, select.lookback_ms).await?;
        let windows = windows(grid, select.offset_ms, select.at, select.lookback_ms);
        Ok(Arc::new(WindowExec::new(Arc::clone(self.context), scan, pick, windows, grid)))
    }

    /// Plans the scan of a selector with windows of `window_ms`.
    pub(crate) async fn scan(&self, select: &Select, grid: Grid, window_ms: i64) -> Result<Plan, EngineError> {
        if select.extension != Extension::None {
            return Err(EngineError::Unsupported("anchored or smoothed selector".into()));
        }
        let range = select_range(select, grid, window_ms);
        let matchers = select.matchers.clone();
        let leaf = Leaf::open(self.context, self.metric_tails, &self.parts, matchers, range).await?;
        Ok(Arc::new(SegmentScanExec::new(Arc::clone(self.context), leaf, self.partitions)))
    }

    async fn call(&self, node: &Node, call: &Call, grid: Grid) -> Result<Plan, EngineError> {
        if let (Function::Timestamp, [Node::Instant(select)]) = (call.function, &call.args[..]) {
            return self.instant(select, Pick::Timestamp, grid).await;
        }
        let Some(Node::Range(input)) = call.args.iter().find(|arg| matches!(arg, Node::Range(_))) else {
            return self.apply(node, call.args.iter().collect(), grid).await;
        };
        if !is_supported(call.function) {
            return Err(EngineError::Unsupported(crate::apply::describe(node)));
        }
        let span = call.arg_spans.first().copied().unwrap_or(call.span);
        let (child, windows) = match input {
            RangeInput::Select { select, range_ms, .. } => {
                let windows = windows(grid, select.offset_ms, select.at, *range_ms);
                (self.scan(select, grid, *range_ms).await?, windows)
            }
            RangeInput::Subquery { node, range_ms, step_ms, offset_ms, at, .. } => {
                let inner = subquery_grid(grid, *range_ms, *step_ms, *offset_ms, *at);
                self.context.count_samples(inner.len() as u64)?;
                let child = self.plan(node, inner).await?;
                let child = SubqueryExec::new(Arc::clone(self.context), child, inner);
                (Arc::new(child) as Plan, windows(grid, *offset_ms, *at, *range_ms))
            }
        };
        Ok(Arc::new(WindowExec::new(Arc::clone(self.context), child, Pick::Function(call.function, span), windows, grid)))
    }

    async fn apply(&self, node: &Node, children: Vec<&Node>, grid: Grid) -> Result<Plan, EngineError> {
        let mut inputs = Vec::with_capacity(children.len());
        for child in children {
            inputs.push(match child {
                Node::Text(text) => Input::Text(text.clone()),
                child => Input::Plan(self.plan(child, grid).await?, kind(child)),
            });
        }
        Ok(Arc::new(ApplyExec::new(Arc::clone(self.context), node, inputs, grid)))
    }
}

fn kind(node: &Node) -> NodeKind {
    node.kind()
}

fn windows(grid: Grid, offset_ms: i64, at: Option<TimestampMs>, range: i64) -> Windows {
    match at {
        Some(at) => Windows { first_end: at.0.saturating_sub(offset_ms), step: 0, range },
        None => Windows { first_end: grid.start.saturating_sub(offset_ms), step: grid.step, range },
    }
}
