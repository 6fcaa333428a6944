//! Selectors and range functions: samples of a series → one value per step.

use std::sync::Arc;

use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use model::{LabelSet, is_stale};
use plan::Grid;
use plan::logical::{Function, Span};

use super::{Shared, map, operator, properties};
use crate::EngineError;
use crate::batch::{SamplesRow, StepsBuilder, label_set, samples_rows, steps_schema};
use crate::context::SampleExtras;
use crate::kernels::{Windows, newest, slide, without_stale};

/// What a window answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pick {
    /// The newest sample, unless it is stale.
    Newest,
    /// The time of the newest sample, in seconds.
    Timestamp,
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
        let extras = self.context.attachments.take_samples(row.extras);
        let out = builder.start();
        let mut histograms = 0;
        match self.pick {
            Pick::Newest if extras.histograms.is_empty() => {
                newest(self.windows, self.steps, row.timestamps, |step, at| out[step] = row.values[at]);
            }
            Pick::Newest => histograms = self.newest_of_both(row, &extras, out),
            Pick::Timestamp => {
                let times = merged_times(row, &extras);
                let times: (Vec<i64>, Vec<bool>) = times.into_iter().unzip();
                newest(self.windows, self.steps, &times.0, |step, at| {
                    if !times.1[at] {
                        out[step] = times.0[at] as f64 / 1000.0;
                    }
                });
            }
            Pick::Function(function, _) => {
                if !extras.histograms.is_empty() {
                    return Err(EngineError::Unsupported(format!("{} of native histograms", function.as_str())));
                }
                match without_stale(row.timestamps, row.values) {
                    Some((timestamps, values)) => slide(function, self.windows, &timestamps, &values, out),
                    None => slide(function, self.windows, row.timestamps, row.values, out),
                }
            }
        }
        if histograms == 0 && out.iter().all(|value| is_stale(*value)) {
            builder.cancel();
            return Ok(());
        }
        let labels = label_set(row.labels)?;
        self.annotate(&labels);
        let (labels, drop_name) = self.named(labels);
        builder.end(row.slot, labels, drop_name, histograms);
        Ok(())
    }

    fn newest_of_both(&self, row: SamplesRow<'_>, extras: &SampleExtras, out: &mut [f64]) -> u64 {
        let times: Vec<i64> = merged_times(row, extras).into_iter().map(|(t, _)| t).collect();
        let mut found = vec![None; self.steps];
        newest(self.windows, self.steps, &times, |step, at| {
            match extras.histograms.binary_search_by_key(&times[at], |sample| sample.timestamp) {
                Ok(index) if !extras.histograms[index].histogram.is_stale() => {
                    found[step] = Some(Arc::clone(&extras.histograms[index].histogram));
                }
                Ok(_) => {}
                Err(_) => {
                    if let Ok(index) = row.timestamps.binary_search(&times[at]) {
                        out[step] = row.values[index];
                    }
                }
            }
        });
        self.context.attachments.attach_steps(found)
    }

    /// Keeps the name where the function does; with delayed removal only marks it.
    fn named(&self, labels: LabelSet) -> (LabelSet, bool) {
        let keeps = matches!(self.pick, Pick::Newest)
            || matches!(self.pick, Pick::Function(Function::LastOverTime | Function::FirstOverTime, _));
        match (keeps, self.context.options.delayed_name_removal) {
            (true, _) => (labels, false),
            (false, true) => (labels, true),
            (false, false) => (crate::apply::without_name(&labels), false),
        }
    }

    /// Prometheus's hint that a rate of a gauge was asked for.
    fn annotate(&self, labels: &LabelSet) {
        let Pick::Function(Function::Rate | Function::Increase | Function::Irate, span) = self.pick else { return };
        let Some(name) = labels.metric_name() else { return };
        if ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            return;
        }
        let (line, column) = crate::apply::line_col(&self.context.text, span);
        self.context.annotations.info(format!(
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"{name}\" ({line}:{column})"
        ));
    }
}

/// Times of floats and histograms, ascending, each with whether it is a staleness marker.
fn merged_times(row: SamplesRow<'_>, extras: &SampleExtras) -> Vec<(i64, bool)> {
    let floats = row.timestamps.iter().zip(row.values).map(|(t, value)| (*t, is_stale(*value)));
    let histograms = extras.histograms.iter().map(|sample| (sample.timestamp, sample.histogram.is_stale()));
    let mut times: Vec<(i64, bool)> = floats.chain(histograms).collect();
    times.sort_unstable_by_key(|(t, _)| *t);
    times
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.pick {
            Pick::Newest => "newest",
            Pick::Timestamp => "timestamp",
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
