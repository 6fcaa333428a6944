//! Deduplication of what several replicas scraped from one target (H1): which replica's samples stand, window by window.
//!
//! ```text
//! a  x x x x│x x x . │. . . . │. x x x│x x x x        a is complete in the first, the second is filled, ...
//! b   o o o o│ o o o o│ o o o o│ o o o o│ o o o o
//!    a        b        b        b        a             elected: the first by name that is complete, else who has most
//! ```
//! A pure function of a group's samples: what stands in a window follows from the samples in it and in its two neighbours, whatever
//! else was read, so that every query range, every split and a rewrite agree. Owns: the election. Does not own: which series are
//! replicas of each other, and what their samples hold.

mod election;
mod superfluous;

use std::ops::Range;

use crate::time::{HOUR_MS, TimeRangeMs, TimestampMs};
use election::{Chosen, Election};

pub use superfluous::superfluous;

/// Scrape interval where no replica has two samples in an hour, milliseconds: that of the longest windows.
const SPARSE_INTERVAL_MS: i64 = HOUR_MS / 8;
/// Spans of windows, minutes: whole parts of an hour, so that each lies in one; the longest may have neighbours in the hours beside it.
const WINDOWS_MINUTES: [i64; 11] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30];
/// Scrapes a window holds, up to the longest: fewer would make every missed one an election of its own.
const SCRAPES_PER_WINDOW: i64 = 4;

/// One replica's samples of a series.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// Times of its samples, strictly ascending.
    pub times: Vec<i64>,
    /// Which of them are staleness markers; empty where none is.
    pub stale: Vec<bool>,
}

/// A run of one replica's samples that stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Whose.
    pub replica: usize,
    /// Which of its samples.
    pub rows: Range<usize>,
}

/// Returns the range to read, so that what stands in `range` is known: whole hours, of which the scrape interval is taken, and one more
/// at each side.
pub fn read_range(range: TimeRangeMs) -> TimeRangeMs {
    let hour = |at: i64, by: i64| TimestampMs(at.div_euclid(HOUR_MS).saturating_add(by).saturating_mul(HOUR_MS));
    TimeRangeMs::new(hour(range.start.0, -1), hour(range.end.0.saturating_sub(1), 2))
}

/// Says which samples stand, in the order of time, no time twice. Replicas come in the order of their names.
pub fn elect(replicas: &[Replica]) -> Vec<Piece> {
    if let [one] = replicas {
        return if one.times.is_empty() { Vec::new() } else { vec![Piece { replica: 0, rows: 0..one.times.len() }] };
    }
    let mut standing = Election::new(replicas).standing();
    standing.sort_by_key(|chosen| chosen.at);
    // Of one time the sample of the elected replica stands, which was put first.
    standing.dedup_by_key(|chosen| chosen.at);
    pieces(&standing)
}

fn pieces(standing: &[Chosen]) -> Vec<Piece> {
    let runs = standing.chunk_by(|a, b| a.replica == b.replica && a.row + 1 == b.row);
    runs.map(|run| Piece { replica: run[0].replica, rows: run[0].row..run[0].row + run.len() }).collect()
}

/// Returns the span of windows for a scrape interval.
fn window_ms(interval_ms: i64) -> i64 {
    let enough = interval_ms.saturating_mul(SCRAPES_PER_WINDOW);
    let spans = WINDOWS_MINUTES.map(|minutes| minutes * 60_000);
    spans.into_iter().find(|span| *span >= enough).unwrap_or(HOUR_MS / 2)
}

#[cfg(test)]
mod tests;
