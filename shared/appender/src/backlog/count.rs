//! What a process knows of one hour's backlog. Pure.

use std::time::Duration;

use model::TimestampMs;

use super::BacklogBounds;

/// Own commits to an hour after which the true count is looked at: about one request in 64 writes is for that.
pub const RECOUNT_COMMITS: u32 = 64;
/// Time between two looks while all is well.
pub const RECOUNT_INTERVAL_MIN: Duration = Duration::from_secs(10);
/// Time between two looks above the bound of grouping: relief must be noticed although nothing is committed.
pub const RECOUNT_INTERVAL_PRESSED: Duration = Duration::from_secs(5);
/// Time between two hints about an hour.
pub const HINT_INTERVAL: Duration = Duration::from_secs(15);

/// The count as last looked at, and what was committed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    counted: u32,
    /// Own commits since the count.
    own: u32,
    looked_at: Option<TimestampMs>,
    hinted_at: Option<TimestampMs>,
}

impl Count {
    /// Adds an own commit.
    pub fn committed(&mut self) {
        self.own = self.own.saturating_add(1);
    }

    /// Returns the true count as of the last look.
    pub fn counted(&self) -> u32 {
        self.counted
    }

    /// Returns about how many segments there are: compaction may have merged some since, other processes added some.
    pub fn segments(&self) -> u32 {
        self.counted.saturating_add(self.own)
    }

    /// Reports whether to look at the true count before the next write.
    pub fn is_due(&self, bounds: &BacklogBounds, now: TimestampMs) -> bool {
        let rested = |for_time| self.looked_at.is_none_or(|at| now >= at.plus(for_time) || now < at);
        if self.segments() > bounds.grouped {
            return rested(RECOUNT_INTERVAL_PRESSED);
        }
        // An estimate above the bound may have been merged away meanwhile: compaction is told of what was counted.
        let may_tell = self.own > 0 && self.counted <= bounds.hinted && self.segments() > bounds.hinted;
        (may_tell || self.own >= RECOUNT_COMMITS) && rested(RECOUNT_INTERVAL_MIN)
    }

    /// Notes that a look begins; returns the own commits that it will include.
    pub fn looked(&mut self, now: TimestampMs) -> u32 {
        self.looked_at = Some(now);
        self.own
    }

    /// Notes what a look found, that began after `before` own commits.
    pub fn found(&mut self, counted: u32, before: u32) {
        self.counted = counted;
        self.own = self.own.saturating_sub(before);
    }

    /// Reports whether compaction may be told again.
    pub fn hint_is_due(&self, now: TimestampMs) -> bool {
        self.hinted_at.is_none_or(|at| now >= at.plus(HINT_INTERVAL) || now < at)
    }

    /// Notes that it was told.
    pub fn hinted(&mut self, now: TimestampMs) {
        self.hinted_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: BacklogBounds = BacklogBounds { hinted: 256, grouped: 1024, refused: 4096 };

    fn count(counted: u32, own: u32, looked_at: Option<i64>) -> Count {
        Count { counted, own, looked_at: looked_at.map(TimestampMs), hinted_at: None }
    }

    #[test]
    fn looks_are_rare() {
        let due = |counted, own, looked_at, now| count(counted, own, looked_at).is_due(&BOUNDS, TimestampMs(now));
        assert!(!due(0, 63, None, 0));
        assert!(due(0, 64, None, 0));
        assert!(!due(0, 64, Some(0), 9_999));
        assert!(due(0, 64, Some(0), 10_000));
        // Before compaction is told, and not again while it is known to be late.
        assert!(!due(200, 56, None, 0));
        assert!(due(200, 57, None, 0));
        assert!(!due(257, 57, None, 0));
        // Under pressure by time alone.
        assert!(!due(1024, 0, Some(0), 3_600_000));
        assert!(!due(1025, 0, Some(0), 4_999));
        assert!(due(1025, 0, Some(0), 5_000));
        assert!(due(1000, 25, Some(0), 5_000));
        // A clock that was set back does not silence it.
        assert!(due(5000, 0, Some(1_000_000), 0));
    }

    #[test]
    fn commits_during_a_look_are_kept() {
        let mut count = count(10, 64, None);
        let before = count.looked(TimestampMs(5));
        count.committed();
        count.found(300, before);
        assert_eq!((count.counted(), count.segments()), (300, 301));
    }
}
