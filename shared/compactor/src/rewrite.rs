//! One job: read, merge, put, publish.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use manifest::{Location, ObjectKey, Part, PartStats, Replaced, Replacement, Window};
use model::{Resolution, Signal, TenantId};
use segment::merge::{self, MergeOptions, MergeReport};
use segment::{Encoded, SegmentError, SegmentStats};
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::{CompactError, Compactor, Job};

/// Objects read or written at a time.
const TRANSFERS_IN_FLIGHT: usize = 16;

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Outputs are live, inputs are not.
    Done(MergeReport),
    /// Somebody else was first, or has the lease; nothing changed.
    Lost,
    /// Every input is corrupt: they are left where they are, and named in the log (S2).
    Nothing,
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
        names: Bytes::copy_from_slice(stats.filter.as_bytes()),
    }
}

fn manifest_error(step: &'static str) -> impl Fn(manifest::Error) -> CompactError {
    move |source| CompactError::Manifest { step, source }
}

impl Compactor {
    /// Carries out a job.
    ///
    /// # Errors
    /// Those of the stores. Outputs already put are left to the collector: an answer may have been lost.
    pub async fn rewrite(&self, tenant: &TenantId, signal: Signal, job: &Job) -> Result<Outcome, CompactError> {
        let leased = self.manifest().lease(tenant, signal, job.window, self.owner(), self.lease_for());
        if !leased.await.map_err(manifest_error("take lease"))? {
            return Ok(Outcome::Lost);
        }
        let minted_at = self.now();
        let bytes = self.read(&job.inputs).await?;
        let output_bytes_max = usize::try_from(self.policy().output_bytes).unwrap_or(usize::MAX);
        let options = MergeOptions { output_bytes_max, ..MergeOptions::default() };
        let Some(merged) = merge_readable(tenant, signal, job.inputs.clone(), bytes, options).await? else {
            return Ok(Outcome::Nothing);
        };
        let epoch = merged.inputs.iter().map(|input| input.stats.epoch).max().unwrap_or(0);
        let mut outputs = Vec::with_capacity(merged.outputs.len());
        for output in merged.outputs {
            outputs.push(self.put(tenant, signal, job, output, epoch, minted_at).await?);
        }
        let replacement = Replacement {
            window: job.window,
            resolution: Resolution::Raw,
            generation: job.generation,
            inputs: merged.inputs.clone(),
            outputs,
        };
        let replaced =
            self.manifest().replace(tenant, signal, replacement).await.map_err(manifest_error("publish compaction"))?;
        if replaced == Replaced::Lost {
            return Ok(Outcome::Lost);
        }
        // What this leaves behind, collect does.
        let deleted = self.manifest().delete_inputs(tenant, signal, job.window, &merged.inputs).await;
        deleted.map_err(manifest_error("delete replaced items"))?;
        Ok(Outcome::Done(merged.report))
    }

    async fn read(&self, inputs: &[Part]) -> Result<Vec<Bytes>, CompactError> {
        let reads: Vec<_> = inputs.iter().map(|input| self.read_one(&input.location)).collect();
        stream::iter(reads).buffered(TRANSFERS_IN_FLIGHT).try_collect().await
    }

    async fn read_one(&self, location: &Location) -> Result<Bytes, CompactError> {
        match location {
            Location::Inline(bytes) => Ok(bytes.clone()),
            Location::Object { key, .. } => {
                let error = |source| CompactError::Objects { step: "read segment", key: key.clone(), source };
                let object = self.objects().get(&ObjectPath::from(key.as_str())).await.map_err(error)?;
                object.bytes().await.map_err(error)
            }
        }
    }

    /// Puts an output under a key that was never used (C1).
    async fn put(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        output: Encoded,
        epoch: u32,
        minted_at: model::TimestampMs,
    ) -> Result<Part, CompactError> {
        let id = self.nonces().segment_id();
        let key = ObjectKey {
            tenant: tenant.clone(),
            signal,
            window: job.window,
            resolution: Resolution::Raw,
            level: job.level,
            id,
            nonce: self.nonces().next(),
        };
        let len = output.bytes.len() as u64;
        let error = |source| CompactError::Objects { step: "write segment", key: key.to_string(), source };
        self.objects().put(&key.path(), output.bytes.into()).await.map_err(error)?;
        Ok(Part {
            id,
            level: job.level,
            resolution: Resolution::Raw,
            window: job.window,
            location: Location::Object { key: key.to_string(), len },
            tail_offset: output.tail_offset,
            stats: part_stats(&output.stats, job.window, epoch),
            minted_at,
            sources: Vec::new(),
            applied: Vec::new(),
        })
    }
}

struct Merged {
    /// The inputs that could be read.
    inputs: Vec<Part>,
    outputs: Vec<Encoded>,
    report: MergeReport,
}

/// Merges on a thread of its own. A corrupt input is named, left out and left live: queries warn about it (S2).
async fn merge_readable(
    tenant: &TenantId,
    signal: Signal,
    mut inputs: Vec<Part>,
    mut bytes: Vec<Bytes>,
    options: MergeOptions,
) -> Result<Option<Merged>, CompactError> {
    while !inputs.is_empty() {
        let (tenant_id, objects, options) = (tenant.clone(), bytes.clone(), options.clone());
        let merged = tokio::task::spawn_blocking(move || {
            let mut outputs = Vec::new();
            let mut emit = |output| outputs.push(output);
            let report = match signal {
                Signal::Metrics => merge::metrics(&tenant_id, &objects, &options, &mut emit),
                Signal::Logs => merge::logs(&tenant_id, &objects, &options, &mut emit),
            };
            report.map(|report| (outputs, report))
        });
        match merged.await.map_err(|_| CompactError::Cancelled)? {
            Ok((outputs, report)) => return Ok(Some(Merged { inputs, outputs, report })),
            Err(SegmentError::Input { position, source }) => {
                tracing::error!(%tenant, %signal, segment = %inputs[position].id, %source, "segment left out of compaction");
                inputs.remove(position);
                bytes.remove(position);
            }
            Err(source) => return Err(CompactError::Segment { source }),
        }
    }
    Ok(None)
}
