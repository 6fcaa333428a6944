//! The two signals and the resolutions a segment can have.

use std::fmt;

/// What kind of data a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Signal {
    /// Series of samples, timestamps in milliseconds.
    Metrics,
    /// Streams of entries, timestamps in nanoseconds.
    Logs,
}

impl Signal {
    /// Returns the name used in keys: `metrics` or `logs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// Parses the name used in keys.
    pub fn parse(text: &str) -> Option<Signal> {
        match text {
            "metrics" => Some(Signal::Metrics),
            "logs" => Some(Signal::Logs),
            _ => None,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How densely a metrics segment is sampled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resolution {
    /// As ingested.
    Raw,
    /// One row per aligned five minutes.
    FiveMinutes,
    /// One row per aligned hour.
    OneHour,
}

impl Resolution {
    /// Every resolution, finest first.
    pub const ALL: [Resolution; 3] = [Resolution::Raw, Resolution::FiveMinutes, Resolution::OneHour];

    /// Returns the name used in keys: `raw`, `5m` or `1h`.
    pub fn as_str(self) -> &'static str {
        match self {
            Resolution::Raw => "raw",
            Resolution::FiveMinutes => "5m",
            Resolution::OneHour => "1h",
        }
    }

    /// Returns the width of its windows, milliseconds; samples as they came have none.
    pub fn width_ms(self) -> Option<i64> {
        match self {
            Resolution::Raw => None,
            Resolution::FiveMinutes => Some(300_000),
            Resolution::OneHour => Some(3_600_000),
        }
    }

    /// Parses the name used in keys.
    pub fn parse(text: &str) -> Option<Resolution> {
        Resolution::ALL.into_iter().find(|resolution| resolution.as_str() == text)
    }
}
