//! The merge of a closed day's replicas: all of the day's parts without the samples that nobody needs who asks for one series (H1).
//!
//! ```text
//! tails of all parts ─▶ groups of series ─┬─▶ some groups: times ─▶ model::replicas::superfluous ─▶ what goes, by part and series
//!                                         └─▶ some slots: bytes ─▶ segment::merge::metrics_thinned ─▶ put ─▶ one replacement
//! ```
//! Memory: the label tables of all parts, 24 bytes a series and part and 16 a group of replicas, what goes (some 100 bytes a replica that loses, and
//! 16 for each run of its samples that goes, where others take turns with it), and of samples [`ELECTED_ROWS`] and twice
//! [`crate::Policy::input_bytes_max`] at a time, one after the other. A crash leaves outputs to the collector; nothing of the day is replaced
//! before all of it is, which is why a day of more than [`crate::Policy::replica_rows_max`] is left as it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use manifest::Part;
use model::labels::encode_label;
use model::replicas::superfluous;
use model::{LabelSet, Resolution, SeriesId, Signal, SlotRange, TenantId, TimeRangeMs, TimestampMs};
use segment::merge::{CoarseSource, Effort, LeftOut, MergeOptions, MergeReport, ThinnedSource, metrics_thinned, settled_times};
use segment::metrics::{Index, Projection};
use segment::{Encoded, SegmentError};

use crate::coarse::{of_slots, passes};
use crate::inputs::{Confirmed, Unreadable, all_read};
use crate::limits::{ELECTED_ROWS, TRANSFERS_IN_FLIGHT};
use crate::rewrite::{Lease, Merged, Place, rewritten};
use crate::{CompactError, Compactor, Job, Outcome};

/// Where a series lies: in several parts of a day as a rule.
#[derive(Clone, Copy, Debug)]
struct Stored {
    /// Hash of its labels without those of replicas.
    group: u64,
    /// Hash of all of them.
    series: u64,
    part: u32,
    ordinal: u32,
}

/// What an election takes: series of whole groups, with their bytes.
struct Electorate {
    groups: Vec<Vec<Stored>>,
    /// Per part.
    sources: Vec<CoarseSource>,
    ordinals: Vec<Vec<u32>>,
    replica_labels: Arc<Vec<String>>,
    day_start: TimestampMs,
}

impl Compactor {
    /// Carries out a job that merges the replicas of a day, which `replica_labels` tell apart, unless `stop_at` comes first.
    ///
    /// # Errors
    /// Those of the stores.
    pub(crate) async fn merge_replicas(
        &self,
        tenant: &TenantId,
        job: &Job,
        replica_labels: &[String],
        stop_at: TimestampMs,
    ) -> Result<Outcome, CompactError> {
        let signal = Signal::Metrics;
        let Some(mut lease) = self.take_lease(tenant, signal, job.home).await? else { return Ok(Outcome::Lost) };
        let mut suspect = None;
        loop {
            match self.thin(tenant, job, replica_labels, &mut lease, stop_at).await? {
                Merged::OutOfTime => return Ok(Outcome::OutOfTime),
                Merged::Lost => return Ok(Outcome::Lost),
                Merged::Outputs(outputs, rows) => {
                    let rewritten = rewritten(&job.inputs, &outputs, rows, 0);
                    return self.publish(tenant, signal, job, job.inputs.clone(), outputs, rewritten).await;
                }
                // What lies in memory or on the way may be at fault: the same input must fail twice.
                Merged::Bad(position, _) if suspect != Some(position) => suspect = Some(position),
                Merged::Bad(position, why) => {
                    return Ok(match self.quarantine(tenant, signal, &job.inputs[position], why.reason()).await? {
                        Confirmed::Corrupt => Outcome::Nothing(1),
                        Confirmed::Gone => Outcome::Lost,
                    });
                }
            }
        }
    }

    /// Decides what goes, then writes what stays.
    async fn thin(
        &self,
        tenant: &TenantId,
        job: &Job,
        replica_labels: &[String],
        lease: &mut Lease<'_>,
        stop_at: TimestampMs,
    ) -> Result<Merged, CompactError> {
        let minted_at = self.now();
        let indexes = match self.open_all(&job.inputs).await? {
            Ok(indexes) => indexes,
            Err((position, why)) => return Ok(Merged::Bad(position, why)),
        };
        let left_out = match self.elect(job, &indexes, replica_labels, lease, stop_at).await? {
            Ok(left_out) => left_out,
            Err(early) => return Ok(early),
        };
        let (mut outputs, mut rows) = (Vec::new(), MergeReport::default());
        let bytes = job.inputs.iter().map(|part| part.location.len_bytes()).sum();
        for (pass, slots) in within_runs(&passes(bytes, self.policy().input_bytes_max), &job.runs).into_iter().enumerate() {
            if !self.keep_lease(lease).await? {
                return Ok(Merged::Lost);
            }
            let sources = match self.read_all(&job.inputs, &indexes, |index| of_slots(index, slots), Projection::ALL).await? {
                Ok(sources) => sources,
                Err((position, why)) => return Ok(Merged::Bad(position, why)),
            };
            let sources = sources.into_iter().zip(&left_out);
            let sources = sources.map(|(source, left_out)| ThinnedSource { source, left_out: left_out.clone() }).collect();
            let (applied, window) = (&job.applied, job.window);
            let (signal, resolution, level, epoch) = (Signal::Metrics, Resolution::Raw, job.level, job.epoch);
            let place = Place { tenant, signal, window, resolution, level, epoch, minted_at, sources: &[], applied };
            let output_bytes_max = usize::try_from(self.policy().output_bytes).unwrap_or(usize::MAX);
            let options = MergeOptions { output_bytes_max, effort: Effort::Small, ..MergeOptions::default() };
            let thin = move |emit: &mut dyn FnMut(Encoded)| metrics_thinned(sources, slots, pass == 0, &options, emit);
            match self.write(place, stop_at, thin).await? {
                Merged::Outputs(more, report) => {
                    outputs.extend(more);
                    rows.add(&report);
                }
                early => return Ok(early),
            }
        }
        let held: u64 = indexes.iter().map(Index::rows).sum();
        assert_eq!(rows.rows_in, held, "C2: the passes hold every slot of the inputs once");
        Ok(if self.now() < stop_at { Merged::Outputs(outputs, rows) } else { Merged::OutOfTime })
    }

    /// Returns what goes of each part.
    async fn elect(
        &self,
        job: &Job,
        indexes: &[Index],
        replica_labels: &[String],
        lease: &mut Lease<'_>,
        stop_at: TimestampMs,
    ) -> Result<Result<Vec<Arc<LeftOut>>, Merged>, CompactError> {
        let replica_labels = Arc::new(replica_labels.to_vec());
        let (all, labels) = (indexes.to_vec(), replica_labels.clone());
        let groups = tokio::task::spawn_blocking(move || Groups::of(&all, &labels)).await.map_err(|_| CompactError::Cancelled)?;
        let mut left_out = vec![LeftOut::new(); indexes.len()];
        for groups in groups.chunks(indexes) {
            if self.now() >= stop_at {
                return Ok(Err(Merged::OutOfTime));
            }
            if !self.keep_lease(lease).await? {
                return Ok(Err(Merged::Lost));
            }
            let mut ordinals = vec![Vec::new(); indexes.len()];
            groups.iter().flatten().for_each(|stored| ordinals[stored.part as usize].push(stored.ordinal));
            ordinals.iter_mut().for_each(|ordinals| ordinals.sort_unstable());
            let mut of_parts = ordinals.iter().cloned();
            let next = |_: &Index| of_parts.next().unwrap_or_default();
            let sources = match self.read_all(&job.inputs, indexes, next, Projection::SAMPLES).await? {
                Ok(sources) => sources,
                Err((position, why)) => return Ok(Err(Merged::Bad(position, why))),
            };
            let (replica_labels, day_start) = (replica_labels.clone(), job.window.range().start);
            let electorate = Electorate { groups, sources, ordinals, replica_labels, day_start };
            match tokio::task::spawn_blocking(move || electorate.decide()).await.map_err(|_| CompactError::Cancelled)? {
                Ok(found) => found.into_iter().for_each(|(stored, ranges)| {
                    left_out[stored.part as usize].insert(stored.ordinal, ranges);
                }),
                Err(error) => return Merged::of_error(error).map(Err),
            }
        }
        Ok(Ok(left_out.into_iter().map(Arc::new).collect()))
    }

    /// Reads series of all parts; the inner error is about one part.
    async fn read_all(
        &self,
        parts: &[Part],
        indexes: &[Index],
        mut ordinals: impl FnMut(&Index) -> Vec<u32>,
        projection: Projection,
    ) -> Result<Result<Vec<CoarseSource>, (usize, Unreadable)>, CompactError> {
        let wanted: Vec<Vec<u32>> = indexes.iter().map(&mut ordinals).collect();
        let each = parts.iter().zip(indexes).zip(&wanted);
        let reads: Vec<_> = each.map(|((part, index), wanted)| self.read_series(part, index, wanted, projection)).collect();
        Ok(all_read(stream::iter(reads).buffered(TRANSFERS_IN_FLIGHT).try_collect().await?))
    }
}

impl Electorate {
    /// Returns what goes of which series.
    fn decide(&self) -> Result<Vec<(Stored, Vec<TimeRangeMs>)>, SegmentError> {
        let mut columns = Vec::with_capacity(self.sources.len());
        for (position, (source, ordinals)) in self.sources.iter().zip(&self.ordinals).enumerate() {
            let decoded = source.index.decode_ordinals(ordinals, Projection::SAMPLES, &source.fetched);
            columns.push(decoded.map_err(|error| SegmentError::Input { position, source: Box::new(error) })?);
        }
        let samples = |stored: &Stored| {
            let (part, ordinals) = (stored.part as usize, &self.ordinals[stored.part as usize]);
            columns[part].series(ordinals.partition_point(|ordinal| *ordinal < stored.ordinal))
        };
        let mut found = Vec::new();
        for group in self.groups.iter().flat_map(|group| self.exact(group)) {
            let replicas: Vec<_> = group.iter().map(|stored| settled_times(stored.iter().map(&samples))).collect();
            for (ranges, stored) in superfluous(&replicas, self.day_start).into_iter().zip(group) {
                let places = stored.into_iter().filter(|_| !ranges.is_empty());
                found.extend(places.map(|stored| (stored, ranges.clone())));
            }
        }
        Ok(found)
    }

    /// Splits what has one hash by labels: replicas of one group each, in the order of their names, each with its places.
    fn exact(&self, group: &[Stored]) -> Vec<Vec<Vec<Stored>>> {
        let tells_apart = |name: &str| self.replica_labels.iter().any(|label| label == name);
        let mut exact: BTreeMap<LabelSet, BTreeMap<LabelSet, Vec<Stored>>> = BTreeMap::new();
        for stored in group {
            let index = &self.sources[stored.part as usize].index;
            let labels = LabelSet::from_pairs(index.pairs(stored.ordinal).iter().map(|pair| index.pair(*pair)));
            let replicas = exact.entry(labels.retain(|name| !tells_apart(name))).or_default();
            replicas.entry(labels.retain(tells_apart)).or_default().push(*stored);
        }
        let groups = exact.into_values().filter(|replicas| replicas.len() > 1);
        groups.map(|replicas| replicas.into_values().collect()).collect()
    }
}

/// The series that may have replicas.
struct Groups {
    /// All series of all parts, by group.
    stored: Vec<Stored>,
    /// Which of them are groups of several; in the order in which the parts hold them, so that neighbours are read together.
    several: Vec<Range<usize>>,
}

impl Groups {
    fn of(indexes: &[Index], replica_labels: &[String]) -> Groups {
        let mut stored = Vec::with_capacity(indexes.iter().map(Index::series_len).sum());
        indexes.iter().zip(0..).for_each(|(index, part)| hash_all(index, part, replica_labels, &mut stored));
        stored.sort_unstable_by_key(|stored| (stored.group, stored.part, stored.ordinal));
        let (mut several, mut start) = (Vec::new(), 0);
        for group in stored.chunk_by(|a, b| a.group == b.group) {
            // Two series that share both hashes are none that an election is held for: they keep everything.
            if group.iter().any(|stored| stored.series != group[0].series) {
                several.push(start..start + group.len());
            }
            start += group.len();
        }
        several.sort_unstable_by_key(|group| (stored[group.start].part, stored[group.start].ordinal));
        Groups { stored, several }
    }

    /// Returns the groups, as many at a time as have [`ELECTED_ROWS`] together. A group of more keeps everything: no pair is as large, and it may
    /// be, where the label that tells replicas apart is one of pods that come and go.
    fn chunks<'a>(&'a self, indexes: &'a [Index]) -> impl Iterator<Item = Vec<Vec<Stored>>> + 'a {
        let sized = self.several.iter().map(|group| {
            let group = &self.stored[group.clone()];
            let rows: u64 = group.iter().map(|stored| indexes[stored.part as usize].rows_of(stored.ordinal)).sum();
            (group, rows)
        });
        let mut rest = sized.filter(|(_, rows)| *rows <= ELECTED_ROWS).peekable();
        std::iter::from_fn(move || {
            let (first, mut rows) = rest.next()?;
            let mut chunk = vec![first.to_vec()];
            while let Some((group, more)) = rest.next_if(|(_, more)| rows + more <= ELECTED_ROWS) {
                rows += more;
                chunk.push(group.to_vec());
            }
            Some(chunk)
        })
    }
}

/// Adds the series of a part.
fn hash_all(index: &Index, part: u32, replica_labels: &[String], into: &mut Vec<Stored>) {
    let (mut rest, mut labels) = (Vec::new(), Vec::new());
    let pairs = 0..index.pairs_len() as u32;
    let tells_apart: Vec<bool> = pairs.map(|pair| replica_labels.iter().any(|label| label == index.pair(pair).0)).collect();
    for ordinal in 0..index.series_len() as u32 {
        rest.clear();
        labels.clear();
        for pair in index.pairs(ordinal) {
            let (name, value) = index.pair(*pair);
            encode_label(&mut labels, name.as_bytes(), value.as_bytes());
            if !tells_apart[*pair as usize] {
                encode_label(&mut rest, name.as_bytes(), value.as_bytes());
            }
        }
        let (group, series) = (SeriesId::of_encoded(&rest).0, SeriesId::of_encoded(&labels).0);
        into.push(Stored { group, series, part, ordinal });
    }
}

/// Returns passes each of which lies within one run (R3).
fn within_runs(passes: &[SlotRange], runs: &[SlotRange]) -> Vec<SlotRange> {
    let inside = |run: SlotRange| {
        let shared = move |pass: &SlotRange| SlotRange { lo: pass.lo.max(run.lo), hi: pass.hi.min(run.hi) };
        passes.iter().map(shared).filter(|slots| slots.lo < slots.hi)
    };
    runs.iter().flat_map(|run| inside(*run)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_lie_within_runs_and_cover_them() {
        let slots = |ranges: &[(u16, u16)]| ranges.iter().map(|(lo, hi)| SlotRange { lo: *lo, hi: *hi }).collect::<Vec<_>>();
        let passes = slots(&[(0, 400), (400, 800), (800, 1024)]);
        let found = within_runs(&passes, &slots(&[(0, 512), (768, 1024)]));
        assert_eq!(found, slots(&[(0, 400), (400, 512), (768, 800), (800, 1024)]));
    }
}
