//! Quarantine: parts found to be corrupt, left out of snapshots by name until somebody lifts them (S2).
//!
//! A part is meant by id and object together: the same content uploaded again under a fresh key is another object.

use crate::codec::{Kind, Reader, Reason, Writer};
use crate::part::{read_window, write_window};
use crate::{Location, Part};
use bytes::Bytes;
use model::{Resolution, SegmentId, TimestampMs};
use store::keys::{ObjectKey, Window};

/// A part in quarantine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The segment.
    pub id: SegmentId,
    /// Its object; empty where the segment lies in the manifest itself.
    pub key: String,
    /// The hour or day it was listed under.
    pub window: Window,
    /// What was found, for people.
    pub reason: String,
    /// When.
    pub at: TimestampMs,
}

impl Quarantined {
    /// Reports whether this means the part.
    pub fn is(&self, part: &Part) -> bool {
        part.id == self.id && key_of(part) == self.key
    }

    /// Returns the resolution of the part; coarse ones always have an object.
    pub(crate) fn resolution(&self) -> Resolution {
        ObjectKey::parse(&self.key).map_or(Resolution::Raw, |key| key.resolution)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Quarantined);
        out.id(self.id);
        out.bytes(self.key.as_bytes());
        write_window(&mut out, self.window);
        out.bytes(self.reason.as_bytes());
        out.time(self.at);
        out.finish()
    }

    pub(crate) fn decode(record: &Bytes) -> Result<Quarantined, Reason> {
        let mut from = Reader::open_as(record, Kind::Quarantined)?;
        let found = Quarantined {
            id: from.id()?,
            key: from.text()?,
            window: read_window(&mut from)?,
            reason: from.text()?,
            at: from.time()?,
        };
        from.finish()?;
        Ok(found)
    }
}

/// Returns the key of a part's object, empty where it has none.
pub(crate) fn key_of(part: &Part) -> &str {
    match &part.location {
        Location::Object { key, .. } => key,
        Location::Inline(_) => "",
    }
}
