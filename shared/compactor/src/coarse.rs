//! One coarse job: read the day's raw parts slot by slot, write its copies, publish each by one conditional update.
//!
//! Memory: about [`crate::Policy::input_bytes_max`] of encoded samples, and what `segment::merge::downsample` says. A day with more is
//! read in passes over its slots, each by byte ranges. A crash leaves outputs to the collector, and the copies published before it.
//! An input that twice cannot be read is put in quarantine, which makes the plan void: the next one leaves it out, and the record of the
//! quarantine tells what the copies lack.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Part, Replaced, Replacement, Window};
use model::series::SLOT_COUNT;
use model::windowed;
use model::{ErrorKind, LabelSet, SegmentId, Signal, SlotRange, TenantId, TimeRangeMs, TimestampMs};
use segment::merge::{self, CoarseOptions, CoarseSource, MergeOptions, MergeReport};
use segment::{Encoded, Fetched, SegmentError, fetched, metrics, windows};
use tokio::sync::mpsc;

use crate::inputs::{Confirmed, Unreadable, all_read};
use crate::limits::{READ_GAP_BYTES_MAX, READ_GAP_BYTES_MIN, TRANSFERS_IN_FLIGHT};
use crate::plan::{CoarseJob, Copy};
use crate::rewrite::{Lease, Place, manifest_error};
use crate::{CompactError, Compactor, Outcome, Rewritten};

/// Level of coarse parts: that of a day.
const COARSE_LEVEL: u8 = 3;

/// How the building of copies ended.
enum Built {
    /// The parts of each copy.
    Copies(Vec<Vec<Part>>, MergeReport),
    /// This input cannot be read.
    Bad(Part, Unreadable),
    OutOfTime,
    /// Somebody else has the lease.
    Lost,
}

/// Copies in the making.
struct Building<'a> {
    tenant: &'a TenantId,
    job: &'a CoarseJob,
    indexes: Vec<metrics::Index>,
    /// The lineage of what is built.
    sources: Vec<SegmentId>,
    minted_at: TimestampMs,
    stop_at: TimestampMs,
    outputs: Vec<Vec<Part>>,
    rows: MergeReport,
}

impl Compactor {
    /// Carries out a coarse job, unless `stop_at` comes first.
    ///
    /// # Errors
    /// Those of the stores.
    pub(crate) async fn coarsen(
        &self,
        tenant: &TenantId,
        job: &CoarseJob,
        stop_at: TimestampMs,
    ) -> Result<Outcome, CompactError> {
        let Some(first) = job.copies.first() else { return Ok(Outcome::Lost) };
        let Some(mut lease) = self.take_lease(tenant, Signal::Metrics, first.home).await? else { return Ok(Outcome::Lost) };
        let mut suspect = None;
        loop {
            let built = match job.inputs.is_empty() {
                true => self.erase_copies(tenant, job, stop_at).await?,
                false => self.build_copies(tenant, job, &mut lease, stop_at).await?,
            };
            match built {
                Built::OutOfTime => return Ok(Outcome::OutOfTime),
                Built::Lost => return Ok(Outcome::Lost),
                Built::Copies(outputs, rows) => return self.publish_copies(tenant, job, outputs, rows).await,
                // What lies in memory or on the way may be at fault: the same input must fail twice.
                Built::Bad(part, _) if suspect != Some(part.id) => suspect = Some(part.id),
                Built::Bad(part, why) => {
                    return Ok(match self.quarantine(tenant, Signal::Metrics, &part, why.reason()).await? {
                        Confirmed::Corrupt => Outcome::Nothing(1),
                        Confirmed::Gone => Outcome::Lost,
                    });
                }
            }
        }
    }

    async fn publish_copies(
        &self,
        tenant: &TenantId,
        job: &CoarseJob,
        outputs: Vec<Vec<Part>>,
        rows: MergeReport,
    ) -> Result<Outcome, CompactError> {
        let mut rewritten = Rewritten { rows, inputs: job.inputs.len() as u64, ..Rewritten::default() };
        rewritten.input_bytes = job.inputs.iter().map(|part| part.location.len_bytes()).sum();
        let mut published = false;
        for (copy, outputs) in job.copies.iter().zip(outputs) {
            let (count, bytes) = (outputs.len() as u64, outputs.iter().map(|part| part.location.len_bytes()).sum::<u64>());
            if self.publish_copy(tenant, copy, outputs).await? {
                published = true;
                rewritten.outputs += count;
                rewritten.output_bytes += bytes;
            }
        }
        Ok(if published { Outcome::Done(rewritten) } else { Outcome::Lost })
    }

    async fn publish_copy(&self, tenant: &TenantId, copy: &Copy, outputs: Vec<Part>) -> Result<bool, CompactError> {
        let (window, resolution, generation) = (copy.home, copy.resolution, copy.generation);
        let replacement = Replacement { window, resolution, generation, inputs: copy.replaced.clone(), outputs };
        let replaced = self.manifest().replace(tenant, Signal::Metrics, replacement).await;
        Ok(replaced.map_err(manifest_error("publish coarse copy"))? == Replaced::Replaced)
    }

    /// Reads the raw parts and writes the copies.
    async fn build_copies(
        &self,
        tenant: &TenantId,
        job: &CoarseJob,
        lease: &mut Lease<'_>,
        stop_at: TimestampMs,
    ) -> Result<Built, CompactError> {
        let minted_at = self.now();
        let mut sources: Vec<SegmentId> = job.inputs.iter().map(|part| part.id).collect();
        sources.sort_unstable();
        let indexes = match self.open_all(&job.inputs).await? {
            Ok(indexes) => indexes,
            Err((position, why)) => return Ok(Built::Bad(job.inputs[position].clone(), why)),
        };
        let bytes: u64 = job.inputs.iter().map(|part| part.location.len_bytes()).sum();
        let (outputs, rows) = (vec![Vec::new(); job.copies.len()], MergeReport::default());
        let mut building = Building { tenant, job, indexes, sources, minted_at, stop_at, outputs, rows };
        for slots in passes(bytes, self.policy().input_bytes_max) {
            if !self.keep_lease(lease).await? {
                return Ok(Built::Lost);
            }
            if let Some(early) = self.build_pass(&mut building, slots).await? {
                return Ok(early);
            }
        }
        Ok(if self.now() < stop_at { Built::Copies(building.outputs, building.rows) } else { Built::OutOfTime })
    }

    /// Adds what the copies hold of some slots; returns how the building ended if it did.
    async fn build_pass(&self, building: &mut Building<'_>, slots: SlotRange) -> Result<Option<Built>, CompactError> {
        let (tenant, job) = (building.tenant, building.job);
        let reads = job.inputs.iter().zip(&building.indexes).map(|(part, index)| self.read_slots(part, index, slots));
        let reads: Vec<_> = reads.collect();
        let inputs = match all_read(stream::iter(reads).buffered(TRANSFERS_IN_FLIGHT).try_collect().await?) {
            Ok(inputs) => inputs,
            Err((position, why)) => return Ok(Some(Built::Bad(job.inputs[position].clone(), why))),
        };
        let widths_ms = job.copies.iter().filter_map(|copy| copy.resolution.width_ms()).collect();
        let output_bytes_max = usize::try_from(self.policy().output_bytes).unwrap_or(usize::MAX);
        let options = CoarseOptions { slots, widths_ms, output_bytes_max };
        let (sender, mut ready) = mpsc::unbounded_channel();
        let work = move || merge::downsample(inputs, &options, &mut |at, output| drop(sender.send((at, output))));
        let working = tokio::task::spawn_blocking(work);
        while let Some((at, output)) = ready.recv().await {
            if self.now() >= building.stop_at {
                return Ok(Some(Built::OutOfTime));
            }
            let place = place(tenant, job, &job.copies[at], &building.sources, building.minted_at);
            building.outputs[at].push(self.put(place, output).await?);
        }
        let report = match working.await.map_err(|_| CompactError::Cancelled)? {
            Ok(report) => report,
            Err(SegmentError::Input { position, source }) => {
                return Ok(Some(Built::Bad(job.inputs[position].clone(), Unreadable::Corrupt(source.to_string()))));
            }
            Err(source) => return Err(CompactError::Segment { source }),
        };
        building.rows.add(&report);
        Ok(None)
    }

    /// Opens the tails of all parts; the inner error is about one of them.
    pub(crate) async fn open_all(
        &self,
        parts: &[Part],
    ) -> Result<Result<Vec<metrics::Index>, (usize, Unreadable)>, CompactError> {
        let opens: Vec<_> = parts.iter().map(|part| self.open_input(part)).collect();
        Ok(all_read(stream::iter(opens).buffered(TRANSFERS_IN_FLIGHT).try_collect().await?))
    }

    async fn open_input(&self, part: &Part) -> Result<Result<metrics::Index, Unreadable>, CompactError> {
        let (len, tail_offset) = (part.location.len_bytes(), part.tail_offset.min(part.location.len_bytes()));
        let tail = self.read_range(part, tail_offset..len).await?;
        let open = |tail| metrics::Index::open_tail(&tail, tail_offset).map_err(|error| Unreadable::Corrupt(error.to_string()));
        Ok(tail.and_then(open))
    }

    /// Reads what a part has of some slots.
    async fn read_slots(
        &self,
        part: &Part,
        index: &metrics::Index,
        slots: SlotRange,
    ) -> Result<Result<CoarseSource, Unreadable>, CompactError> {
        self.read_series(part, index, &of_slots(index, slots), metrics::Projection::ALL).await
    }

    /// Reads some series of a part.
    pub(crate) async fn read_series(
        &self,
        part: &Part,
        index: &metrics::Index,
        ordinals: &[u32],
        projection: metrics::Projection,
    ) -> Result<Result<CoarseSource, Unreadable>, CompactError> {
        let ranges = index.plan_ordinals(ordinals, projection).ranges;
        let ranges = joined(ranges);
        let reads: Vec<_> = ranges.iter().map(|range| self.read_range(part, range.clone())).collect();
        let read: Vec<_> = stream::iter(reads).buffered(TRANSFERS_IN_FLIGHT).try_collect().await?;
        let read: Result<Vec<Bytes>, Unreadable> = read.into_iter().collect();
        let starts = ranges.iter().map(|range| range.start);
        Ok(read.map(|read| CoarseSource { index: index.clone(), fetched: Fetched::parts(starts.zip(read).collect()) }))
    }

    /// Rewrites the parts of one copy without what deletions name: raw data is gone, so that windows go as wholes.
    async fn erase_copies(&self, tenant: &TenantId, job: &CoarseJob, stop_at: TimestampMs) -> Result<Built, CompactError> {
        let minted_at = self.now();
        let mut outputs = Vec::with_capacity(job.copies.len());
        for copy in &job.copies {
            let mut parts = Vec::new();
            for part in &copy.visible {
                if self.now() >= stop_at {
                    return Ok(Built::OutOfTime);
                }
                let object = match self.read_input(part).await? {
                    Ok(object) => object,
                    Err(why) => return Ok(Built::Bad(part.clone(), why)),
                };
                let (deletions, old) = (job.deletions.clone(), part.clone());
                let erase = move || erased(&object, &old, &deletions);
                let erased = match tokio::task::spawn_blocking(erase).await.map_err(|_| CompactError::Cancelled)? {
                    Ok(erased) => erased,
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        return Ok(Built::Bad(part.clone(), Unreadable::Corrupt(error.to_string())));
                    }
                    Err(source) => return Err(CompactError::Segment { source }),
                };
                for output in erased {
                    parts.push(self.put(place(tenant, job, copy, &part.sources, minted_at), output).await?);
                }
            }
            outputs.push(parts);
        }
        Ok(Built::Copies(outputs, MergeReport::default()))
    }
}

/// Where the outputs of a copy belong.
fn place<'a>(
    tenant: &'a TenantId,
    job: &'a CoarseJob,
    copy: &Copy,
    sources: &'a [SegmentId],
    minted_at: TimestampMs,
) -> Place<'a> {
    let (signal, window, resolution, level) = (Signal::Metrics, Window::Day(job.day), copy.resolution, COARSE_LEVEL);
    let parts = job.inputs.iter().chain(job.copies.iter().flat_map(|copy| &copy.replaced));
    let epoch = parts.map(|part| part.stats.epoch).max().unwrap_or(0);
    Place { tenant, signal, window, resolution, level, epoch, minted_at, sources, applied: &job.applied }
}

/// Returns the series that lie in some slots.
pub(crate) fn of_slots(index: &metrics::Index, slots: SlotRange) -> Vec<u32> {
    (0..index.series_len() as u32).filter(|ordinal| slots.contains(index.extent(*ordinal).slot)).collect()
}

/// Joins ranges that are to be read of one object, so that at most as much again is read as is wanted: a job of several passes would read
/// everything in each.
fn joined(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let bytes = |ranges: &[Range<u64>]| ranges.iter().map(|range| range.end - range.start).sum::<u64>();
    let wanted = bytes(&fetched::coalesce(ranges.clone(), 0));
    let mut gap_bytes = READ_GAP_BYTES_MAX;
    loop {
        let joined = fetched::coalesce(ranges.clone(), gap_bytes);
        if gap_bytes <= READ_GAP_BYTES_MIN || bytes(&joined) <= 2 * wanted {
            return joined;
        }
        gap_bytes /= 2;
    }
}

/// Cuts the slots so that each pass reads about `bytes_max` at most.
pub(crate) fn passes(bytes: u64, bytes_max: u64) -> Vec<SlotRange> {
    let count = bytes.div_ceil(bytes_max.max(1)).clamp(1, u64::from(SLOT_COUNT)) as u32;
    let edge = |pass: u32| (pass * u32::from(SLOT_COUNT) / count) as u16;
    (0..count).map(|pass| SlotRange { lo: edge(pass), hi: edge(pass + 1) }).collect()
}

/// Rewrites one part of a copy.
fn erased(object: &Bytes, part: &Part, deletions: &[manifest::Deletion]) -> Result<Vec<Encoded>, SegmentError> {
    let erase = |labels: &LabelSet| -> Vec<TimeRangeMs> {
        let requests = deletions.iter().filter(|deletion| deletion.applies_to(part)).map(|deletion| &deletion.request);
        let hit = requests.filter(|request| request.selects(labels));
        hit.map(|request| request.range).collect()
    };
    if windows::is_windows(object, 0) {
        return Ok(merge::erase_windows(object, &erase)?.into_iter().collect());
    }
    let mut outputs = Vec::new();
    let options = MergeOptions { effort: merge::Effort::Small, ..MergeOptions::default() };
    let index = metrics::Index::open(object)?;
    let of_histograms = index.all().into_iter().filter(|series| index.has_histograms(series.ordinal));
    let counted: BTreeSet<LabelSet> = of_histograms.map(|series| series.labels).collect();
    let width_ms = part.resolution.width_ms().unwrap_or(1);
    let erase = |_: usize, labels: &LabelSet| {
        let ranges = erase(labels).into_iter();
        // Their windows go whole, and uncounted samples would be taken for all there were.
        ranges.map(|range| if counted.contains(labels) { whole_windows(range, width_ms) } else { range }).collect()
    };
    merge::metrics_without(vec![object.clone()], &options, &erase, &mut |output| outputs.push(output))?;
    Ok(outputs)
}

/// Widens a range to the windows `(start, end]` that it touches.
fn whole_windows(range: TimeRangeMs, width_ms: i64) -> TimeRangeMs {
    let start = windowed::end_of(range.start.0, width_ms).saturating_sub(width_ms).saturating_add(1);
    let end = windowed::end_of(range.end.0.saturating_sub(1), width_ms).saturating_add(1);
    TimeRangeMs::new(TimestampMs(start), TimestampMs(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_takes_its_windows_along() {
        for (start, end, expected) in [(1, 2, (1, 11)), (10, 11, (1, 11)), (11, 12, (11, 21)), (5, 12, (1, 21)), (0, 1, (-9, 1))]
        {
            let range = whole_windows(TimeRangeMs::new(TimestampMs(start), TimestampMs(end)), 10);
            assert_eq!((range.start.0, range.end.0), expected, "{start} to {end}");
        }
    }

    #[test]
    fn at_most_as_much_again_is_read_as_is_wanted() {
        let every = |step: u64, len: u64| (0..100).map(|at| at * step..at * step + len).collect::<Vec<Range<u64>>>();
        // Requests, and what they read.
        let read = |ranges: Vec<Range<u64>>| {
            let joined = joined(ranges);
            (joined.len(), joined.iter().map(|range| range.end - range.start).sum::<u64>())
        };
        assert_eq!(read(every(400_000, 300_000)), (1, 99 * 400_000 + 300_000));
        assert_eq!(read(every(400_000, 20_000)), (100, 100 * 20_000));
        // However little is wanted, a request more would take longer.
        assert_eq!(read(every(60_000, 1_000)), (1, 99 * 60_000 + 1_000));
        assert_eq!(read(Vec::new()), (0, 0));
    }

    #[test]
    fn passes_cover_every_slot_once() {
        for (bytes, count) in [(0, 1), (10, 1), (11, 2), (95, 10), (1_000_000, 1024)] {
            let passes = passes(bytes, 10);
            assert_eq!((passes.len(), passes[0].lo, passes[passes.len() - 1].hi), (count, 0, 1024));
            assert!(passes.windows(2).all(|pair| pair[0].hi == pair[1].lo && pair[0].lo < pair[0].hi));
        }
    }
}
