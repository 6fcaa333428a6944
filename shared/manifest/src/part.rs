//! A segment as the manifest knows it: where it lies and what it may hold.

mod encoding;

pub(crate) use encoding::{read_part, read_window, write_part, write_window};

use bytes::Bytes;
use model::{Hour, Resolution, SegmentId, SlotRange, TimeRangeMs, TimestampMs};
use store::keys::Window;

/// Where a segment's bytes are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Location {
    /// An object of `len` bytes under `key` ([`store::keys::ObjectKey`]).
    Object {
        /// The object's key.
        key: String,
        /// Size in bytes.
        len: u64,
    },
    /// The segment itself, inside the manifest's record.
    Inline(Bytes),
}

impl Location {
    /// Returns the size of the segment in bytes.
    pub fn len_bytes(&self) -> u64 {
        match self {
            Location::Object { len, .. } => *len,
            Location::Inline(bytes) => bytes.len() as u64,
        }
    }
}

/// What prunes a segment before it is opened. Callers convert it from `segment`'s statistics.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PartStats {
    /// Samples, or entries.
    pub rows: u64,
    /// Series, or streams.
    pub series: u32,
    /// Covers every row; for logs rounded outwards to milliseconds.
    pub time_range: TimeRangeMs,
    /// Covers the slot of every series.
    pub slots: SlotRange,
    /// The ring epoch it was written under.
    pub epoch: u32,
    /// An opaque filter over metric names, at most 512 bytes, empty where there is none.
    pub names: Bytes,
}

/// What ingest commits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct L0Item {
    /// Hash of the canonical decoded content (W2).
    pub id: SegmentId,
    /// Where the segment is; an object must be durable before commit (W1).
    pub location: Location,
    /// Offset of index and footer: one ranged get from here to the end brings both.
    pub tail_offset: u64,
    /// What prunes it.
    pub stats: PartStats,
    /// When this attempt was begun; commit refuses an attempt older than ten minutes.
    pub minted_at: TimestampMs,
}

/// A live segment as a snapshot lists it, or as a compaction publishes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The segment's id.
    pub id: SegmentId,
    /// 0 as ingested, 1 and up once merged.
    pub level: u8,
    /// How densely it is sampled.
    pub resolution: Resolution,
    /// The hour or day it is listed under.
    pub window: Window,
    /// Where the segment is.
    pub location: Location,
    /// Offset of index and footer.
    pub tail_offset: u64,
    /// What prunes it.
    pub stats: PartStats,
    /// When it was begun.
    pub minted_at: TimestampMs,
    /// Lineage of a coarse part: ids of the raw parts it was made of; empty for raw.
    pub sources: Vec<SegmentId>,
    /// Ids of the deletions it needs no more ([`crate::deletion`]): of a merged part [`crate::Snapshot::applied`].
    pub applied: Vec<u128>,
}

impl L0Item {
    /// Returns the item as a part of its hour.
    pub fn into_part(self, hour: Hour) -> Part {
        Part {
            id: self.id,
            level: 0,
            resolution: Resolution::Raw,
            window: Window::Hour(hour),
            location: self.location,
            tail_offset: self.tail_offset,
            stats: self.stats,
            minted_at: self.minted_at,
            sources: Vec::new(),
            applied: Vec::new(),
        }
    }
}
