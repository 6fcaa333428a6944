//! Selectors and range functions: samples of a series → one value per step.

use std::sync::Arc;

use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use model::{LabelSet, is_stale};
use plan::logical::{Function, Span};
use plan::{Annotations, Grid};

use super::{Shared, map, operator, properties};
use crate::EngineError;
use crate::batch::{SamplesRow, StepsBuilder, label_set, samples_rows, steps_schema};
use crate::kernels::{Windows, newest, slide, without_stale};

/// What a window answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pick {
    /// The newest sample, unless it is stale.
    Newest,
    /// A range function; where its argument stands.
    Function(Function, Span),
}

/// Slides windows over each series of its child.
#[derive(Clone, Debug)]
pub(crate) struct WindowExec {
    context: Shared,
    pick: Pick,
    windows: Windows,
    steps: usize,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl WindowExec {
    pub(crate) fn new(context: Shared, child: Arc<dyn ExecutionPlan>, pick: Pick, windows: Windows, grid: Grid) -> WindowExec {
        let steps = grid.len();
        let properties = properties(steps_schema(steps), child.output_partitioning().partition_count());
        WindowExec { context, pick, windows, steps, children: vec![child], properties }
    }

    fn push(&self, row: SamplesRow<'_>, builder: &mut StepsBuilder) -> Result<(), EngineError> {
        if !self.context.attachments.take_samples(row.extras).histograms.is_empty() {
            return Err(EngineError::Histograms);
        }
        let out = builder.start();
        match self.pick {
            Pick::Newest => newest(self.windows, self.steps, row.timestamps, |step, at| out[step] = row.values[at]),
            Pick::Function(function, _) => match without_stale(row.timestamps, row.values) {
                Some((timestamps, values)) => slide(function, self.windows, &timestamps, &values, out),
                None => slide(function, self.windows, row.timestamps, row.values, out),
            },
        }
        if out.iter().all(|value| is_stale(*value)) {
            builder.cancel();
            return Ok(());
        }
        let labels = label_set(row.labels)?;
        self.annotate(&labels);
        builder.end(row.slot, self.named(labels));
        Ok(())
    }

    /// Keeps the name where the function does.
    fn named(&self, labels: LabelSet) -> LabelSet {
        match self.pick {
            Pick::Newest | Pick::Function(Function::LastOverTime | Function::FirstOverTime, _) => labels,
            Pick::Function(..) => labels.retain(|name| !matches!(name, "__name__" | "__type__" | "__unit__")),
        }
    }

    /// Prometheus's hint that a rate of a gauge was asked for.
    fn annotate(&self, labels: &LabelSet) {
        let Pick::Function(Function::Rate | Function::Increase, span) = self.pick else { return };
        let Some(name) = labels.metric_name() else { return };
        if ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            return;
        }
        let mut annotation = Annotations::default();
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ";
        annotation.info(format!("{text}{}", model::quote::go_quote(name)), span);
        annotation.render(&self.context.text).1.into_iter().for_each(|text| self.context.annotations.info(text));
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.pick {
            Pick::Newest => "newest",
            Pick::Function(function, _) => function.as_str(),
        };
        write!(f, "WindowExec: {name}, range={}ms, steps={}", self.windows.range, self.steps)
    }
}

operator!(
    WindowExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let window = self.clone();
        map(&self.children[0], partition, task, self.schema(), move |batch| {
            let mut builder = StepsBuilder::new(window.steps);
            for row in samples_rows(&batch) {
                window.push(row, &mut builder)?;
            }
            builder.finish()
        })
    }
);
