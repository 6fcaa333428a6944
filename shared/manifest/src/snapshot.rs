//! What a query or a compaction plan sees: a list of immutable segments.

use crate::Part;
use model::{Resolution, TimestampMs};
use store::keys::Window;

/// The live parts of one tenant and signal over a time range, as of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Live raw parts whose time range overlaps the one asked for, by window, level, id. Each visible row is in exactly one.
    pub parts: Vec<Part>,
    /// Live coarse parts (5m, 1h) of the days asked for; empty unless asked for.
    pub coarse: Vec<Part>,
    /// Per head read, its generation: what [`crate::Replacement::generation`] wants.
    pub heads: Vec<HeadState>,
    /// When the first record was read.
    pub taken_at: TimestampMs,
    /// Records and record queries it took.
    pub requests: u64,
}

/// What a compaction plan must know of a head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadState {
    /// The head's window.
    pub window: Window,
    /// The head's resolution.
    pub resolution: Resolution,
    /// Changes when ids are forgotten: plans made under another generation are void.
    pub generation: u64,
    /// Whether the hour was sealed: its merged parts may only roll into the day.
    pub sealed: bool,
    /// When its parts may first roll into the day: an hour's head must rest before.
    pub rollable_from: TimestampMs,
    /// The lease on it, if any: owner and end.
    pub lease: Option<(u64, TimestampMs)>,
}

impl Snapshot {
    /// Returns the generation of a head as this snapshot read it, 0 where there was none.
    pub fn generation(&self, window: Window, resolution: Resolution) -> u64 {
        let found = self.heads.iter().find(|head| head.window == window && head.resolution == resolution);
        found.map_or(0, |head| head.generation)
    }
}
