//! The one place that asks the system what time it is, and for random bits.

use model::{Clock, TimestampMs};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::UNIX_EPOCH;

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the clock everybody else takes
    fn now(&self) -> TimestampMs {
        match std::time::SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => TimestampMs(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// Returns a seed that no other process has: 128 bits from the system, with time and process id mixed in.
pub fn seed() -> u128 {
    // The standard library keys its hashers from the system's random source, once per call here.
    let half = |salt: u32| RandomState::new().hash_one((SystemClock.now(), std::process::id(), salt));
    u128::from(half(0)) << 64 | u128::from(half(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_and_time_is_this_century() {
        assert_ne!(seed(), seed());
        assert!(SystemClock.now() > TimestampMs(1_700_000_000_000));
    }
}
