//! The leaf of a metric query: which series of which segments a selector selects, and their samples.
//!
//! Owns: the selection, its cut into partitions and chunks; decoding ([`samples`], [`coarse`]), replicas as one series ([`replicas`]).
//! Does not own: pruning ([`crate::fetch`]), what is made of the samples ([`crate::exec`]), which replica stands (`model::replicas`).

mod coarse;
mod replicas;
mod samples;
mod selection;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use futures::future::try_join_all;
use manifest::Part;
use model::{LabelSet, Matcher, Signal, TimeRangeMs, TimestampMs};
use segment::metrics::{Projection, Reads};
use tokio::sync::OnceCell;

use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::fetch::{MetricTail, OpenPart, Want, open_parts, prune};
use crate::limits::{SAMPLES_PER_CHUNK, SAMPLES_PER_PARTITION_MIN, SERIES_PER_BATCH};
use crate::registry::{Groups, Names, Registry};
use crate::samples::{PartSamples, SampleCache};
pub(crate) use coarse::Gaps;
use replicas::Replicas;
pub(crate) use samples::Samples;
use selection::Selection;

/// What leaves keep in memory between queries.
#[derive(Debug)]
pub(crate) struct Caches {
    pub(crate) tails: Cache<MetricTail>,
    pub(crate) samples: SampleCache,
    pub(crate) names: Registry,
}

impl Caches {
    /// Returns the numbering of a query's label sets. Those of several tenants are numbered for one query only: no tenant's numbering
    /// is to have another's names.
    pub(crate) fn names_for(&self, context: &QueryContext) -> Arc<Names> {
        if context.is_federated() { Arc::default() } else { self.names.of(&context.tenant) }
    }
}

/// The series a selector selects, ordered by labels, and where their samples lie.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) range: TimeRangeMs,
    /// What is read: more than the range where replicas are deduplicated.
    read: TimeRangeMs,
    pub(crate) pruning: Pruning,
    projection: Projection,
    pub(crate) parts: Vec<LeafPart>,
    names: Arc<Names>,
    /// The number of each series among `names`; of several replicas that of the first.
    numbers: Vec<u32>,
    /// Which stored series make each of these, where replicas are deduplicated.
    replicas: Option<Replicas>,
    /// Label sets, as far as somebody has asked for them.
    labels: Vec<OnceLock<LabelSet>>,
    /// Samples per series, before the range is cut out.
    samples: Vec<u64>,
    /// Per stored series, one past its last source.
    source_ends: Vec<u32>,
    /// Part and ordinal, stored series by stored series.
    sources: Vec<(u32, u32)>,
    caches: Arc<Caches>,
}

/// What a leaf may read of a tenant.
pub(crate) struct Readable<'a> {
    pub(crate) context: &'a Arc<QueryContext>,
    pub(crate) parts: Cow<'a, [Part]>,
}

/// How many segments a selector looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pruning {
    /// Those of the snapshot.
    pub(crate) considered: usize,
    /// Those that the manifest's statistics did not rule out.
    pub(crate) opened: usize,
}

#[derive(Debug)]
pub(crate) struct LeafPart {
    /// Of its tenant.
    context: Arc<QueryContext>,
    open: OpenPart<MetricTail>,
    /// The index as that of windows, where it is a coarse copy's.
    windows: Option<segment::windows::Index>,
    /// Times that deletions leave out of some ordinals, ascending by ordinal.
    erased: Vec<(u32, TimeRangeMs)>,
    /// All selected samples of a block, decoded once for all partitions.
    whole: OnceCell<Option<Arc<PartSamples>>>,
}

impl Leaf {
    /// Opens the tails of the parts that may match and selects series; no sample is read.
    pub(crate) async fn open(
        context: &QueryContext,
        caches: &Arc<Caches>,
        tenants: Vec<Readable<'_>>,
        matchers: Vec<Matcher>,
        range: TimeRangeMs,
    ) -> Result<Leaf, EngineError> {
        let read = context.read_range(range);
        let names = caches.names_for(context);
        let mut pruning = Pruning { considered: 0, opened: 0 };
        let mut selection = Selection::default();
        let mut leaf_parts: Vec<LeafPart> = Vec::new();
        let opened: Vec<_> = tenants.iter().map(|tenant| open_tenant(tenant, caches, &matchers, read)).collect();
        for (Readable { context, parts }, (matchers, kept, open)) in tenants.iter().zip(try_join_all(opened).await?) {
            pruning.considered += parts.len();
            pruning.opened += kept;
            for open in open {
                let ordinals = open.index.index.ordinals(&matchers, read);
                if ordinals.is_empty() {
                    continue;
                }
                let numbers = open.index.numbers_for(context, &names, &ordinals);
                selection.parts.push((ordinals, numbers));
                let windows = open.index.index.windows();
                // A window at an edge of the range reaches beyond it, and a deletion there takes it along.
                let erased = erased(&open, windows.as_ref().map_or(read, |windows| widened(read, windows.width_ms())));
                leaf_parts.push(LeafPart { context: Arc::clone(context), open, windows, erased, whole: OnceCell::new() });
            }
        }
        let mut numbers = selection.distinct();
        context.count_series(numbers.len() as u64)?;
        names.sort(&mut numbers);
        let replicas = Replicas::of(&names, &mut numbers, &context.options.replica_labels);
        if replicas.is_some() && leaf_parts.iter().any(|part| part.windows.is_some()) {
            // A window is of one replica's samples: which of them stand can no longer be told.
            let what = "deduplication of replicas over days whose raw samples have expired";
            return Err(EngineError::Unsupported(what.to_owned()));
        }
        let start_timestamps = context.options.use_start_timestamps;
        let projection = Projection { start_timestamps, ..Projection::SAMPLES };
        let (mut samples, source_ends, sources) = selection.laid_out(&numbers, &leaf_parts);
        if let Some(replicas) = &replicas {
            (numbers, samples) = (replicas.heads(&numbers), replicas.sums(&samples));
        }
        Ok(Leaf {
            matchers,
            range,
            read,
            pruning,
            projection,
            parts: leaf_parts,
            names,
            labels: vec![OnceLock::new(); numbers.len()],
            numbers,
            replicas,
            samples,
            source_ends,
            sources,
            caches: Arc::clone(caches),
        })
    }

    /// Counts the series selected.
    pub(crate) fn series_count(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn labels(&self, series: u32) -> &LabelSet {
        let number = self.numbers[series as usize];
        self.labels[series as usize].get_or_init(|| match &self.replicas {
            None => self.names.labels(number),
            Some(_) => self.labels_kept(number, |_| true),
        })
    }

    /// Groups series by those of their labels whose name `keeps` accepts, without building label sets.
    pub(crate) fn group(&self, series: &[u32], keeps: impl Fn(&str) -> bool) -> Groups {
        let numbers: Vec<u32> = series.iter().map(|series| self.numbers[*series as usize]).collect();
        self.names.group(&numbers, |name| self.has_label(name) && keeps(name))
    }

    /// Returns those labels of a group whose name `keeps` accepts.
    pub(crate) fn labels_kept(&self, head: u32, keeps: impl Fn(&str) -> bool) -> LabelSet {
        let labels = self.names.labels(head);
        match &self.replicas {
            None => labels.retain(keeps),
            Some(replicas) => labels.retain(|name| !replicas.tells_apart(name) && keeps(name)),
        }
    }

    /// Says which labels' replicas are one series, if any.
    pub(crate) fn describe_replicas(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.replicas.as_ref().map_or(Ok(()), |replicas| write!(f, ", replicas={replicas}"))
    }

    /// Reports whether series may still have a label of this name.
    fn has_label(&self, name: &str) -> bool {
        self.replicas.as_ref().is_none_or(|replicas| !replicas.tells_apart(name))
    }

    /// Returns the stored series that make one.
    fn stored(&self, series: u32) -> Range<usize> {
        self.replicas.as_ref().map_or(series as usize..series as usize + 1, |replicas| replicas.members(series))
    }

    fn sources(&self, stored: Range<usize>) -> &[(u32, u32)] {
        let start = if stored.start == 0 { 0 } else { self.source_ends[stored.start - 1] };
        &self.sources[start as usize..self.source_ends[stored.end - 1] as usize]
    }

    /// Cuts the series, in their order, into at most `wanted` runs with about equally many samples.
    pub(crate) fn cut(&self, wanted: usize) -> Vec<Vec<u32>> {
        let samples: u64 = self.samples.iter().sum();
        let wanted = (wanted as u64).min(samples / SAMPLES_PER_PARTITION_MIN + 1);
        let target = samples / wanted.max(1) + 1;
        let (mut cuts, mut held) = (vec![Vec::new()], 0);
        for (series, samples) in self.samples.iter().enumerate() {
            if held >= target {
                cuts.push(Vec::new());
                held = 0;
            }
            held += samples;
            cuts.last_mut().expect("there is a first").push(series as u32);
        }
        cuts
    }

    /// Cuts a partition into chunks that are worked on at a time; each series makes `values` values.
    pub(crate) fn chunks(&self, partition: &[u32], values: usize) -> Vec<Range<usize>> {
        let (mut chunks, mut start, mut held) = (Vec::new(), 0, 0);
        for (index, series) in partition.iter().enumerate() {
            if index > start && (held >= SAMPLES_PER_CHUNK || index - start >= SERIES_PER_BATCH) {
                chunks.push(start..index);
                (start, held) = (index, 0);
            }
            held += self.samples[*series as usize] + values as u64;
        }
        chunks.push(start..partition.len());
        chunks.retain(|chunk| !chunk.is_empty());
        chunks
    }

    /// Returns what decoding all series would read if nothing were in memory.
    pub(crate) fn reads(&self) -> Reads {
        let series: Vec<u32> = (0..self.series_count() as u32).collect();
        let mut all = Reads::default();
        for (part, ordinals) in self.parts.iter().zip(self.ordinals(&series, |_| true)) {
            let reads = part.open.index.index.plan_ordinals(&ordinals, self.projection);
            all.row_groups += reads.row_groups;
            all.pages += reads.pages;
            all.ranges.extend(reads.ranges);
        }
        all
    }

    /// Estimates the samples of some series.
    pub(crate) fn samples_of(&self, series: &[u32]) -> usize {
        series.iter().map(|series| self.samples[*series as usize] as usize).sum()
    }

    /// Lists, part by part, the ordinals of some series, ascending; none of the parts that `read` does not accept.
    fn ordinals(&self, series: &[u32], read: impl Fn(&LeafPart) -> bool) -> Vec<Vec<u32>> {
        let mut ordinals: Vec<Vec<u32>> = vec![Vec::new(); self.parts.len()];
        for (part, ordinal) in series.iter().flat_map(|series| self.sources(self.stored(*series))) {
            if read(&self.parts[*part as usize]) {
                ordinals[*part as usize].push(*ordinal);
            }
        }
        ordinals.iter_mut().for_each(|ordinals| ordinals.sort_unstable());
        ordinals
    }
}

/// Opens what a tenant has that may match: what the matchers ask of it, how many parts, those that could be read.
async fn open_tenant<'m>(
    Readable { context, parts }: &Readable<'_>,
    caches: &Caches,
    matchers: &'m [Matcher],
    read: TimeRangeMs,
) -> Result<(Cow<'m, [Matcher]>, usize, Vec<OpenPart<MetricTail>>), EngineError> {
    let Some(own) = context.own(matchers) else { return Ok((Cow::Borrowed(matchers), 0, Vec::new())) };
    let kept = prune(context, Signal::Metrics, parts, &own, read);
    let count = kept.len();
    Ok((own, count, open_parts(context, &caches.tails, kept, Want::Rows).await?))
}

impl LeafPart {
    fn erased_of(&self, ordinal: u32) -> &[(u32, TimeRangeMs)] {
        if self.erased.is_empty() {
            return &[];
        }
        let from = self.erased.partition_point(|(of, _)| *of < ordinal);
        let to = self.erased.partition_point(|(of, _)| *of <= ordinal);
        &self.erased[from..to]
    }
}

fn widened(range: TimeRangeMs, by_ms: i64) -> TimeRangeMs {
    let (start, end) = (range.start.0.saturating_sub(by_ms), range.end.0.saturating_add(by_ms));
    TimeRangeMs::new(TimestampMs(start), TimestampMs(end))
}

/// Lists what deletions leave out of the series of a part.
fn erased(open: &OpenPart<MetricTail>, range: TimeRangeMs) -> Vec<(u32, TimeRangeMs)> {
    let of = |deletion: &manifest::Deletion| {
        let request = &deletion.request;
        let hit =
            if request.range.overlaps(range) { open.index.index.ordinals(&request.matchers, request.range) } else { vec![] };
        hit.into_iter().map(|ordinal| (ordinal, request.range)).collect::<Vec<_>>()
    };
    let mut erased: Vec<(u32, TimeRangeMs)> = open.deletions.iter().flat_map(of).collect();
    erased.sort_unstable_by_key(|(ordinal, range)| (*ordinal, range.start));
    erased
}
