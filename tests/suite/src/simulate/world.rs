//! Both stores, the processes over them, and what is checked against the ledger; who witnesses every effect is in `witness`, what is
//! checked of coarse copies in `copied`, of merges of replicas in `merged`.

mod copied;
mod merged;
mod witness;

pub use copied::{Copies, keys_of};

use super::actors::Sent;
use super::ledger::{Account, RowId};
use super::mutation::{Mutation, Role, mutated};
use super::ring::Ringless;
use super::rows::{self, Row};
use super::scenario::Scenario;
use futures::FutureExt;
use manifest::{Burn, Location, Manifest, ObjectKey, Part, Snapshot, Window};
use model::{Clock, Hour, Nonces, Resolution, Signal, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use store::{Objects, Records};
use testkit::simulation::{ObjectShelf, Process, Schedule, SimulatedObjects, SimulatedRecords};

/// All of time.
pub const ALL_TIME: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };
/// All hours.
pub const ALL_HOURS: std::ops::Range<i64> = i64::MIN..i64::MAX;

/// One run's world. Shared by all actors.
#[derive(Clone)]
pub struct World(Arc<Inner>);

/// What the actors share.
pub struct Inner {
    /// Time and chance.
    pub schedule: Schedule,
    /// What the seed makes of the run.
    pub scenario: Scenario,
    /// The deliberate mistake, if any.
    pub mutation: Option<Mutation>,
    records: Records,
    /// Whether somebody who reads asked for the ring.
    ring_asked: Arc<AtomicBool>,
    /// The objects themselves.
    pub shelf: ObjectShelf,
    manifest: Manifest,
    nonces: Mutex<BTreeMap<u32, Arc<Nonces>>>,
    liars: Mutex<BTreeMap<(u32, Role), Records>>,
    /// What clients sent so far, to be sent again.
    pub sent: Mutex<Vec<Sent>>,
    ledger: Mutex<Ledger>,
}

/// What is checked against.
#[derive(Default)]
pub struct Ledger {
    accounts: BTreeMap<(TenantId, Signal), Account>,
    /// Objects that snapshots in use name, with the true time until they may be opened.
    holds: BTreeMap<u64, (i64, BTreeSet<String>)>,
    holds_made: u64,
    /// The first violation.
    pub violation: Option<String>,
    /// Checks made.
    pub checks: u64,
    /// Rows compared in them.
    pub rows_checked: u64,
    /// What happened that a run may also go without.
    pub seen: Seen,
    /// Coarse copies, by tenant.
    pub copies: BTreeMap<TenantId, Copies>,
    /// Raw parts after the last effect, by tenant, where replicas are merged.
    parts: BTreeMap<TenantId, Vec<Part>>,
    /// Parts whose slots were checked.
    placed: BTreeSet<String>,
    /// Days that were packed, hours that were cleared.
    packed: BTreeSet<(TenantId, Signal, i64)>,
    hours: BTreeMap<(TenantId, Signal, i64), BTreeSet<Hour>>,
}

/// Counts of what does not happen in every run: a check of it says nothing where it never does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Hours cleared.
    pub hours_cleared: u64,
    /// Days packed into their months.
    pub days_packed: u64,
    /// Epochs of rings.
    pub epochs: u64,
    /// Deletions requested.
    pub deletions: u64,
    /// Answers of the real engine that were compared.
    pub answers: u64,
    /// Coarse copies of days that were compared with their samples.
    pub copies: u64,
    /// Days whose raw data went and left copies.
    pub raw_dropped: u64,
    /// Windows that the engine read for answers that were compared.
    pub windows: u64,
    /// Answers of finer copies than the coarsest, of which a deletion took more.
    pub finer: u64,
    /// Days whose replicas were merged, some more than once.
    pub merges: u64,
    /// Samples that went.
    pub losers: u64,
    /// Answers of replicas as one that were compared.
    pub deduplicated: u64,
}

impl Seen {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Seen) {
        self.hours_cleared += other.hours_cleared;
        self.days_packed += other.days_packed;
        self.epochs += other.epochs;
        self.deletions += other.deletions;
        self.answers += other.answers;
        self.copies += other.copies;
        self.raw_dropped += other.raw_dropped;
        self.windows += other.windows;
        self.finer += other.finer;
        self.merges += other.merges;
        self.losers += other.losers;
        self.deduplicated += other.deduplicated;
    }
}

impl std::ops::Deref for World {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl World {
    /// Makes an empty world.
    pub fn new(schedule: Schedule, scenario: Scenario, mutation: Option<Mutation>) -> World {
        let records = store::records::memory();
        let harness: Arc<dyn Clock> = Arc::new(schedule.harness());
        let ring_asked = Arc::default();
        let manifest = Manifest::new(Ringless::over(records.clone(), &ring_asked), harness, Arc::new(Nonces::seeded(0)));
        let shelf = ObjectShelf::new(schedule.clone());
        World(Arc::new(Inner {
            schedule,
            scenario,
            mutation,
            records,
            ring_asked,
            shelf,
            manifest,
            nonces: Mutex::default(),
            liars: Mutex::default(),
            sent: Mutex::default(),
            ledger: Mutex::default(),
        }))
    }

    /// Returns the first violation.
    pub fn violation(&self) -> Option<String> {
        self.ledger().violation.clone()
    }

    /// Reports a violation; the first one counts.
    pub fn violated(&self, what: String) {
        self.schedule.note(0, "VIOLATION", [&what, ""], "");
        self.schedule.end_trace_text();
        self.ledger().violation.get_or_insert(what);
    }

    fn maybe_violated(&self, what: Option<String>) {
        what.into_iter().for_each(|what| self.violated(what));
    }

    /// Opens the ledger.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no call panics while it holds the lock")
    }

    /// Uses the account of a tenant and signal.
    pub fn account<T>(&self, tenant: &TenantId, signal: Signal, of: impl FnOnce(&mut Account) -> T) -> T {
        of(self.ledger().accounts.entry((tenant.clone(), signal)).or_default())
    }

    /// Lists tenants and signals that ever had something.
    pub fn accounts(&self) -> Vec<(TenantId, Signal)> {
        self.ledger().accounts.keys().cloned().collect()
    }

    /// Starts a process with a clock of its own.
    pub fn start_process(&self) -> Process {
        let skew_ms_max = self.scenario.skew_ms_max;
        let skew_ms = self.schedule.draw(0..2 * skew_ms_max + 1) as i64 - skew_ms_max as i64;
        self.schedule.start_process(skew_ms)
    }

    /// Returns the records as a process sees them.
    pub fn records(&self, process: &Process) -> Records {
        Arc::new(SimulatedRecords::new(process.clone(), self.records.clone(), Arc::new(self.clone())))
    }

    /// Returns the records as an actor in a process sees them, who is lied to where the run has a mistake.
    pub fn records_for(&self, process: &Process, role: Role) -> Records {
        let mut liars = self.liars.lock().expect("no call panics while it holds the lock");
        let records = || {
            let honest = self.records(process);
            let watched = if role == Role::Read { Ringless::over(honest, &self.ring_asked) } else { honest };
            self.mutation.map_or(watched.clone(), |mutation| mutated(watched, mutation, role))
        };
        liars.entry((process.id(), role)).or_insert_with(records).clone()
    }

    /// Returns the objects as a process sees them.
    pub fn objects(&self, process: &Process) -> Objects {
        Arc::new(SimulatedObjects::new(process.clone(), self.shelf.clone(), Arc::new(self.clone())))
    }

    /// Returns a process's source of numbers, which no other process draws.
    pub fn nonces(&self, process: &Process) -> Arc<Nonces> {
        let seed = u128::from(self.scenario.seed) << 64 | u128::from(process.id());
        let mut nonces = self.nonces.lock().expect("no call panics while it holds the lock");
        nonces.entry(process.id()).or_insert_with(|| Arc::new(Nonces::seeded(seed))).clone()
    }

    /// Returns a manifest that sees the stores as they are.
    pub fn true_manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns what a reader of everything sees at this moment.
    pub fn look(&self, tenant: &TenantId, signal: Signal) -> Option<Snapshot> {
        let manifest = &self.manifest;
        let snapshot = match self.scenario.copies {
            true => manifest.snapshot_with_coarse(tenant, signal, ALL_TIME).now_or_never(),
            false => manifest.snapshot(tenant, signal, ALL_TIME).now_or_never(),
        };
        match snapshot.expect("records in memory answer at once") {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                self.violated(format!("M1: the manifest cannot be read: {error:?}"));
                None
            }
        }
    }

    /// Returns the rows of the parts, reading each segment once.
    pub fn shown(&self, tenant: &TenantId, signal: Signal, snapshot: &Snapshot) -> Vec<(String, Arc<[RowId]>)> {
        let rows_of = |part: &Part| {
            let (all, deletions) = (self.rows_of(tenant, signal, part), snapshot.deletions_for(part));
            if deletions.is_empty() {
                return all;
            }
            self.account(tenant, signal, |account| {
                let is_left = |row: &&RowId| !deletions.iter().any(|deletion| account.is_named(**row, deletion));
                all.iter().filter(is_left).copied().collect()
            })
        };
        snapshot.parts.iter().map(|part| (part_name(part), rows_of(part))).collect()
    }

    fn rows_of(&self, tenant: &TenantId, signal: Signal, part: &Part) -> Arc<[RowId]> {
        let name = part_name(part);
        if let Some(rows) = self.account(tenant, signal, |account| account.segment(&name)) {
            return rows;
        }
        let bytes = match &part.location {
            Location::Inline(bytes) => Some(bytes.clone()),
            Location::Object { key, .. } => self.shelf.bytes(key),
        };
        let Some(bytes) = bytes else {
            self.violated(format!("M3: {name} is visible and its object is gone"));
            return Arc::new([]);
        };
        match rows::read(signal, &bytes) {
            Ok(rows) => self.account(tenant, signal, |account| account.enter_segment(&name, part.id, rows)),
            Err(error) => {
                self.violated(format!("S2: {name} was written and cannot be read: {error}"));
                Arc::new([])
            }
        }
    }

    /// Checks that everything committed is visible now, once.
    pub fn check_now(&self, tenant: &TenantId, signal: Signal) {
        if let Some(snapshot) = self.look(tenant, signal) {
            self.check(tenant, signal, &snapshot);
        }
    }

    fn check(&self, tenant: &TenantId, signal: Signal, snapshot: &Snapshot) {
        self.check_places(tenant, signal, snapshot);
        let shown = self.shown(tenant, signal, snapshot);
        if self.scenario.copies && signal == Signal::Metrics {
            self.check_copies(tenant, snapshot);
        }
        if self.scenario.replicas && signal == Signal::Metrics {
            self.check_merges(tenant, snapshot, &shown);
        }
        let rows: usize = shown.iter().map(|(_, rows)| rows.len()).sum();
        let found = self.account(tenant, signal, |account| account.check(&shown, None, ALL_HOURS));
        let mut ledger = self.ledger();
        ledger.checks += 1;
        ledger.rows_checked += rows as u64;
        drop(ledger);
        self.maybe_violated(found);
    }

    /// Checks a reader's answer from the engine.
    pub fn check_answer(
        &self,
        tenant: &TenantId,
        signal: Signal,
        answered: &BTreeMap<rows::RowKey, rows::RowValue>,
        since: &super::ledger::Since,
    ) {
        let found = self.account(tenant, signal, |account| account.check_answer(answered, since));
        let mut ledger = self.ledger();
        ledger.seen.answers += 1;
        ledger.rows_checked += answered.len() as u64;
        drop(ledger);
        self.maybe_violated(found.map(|found| format!("{found} (a reader's answer)")));
    }

    /// Checks a reader's snapshot, whose reads lay apart in time.
    pub fn check_snapshot(
        &self,
        tenant: &TenantId,
        signal: Signal,
        snapshot: &Snapshot,
        since: &super::ledger::Since,
        hours: std::ops::Range<i64>,
    ) {
        let shown = self.shown(tenant, signal, snapshot);
        let rows: usize = shown.iter().map(|(_, rows)| rows.len()).sum();
        let found = self.account(tenant, signal, |account| account.check(&shown, Some(since), hours));
        let mut ledger = self.ledger();
        ledger.checks += 1;
        ledger.rows_checked += rows as u64;
        drop(ledger);
        self.maybe_violated(found.map(|found| format!("{found} (a reader's snapshot)")));
    }

    /// Checks all accounts.
    pub fn check_all(&self) {
        for (tenant, signal) in self.accounts() {
            self.check_now(&tenant, signal);
        }
    }

    /// Acknowledges a write (W1).
    pub fn acknowledge(&self, tenant: &TenantId, signal: Signal, rows: &[Row]) {
        let found = self.account(tenant, signal, |account| account.acknowledge(rows));
        self.maybe_violated(found);
    }

    /// A query may open these parts until `until_ms` (M3).
    pub fn hold(&self, snapshot: &Snapshot, until_ms: i64) -> u64 {
        let keys = snapshot.parts.iter().chain(&snapshot.coarse).filter_map(object_key).cloned().collect();
        let mut ledger = self.ledger();
        ledger.holds_made += 1;
        let hold = ledger.holds_made;
        ledger.holds.insert(hold, (until_ms, keys));
        hold
    }

    /// A query has ended.
    pub fn release(&self, hold: u64) {
        self.ledger().holds.remove(&hold);
    }

    /// Checks that every object is referenced, or that its death is recent.
    pub fn check_garbage(&self) {
        const YOUNG_MS: i64 = 5 * 3_600_000;
        let now_ms = self.schedule.now().0;
        let mut live: BTreeSet<String> = BTreeSet::new();
        // Retention that dropped a day a short while ago: its objects have their grace yet.
        let mut dropped: Vec<(TenantId, Signal, i64, Resolution)> = Vec::new();
        for (tenant, signal) in self.accounts() {
            let Some(snapshot) = self.look(&tenant, signal) else { return };
            live.extend(keys_of(&snapshot).cloned());
            let days = self.manifest.days(&tenant, signal).now_or_never().expect("records in memory answer at once");
            for day in days.into_iter().flatten() {
                let recent = day.dropped.iter().filter(|(_, at)| now_ms - at.0 <= YOUNG_MS);
                dropped.extend(recent.map(|(resolution, _)| (tenant.clone(), signal, day.day, *resolution)));
            }
        }
        let has_grace = |key: &str| {
            let Some(key) = ObjectKey::parse(key) else { return false };
            dropped.iter().any(|(tenant, signal, day, resolution)| {
                (tenant, *signal, *resolution) == (&key.tenant, key.signal, key.resolution)
                    && key.window.range().overlaps(Window::Day(*day).range())
            })
        };
        let garbage: Vec<String> = self
            .shelf
            .keys()
            .into_iter()
            .filter(|(key, put_at_ms)| !live.contains(key) && now_ms - put_at_ms > YOUNG_MS && !has_grace(key))
            .map(|(key, _)| key)
            .collect();
        if let Some(key) = garbage.first() {
            let listed = ObjectKey::parse(key).and_then(|key| self.manifest.burn(&key).now_or_never()?.ok());
            let (count, is_listed) = (garbage.len(), if listed == Some(Burn::Referenced) { "still" } else { "not" });
            self.violated(format!(
                "garbage: {count} objects are left that nothing shows, {key} among them, which is {is_listed} listed"
            ));
        }
    }
}

/// Names a part as the ledger does.
pub fn part_name(part: &Part) -> String {
    match &part.location {
        Location::Object { key, .. } => key.clone(),
        Location::Inline(_) => format!("inline {}", part.id),
    }
}

/// Returns the key of a part's object.
pub fn object_key(part: &Part) -> Option<&String> {
    match &part.location {
        Location::Object { key, .. } => Some(key),
        Location::Inline(_) => None,
    }
}
