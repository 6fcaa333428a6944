//! One job: lease, read, merge, put, publish.

use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Location, ObjectKey, Part, PartStats, Replaced, Replacement, Window};
use model::{Resolution, SegmentId, Signal, TenantId, TimestampMs};
use segment::merge::MergeReport;
use segment::{Encoded, SegmentError, SegmentStats};
use store::objects::ObjectStoreExt;
use tokio::sync::mpsc;

use crate::inputs::{Confirmed, Unreadable, all_read};
use crate::limits::{LEASE, LEASE_RENEWED, TRANSFERS_IN_FLIGHT};
use crate::merge::Merge;
use crate::{CompactError, Compactor, Job};

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Outputs are live, inputs are not.
    Done(Rewritten),
    /// Somebody else was first, or has the lease; nothing changed.
    Lost,
    /// Time was up: outputs already put are left to the collector.
    OutOfTime,
    /// Nothing was published: so many inputs are in quarantine now. Of a merge those are all.
    Nothing(u64),
}

/// What a job did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rewritten {
    /// Rows in, out, and why they differ.
    pub rows: MergeReport,
    /// Segments merged away.
    pub inputs: u64,
    /// Segments written.
    pub outputs: u64,
    /// Bytes of the segments merged away.
    pub input_bytes: u64,
    /// Bytes of the segments written.
    pub output_bytes: u64,
    /// Corrupt inputs found and quarantined.
    pub quarantined: u64,
}

/// Returns what the manifest keeps of a segment's statistics.
pub fn part_stats(stats: &SegmentStats, window: Window, epoch: u32) -> PartStats {
    // Metadata has no time of its own: it is found by whoever looks at its window.
    let time_range = if stats.range.is_empty() { window.range() } else { stats.range };
    PartStats {
        rows: stats.rows,
        series: u32::try_from(stats.series).unwrap_or(u32::MAX),
        time_range,
        slots: stats.slots,
        epoch,
        names: bytes::Bytes::copy_from_slice(stats.filter.as_bytes()),
    }
}

pub(crate) fn manifest_error(step: &'static str) -> impl Fn(manifest::Error) -> CompactError {
    move |source| CompactError::Manifest { step, source }
}

/// Where the outputs of a job belong, and what they are made of.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub tenant: &'a TenantId,
    pub signal: Signal,
    pub window: Window,
    pub resolution: Resolution,
    pub level: u8,
    /// Number of the ring's epoch.
    pub epoch: u32,
    pub minted_at: TimestampMs,
    /// The raw parts that a coarse copy stands for.
    pub sources: &'a [SegmentId],
    /// Deletions that the outputs need no more.
    pub applied: &'a [u128],
}

/// How the merge of a job ended.
pub(crate) enum Merged {
    Outputs(Vec<Part>, MergeReport),
    /// This input cannot be read.
    Bad(usize, Unreadable),
    OutOfTime,
    /// Somebody else has the lease.
    Lost,
}

/// The lease of a window, which a job of several passes takes again while it is at it.
pub(crate) struct Lease<'a> {
    tenant: &'a TenantId,
    signal: Signal,
    home: Window,
    taken_at: TimestampMs,
}

impl Merged {
    /// Returns how a merge ended that failed.
    pub(crate) fn of_error(error: SegmentError) -> Result<Merged, CompactError> {
        match error {
            SegmentError::Input { position, source } => Ok(Merged::Bad(position, Unreadable::Corrupt(source.to_string()))),
            source => Err(CompactError::Segment { source }),
        }
    }
}

impl Compactor {
    /// Carries out a job, unless `stop_at` comes first.
    ///
    /// # Errors
    /// Those of the stores. Outputs already put are left to the collector: an answer may have been lost.
    pub async fn rewrite(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        stop_at: TimestampMs,
    ) -> Result<Outcome, CompactError> {
        if self.take_lease(tenant, signal, job.home).await?.is_none() {
            return Ok(Outcome::Lost);
        }
        let minted_at = self.now();
        let mut inputs = job.inputs.clone();
        let mut suspect = None;
        let mut quarantined = 0;
        while !inputs.is_empty() {
            match self.merge(tenant, signal, job, &inputs, minted_at, stop_at).await? {
                Merged::OutOfTime => return Ok(Outcome::OutOfTime),
                Merged::Lost => return Ok(Outcome::Lost),
                Merged::Outputs(outputs, rows) => {
                    let rewritten = rewritten(&inputs, &outputs, rows, quarantined);
                    return self.publish(tenant, signal, job, inputs, outputs, rewritten).await;
                }
                // What lies in memory or on the way may be at fault: the same input must fail twice.
                Merged::Bad(position, _) if suspect != Some(inputs[position].id) => suspect = Some(inputs[position].id),
                Merged::Bad(position, why) => {
                    if let Confirmed::Gone = self.quarantine(tenant, signal, &inputs[position], why.reason()).await? {
                        return Ok(Outcome::Lost);
                    }
                    inputs.remove(position);
                    quarantined += 1;
                }
            }
        }
        Ok(Outcome::Nothing(quarantined))
    }

    /// Takes the lease of a window for a job; `None`: somebody else has it.
    pub(crate) async fn take_lease<'a>(
        &self,
        tenant: &'a TenantId,
        signal: Signal,
        home: Window,
    ) -> Result<Option<Lease<'a>>, CompactError> {
        let taken_at = self.now();
        let leased = self.manifest().lease(tenant, signal, home, self.owner(), LEASE).await;
        let leased = leased.map_err(manifest_error("take lease"))?;
        Ok(leased.then_some(Lease { tenant, signal, home, taken_at }))
    }

    /// Takes a lease again that is not young any more; `false`: somebody else has it by now.
    pub(crate) async fn keep_lease(&self, lease: &mut Lease<'_>) -> Result<bool, CompactError> {
        if self.now() < lease.taken_at.plus(LEASE_RENEWED) {
            return Ok(true);
        }
        let again = self.take_lease(lease.tenant, lease.signal, lease.home).await?;
        Ok(again.map(|again| *lease = again).is_some())
    }

    /// Reads the inputs and merges them.
    async fn merge(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        inputs: &[Part],
        minted_at: TimestampMs,
        stop_at: TimestampMs,
    ) -> Result<Merged, CompactError> {
        let reads: Vec<_> = inputs.iter().map(|input| self.read_input(input)).collect();
        let read: Vec<_> = stream::iter(reads).buffered(TRANSFERS_IN_FLIGHT).try_collect().await?;
        let bytes = match all_read(read) {
            Ok(bytes) => bytes,
            Err((position, why)) => return Ok(Merged::Bad(position, why)),
        };
        let output_bytes = self.policy().output_bytes;
        let merge = Merge::new(tenant, signal, job, inputs, bytes, output_bytes, self.entry_filters())?;
        let (window, resolution, level, epoch) = (job.window, Resolution::Raw, job.level, job.epoch);
        let place = Place { tenant, signal, window, resolution, level, epoch, minted_at, sources: &[], applied: &job.applied };
        self.write(place, stop_at, move |emit| merge.run(emit)).await
    }

    /// Does work on a thread of its own, which never waits; each output is put as soon as it is complete.
    pub(crate) async fn write(
        &self,
        place: Place<'_>,
        stop_at: TimestampMs,
        work: impl FnOnce(&mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> + Send + 'static,
    ) -> Result<Merged, CompactError> {
        // What waits here is bounded by the job: its outputs are no larger than its inputs.
        let (sender, mut ready) = mpsc::unbounded_channel();
        // Nobody listens any more when time is up.
        let working = tokio::task::spawn_blocking(move || work(&mut |output| drop(sender.send(output))));
        let mut outputs = Vec::new();
        while let Some(output) = ready.recv().await {
            if self.now() >= stop_at {
                return Ok(Merged::OutOfTime);
            }
            outputs.push(self.put(place, output).await?);
        }
        match working.await.map_err(|_| CompactError::Cancelled)? {
            Ok(_) if self.now() >= stop_at => Ok(Merged::OutOfTime),
            Ok(rows) => Ok(Merged::Outputs(outputs, rows)),
            Err(error) => Merged::of_error(error),
        }
    }

    pub(crate) async fn publish(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        inputs: Vec<Part>,
        outputs: Vec<Part>,
        rewritten: Rewritten,
    ) -> Result<Outcome, CompactError> {
        let replacement = Replacement {
            window: job.home,
            resolution: Resolution::Raw,
            generation: job.generation,
            inputs: inputs.clone(),
            outputs,
        };
        let replaced = self.manifest().replace(tenant, signal, replacement).await;
        if replaced.map_err(manifest_error("publish compaction"))? == Replaced::Lost {
            return Ok(Outcome::Lost);
        }
        // What this leaves behind, collect does.
        let deleted = self.manifest().delete_inputs(tenant, signal, job.home, &inputs).await;
        deleted.map_err(manifest_error("delete replaced items"))?;
        Ok(Outcome::Done(rewritten))
    }

    /// Puts an output under a key that was never used (C1).
    pub(crate) async fn put(&self, place: Place<'_>, output: Encoded) -> Result<Part, CompactError> {
        let Place { tenant, signal, window, resolution, level, .. } = place;
        let id = self.nonces().segment_id();
        let key = ObjectKey { tenant: tenant.clone(), signal, window, resolution, level, id, nonce: self.nonces().next() };
        let len = output.bytes.len() as u64;
        let error = |source| CompactError::Objects { step: "write segment", key: key.to_string(), source };
        self.objects().put(&key.path(), output.bytes.into()).await.map_err(error)?;
        Ok(Part {
            id,
            level,
            resolution,
            window,
            location: Location::Object { key: key.to_string(), len },
            tail_offset: output.tail_offset,
            stats: part_stats(&output.stats, window, place.epoch),
            minted_at: place.minted_at,
            sources: place.sources.to_vec(),
            applied: place.applied.to_vec(),
        })
    }
}

pub(crate) fn rewritten(inputs: &[Part], outputs: &[Part], rows: MergeReport, quarantined: u64) -> Rewritten {
    let bytes = |parts: &[Part]| parts.iter().map(|part| part.location.len_bytes()).sum();
    Rewritten {
        rows,
        inputs: inputs.len() as u64,
        outputs: outputs.len() as u64,
        input_bytes: bytes(inputs),
        output_bytes: bytes(outputs),
        quarantined,
    }
}
