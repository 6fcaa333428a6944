//! Selectors and functions over them: the samples of a leaf's series → one value per series and step.
//!
//! Samples go from the decoded columns of segments straight into the kernel, series by series: no batch of samples is made.

use std::sync::Arc;

use datafusion_common::DataFusionError;
use datafusion_execution::memory_pool::MemoryConsumer;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Resolution, is_stale};
use plan::functions::coarse::Gap;
use plan::logical::{Call, Extension, Function, Grid, RangeInput, Select};
use plan::reference::evaluated::size;
use plan::reference::windows as reference;
use plan::reference::{Budget, selected_range};
use plan::{Annotations, SampleCounts, StepValues};

use super::scan::describe;
use super::{Shared, adapt, operator, properties};
use crate::EngineError;
use crate::batch::{WindowsBuilder, windows_schema};
use crate::context::StepExtras;
use crate::kernels::{Windows, is_supported, newest, slide, without_stale};
use crate::leaf::{Leaf, Samples};
use crate::merge::Merged;

/// Bytes of a window of a coarse copy, decoded.
const WINDOW_BYTES: usize = 160;

/// What is asked of each window.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The newest sample, unless it is stale.
    Newest(Select),
    /// When the newest sample was taken, or its counter began.
    Times(Select, Function),
    /// A range function; its scalar arguments are literals.
    Range(Box<Call>, RangeInput, Vec<f64>),
}

impl Ask {
    pub(crate) fn select(&self) -> &Select {
        match self {
            Ask::Newest(select) | Ask::Times(select, _) | Ask::Range(_, RangeInput::Select { select, .. }, _) => select,
            Ask::Range(..) => unreachable!("leaves are selectors"),
        }
    }

    pub(crate) fn range_ms(&self) -> Option<i64> {
        match self {
            Ask::Range(_, RangeInput::Select { range_ms, .. }, _) => Some(*range_ms),
            _ => None,
        }
    }

    pub(crate) fn function(&self) -> Option<Function> {
        match self {
            Ask::Newest(_) => None,
            Ask::Times(_, function) => Some(*function),
            Ask::Range(call, ..) => Some(call.function),
        }
    }
}

/// Slides windows over each series of a leaf.
#[derive(Clone, Debug)]
pub(crate) struct WindowExec {
    pub(super) context: Shared,
    pub(crate) leaf: Arc<Leaf>,
    pub(super) ask: Arc<Ask>,
    pub(super) grid: Grid,
    /// How wide samples are that stand beside windows, milliseconds.
    pub(super) sample_width_ms: i64,
    /// Whether only count and sum of histograms are asked for ([`plan::reference::Context`]).
    histogram_stats: bool,
    partitions: Vec<Arc<[u32]>>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl WindowExec {
    pub(crate) fn new(
        context: Shared,
        leaf: Arc<Leaf>,
        ask: Ask,
        grid: Grid,
        histogram_stats: bool,
        partitions: Vec<Vec<u32>>,
    ) -> WindowExec {
        let properties = properties(windows_schema(grid.len()), partitions.len());
        let partitions = partitions.into_iter().map(Arc::from).collect();
        let (ask, children, sample_width_ms) = (Arc::new(ask), Vec::new(), 1);
        WindowExec { context, leaf, ask, grid, sample_width_ms, histogram_stats, partitions, children, properties }
    }

    /// Returns the same with samples beside windows of a resolution in windows as wide: no range ends inside one.
    pub(crate) fn coarse(self, resolution: Resolution) -> WindowExec {
        WindowExec { sample_width_ms: resolution.width_ms().unwrap_or(1), ..self }
    }

    async fn read(&self, chunk: &[u32]) -> Result<WindowsBuilder, EngineError> {
        if self.leaf.is_coarse() {
            return self.read_coarse(chunk).await;
        }
        let decoded = self.leaf.decode(&self.context, chunk).await?;
        let mut builder = WindowsBuilder::new(self.grid.len(), chunk.len());
        let (mut scratch, mut count) = (Merged::default(), 0);
        for series in chunk {
            self.leaf.with_samples(&decoded, *series, &mut scratch, |samples| {
                count += samples.timestamps.len() + samples.histograms.len();
                self.push(*series, samples, &mut builder);
            });
        }
        self.context.count_samples(count as u64);
        Ok(builder)
    }

    pub(super) fn push(&self, series: u32, samples: Samples<'_>, builder: &mut WindowsBuilder) {
        let plain = samples.histograms.is_empty()
            && self.ask.select().extension == Extension::None
            && samples.start_timestamps.iter().all(|start| *start == 0);
        match (&*self.ask, plain) {
            (Ask::Newest(select), true) => {
                let out = builder.start();
                let windows = windows(self.grid, select, select.lookback_ms);
                newest(windows, out.len(), samples.timestamps, |step, at| out[step] = samples.values[at]);
                let present = out.iter().filter(|value| !is_stale(**value)).count();
                if present > 0 { builder.end(series, 0, SampleCounts::each(present), 0) } else { builder.cancel() }
            }
            (Ask::Range(call, RangeInput::Select { select, range_ms, .. }, _), true) if is_supported(call.function) => {
                self.slide(series, samples, call, windows(self.grid, select, *range_ms), builder);
            }
            _ => self.by_reference(series, samples, &[], builder),
        }
    }

    fn slide(&self, series: u32, samples: Samples<'_>, call: &Call, windows: Windows, builder: &mut WindowsBuilder) {
        let out = builder.start();
        let used = match without_stale(samples.timestamps, samples.values) {
            Some((timestamps, values)) => slide(call.function, windows, &timestamps, &values, out),
            None => slide(call.function, windows, samples.timestamps, samples.values, out),
        };
        let present = out.iter().filter(|value| !is_stale(**value)).count();
        // The last window is held until the result is whole.
        let window = used.largest.max(used.last + present);
        if present == 0 {
            // Its windows count against the limit of samples all the same.
            if window > 0 {
                builder.end(series, window, used.counts, 0)
            } else {
                builder.cancel()
            }
            return;
        }
        let mut annotations = Annotations::default();
        if matches!(call.function, Function::Rate | Function::Increase) {
            let span = call.arg_spans.first().copied().unwrap_or(call.span);
            reference::not_a_counter(self.leaf.labels(series), span, &self.context.options, &mut annotations);
        }
        let extras = self.context.attachments.attach_steps(StepExtras { annotations, ..StepExtras::default() });
        builder.end(series, window, used.counts, extras);
    }

    /// Histograms, start timestamps, extended selectors and rare functions: the reference's own code, one series at a time.
    pub(super) fn by_reference(&self, series: u32, samples: Samples<'_>, gaps: &[Gap], builder: &mut WindowsBuilder) {
        let options = &self.context.options;
        let mut annotations = Annotations::default();
        let mut budget = Budget { max: usize::MAX, stop: Some(Arc::clone(&self.context.stop)), ..Budget::default() };
        let mut input = self.leaf.to_series(series, samples);
        if self.histogram_stats {
            let after = selected_range(self.ask.select(), self.ask.range_ms(), &self.grid).0;
            reference::without_buckets(&mut input, after);
        }
        let values = match &*self.ask {
            Ask::Newest(select) => reference::instant(&input, select, &self.grid, &mut annotations),
            Ask::Times(select, function) => Ok(reference::timestamps(&input, select, &self.grid, *function, options)),
            Ask::Range(call, range, args) => {
                let args: Vec<Vec<f64>> = args.iter().map(|arg| vec![*arg; self.grid.len()]).collect();
                reference::range(call, (&input, gaps), range, &args, &self.grid, options, &mut annotations, &mut budget)
            }
        };
        // Which of several errors is told depends on the order of series, which is not known here.
        let (values, error) = match values {
            Ok(values) => (values, None),
            Err(error) => (StepValues::absent(self.grid.len()), Some(error)),
        };
        // What a series without a value noted is noted all the same, and its windows count against the limit of samples.
        if values.is_absent() && annotations.is_empty() && budget.peak == 0 && error.is_none() {
            return;
        }
        let counts = match &*self.ask {
            Ask::Range(..) => budget.counts,
            Ask::Newest(_) | Ask::Times(..) => SampleCounts::each(size(&values)),
        };
        let StepValues { floats, histograms } = values;
        builder.start().copy_from_slice(&floats);
        builder.end(
            series,
            budget.peak,
            counts,
            self.context.attachments.attach_steps(StepExtras { histograms, annotations, error }),
        );
    }
}

pub(super) fn windows(grid: Grid, select: &Select, range: i64) -> Windows {
    match select.at {
        Some(at) => Windows { first_end: at.0.saturating_sub(select.offset_ms), step: 0, range },
        None => Windows { first_end: grid.start.saturating_sub(select.offset_ms), step: grid.step, range },
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.ask.function().map_or("newest", Function::as_str);
        let range_ms = self.ask.range_ms().unwrap_or(self.ask.select().lookback_ms);
        write!(f, "WindowExec: {name}, window={range_ms}ms, steps={}, ", self.grid.len())?;
        describe(&self.leaf, self.partitions.len(), f)
    }
}

operator!(
    WindowExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let series = Arc::clone(&self.partitions[partition]);
        let chunks = self.leaf.chunks(&series, self.grid.len());
        let window = self.clone();
        let reservation = MemoryConsumer::new("WindowExec").register(task.memory_pool());
        let batches = stream::iter(chunks).then(move |chunk| {
            let (window, series) = (window.clone(), Arc::clone(&series));
            let reserved = reservation.new_empty();
            async move {
                let chunk = &series[chunk];
                // Held while the chunk is worked on: the decoded columns, and the values over the grid.
                let row_bytes = if window.leaf.is_coarse() { WINDOW_BYTES } else { 16 };
                reserved.try_grow(window.leaf.samples_of(chunk) * row_bytes + chunk.len() * window.grid.len() * 8)?;
                // A query that nobody waits for any more ends here.
                tokio::task::yield_now().await;
                let builder = window.read(chunk).await.map_err(EngineError::boxed)?;
                builder.finish().map_err(EngineError::boxed)
            }
        });
        Ok(adapt(self.schema(), batches.map_err(|error: DataFusionError| error)))
    }
);
