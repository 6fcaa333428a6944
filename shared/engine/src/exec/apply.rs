//! Everything above the pushed-down operators: children are materialised and handed to [`crate::apply`].

use std::sync::Arc;

use datafusion_execution::memory_pool::MemoryConsumer;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use plan::logical::{Node, NodeKind};
use plan::{Grid, Value};

use super::{Shared, collect, once, operator, properties, single};
use crate::EngineError;
use crate::apply::{apply, scalar_series};
use crate::batch::{batch_of, series_of, steps_schema};

/// What a child evaluates to.
pub(crate) enum Input {
    /// A plan, and the kind of its rows.
    Plan(Arc<dyn ExecutionPlan>, NodeKind),
    /// A string: it has no rows.
    Text(String),
}

#[derive(Clone, Debug)]
enum Slot {
    Child(NodeKind),
    Text(String),
}

/// Evaluates one node over the values of its children.
#[derive(Clone, Debug)]
pub(crate) struct ApplyExec {
    context: Shared,
    node: Arc<Node>,
    grid: Grid,
    inputs: Vec<Slot>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl ApplyExec {
    pub(crate) fn new(context: Shared, node: &Node, inputs: Vec<Input>, grid: Grid) -> ApplyExec {
        let mut children = Vec::new();
        let mut slots = Vec::new();
        for input in inputs {
            match input {
                Input::Plan(plan, kind) => {
                    children.push(single(plan));
                    slots.push(Slot::Child(kind));
                }
                Input::Text(text) => slots.push(Slot::Text(text)),
            }
        }
        let properties = properties(steps_schema(grid.len()), 1);
        ApplyExec { context, node: Arc::new(node.clone()), grid, inputs: slots, children, properties }
    }
}

impl DisplayAs for ApplyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApplyExec: {}", crate::apply::describe(&self.node))
    }
}

operator!(
    ApplyExec,
    fn execute(&self, _: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let this = self.clone();
        Ok(once(self.schema(), async move {
            let reservation = MemoryConsumer::new("ApplyExec").register(task.memory_pool());
            let mut values = Vec::new();
            let mut children = this.children.iter();
            for slot in &this.inputs {
                let kind = match slot {
                    Slot::Text(text) => {
                        values.push(Value::Text(text.clone()));
                        continue;
                    }
                    Slot::Child(kind) => *kind,
                };
                let Some(child) = children.next() else { break };
                let series = series_of(&collect(child, &task).await?, &this.context.attachments).map_err(EngineError::boxed)?;
                reservation.try_grow(series.len() * (this.grid.len() * 8 + 64))?;
                values.push(match kind {
                    NodeKind::Scalar => Value::Scalar(series.into_iter().next().map(|one| one.values.floats).unwrap_or_default()),
                    _ => Value::Vector(crate::apply::ordered(series).map_err(EngineError::boxed)?),
                });
            }
            let value = apply(&this.context, &this.node, values, this.grid).map_err(EngineError::boxed)?;
            let series = match value {
                Value::Scalar(floats) => vec![scalar_series(floats)],
                Value::Vector(series) => series,
                _ => return Err(EngineError::Internal("a string or range is no vector".into()).boxed()),
            };
            batch_of(series, this.grid.len(), &this.context.attachments).map_err(EngineError::boxed)
        }))
    }
);
