//! The scan of one selector: byte ranges → columns → whole series, ordered by (slot, label set).
//!
//! Owns: the leaf (which series of which segments), its cut into partitions and chunks. Does not own: pruning ([`crate::fetch`]).

use std::ops::Range;
use std::sync::Arc;

use datafusion_common::DataFusionError;
use datafusion_execution::memory_pool::MemoryConsumer;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashMap;
use manifest::Part;
use model::{ErrorKind, LabelSet, Matcher, Signal, TimeRangeMs};
use segment::metrics::{Index, Projection, SeriesColumns, SeriesEntry, SeriesSlices};
use tokio::sync::OnceCell;

use super::{Shared, adapt, operator, properties};
use crate::EngineError;
use crate::batch::{SamplesBuilder, samples_schema};
use crate::cache::TailCache;
use crate::context::SampleExtras;
use crate::fetch::{OpenPart, open_parts, prune, read_ranges, warn_corrupt};
use crate::limits::{SAMPLES_PER_CHUNK, SAMPLES_PER_PARTITION_MIN, SERIES_PER_BATCH, WHOLE_OBJECT_BYTES_MAX};
use crate::merge::{merge, trim};

/// The series a selector selects, and where their samples lie.
#[derive(Debug)]
pub(crate) struct Leaf {
    matchers: Vec<Matcher>,
    range: TimeRangeMs,
    projection: Projection,
    parts: Vec<LeafPart>,
    /// Ordered by (slot, encoded labels).
    series: Vec<LeafSeries>,
}

#[derive(Debug)]
struct LeafPart {
    open: OpenPart<Index>,
    /// Selected entries, ordinals ascending.
    entries: Vec<SeriesEntry>,
    /// All selected samples of a small segment, decoded once for all partitions.
    small: OnceCell<Option<Arc<SeriesColumns>>>,
}

#[derive(Debug)]
struct LeafSeries {
    slot: u16,
    labels: LabelSet,
    /// Part and entry.
    sources: Vec<(u32, u32)>,
    samples: u64,
}

/// The samples of a part that a chunk needs.
enum Decoded {
    All(Arc<SeriesColumns>),
    Picked(SeriesColumns, Vec<u32>),
    Missing,
}

impl Leaf {
    /// Opens the tails of the parts that may match and selects series; no sample is read.
    pub(crate) async fn open(
        context: &Shared,
        cache: &TailCache<Index>,
        parts: &[Part],
        matchers: Vec<Matcher>,
        range: TimeRangeMs,
    ) -> Result<Leaf, EngineError> {
        let open = open_parts(context, cache, prune(Signal::Metrics, parts, &matchers, range)).await?;
        let mut found: HashMap<LabelSet, usize> = HashMap::new();
        let mut series: Vec<LeafSeries> = Vec::new();
        let mut leaf_parts = Vec::new();
        for part in open {
            let entries = part.index.select(&matchers, range);
            for (index, entry) in entries.iter().enumerate() {
                let at = *found.entry(entry.labels.clone()).or_insert_with(|| {
                    let (slot, labels) = (entry.slot.0, entry.labels.clone());
                    series.push(LeafSeries { slot, labels, sources: Vec::new(), samples: 0 });
                    series.len() - 1
                });
                series[at].sources.push((leaf_parts.len() as u32, index as u32));
                series[at].samples += entry.rows.end - entry.rows.start;
            }
            leaf_parts.push(LeafPart { open: part, entries, small: OnceCell::new() });
        }
        context.count_series(series.len() as u64)?;
        series.sort_unstable_by(|a, b| (a.slot, a.labels.encoded()).cmp(&(b.slot, b.labels.encoded())));
        let start_timestamps = context.options.use_start_timestamps;
        let projection = Projection { start_timestamps, ..Projection::SAMPLES };
        Ok(Leaf { matchers, range, projection, parts: leaf_parts, series })
    }

    /// Counts the series selected.
    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Cuts the series into at most `wanted` runs of whole slots with about equally many samples.
    fn cut(&self, wanted: usize) -> Vec<Range<usize>> {
        let samples: u64 = self.series.iter().map(|series| series.samples).sum();
        let wanted = (wanted as u64).min(samples / SAMPLES_PER_PARTITION_MIN + 1);
        let target = samples / wanted.max(1) + 1;
        let (mut cuts, mut start, mut held) = (Vec::new(), 0, 0);
        for index in 0..self.series.len() {
            let begins_slot = index > 0 && self.series[index].slot != self.series[index - 1].slot;
            if begins_slot && held >= target {
                cuts.push(start..index);
                (start, held) = (index, 0);
            }
            held += self.series[index].samples;
        }
        cuts.push(start..self.series.len());
        cuts
    }

    /// Cuts a partition into chunks that are decoded at a time.
    fn chunks(&self, partition: Range<usize>) -> Vec<Range<usize>> {
        let (mut chunks, mut start, mut held) = (Vec::new(), partition.start, 0);
        for index in partition.clone() {
            if index > start && (held >= SAMPLES_PER_CHUNK || index - start >= SERIES_PER_BATCH) {
                chunks.push(start..index);
                (start, held) = (index, 0);
            }
            held += self.series[index].samples;
        }
        chunks.push(start..partition.end);
        chunks.retain(|chunk| !chunk.is_empty());
        chunks
    }

    /// Reads the series of a chunk into a batch.
    async fn read(&self, context: &Shared, chunk: Range<usize>) -> Result<SamplesBuilder, EngineError> {
        let mut wanted: Vec<Vec<u32>> = vec![Vec::new(); self.parts.len()];
        for (part, entry) in self.series[chunk.clone()].iter().flat_map(|series| &series.sources) {
            wanted[*part as usize].push(*entry);
        }
        let reads: Vec<_> =
            wanted.into_iter().zip(&self.parts).map(|(entries, part)| self.decode(context, part, entries)).collect();
        let decoded: Vec<Decoded> = stream::iter(reads).buffered(context.fetches_in_flight.max(1)).try_collect().await?;
        let mut builder = SamplesBuilder::default();
        builder.reserve(self.series[chunk.clone()].iter().map(|series| series.samples as usize).sum());
        let mut samples = 0;
        for series in &self.series[chunk] {
            samples += self.push(context, series, &decoded, &mut builder);
        }
        context.count_samples(samples);
        Ok(builder)
    }

    fn push(&self, context: &Shared, series: &LeafSeries, decoded: &[Decoded], builder: &mut SamplesBuilder) -> u64 {
        let (start, end) = (self.range.start.0, self.range.end.0);
        let slices = |(part, entry): &(u32, u32)| decoded[*part as usize].series(*entry).map(|all| trim(all, start, end));
        if let [source] = &series.sources[..]
            && let Some(one) = slices(source)
            && one.histograms.is_empty()
            && one.start_timestamps.is_empty()
        {
            if !one.timestamps.is_empty() {
                builder.push(series.slot, &series.labels, one.timestamps, one.values, 0);
            }
            return one.timestamps.len() as u64;
        }
        let merged = merge(series.sources.iter().filter_map(slices).collect());
        let count = (merged.timestamps.len() + merged.histograms.len()) as u64;
        if count > 0 {
            let extras = SampleExtras { start_timestamps: merged.start_timestamps, histograms: merged.histograms };
            let handle = context.attachments.attach_samples(extras);
            builder.push(series.slot, &series.labels, &merged.timestamps, &merged.values, handle);
        }
        count
    }

    async fn decode(&self, context: &Shared, part: &LeafPart, mut picked: Vec<u32>) -> Result<Decoded, EngineError> {
        if picked.is_empty() {
            return Ok(Decoded::Missing);
        }
        if part.open.whole.is_some() || part.open.location.len_bytes() <= WHOLE_OBJECT_BYTES_MAX {
            let all = part.small.get_or_try_init(|| async {
                let columns = self.read_entries(context, part, &part.entries).await?;
                Ok::<_, EngineError>(columns.map(Arc::new))
            });
            return Ok(all.await?.clone().map_or(Decoded::Missing, Decoded::All));
        }
        picked.sort_unstable();
        let entries: Vec<SeriesEntry> = picked.iter().map(|index| part.entries[*index as usize].clone()).collect();
        let columns = self.read_entries(context, part, &entries).await?;
        Ok(columns.map_or(Decoded::Missing, |columns| Decoded::Picked(columns, picked)))
    }

    async fn read_entries(
        &self,
        context: &Shared,
        part: &LeafPart,
        entries: &[SeriesEntry],
    ) -> Result<Option<SeriesColumns>, EngineError> {
        let index = &part.open.index;
        let fetched = read_ranges(context, &part.open, index.plan_ranges(entries, self.projection)).await?;
        match index.decode(entries, self.projection, &fetched) {
            Ok(columns) => Ok(Some(columns)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                warn_corrupt(context, &part.open.location, &error);
                Ok(None)
            }
            Err(error) => Err(EngineError::Internal(error.to_string())),
        }
    }
}

impl Decoded {
    fn series(&self, entry: u32) -> Option<SeriesSlices<'_>> {
        match self {
            Decoded::All(columns) => Some(columns.series(entry as usize)),
            Decoded::Picked(columns, picked) => picked.binary_search(&entry).ok().map(|at| columns.series(at)),
            Decoded::Missing => None,
        }
    }
}

/// Reads the samples of a leaf.
#[derive(Clone, Debug)]
pub(crate) struct SegmentScanExec {
    context: Shared,
    leaf: Arc<Leaf>,
    partitions: Vec<Range<usize>>,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl SegmentScanExec {
    pub(crate) fn new(context: Shared, leaf: Leaf, partitions: usize) -> SegmentScanExec {
        let partitions = leaf.cut(partitions);
        let properties = properties(samples_schema(), partitions.len());
        SegmentScanExec { context, leaf: Arc::new(leaf), partitions, children: Vec::new(), properties }
    }
}

impl DisplayAs for SegmentScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let leaf = &self.leaf;
        write!(f, "SegmentScanExec: matchers={:?}, range=[{}, {})", leaf.matchers, leaf.range.start.0, leaf.range.end.0)?;
        write!(f, ", segments={}, series={}, partitions={}", leaf.parts.len(), leaf.series.len(), self.partitions.len())
    }
}

operator!(
    SegmentScanExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("SegmentScanExec").register(task.memory_pool());
        let (leaf, context) = (Arc::clone(&self.leaf), Arc::clone(&self.context));
        let chunks = leaf.chunks(self.partitions[partition].clone());
        let batches = stream::iter(chunks).then(move |chunk| {
            let (leaf, context) = (Arc::clone(&leaf), Arc::clone(&context));
            let reserved = reservation.new_empty();
            async move {
                let samples: u64 = leaf.series[chunk.clone()].iter().map(|series| series.samples).sum();
                // Held while the chunk is decoded; 16 bytes a sample in the batch, as many in the decoded columns.
                reserved.try_grow(samples as usize * 32)?;
                let builder = leaf.read(&context, chunk).await.map_err(EngineError::boxed)?;
                builder.finish().map_err(EngineError::boxed)
            }
        });
        Ok(adapt(self.schema(), batches.map_err(|error: DataFusionError| error)))
    }
);
