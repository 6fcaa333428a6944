//! One draft to one live segment: encode, put, commit.

use std::sync::Arc;

use bytes::Bytes;
use manifest::{Committed, L0Item, Location, Manifest, PartStats};
use model::segment_id::Nonces;
use model::{Clock, Hour, Resolution, SegmentId, TenantId};
use object_store::{PutMode, PutOptions, PutPayload};
use segment::{Encoded, l0};
use store::Objects;
use store::keys::{ObjectKey, Window};

use crate::limits::{INLINE_BYTES_MAX, PUT_ATTEMPTS_MAX, REMINTS_MAX};
use crate::{Batch, Error, Result, cut};

/// What an append made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Samples or entries.
    pub rows: usize,
    /// Segments written.
    pub segments: usize,
    /// Of them, those that live inside the manifest's record.
    pub inline: usize,
    /// Encoded bytes.
    pub bytes: usize,
}

impl Receipt {
    fn add(&mut self, other: Receipt) {
        self.rows += other.rows;
        self.segments += other.segments;
        self.inline += other.inline;
        self.bytes += other.bytes;
    }
}

/// Writes batches to the stores.
#[derive(Clone, Debug)]
pub struct Writer {
    objects: Objects,
    manifest: Manifest,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    inline_bytes_max: usize,
}

impl Writer {
    /// Makes a writer over both stores.
    pub fn new(objects: Objects, manifest: Manifest, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Writer {
        Writer { objects, manifest, clock, nonces, inline_bytes_max: INLINE_BYTES_MAX }
    }

    /// Sets up to which size a segment goes inside the manifest's record, in place of [`INLINE_BYTES_MAX`]; 0: never.
    pub fn with_inline_bytes_max(self, inline_bytes_max: usize) -> Writer {
        Writer { inline_bytes_max, ..self }
    }

    /// Makes a batch durable and visible: one segment per event hour. Hours are committed one after the other; an error leaves the
    /// earlier ones visible, and a retry finds them by their id (W2).
    pub async fn write(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        let mut receipt = Receipt::default();
        for (hour, draft) in cut(batch, self.clock.now()) {
            if !draft.is_empty() {
                receipt.add(self.write_hour(tenant, hour, draft).await?);
            }
        }
        Ok(receipt)
    }

    async fn write_hour(&self, tenant: &TenantId, hour: Hour, draft: Batch) -> Result<Receipt> {
        let minted_at = self.clock.now();
        let (rows, signal) = (draft.rows(), draft.signal());
        let encoded = encode(tenant.clone(), draft).await?;
        for remint in 0..=REMINTS_MAX {
            let id = content_id(&encoded.bytes, remint);
            let location = self.place(tenant, hour, signal, id, &encoded.bytes).await?;
            let inline = usize::from(matches!(location, Location::Inline(_)));
            let item =
                L0Item { id, location, tail_offset: encoded.tail_offset, stats: part_stats(&encoded.stats, hour), minted_at };
            match self.manifest.commit(tenant, signal, hour, item).await.map_err(|source| Error::Manifest(Arc::new(source)))? {
                Committed::Committed | Committed::AlreadyCommitted => {
                    return Ok(Receipt { rows, segments: 1, inline, bytes: encoded.bytes.len() });
                }
                Committed::Burnt => {}
            }
        }
        Err(Error::Burnt { attempts: REMINTS_MAX + 1 })
    }

    /// Puts the bytes where a reader will find them: small ones go inside the manifest's record.
    async fn place(
        &self,
        tenant: &TenantId,
        hour: Hour,
        signal: model::Signal,
        id: SegmentId,
        bytes: &Bytes,
    ) -> Result<Location> {
        if bytes.len() <= self.inline_bytes_max {
            return Ok(Location::Inline(bytes.clone()));
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let key = ObjectKey {
                tenant: tenant.clone(),
                signal,
                window: Window::Hour(hour),
                resolution: Resolution::Raw,
                level: 0,
                id,
                nonce: self.nonces.next(),
            };
            // A key is drawn for one attempt only: what an earlier attempt may have left is the collector's.
            let options = PutOptions { mode: PutMode::Overwrite, ..PutOptions::default() };
            match self.objects.put_opts(&key.path(), PutPayload::from_bytes(bytes.clone()), options).await {
                Ok(_) => return Ok(Location::Object { key: key.to_string(), len: bytes.len() as u64 }),
                Err(error) if attempts < PUT_ATTEMPTS_MAX => tracing::warn!(%error, attempts, "put segment again"),
                Err(error) => return Err(Error::Object(Arc::new(error))),
            }
        }
    }
}

/// Rows from which encoding leaves the request's thread: it takes more than a millisecond from there on.
const BLOCKING_ROWS: usize = 10_000;

async fn encode(tenant: TenantId, draft: Batch) -> Result<Encoded> {
    let blocking = draft.rows() >= BLOCKING_ROWS;
    let work = move || match &draft {
        Batch::Metrics(batch) => l0::encode_metrics(&tenant, batch),
        Batch::Logs(batch) => l0::encode_logs(&tenant, batch),
    };
    let encoded = if blocking { tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)? } else { work() };
    encoded.map_err(|source| Error::Segment(Arc::new(source)))
}

/// Derives a segment's id from its content: encoding is canonical, so the same samples give the same bytes and the same id (W2).
fn content_id(bytes: &[u8], remint: u32) -> SegmentId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes);
    if remint > 0 {
        hasher.update(&remint.to_le_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    SegmentId(u128::from_le_bytes(id))
}

fn part_stats(stats: &segment::SegmentStats, hour: Hour) -> PartStats {
    // Metadata has no time of its own: it is found by whoever looks at its hour.
    let time_range = if stats.range.is_empty() { Window::Hour(hour).range() } else { stats.range };
    PartStats {
        rows: stats.rows,
        series: u32::try_from(stats.series).unwrap_or(u32::MAX),
        time_range,
        slots: stats.slots,
        epoch: 0,
        names: Bytes::copy_from_slice(stats.filter.as_bytes()),
    }
}
