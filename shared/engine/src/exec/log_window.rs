//! LogQL's range aggregations: entries → samples → one value per series and step.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use model::{LabelSet, STALE_NAN, is_stale};
use plan::functions::log_range::absent_labels;
use plan::logical::LogRangeFunction;

use super::{Shared, once, operator, properties};
use crate::EngineError;
use crate::batch::{StepsBuilder, steps_schema};
use crate::logs::LogScan;
use crate::logs::windows::{Ask, Series};

/// Slides windows over the samples extracted from entries.
#[derive(Clone, Debug)]
pub(crate) struct LogWindowExec {
    context: Shared,
    scan: Arc<LogScan>,
    /// What is known without reading the scan.
    counted: Series,
    ask: Arc<Ask>,
    /// Pieces worked on at a time.
    workers: usize,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl LogWindowExec {
    /// Counts what needs no reading.
    ///
    /// # Errors
    /// As [`Ask::count_minutes`].
    pub(crate) fn new(context: Shared, mut scan: LogScan, ask: Ask, workers: usize) -> Result<LogWindowExec, EngineError> {
        let counted = ask.count_minutes(&context, &mut scan)?;
        let scan = Arc::new(scan);
        let properties = properties(steps_schema(ask.spans.steps()), 1);
        Ok(LogWindowExec { context, scan, counted, ask: Arc::new(ask), workers, children: Vec::new(), properties })
    }

    async fn run(self) -> Result<RecordBatch, EngineError> {
        let series = self.ask.read(&self.context, (&self.scan, self.counted), self.workers).await?;
        let mut builder = StepsBuilder::new(self.ask.spans.steps());
        if self.ask.window.function == LogRangeFunction::AbsentOverTime {
            let any = builder.start();
            series.into_iter().for_each(|(_, found)| found.slide(&self.ask, any));
            any.iter_mut().for_each(|value| *value = if is_stale(*value) { 1.0 } else { STALE_NAN });
            end(&mut builder, absent_labels(&self.ask.window.select.matchers));
        } else {
            for (labels, found) in series {
                found.slide(&self.ask, builder.start());
                end(&mut builder, labels);
            }
        }
        builder.finish()
    }
}

/// Ends a row, unless it has no value.
fn end(builder: &mut StepsBuilder, labels: LabelSet) {
    match builder.is_absent() {
        true => builder.cancel(),
        false => builder.end(labels),
    }
}

impl DisplayAs for LogWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let function = self.ask.window.function.as_str();
        write!(f, "LogWindowExec: {function}, reads={}, {}", self.ask.reads(), self.scan.explain(&self.context))
    }
}

operator!(
    LogWindowExec,
    fn execute(&self, _: usize, _: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let this = self.clone();
        Ok(once(self.schema(), async move { this.run().await.map_err(EngineError::boxed) }))
    }
);
