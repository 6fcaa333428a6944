//! Series identity and the ring's slots.

use crate::{LabelSet, Signal, TenantId};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
use xxhash_rust::xxh64::xxh64;

/// Slots of the ring (design §3).
pub const SLOT_COUNT: u16 = 1024;
/// Label buckets per metric name: one metric spreads over this many slots.
pub const LABEL_BUCKETS: u16 = 16;

/// Returns the hash by which Prometheus and Loki tell label sets apart (`labels.StableHash`): xxh64 over each name and value, a byte
/// 255 behind each. Loki puts entries of one time into the order of their streams' hashes.
pub fn stable_hash(labels: &LabelSet) -> u64 {
    let mut text = Vec::with_capacity(labels.encoded().len() + 16);
    for (name, value) in labels.iter() {
        for part in [name, value] {
            text.extend_from_slice(part.as_bytes());
            text.push(0xff);
        }
    }
    xxh64(&text, 0)
}

/// xxh3-64 of a label set's canonical encoding: a sort key and a lookup hint.
/// Identity is always the label set itself, so a collision costs a comparison and never an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesId(pub u64);

impl SeriesId {
    /// Returns the id of a label set.
    pub fn of(labels: &LabelSet) -> SeriesId {
        SeriesId(xxh3_64(labels.encoded()))
    }

    /// Returns the id of a canonically encoded label set.
    pub fn of_encoded(encoded: &[u8]) -> SeriesId {
        SeriesId(xxh3_64(encoded))
    }
}

/// A virtual slot of the ring, 0…1023.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

/// Labels that tell HA replicas apart and therefore never move a series to another slot.
pub const REPLICA_LABELS: [&str; 3] = ["replica", "__replica__", "prometheus_replica"];

impl Slot {
    /// Returns the slot of a series or stream. Metrics: 64 name buckets × 16 label buckets, so that a query for one
    /// metric touches at most 16 slots; streams: a hash of the whole label set.
    pub fn of(tenant: &TenantId, signal: Signal, labels: &LabelSet) -> Slot {
        SlotHasher::new(tenant, signal).slot(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }
}

/// Computes the slots of many label sets of one tenant without an allocation or a check per label.
#[derive(Clone, Debug)]
pub struct SlotHasher {
    seed: u64,
    signal: Signal,
    rest: Vec<u8>,
}

impl SlotHasher {
    /// Makes the hasher of a tenant and a signal.
    pub fn new(tenant: &TenantId, signal: Signal) -> SlotHasher {
        SlotHasher { seed: xxh3_64(tenant.as_str().as_bytes()), signal, rest: Vec::new() }
    }

    /// Returns the slot of the labels, ordered by name: the same as [`Slot::of`].
    pub fn slot<'a>(&mut self, labels: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Slot {
        self.rest.clear();
        let mut name_hash = 0;
        for (name, value) in labels {
            if self.signal == Signal::Metrics && name == b"__name__" {
                name_hash = xxh3_64_with_seed(value, self.seed);
            } else if !REPLICA_LABELS.iter().any(|replica| replica.as_bytes() == name) {
                self.rest.extend_from_slice(name);
                self.rest.push(0xff);
                self.rest.extend_from_slice(value);
                self.rest.push(0xff);
            }
        }
        let rest_hash = xxh3_64_with_seed(&self.rest, self.seed);
        match self.signal {
            Signal::Metrics => {
                let names = u64::from(SLOT_COUNT / LABEL_BUCKETS);
                Slot(((name_hash % names) * u64::from(LABEL_BUCKETS) + rest_hash % u64::from(LABEL_BUCKETS)) as u16)
            }
            Signal::Logs => Slot((rest_hash % u64::from(SLOT_COUNT)) as u16),
        }
    }
}

/// A half-open range of slots, `[lo, hi)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotRange {
    /// First slot.
    pub lo: u16,
    /// First slot after.
    pub hi: u16,
}

impl SlotRange {
    /// All slots.
    pub const ALL: SlotRange = SlotRange { lo: 0, hi: SLOT_COUNT };

    /// Reports whether `slot` is in the range.
    pub fn contains(self, slot: Slot) -> bool {
        self.lo <= slot.0 && slot.0 < self.hi
    }

    /// Reports whether the two ranges share a slot.
    pub fn overlaps(self, other: SlotRange) -> bool {
        self.lo < other.hi && other.lo < self.hi
    }
}
