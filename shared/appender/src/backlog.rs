//! Backpressure by numbers: how many L0 segments of an hour wait for compaction, and what follows (design §7).
//!
//! ```text
//! L0 of an hour   0 ─────── 256 ─────────── 1,024 ─────────── 4,096 ──▶
//!                 nothing   │ hint          │ hint, group      │ refuse: 429 + Retry-After
//! ```
//! A process counts its own commits and looks at the true count rarely ([`RECOUNT_COMMITS`], [`RECOUNT_INTERVAL_MIN`]), so that an
//! ordinary write costs no request more. A write is refused on a count only, never on an estimate.

mod count;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use manifest::Manifest;
use model::{Clock, Hour, Signal, TenantId, TimestampMs};

use crate::limits::{BACKLOG_GROUPED, BACKLOG_HINTED, BACKLOG_HOURS_MAX, BACKLOG_REFUSED};
use crate::{Error, Result};
use count::Count;
pub use count::{HINT_INTERVAL, RECOUNT_COMMITS, RECOUNT_INTERVAL_MIN};

/// An hour whose L0 segments have become many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HourBacklog {
    /// Whose.
    pub tenant: TenantId,
    /// Of which signal.
    pub signal: Signal,
    /// The hour.
    pub hour: Hour,
    /// How many segments, about.
    pub segments: u32,
}

/// Where compaction is told that an hour should not wait for its turn: its timer is woken where it lives in the same process.
/// Called before the write is answered, at most once per hour and [`HINT_INTERVAL`]. A hint: it may be lost.
#[async_trait]
pub trait BacklogHints: Send + Sync + std::fmt::Debug {
    /// Passes the hint on.
    async fn hint(&self, backlog: &HourBacklog);
}

/// No one to tell: compaction has its schedule.
#[derive(Debug)]
pub struct NoHints;

#[async_trait]
impl BacklogHints for NoHints {
    async fn hint(&self, _: &HourBacklog) {}
}

/// From which numbers on what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BacklogBounds {
    /// Above it compaction gets a hint.
    pub hinted: u32,
    /// Above it writes are grouped where a process can wait for others.
    pub grouped: u32,
    /// Above it writes are refused.
    pub refused: u32,
}

impl Default for BacklogBounds {
    fn default() -> BacklogBounds {
        BacklogBounds { hinted: BACKLOG_HINTED, grouped: BACKLOG_GROUPED, refused: BACKLOG_REFUSED }
    }
}

/// How a write must go on, ordered by severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Pressure {
    /// As it likes.
    #[default]
    None,
    /// Together with others, where that is possible.
    Grouped,
}

/// What is known of the backlog of every tenant, signal and hour that this process writes. Clones share it.
#[derive(Clone, Debug)]
pub struct Backlog {
    manifest: Manifest,
    clock: Arc<dyn Clock>,
    hints: Arc<dyn BacklogHints>,
    bounds: BacklogBounds,
    counts: Arc<Mutex<BTreeMap<Key, Count>>>,
}

type Key = (TenantId, Signal, Hour);

impl Backlog {
    /// Makes a backlog that knows nothing yet.
    pub fn new(manifest: Manifest, clock: Arc<dyn Clock>) -> Backlog {
        Backlog { manifest, clock, hints: Arc::new(NoHints), bounds: BacklogBounds::default(), counts: Arc::default() }
    }

    /// Tells `hints` of backlogs.
    pub fn with_hints(self, hints: Arc<dyn BacklogHints>) -> Backlog {
        Backlog { hints, ..self }
    }

    /// Sets the numbers.
    pub fn with_bounds(self, bounds: BacklogBounds) -> Backlog {
        Backlog { bounds, ..self }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Key, Count>> {
        self.counts.lock().expect("no call panics while it holds the lock")
    }

    /// Counts a segment that this process committed.
    pub fn committed(&self, tenant: &TenantId, signal: Signal, hour: Hour) {
        let mut counts = self.counts();
        if counts.len() >= BACKLOG_HOURS_MAX {
            // What is forgotten is counted anew.
            counts.clear();
        }
        counts.entry((tenant.clone(), signal, hour)).or_default().committed();
    }

    /// Decides whether and how segments may be added to these hours.
    ///
    /// # Errors
    /// `Backlogged` where one of them has too many already.
    pub async fn admit(&self, tenant: &TenantId, signal: Signal, hours: &[Hour]) -> Result<Pressure> {
        let mut pressure = Pressure::None;
        for hour in hours {
            let key = (tenant.clone(), signal, *hour);
            let Some(count) = self.counts().get(&key).copied() else { continue };
            pressure = pressure.max(self.admit_hour(key, count).await?);
        }
        Ok(pressure)
    }

    async fn admit_hour(&self, key: Key, count: Count) -> Result<Pressure> {
        let now = self.clock.now();
        let count = if count.is_due(&self.bounds, now) { self.recount(&key, now).await } else { count };
        let segments = count.segments();
        if segments > self.bounds.hinted && count.hint_is_due(now) {
            self.counts().entry(key.clone()).or_default().hinted(now);
            let (tenant, signal, hour) = key.clone();
            self.hints.hint(&HourBacklog { tenant, signal, hour, segments }).await;
        }
        if count.counted() > self.bounds.refused {
            return Err(Error::Backlogged { hour: key.2, segments, limit: self.bounds.refused });
        }
        Ok(if segments > self.bounds.grouped { Pressure::Grouped } else { Pressure::None })
    }

    /// Looks at the true count. Where that fails, the estimate stays: the write itself will find out whether the store is well.
    async fn recount(&self, key: &Key, now: TimestampMs) -> Count {
        let (tenant, signal, hour) = key;
        // Others must not all look at the same time: the turn is taken before the request.
        let before = self.counts().entry(key.clone()).or_default().looked(now);
        let found = self.manifest.l0_count(tenant, *signal, *hour, self.bounds.refused as usize + 1).await;
        let mut counts = self.counts();
        let count = counts.entry(key.clone()).or_default();
        match found {
            Ok(found) => count.found(u32::try_from(found).unwrap_or(u32::MAX), before),
            Err(error) => tracing::warn!(%tenant, %signal, hour = hour.0, %error, "l0 segments were not counted"),
        }
        *count
    }
}
