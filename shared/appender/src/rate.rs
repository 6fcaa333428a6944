//! How often a tenant writes a signal, measured, and what follows from it. Pure.
//!
//! ```text
//! requests/s   0 ────────── leave ────────── enter ──────────▶
//! strategy        direct     │ as it was │      group
//! ```
//! A request that waits for others must be likely to meet one: a group pays from the rate on at which one other request is
//! expected within the linger, 1 / linger (4 a second at 250 ms). It stops paying at half of that, so that a rate near the bound does not
//! flap.

use std::time::Duration;

use model::TimestampMs;

/// Time constant of the average: a burst counts for about this long, and so long a steady rate takes to be known by two thirds.
pub const RATE_MEMORY: Duration = Duration::from_secs(10);

/// An exponentially weighted average of a request rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// Requests, each weighing less the longer ago it was.
    weight: f64,
    at: TimestampMs,
}

impl Rate {
    /// Counts a request.
    pub fn observe(&mut self, now: TimestampMs) {
        self.weight = self.weight_at(now) + 1.0;
        self.at = self.at.max(now);
    }

    fn weight_at(&self, now: TimestampMs) -> f64 {
        let since_ms = now.0.saturating_sub(self.at.0).max(0) as f64;
        self.weight * (-since_ms / RATE_MEMORY.as_millis() as f64).exp()
    }

    /// Returns requests per second.
    pub fn per_second(&self, now: TimestampMs) -> f64 {
        self.weight_at(now) / RATE_MEMORY.as_secs_f64()
    }
}

/// The rates between which grouping begins and ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Thresholds {
    /// Requests per second from which requests are grouped.
    pub enter: f64,
    /// Requests per second below which they are not any more.
    pub leave: f64,
}

impl Thresholds {
    /// Derives the thresholds from how long a group lingers.
    pub fn of(linger: Duration) -> Thresholds {
        // Without a linger nothing is lost by grouping.
        let enter = if linger.is_zero() { 0.0 } else { linger.as_secs_f64().recip() };
        Thresholds { enter, leave: enter / 2.0 }
    }

    /// Decides whether to group, given whether requests are being grouped.
    pub fn groups(&self, per_second: f64, grouping: bool) -> bool {
        per_second >= if grouping { self.leave } else { self.enter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after `seconds` of `per_second` requests a second, evenly spread.
    fn steady(per_second: i64, seconds: i64) -> f64 {
        let mut rate = Rate::default();
        (0..per_second * seconds).for_each(|request| rate.observe(TimestampMs(request * 1000 / per_second)));
        rate.per_second(TimestampMs(seconds * 1000))
    }

    #[test]
    fn a_steady_rate_is_found() {
        for (per_second, seconds, expected) in [(4, 10, 2.5), (4, 60, 4.0), (100, 60, 100.0), (1, 60, 0.95)] {
            let found = steady(per_second, seconds);
            assert!((found - expected).abs() <= expected * 0.06, "{per_second}/s for {seconds} s: {found}");
        }
    }

    #[test]
    fn silence_forgets_and_a_clock_that_goes_back_does_not_count() {
        let mut rate = Rate::default();
        rate.observe(TimestampMs(1_000));
        rate.observe(TimestampMs(500));
        assert!((rate.per_second(TimestampMs(900)) - 0.2).abs() < 1e-9);
        assert!(rate.per_second(TimestampMs(61_000)) < 0.001);
    }

    #[test]
    fn the_choice_has_hysteresis() {
        let thresholds = Thresholds::of(Duration::from_millis(250));
        assert_eq!(thresholds, Thresholds { enter: 4.0, leave: 2.0 });
        for (per_second, grouping, groups) in
            [(0.1, false, false), (3.9, false, false), (4.0, false, true), (2.0, true, true), (1.9, true, false)]
        {
            assert_eq!(thresholds.groups(per_second, grouping), groups, "{per_second}/s");
        }
        assert!(Thresholds::of(Duration::ZERO).groups(0.0, false));
    }
}
