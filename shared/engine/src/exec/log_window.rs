//! LogQL's range aggregations: entries → samples → one value per series and step.

use std::sync::Arc;

use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use hashbrown::HashMap;
use manifest::Part;
use model::{LabelSet, MatchOp, STALE_NAN, is_stale};
use plan::Grid;
use plan::functions::log_range::{LogSamples, log_range};
use plan::logical::{LogRangeFunction, LogWindow};
use plan::pipeline::{Extractor, Scratch};
use segment::logs::Index;

use super::{Shared, once, operator, properties};
use crate::EngineError;
use crate::batch::{StepsBuilder, steps_schema};
use crate::cache::Cache;
use crate::logs::LogScan;
use crate::ranges::log_window_range;

/// Slides windows over the samples extracted from entries.
#[derive(Clone, Debug)]
pub(crate) struct LogWindowExec {
    context: Shared,
    parts: Arc<Vec<Part>>,
    tails: Arc<Cache<Index>>,
    window: Arc<LogWindow>,
    grid: Grid,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl LogWindowExec {
    pub(crate) fn new(
        context: Shared,
        parts: Arc<Vec<Part>>,
        tails: Arc<Cache<Index>>,
        window: &LogWindow,
        grid: Grid,
    ) -> LogWindowExec {
        let properties = properties(steps_schema(grid.len()), 1);
        LogWindowExec { context, parts, tails, window: Arc::new(window.clone()), grid, children: Vec::new(), properties }
    }

    async fn samples(&self) -> Result<HashMap<LabelSet, Vec<(i64, f64)>>, EngineError> {
        let extractor = Extractor::compile(&self.window).map_err(|error| EngineError::Evaluation(error.to_string()))?;
        let range = log_window_range(&self.window, self.grid);
        let select = &self.window.select;
        let scan = LogScan::open(&self.context, &self.tails, &self.parts, select, range, extractor.pipeline()).await?;
        let mut series: HashMap<LabelSet, Vec<(i64, f64)>> = HashMap::new();
        let mut scratch = Scratch::default();
        scan.for_each(&self.context, &mut |stored| {
            let sample = extractor.extract(&mut scratch, stored.timestamp, stored.line, stored.stream, stored.metadata);
            let Some(sample) = sample else { return Ok(()) };
            if let Some(error) = sample.error {
                return Err(EngineError::Evaluation(error.to_string()));
            }
            series.entry(sample.labels).or_default().push((stored.timestamp, sample.value));
            Ok(())
        })
        .await?;
        Ok(series)
    }

    async fn run(self) -> Result<arrow::record_batch::RecordBatch, EngineError> {
        let mut builder = StepsBuilder::new(self.grid.len());
        let mut series: Vec<(LabelSet, Vec<(i64, f64)>)> = self.samples().await?.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let absent = self.window.function == LogRangeFunction::AbsentOverTime;
        if absent && series.is_empty() {
            series.push((LabelSet::empty(), Vec::new()));
        }
        for (labels, mut samples) in series {
            samples.sort_by_key(|(timestamp, _)| *timestamp);
            let out = builder.start();
            self.slide(&samples, out);
            if absent {
                out.iter_mut().for_each(|value| *value = if is_stale(*value) { 1.0 } else { STALE_NAN });
            }
            if out.iter().all(|value| is_stale(*value)) {
                builder.cancel();
                continue;
            }
            let labels = if absent { self.asked() } else { labels };
            builder.end(labels);
        }
        builder.finish()
    }

    fn slide(&self, samples: &[(i64, f64)], out: &mut [f64]) {
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let (mut from, mut to) = (0, 0);
        for (step, result) in out.iter_mut().enumerate() {
            let end_ns = self.grid.at(step).saturating_sub(self.window.offset_ns);
            while from < timestamps.len() && timestamps[from] <= end_ns.saturating_sub(self.window.range_ns) {
                from += 1;
            }
            to = to.max(from);
            while to < timestamps.len() && timestamps[to] <= end_ns {
                to += 1;
            }
            if from < to {
                let window = LogSamples {
                    timestamps_ns: &timestamps[from..to],
                    values: &values[from..to],
                    end_ns,
                    range_ns: self.window.range_ns,
                };
                *result = log_range(self.window.function, self.window.param, window);
            }
        }
    }

    /// Labels of `absent_over_time`: what equality matchers ask for.
    fn asked(&self) -> LabelSet {
        let equal = self.window.select.matchers.iter().filter(|matcher| matcher.op() == MatchOp::Equal);
        LabelSet::from_pairs(equal.map(|matcher| (matcher.name(), matcher.value())))
    }
}

impl DisplayAs for LogWindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let window = &self.window;
        write!(f, "LogWindowExec: {}, matchers={:?}", window.function.as_str(), window.select.matchers)?;
        write!(f, ", stages={}, range={}ns, steps={}", window.select.stages.len(), window.range_ns, self.grid.len())
    }
}

operator!(
    LogWindowExec,
    fn execute(&self, _: usize, _: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let this = self.clone();
        Ok(once(self.schema(), async move { this.run().await.map_err(EngineError::boxed) }))
    }
);
