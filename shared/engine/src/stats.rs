//! What a query cost.

use std::time::Duration;

/// Counts and times of one query or lookup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Object requests made.
    pub requests: u64,
    /// Records and record queries read for the snapshot.
    pub record_requests: u64,
    /// Bytes read from objects.
    pub bytes_read: u64,
    /// Segments of the snapshot.
    pub segments_total: u64,
    /// Segments looked at by each selector, summed over selectors.
    pub segments_considered: u64,
    /// Of these, the ones that the manifest's statistics ruled out.
    pub segments_pruned: u64,
    /// Of these, the ones whose tail was opened.
    pub segments_opened: u64,
    /// Tails that were in memory already.
    pub tails_cached: u64,
    /// Metrics: row groups samples were decoded from (an L0 block is one), except by an earlier query. Logs: row groups with rows
    /// of the streams selected.
    pub row_groups: u64,
    /// Pages read for samples.
    pub pages: u64,
    /// Series or streams selected, per leaf.
    pub series: u64,
    /// Windows of coarse copies read.
    pub windows: u64,
    /// Samples loaded.
    pub samples: u64,
    /// Row groups that token filters ruled out.
    pub row_groups_pruned: u64,
    /// Log entries looked at, by their times at least.
    pub entries: u64,
    /// Log entries whose lines were decoded.
    pub lines: u64,
    /// Bytes of log lines decoded.
    pub line_bytes: u64,
    /// Where the time went.
    pub times: StageTimes,
}

/// Elapsed time per stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Reading the manifest.
    pub snapshot: Duration,
    /// Opening tails and selecting series, summed over selectors.
    pub plan: Duration,
    /// Reading samples and sliding windows over them, summed over selectors.
    pub scan: Duration,
    /// Evaluating what is above the selectors.
    pub execute: Duration,
}
