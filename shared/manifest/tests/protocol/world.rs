//! What really happened, beside what the manifest says: objects, their rows, acknowledged writes.

use bytes::Bytes;
use manifest::{Deletion, HeadSizes, L0Item, Location, Manifest, ObjectKey, Part, PartStats, Snapshot, Window};
use model::{Clock, Hour, Nonces, Resolution, SegmentId, Signal, SlotRange, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Records, records};
use testkit::{FaultyRecords, SimulatedClock};

pub const HOUR: Hour = Hour(20_778 * 24 + 7);
pub const SIGNAL: Signal = Signal::Metrics;

/// One batch of rows; whatever carries it, it must be visible exactly once.
pub type Content = u32;

#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub objects: BTreeSet<String>,
    pub contents: BTreeMap<SegmentId, BTreeSet<Content>>,
    pub acknowledged: BTreeSet<Content>,
    /// When, by the true clock, attempts to write a content were begun.
    pub minted: BTreeMap<Content, Vec<TimestampMs>>,
    pub deletions: Vec<TrueDeletion>,
    /// Somebody has set out to drop the day.
    pub dropped: bool,
}

/// A deletion as it really went.
#[derive(Clone, Debug)]
pub struct TrueDeletion {
    pub series: u32,
    pub range: TimeRangeMs,
    pub started: TimestampMs,
    /// When the request was answered; whether well.
    pub ended: Option<TimestampMs>,
    pub succeeded: bool,
    pub cancelled: bool,
}

/// How far clocks are apart, and more.
const SLACK: Duration = Duration::from_secs(300);

/// The hour a content is written to, and the series it belongs to.
pub fn hour_of(content: Content) -> Hour {
    Hour(HOUR.0 + i64::from(content % 2))
}

pub fn series_of(content: Content) -> u32 {
    content / 2 % 3
}

impl TrueDeletion {
    fn means(&self, content: Content) -> bool {
        self.series == series_of(content)
            && hour_of(content).start() >= self.range.start
            && hour_of(content).start() < self.range.end
    }
}

/// Reports whether a recorded deletion means a content.
pub fn means(deletion: &Deletion, content: Content) -> bool {
    let (range, hour) = (deletion.request.range, hour_of(content).start());
    let series = series_of(content).to_string();
    hour >= range.start && hour < range.end && deletion.request.matchers.iter().all(|matcher| matcher.matches(&series))
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
    pub same_keys: bool,
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
        World { tenant, clock, records, nonces, truth, violations, sizes, same_keys: false }
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
        // The mistake of deterministic keys: every upload of a content has the same.
        let nonce = if self.same_keys { 0 } else { self.nonces.next() };
        let tenant = self.tenant.clone();
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
        let mut truth = self.truth.lock().unwrap();
        truth.contents.insert(id, [content].into());
        truth.minted.entry(content).or_default().push(self.clock.now());
        drop(truth);
        L0Item { id, location, tail_offset: 0, stats: stats(window), minted_at: now }
    }

    /// Merges parts into one and uploads it.
    pub fn merge(&self, window: Window, level: u8, inputs: &[Part]) -> Part {
        self.merge_rows(window, level, inputs.iter().flat_map(|input| self.contents(input)).collect())
    }

    /// Merges parts of a snapshot as a compaction must: without what it says is deleted, and saying so.
    pub fn compact(&self, snapshot: &Snapshot, window: Window, inputs: &[Part]) -> Part {
        let rows = inputs.iter().flat_map(|input| self.visible(snapshot, input)).collect();
        Part { applied: snapshot.applied(), ..self.merge_rows(window, 1, rows) }
    }

    /// What a reader sees of a part.
    pub fn visible(&self, snapshot: &Snapshot, part: &Part) -> Vec<Content> {
        let deletions = snapshot.deletions_for(part);
        let is_kept = |content: &Content| !deletions.iter().any(|deletion| means(deletion, *content));
        self.contents(part).into_iter().filter(is_kept).collect()
    }

    fn merge_rows(&self, window: Window, level: u8, rows: BTreeSet<Content>) -> Part {
        let id = self.nonces.segment_id();
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

    /// What a reader that begins now may rely on.
    pub fn expectation(&self) -> Expectation {
        let truth = self.truth.lock().unwrap();
        let gone = |content: &Content| {
            let last = truth.minted[content].iter().max().copied().unwrap_or_default();
            let counts = |deletion: &&TrueDeletion| deletion.succeeded && !deletion.cancelled && deletion.means(*content);
            truth.deletions.iter().filter(counts).any(|deletion| last.plus(SLACK) <= deletion.started)
        };
        let gone = truth.minted.keys().copied().filter(gone).collect();
        Expectation { acknowledged: truth.acknowledged.clone(), gone }
    }

    /// M1: everything acknowledged before is there, but for what somebody asked to delete since. M2: nothing is there twice.
    /// D: what was deleted before is not there, however it was merged since.
    pub fn check(&self, snapshot: &Snapshot, expected: &Expectation) {
        let mut seen = BTreeSet::new();
        for content in snapshot.parts.iter().flat_map(|part| self.visible(snapshot, part)) {
            if !seen.insert(content) {
                self.violated(format!("M2: {content} is visible twice"));
            }
        }
        let truth = self.truth.lock().unwrap().clone();
        let may_be_gone = |content: Content| {
            let first = truth.minted[&content].iter().min().copied().unwrap_or_default();
            let of = |deletion: &&TrueDeletion| deletion.means(content);
            truth.deletions.iter().filter(of).any(|deletion| deletion.ended.is_none_or(|at| first <= at.plus(SLACK)))
        };
        for lost in expected.acknowledged.difference(&seen).filter(|lost| !truth.dropped && !may_be_gone(**lost)) {
            self.violated(format!("M1: {lost} was acknowledged and is invisible"));
        }
        // Cancelled while the snapshot was taken, or written again: it may be there.
        let still_gone = self.expectation().gone;
        for back in expected.gone.intersection(&seen).filter(|back| still_gone.contains(*back)) {
            self.violated(format!("D: {back} was deleted and is visible"));
        }
    }

    /// M1 and M2 where nothing is deleted.
    pub fn check_visible(&self, snapshot: &Snapshot, acknowledged: &BTreeSet<Content>) {
        self.check(snapshot, &Expectation { acknowledged: acknowledged.clone(), gone: BTreeSet::new() });
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

/// What a reader may rely on.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub acknowledged: BTreeSet<Content>,
    /// What no reader may see any more.
    pub gone: BTreeSet<Content>,
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
