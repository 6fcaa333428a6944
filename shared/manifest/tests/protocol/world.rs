//! What really happened, beside what the manifest says: objects, their rows, acknowledged writes.

use bytes::Bytes;
use manifest::{HeadSizes, L0Item, Location, Manifest, ObjectKey, Part, PartStats, Snapshot, Window};
use model::{Clock, Hour, Nonces, Resolution, SegmentId, Signal, SlotRange, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use store::{Records, records};
use testkit::{FaultyRecords, SimulatedClock};

pub const HOUR: Hour = Hour(20_778 * 24 + 7);
pub const SIGNAL: Signal = Signal::Metrics;

/// One batch of rows; whatever carries it, it must be visible exactly once.
pub type Content = u32;

#[derive(Debug, Default)]
pub struct Truth {
    pub objects: BTreeSet<String>,
    pub contents: BTreeMap<SegmentId, BTreeSet<Content>>,
    pub acknowledged: BTreeSet<Content>,
}

#[derive(Clone)]
pub struct World {
    pub tenant: TenantId,
    pub clock: SimulatedClock,
    pub records: FaultyRecords,
    pub nonces: Arc<Nonces>,
    pub truth: Arc<Mutex<Truth>>,
    pub violations: Arc<Mutex<Vec<String>>>,
    /// Heads of every other world spill all the time.
    pub sizes: HeadSizes,
}

impl World {
    pub fn new(seed: u64) -> World {
        World::over(records::memory(), seed)
    }

    pub fn over(inner: Records, seed: u64) -> World {
        let clock = SimulatedClock::at(HOUR.start());
        let records = FaultyRecords::new(inner, clock.clone(), seed);
        let nonces = Arc::new(Nonces::seeded(u128::from(seed)));
        let small = HeadSizes { inline_bytes_max: 100, page_bytes_max: 200 };
        let sizes = if seed % 2 == 1 { small } else { HeadSizes::default() };
        let (tenant, truth, violations) = (TenantId::anonymous(), Arc::default(), Arc::default());
        World { tenant, clock, records, nonces, truth, violations, sizes }
    }

    /// A manifest of a process of its own: its clock is wrong by `skew_ms`, it knows nothing yet.
    pub fn manifest(&self, skew_ms: i64) -> Manifest {
        let manifest = Manifest::new(Arc::new(self.records.clone()), Arc::new(self.clock.skewed(skew_ms)), self.nonces.clone());
        manifest.with_head_sizes(self.sizes)
    }

    pub fn day_range(&self) -> TimeRangeMs {
        Window::Day(HOUR.day()).range()
    }

    fn location(&self, window: Window, level: u8, id: SegmentId) -> Location {
        let (tenant, nonce) = (self.tenant.clone(), self.nonces.next());
        let key = ObjectKey { tenant, signal: SIGNAL, window, resolution: Resolution::Raw, level, id, nonce }.to_string();
        self.truth.lock().unwrap().objects.insert(key.clone());
        Location::Object { key, len: 100 }
    }

    /// Uploads a batch as one attempt of a writer.
    pub fn upload(&self, content: Content, inline: bool, now: TimestampMs) -> L0Item {
        self.upload_in(HOUR, content, inline, now)
    }

    /// Uploads a batch of another hour.
    pub fn upload_in(&self, hour: Hour, content: Content, inline: bool, now: TimestampMs) -> L0Item {
        let (id, window) = (SegmentId(u128::from(content)), Window::Hour(hour));
        let location = if inline { Location::Inline(Bytes::from_static(b"rows")) } else { self.location(window, 0, id) };
        self.truth.lock().unwrap().contents.insert(id, [content].into());
        L0Item { id, location, tail_offset: 0, stats: stats(window), minted_at: now }
    }

    /// Merges parts into one and uploads it.
    pub fn merge(&self, window: Window, level: u8, inputs: &[Part]) -> Part {
        let id = self.nonces.segment_id();
        let rows = inputs.iter().flat_map(|input| self.contents(input)).collect();
        let location = self.location(window, level, id);
        self.truth.lock().unwrap().contents.insert(id, rows);
        let minted_at = self.clock.now();
        Part {
            id,
            level,
            resolution: Resolution::Raw,
            window,
            location,
            tail_offset: 0,
            stats: stats(window),
            minted_at,
            sources: Vec::new(),
            applied: Vec::new(),
        }
    }

    fn contents(&self, part: &Part) -> BTreeSet<Content> {
        self.truth.lock().unwrap().contents[&part.id].clone()
    }

    pub fn acknowledge(&self, content: Content) {
        self.truth.lock().unwrap().acknowledged.insert(content);
    }

    pub fn acknowledged(&self) -> BTreeSet<Content> {
        self.truth.lock().unwrap().acknowledged.clone()
    }

    pub fn delete_object(&self, key: &str) {
        self.truth.lock().unwrap().objects.remove(key);
    }

    pub fn all_objects(&self) -> BTreeSet<String> {
        self.truth.lock().unwrap().objects.clone()
    }

    pub fn violated(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    /// M1: everything acknowledged before is there. M2: nothing is there twice.
    pub fn check_visible(&self, snapshot: &Snapshot, acknowledged: &BTreeSet<Content>) {
        let mut seen = BTreeSet::new();
        for content in snapshot.parts.iter().flat_map(|part| self.contents(part)) {
            if !seen.insert(content) {
                self.violated(format!("M2: {content} is visible twice"));
            }
        }
        for lost in acknowledged.difference(&seen) {
            self.violated(format!("M1: {lost} was acknowledged and is invisible"));
        }
    }

    /// M3: every object of the snapshot exists.
    pub fn check_objects(&self, snapshot: &Snapshot) {
        let truth = self.truth.lock().unwrap();
        let missing: Vec<&String> =
            snapshot.parts.iter().filter_map(object_key).filter(|key| !truth.objects.contains(*key)).collect();
        if !missing.is_empty() {
            let text = format!("M3: {} objects of a snapshot in use are gone", missing.len());
            drop(truth);
            self.violated(text);
        }
    }
}

pub fn object_key(part: &Part) -> Option<&String> {
    match &part.location {
        Location::Object { key, .. } => Some(key),
        Location::Inline(_) => None,
    }
}

fn stats(window: Window) -> PartStats {
    let time_range = window.range();
    PartStats { rows: 1, series: 1, time_range, slots: SlotRange::ALL, epoch: 0, names: Bytes::new() }
}
