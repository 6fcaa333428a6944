//! A subquery: the steps of its inner expression become the samples of a range vector.

use std::sync::Arc;

use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use model::is_stale;
use plan::Grid;
use plan::value::HistogramSample;

use super::{Shared, map, operator, properties};
use crate::batch::{SamplesBuilder, label_set, samples_schema, steps_rows};
use crate::context::SampleExtras;

/// Turns step values into samples.
#[derive(Clone, Debug)]
pub(crate) struct SubqueryExec {
    context: Shared,
    grid: Grid,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl SubqueryExec {
    pub(crate) fn new(context: Shared, child: Arc<dyn ExecutionPlan>, grid: Grid) -> SubqueryExec {
        let properties = properties(samples_schema(), child.output_partitioning().partition_count());
        SubqueryExec { context, grid, children: vec![child], properties }
    }
}

impl DisplayAs for SubqueryExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubqueryExec: start={} end={} step={}", self.grid.start, self.grid.end, self.grid.step)
    }
}

operator!(
    SubqueryExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let (grid, context) = (self.grid, Arc::clone(&self.context));
        map(&self.children[0], partition, task, self.schema(), move |batch| {
            let mut builder = SamplesBuilder::default();
            for row in steps_rows(&batch) {
                let (timestamps, values): (Vec<i64>, Vec<f64>) =
                    grid.iter().zip(row.floats).filter(|(_, value)| !is_stale(**value)).map(|(t, value)| (t, *value)).unzip();
                let histograms = grid.iter().zip(context.attachments.take_steps(row.histograms));
                let histograms = histograms
                    .filter_map(|(timestamp, histogram)| {
                        Some(HistogramSample { timestamp, start_timestamp: 0, histogram: histogram? })
                    })
                    .collect();
                let extras = context.attachments.attach_samples(SampleExtras { start_timestamps: Vec::new(), histograms });
                builder.push(row.slot, &label_set(row.labels)?, &timestamps, &values, extras);
            }
            builder.finish()
        })
    }
);
