//! Time: milliseconds for samples, nanoseconds for entries, half-open ranges, and the clock as a port.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch. Samples are stored at this precision; entries are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TimestampMs(pub i64);

/// Nanoseconds since the Unix epoch: the time of a log entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TimestampNs(pub i64);

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Nanoseconds in a millisecond.
pub const MS_NS: i64 = 1_000_000;

impl TimestampMs {
    /// Returns the hour this instant falls in.
    pub fn hour(self) -> Hour {
        Hour(self.0.div_euclid(HOUR_MS))
    }

    /// Returns this instant later by `by`, saturating.
    pub fn plus(self, by: Duration) -> TimestampMs {
        TimestampMs(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns this instant earlier by `by`, saturating.
    pub fn minus(self, by: Duration) -> TimestampMs {
        TimestampMs(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns this instant in nanoseconds, saturating.
    pub fn to_ns(self) -> TimestampNs {
        TimestampNs(self.0.saturating_mul(MS_NS))
    }
}

impl TimestampNs {
    /// Returns the hour this instant falls in.
    pub fn hour(self) -> Hour {
        self.to_ms().hour()
    }

    /// Returns this instant in whole milliseconds, rounded towards the past.
    pub fn to_ms(self) -> TimestampMs {
        TimestampMs(self.0.div_euclid(MS_NS))
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// Hours since the Unix epoch: the grain of manifest partitions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hour(pub i64);

impl Hour {
    /// Returns the first millisecond of the hour.
    pub fn start(self) -> TimestampMs {
        TimestampMs(self.0.saturating_mul(HOUR_MS))
    }

    /// Returns the first millisecond after the hour.
    pub fn end(self) -> TimestampMs {
        Hour(self.0.saturating_add(1)).start()
    }

    /// Returns the days since the Unix epoch this hour belongs to.
    pub fn day(self) -> i64 {
        self.0.div_euclid(24)
    }
}

/// A half-open range of milliseconds, `[start, end)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRangeMs {
    /// First instant in the range.
    pub start: TimestampMs,
    /// First instant after the range.
    pub end: TimestampMs,
}

impl TimeRangeMs {
    /// Makes `[start, end)`; an `end` before `start` gives an empty range.
    pub fn new(start: TimestampMs, end: TimestampMs) -> TimeRangeMs {
        TimeRangeMs { start, end: end.max(start) }
    }

    /// Reports whether no instant is in the range.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Reports whether the two ranges share an instant.
    pub fn overlaps(self, other: TimeRangeMs) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Returns the smallest range that holds both.
    pub fn union(self, other: TimeRangeMs) -> TimeRangeMs {
        TimeRangeMs { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A half-open range of nanoseconds, `[start, end)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRangeNs {
    /// First instant in the range.
    pub start: TimestampNs,
    /// First instant after the range.
    pub end: TimestampNs,
}

impl TimeRangeNs {
    /// Makes `[start, end)`; an `end` before `start` gives an empty range.
    pub fn new(start: TimestampNs, end: TimestampNs) -> TimeRangeNs {
        TimeRangeNs { start, end: end.max(start) }
    }

    /// Reports whether an instant is in the range.
    pub fn contains(self, at: TimestampNs) -> bool {
        self.start <= at && at < self.end
    }

    /// Reports whether the two ranges share an instant.
    pub fn overlaps(self, other: TimeRangeNs) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Returns the smallest millisecond range that covers this one.
    pub fn cover_ms(self) -> TimeRangeMs {
        TimeRangeMs::new(self.start.to_ms(), TimestampMs(self.end.0.saturating_add(MS_NS - 1).div_euclid(MS_NS)))
    }
}

/// Where "now" comes from. `boot` has the system's, `testkit` a simulated one.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current wall-clock time.
    fn now(&self) -> TimestampMs;
}
