//! A clock that stands still until it is moved.

use model::{Clock, TimestampMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock of ours. Clones show the same time, each with its own skew.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    now_ms: Arc<AtomicI64>,
    skew_ms: i64,
}

impl SimulatedClock {
    /// Makes a clock that shows `now`.
    pub fn at(now: TimestampMs) -> SimulatedClock {
        SimulatedClock { now_ms: Arc::new(AtomicI64::new(now.0)), skew_ms: 0 }
    }

    /// Moves it, and all its clones, on.
    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }

    /// Returns a clone that is wrong by `skew_ms`.
    pub fn skewed(&self, skew_ms: i64) -> SimulatedClock {
        SimulatedClock { now_ms: self.now_ms.clone(), skew_ms }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.now_ms.load(Ordering::Relaxed) + self.skew_ms)
    }
}
