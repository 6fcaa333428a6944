//! The physical operators, one file each.
//!
//! Owns: how a plan runs in partitions. Does not own: what functions mean ([`crate::kernels`], `plan::reference`).

mod coarse;
pub(crate) mod log_window;
pub(crate) mod scan;
pub(crate) mod window;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_common::DataFusionError;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::EquivalenceProperties;
use datafusion_physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion_physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use crate::context::QueryContext;

/// Writes what every operator of ours says alike: it has `children: Vec<Arc<dyn ExecutionPlan>>` and `properties`.
macro_rules! operator {
    ($name:ident, $execute:item) => {
        impl datafusion_physical_plan::ExecutionPlan for $name {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            fn properties(&self) -> &std::sync::Arc<datafusion_physical_plan::PlanProperties> {
                &self.properties
            }

            fn children(&self) -> Vec<&std::sync::Arc<dyn datafusion_physical_plan::ExecutionPlan>> {
                self.children.iter().collect()
            }

            fn apply_expressions(
                &self,
                _: &mut dyn FnMut(
                    &std::sync::Arc<dyn datafusion_physical_expr::PhysicalExpr>,
                ) -> datafusion_common::Result<datafusion_common::tree_node::TreeNodeRecursion>,
            ) -> datafusion_common::Result<datafusion_common::tree_node::TreeNodeRecursion> {
                Ok(datafusion_common::tree_node::TreeNodeRecursion::Continue)
            }

            fn with_new_children(
                self: std::sync::Arc<Self>,
                children: Vec<std::sync::Arc<dyn datafusion_physical_plan::ExecutionPlan>>,
            ) -> datafusion_common::Result<std::sync::Arc<dyn datafusion_physical_plan::ExecutionPlan>> {
                Ok(std::sync::Arc::new($name { children, ..(*self).clone() }))
            }

            $execute
        }
    };
}
pub(crate) use operator;

/// Describes an operator's output to DataFusion.
pub(crate) fn properties(schema: SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

/// Joins the partitions of a child into one, each on a task of its own.
pub(crate) fn single(child: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    if child.output_partitioning().partition_count() == 1 {
        return child;
    }
    Arc::new(CoalescePartitionsExec::new(child))
}

/// Runs the partitions of a plan, `at_once` at a time and each on a task of its own, and returns their batches in the order of
/// partitions. Whoever stops listening stops the tasks.
pub(crate) fn in_order(
    plan: Arc<dyn ExecutionPlan>,
    task: &Arc<TaskContext>,
    at_once: usize,
) -> impl Stream<Item = Result<Vec<RecordBatch>, DataFusionError>> {
    let partitions = plan.output_partitioning().partition_count();
    let task = Arc::clone(task);
    let runs = (0..partitions).map(move |partition| {
        let batches = plan.execute(partition, Arc::clone(&task));
        async move {
            let mut spawned = JoinSet::new();
            spawned.spawn(batches?.try_collect::<Vec<RecordBatch>>());
            let joined = spawned.join_next().await.expect("one task was spawned");
            joined.map_err(|error| DataFusionError::Execution(error.to_string()))?
        }
    });
    stream::iter(runs).buffered(at_once.max(1))
}

/// Makes a stream of batches out of a stream of results.
pub(crate) fn adapt(
    schema: SchemaRef,
    stream: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}

/// Makes a stream of the one batch a future answers with.
pub(crate) fn once(
    schema: SchemaRef,
    future: impl Future<Output = Result<RecordBatch, DataFusionError>> + Send + 'static,
) -> SendableRecordBatchStream {
    adapt(schema, stream::once(future))
}

/// A shared context, as operators hold it.
pub(crate) type Shared = Arc<QueryContext>;
