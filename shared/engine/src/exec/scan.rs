//! The scan of one selector: byte ranges → columns → whole series.

use std::sync::Arc;

use datafusion_common::DataFusionError;
use datafusion_execution::memory_pool::MemoryConsumer;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};

use super::{Shared, adapt, operator, properties};
use crate::EngineError;
use crate::batch::{SamplesBuilder, samples_schema};
use crate::context::SampleExtras;
use crate::leaf::{Leaf, Pruning};
use crate::merge::Merged;

/// Reads the samples of a leaf.
#[derive(Clone, Debug)]
pub(crate) struct SegmentScanExec {
    context: Shared,
    pub(crate) leaf: Arc<Leaf>,
    partitions: Vec<Arc<[u32]>>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl SegmentScanExec {
    pub(crate) fn new(context: Shared, leaf: Arc<Leaf>, partitions: usize) -> SegmentScanExec {
        let partitions: Vec<Arc<[u32]>> = leaf.cut(partitions).into_iter().map(Arc::from).collect();
        let properties = properties(samples_schema(), partitions.len());
        SegmentScanExec { context, leaf, partitions, children: Vec::new(), properties }
    }

    async fn read(&self, chunk: &[u32]) -> Result<SamplesBuilder, EngineError> {
        let decoded = self.leaf.decode(&self.context, chunk).await?;
        let (mut builder, mut scratch, mut count) = (SamplesBuilder::default(), Merged::default(), 0);
        for series in chunk {
            self.leaf.with_samples(&decoded, *series, &mut scratch, |samples| {
                count += samples.timestamps.len() + samples.histograms.len();
                if samples.timestamps.is_empty() && samples.histograms.is_empty() {
                    return;
                }
                let (start_timestamps, histograms) = (samples.start_timestamps.to_vec(), samples.histograms.to_vec());
                let handle = self.context.attachments.attach_samples(SampleExtras { start_timestamps, histograms });
                builder.push(*series, samples.timestamps, samples.values, handle);
            });
        }
        self.context.count_samples(count as u64);
        Ok(builder)
    }
}

impl DisplayAs for SegmentScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SegmentScanExec: ")?;
        describe(&self.leaf, self.partitions.len(), f)
    }
}

/// Says what a leaf reads.
pub(crate) fn describe(leaf: &Leaf, partitions: usize, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    write!(f, "matchers={:?}, range=[{}, {})", leaf.matchers, leaf.range.start.0, leaf.range.end.0)?;
    leaf.describe_replicas(f)?;
    let Pruning { considered, opened } = leaf.pruning;
    write!(f, ", segments={considered}, pruned={}, opened={opened}, selected={}", considered - opened, leaf.parts.len())?;
    let reads = leaf.reads();
    let bytes: u64 = reads.ranges.iter().map(|range| range.end - range.start).sum();
    write!(f, ", row_groups={}, pages={}, bytes={bytes}", reads.row_groups, reads.pages)?;
    write!(f, ", series={}, partitions={partitions}", leaf.series_count())?;
    if leaf.is_coarse() { write!(f, ", windows={}", leaf.widths().join("+")) } else { Ok(()) }
}

operator!(
    SegmentScanExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let series = Arc::clone(&self.partitions[partition]);
        let chunks = self.leaf.chunks(&series, 0);
        let scan = self.clone();
        let reservation = MemoryConsumer::new("SegmentScanExec").register(task.memory_pool());
        let batches = stream::iter(chunks).then(move |chunk| {
            let (scan, series) = (scan.clone(), Arc::clone(&series));
            let reserved = reservation.new_empty();
            async move {
                let chunk = &series[chunk];
                // Held while the chunk is decoded; 16 bytes a sample in the batch, as many in the decoded columns.
                reserved.try_grow(scan.leaf.samples_of(chunk) * 32)?;
                // A query that nobody waits for any more ends here.
                tokio::task::yield_now().await;
                let builder = scan.read(chunk).await.map_err(EngineError::boxed)?;
                builder.finish().map_err(EngineError::boxed)
            }
        });
        Ok(adapt(self.schema(), batches.map_err(|error: DataFusionError| error)))
    }
);
