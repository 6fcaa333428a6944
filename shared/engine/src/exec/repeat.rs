//! A step-invariant expression: evaluated at the first step, repeated at every other.

use std::sync::Arc;

use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};

use super::{Shared, map, operator, properties};
use crate::batch::{StepsBuilder, label_set, steps_rows, steps_schema};

/// Repeats the one step of its child.
#[derive(Clone, Debug)]
pub(crate) struct RepeatExec {
    context: Shared,
    steps: usize,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl RepeatExec {
    pub(crate) fn new(context: Shared, child: Arc<dyn ExecutionPlan>, steps: usize) -> RepeatExec {
        let properties = properties(steps_schema(steps), child.output_partitioning().partition_count());
        RepeatExec { context, steps, children: vec![child], properties }
    }
}

impl DisplayAs for RepeatExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RepeatExec: steps={}", self.steps)
    }
}

operator!(
    RepeatExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let (steps, context) = (self.steps, Arc::clone(&self.context));
        map(&self.children[0], partition, task, self.schema(), move |batch| {
            let mut builder = StepsBuilder::new(steps);
            for row in steps_rows(&batch) {
                builder.start().fill(row.floats[0]);
                let histogram = context.attachments.take_steps(row.histograms).into_iter().next().flatten();
                let histograms = context.attachments.attach_steps(vec![histogram; steps]);
                builder.end(row.slot, label_set(row.labels)?, row.drop_name, histograms);
            }
            builder.finish()
        })
    }
);
