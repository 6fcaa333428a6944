//! When the rows of a request lie: several hours at once, so that a request is several commits and a kill falls between them.

use model::{Hour, TimeRangeMs, TimestampMs};

/// The hours of a run and the places of rows in them. Pure.
#[derive(Clone, Debug)]
pub struct Timeline {
    hours: Vec<Hour>,
}

/// Distance of a writer's requests in an hour. Requests of one writer follow each other at a slower pace than this, so that rows
/// of the present hour are never in the future.
const STEP_MS: i64 = 4;
/// Requests of a writer that fit into an hour.
pub const REQUESTS_MAX: u64 = 3_600_000 / STEP_MS as u64 - 1;
/// One request in this many has all its rows in one hour.
const WHOLE_ONE_IN: u64 = 3;

impl Timeline {
    /// The present hour, the one before, which is closed or about to be, and one that was closed long ago.
    pub fn before(now: TimestampMs) -> Timeline {
        let present = now.hour();
        Timeline { hours: vec![Hour(present.0 - 4), Hour(present.0 - 1), present] }
    }

    /// Returns the hours.
    pub fn hours(&self) -> &[Hour] {
        &self.hours
    }

    /// Returns the hour of row `part` of request `number`.
    pub fn hour_of(&self, number: u64, part: usize) -> Hour {
        let len = self.hours.len() as u64;
        let shift = if number.is_multiple_of(WHOLE_ONE_IN) { 0 } else { part as u64 };
        self.hours[((number + shift) % len) as usize]
    }

    /// Returns the time of that row: its own for each request, ascending within an hour.
    pub fn time_of(&self, number: u64, part: usize) -> TimestampMs {
        // A range selector leaves its start out, so that the first row lies behind the hour's.
        TimestampMs(self.hour_of(number, part).start().0 + 1 + number as i64 * STEP_MS)
    }

    /// Returns the numbers, up to `last`, whose row `part` lies in `hour`, ascending.
    pub fn numbers(&self, hour: Hour, part: usize, last: Option<u64>) -> impl Iterator<Item = u64> {
        (0..last.map_or(0, |last| last + 1)).filter(move |number| self.hour_of(*number, part) == hour)
    }

    /// Returns the cover of all hours.
    pub fn range(&self) -> TimeRangeMs {
        let (first, last) = (self.hours[0], self.hours[self.hours.len() - 1]);
        TimeRangeMs::new(first.start(), last.end())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_has_a_time_of_its_own_in_its_hour() {
        let timeline = Timeline::before(TimestampMs(1_795_256_480_000));
        let mut seen = HashSet::new();
        for number in 0..50 {
            for part in 0..3 {
                let (hour, at) = (timeline.hour_of(number, part), timeline.time_of(number, part));
                assert_eq!(at.hour(), hour);
                assert!(seen.insert((part, at)), "request {number}, part {part}");
            }
        }
        assert_eq!(timeline.time_of(REQUESTS_MAX, 0).hour(), timeline.hour_of(REQUESTS_MAX, 0));
        let of_hours: usize = timeline.hours().iter().map(|hour| timeline.numbers(*hour, 1, Some(49)).count()).sum();
        assert_eq!(of_hours, 50, "the hours share the numbers");
    }

    #[test]
    fn most_requests_touch_every_hour() {
        let timeline = Timeline::before(TimestampMs(1_795_256_480_000));
        let spread =
            (0..30).filter(|number| (0..3).map(|part| timeline.hour_of(*number, part)).collect::<HashSet<_>>().len() == 3);
        assert_eq!(spread.count(), 20);
    }
}
