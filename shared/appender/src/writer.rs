//! One draft to one live segment: encode, put, commit.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use manifest::{Committed, L0Item, Location, Manifest, PartStats};
use model::segment_id::Nonces;
use model::{Clock, ErrorKind, Hour, Resolution, SegmentId, TenantId, TimestampMs};
use object_store::{PutMode, PutOptions, PutPayload};
use segment::{Encoded, l0};
use store::Objects;
use store::keys::{ObjectKey, Window};

use crate::backlog::Pressure;
use crate::limits::{HOURS_IN_FLIGHT, HOURS_MAX, INLINE_BYTES_MAX, REMINTS_MAX, WRITE_TIME_MAX};
use crate::{Backlog, BacklogBounds, BacklogHints, Batch, Error, Receipt, Result, cut, hours};

/// Writes batches to the stores.
#[derive(Clone, Debug)]
pub struct Writer {
    objects: Objects,
    manifest: Manifest,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    backlog: Backlog,
    inline_bytes_max: usize,
}

impl Writer {
    /// Makes a writer over both stores.
    pub fn new(objects: Objects, manifest: Manifest, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Writer {
        let backlog = Backlog::new(manifest.clone(), clock.clone());
        Writer { objects, manifest, clock, nonces, backlog, inline_bytes_max: INLINE_BYTES_MAX }
    }

    /// Tells `hints` where compaction falls behind.
    pub fn with_hints(self, hints: Arc<dyn BacklogHints>) -> Writer {
        Writer { backlog: self.backlog.with_hints(hints), ..self }
    }

    /// Sets the numbers of segments from which on writes are held back.
    pub fn with_backlog_bounds(self, bounds: BacklogBounds) -> Writer {
        Writer { backlog: self.backlog.with_bounds(bounds), ..self }
    }

    /// Sets up to which size a segment goes inside the manifest's record, in place of [`INLINE_BYTES_MAX`]; 0: never.
    pub fn with_inline_bytes_max(self, inline_bytes_max: usize) -> Writer {
        Writer { inline_bytes_max, ..self }
    }

    /// Decides whether and how a batch may be written now. Every strategy asks once per request, before anything is written.
    ///
    /// # Errors
    /// `TooManyHours` for a batch that may never be written, `Backlogged` for one that may be later.
    pub async fn admit(&self, tenant: &TenantId, batch: &Batch) -> Result<Pressure> {
        let hours = hours(batch, self.clock.now());
        if hours.len() > HOURS_MAX {
            return Err(Error::TooManyHours { hours: hours.len(), limit: HOURS_MAX });
        }
        self.backlog.admit(tenant, batch.signal(), &hours).await
    }

    /// Makes a batch durable and visible: one segment per event hour, several hours at a time. An error leaves those that were
    /// done visible, and a retry finds them by their id (W2). Of days that retention dropped nothing is taken, which the error says;
    /// all other hours are written before (W1: nobody sends them again). Bounded in time: what is under way then is dropped, which is
    /// as harmless as a crash at that step (M4).
    pub async fn write(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        let limit_ms = WRITE_TIME_MAX.as_millis() as u64;
        tokio::time::timeout(WRITE_TIME_MAX, self.write_hours(tenant, batch)).await.unwrap_or(Err(Error::TooSlow { limit_ms }))
    }

    async fn write_hours(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        // From here on the deadline of the attempt runs.
        let (signal, minted_at) = (batch.signal(), self.clock.now());
        let parts: Vec<(Hour, Batch)> = cut(batch, minted_at).into_iter().filter(|(_, draft)| !draft.is_empty()).collect();
        if parts.len() > 1 {
            // One update per day instead of one per hour, all of them on the same record.
            let hours: Vec<Hour> = parts.iter().map(|(hour, _)| *hour).collect();
            match self.manifest.announce(tenant, signal, &hours).await {
                // Each hour will find out for itself.
                Ok(()) | Err(manifest::Error::Dropped { .. }) => {}
                Err(error) => return Err(manifest_error(error)),
            }
            // Known from here on: the hours would all read the ring at the same time.
            self.epoch(tenant, hours[hours.len() - 1]).await?;
        }
        let writes: Vec<_> = parts.into_iter().map(|(hour, draft)| self.write_hour(tenant, hour, draft, minted_at)).collect();
        let mut receipts = stream::iter(writes).buffer_unordered(HOURS_IN_FLIGHT);
        let (mut all, mut dropped) = (Receipt::default(), None);
        while let Some(receipt) = receipts.next().await {
            match receipt {
                Ok(receipt) => all = all.add(receipt),
                Err(error) if is_dropped(&error) => dropped = Some(error),
                // It may pass, and then all is sent again.
                Err(error) => return Err(error),
            }
        }
        dropped.map_or(Ok(all), Err)
    }

    async fn write_hour(&self, tenant: &TenantId, hour: Hour, draft: Batch, minted_at: TimestampMs) -> Result<Receipt> {
        let (rows, signal) = (draft.rows(), draft.signal());
        let encoded = encode(tenant.clone(), draft).await?;
        let epoch = self.epoch(tenant, hour).await?;
        for remint in 0..=REMINTS_MAX {
            let id = content_id(&encoded.bytes, remint);
            let location = self.place(tenant, hour, signal, id, &encoded.bytes).await?;
            let inline = usize::from(matches!(location, Location::Inline(_)));
            let stats = part_stats(&encoded.stats, hour, epoch);
            let item = L0Item { id, location, tail_offset: encoded.tail_offset, stats, minted_at };
            match self.manifest.commit(tenant, signal, hour, item).await.map_err(manifest_error)? {
                Committed::Committed | Committed::AlreadyCommitted => {
                    self.backlog.committed(tenant, signal, hour);
                    return Ok(Receipt { rows, segments: 1, inline, bytes: encoded.bytes.len(), ..Receipt::default() });
                }
                Committed::Burnt => {}
            }
        }
        Err(Error::Burnt { attempts: REMINTS_MAX + 1 })
    }

    /// Returns the number of the ring's epoch in force. A ring that does not decode is no reason to refuse writes: no read is
    /// addressed by it.
    async fn epoch(&self, tenant: &TenantId, hour: Hour) -> Result<u32> {
        match self.manifest.epoch(tenant, hour).await {
            Ok(epoch) => Ok(epoch.number),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "ring is not readable, epoch 0 is recorded");
                Ok(0)
            }
            Err(error) => Err(manifest_error(error)),
        }
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
        let put = self.objects.put_opts(&key.path(), PutPayload::from_bytes(bytes.clone()), options).await;
        put.map_err(|error| Error::Object(Arc::new(error)))?;
        Ok(Location::Object { key: key.to_string(), len: bytes.len() as u64 })
    }
}

fn is_dropped(error: &Error) -> bool {
    matches!(error, Error::Manifest(source) if matches!(**source, manifest::Error::Dropped { .. }))
}

fn manifest_error(source: manifest::Error) -> Error {
    Error::Manifest(Arc::new(source))
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

fn part_stats(stats: &segment::SegmentStats, hour: Hour, epoch: u32) -> PartStats {
    // Metadata has no time of its own: it is found by whoever looks at its hour.
    let time_range = if stats.range.is_empty() { Window::Hour(hour).range() } else { stats.range };
    PartStats {
        rows: stats.rows,
        series: u32::try_from(stats.series).unwrap_or(u32::MAX),
        time_range,
        slots: stats.slots,
        epoch,
        names: Bytes::copy_from_slice(stats.filter.as_bytes()),
    }
}
