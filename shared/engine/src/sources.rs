//! What selectors may read of each day: raw parts, and the coarse copies made of exactly these (D1).

use std::collections::BTreeMap;

use manifest::{Part, Snapshot};
use model::{Resolution, TimeRangeMs};
use plan::resolution::{Live, of_day};

/// The parts of one query's snapshot by day.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    days: BTreeMap<i64, Day>,
}

#[derive(Clone, Debug, Default)]
struct Day {
    /// Whether the day has raw parts at all: they answer also where none overlaps what is read.
    has_raw: bool,
    raw: Vec<Part>,
    five_minutes: Vec<Part>,
    one_hour: Vec<Part>,
}

impl Sources {
    /// Takes the parts out of a snapshot that covers whole days; only what overlaps `range` is read of them.
    pub(crate) fn take(snapshot: &mut Snapshot, range: TimeRangeMs) -> Sources {
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        for day in snapshot.copied_days() {
            let copy = |resolution| {
                let parts = snapshot.copy(day, resolution).unwrap_or_default().into_iter();
                // A deletion takes whole windows along: while raw samples are there, they answer until the copy is built again.
                let parts: Vec<Part> = parts.cloned().collect();
                let deleted = parts.iter().any(|part| !snapshot.deletions_for(part).is_empty());
                let has_raw = snapshot.parts.iter().any(|part| part.window.day() == day);
                if deleted && has_raw { Vec::new() } else { parts }
            };
            let (five_minutes, one_hour) = (copy(Resolution::FiveMinutes), copy(Resolution::OneHour));
            days.insert(day, Day { five_minutes, one_hour, ..Day::default() });
        }
        for part in std::mem::take(&mut snapshot.parts) {
            let day = days.entry(part.window.day()).or_default();
            day.has_raw = true;
            day.raw.push(part);
        }
        let overlaps = |part: &Part| part.stats.time_range.overlaps(range);
        days.retain(|_, day| day.parts().any(overlaps));
        for day in days.values_mut() {
            day.raw.retain(overlaps);
        }
        Sources { days }
    }

    /// Returns the parts to read where windows up to `coarsest` are as good as samples; `wanted` where it is live.
    pub(crate) fn parts(&self, coarsest: Resolution, wanted: Option<Resolution>) -> Vec<Part> {
        let of = |day: &Day| match of_day(day.live(), coarsest, wanted) {
            None => Vec::new(),
            Some(Resolution::Raw) => day.raw.clone(),
            Some(Resolution::FiveMinutes) => day.five_minutes.clone(),
            Some(Resolution::OneHour) => day.one_hour.clone(),
        };
        self.days.values().flat_map(of).collect()
    }

    /// Reports whether samples of a day answer.
    pub(crate) fn has_raw(&self, day: i64) -> bool {
        self.days.get(&day).is_some_and(|day| day.has_raw)
    }

    /// Counts all parts.
    pub(crate) fn len(&self) -> usize {
        self.days.values().map(|day| day.parts().count()).sum()
    }
}

impl Day {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.raw.iter().chain(&self.five_minutes).chain(&self.one_hour)
    }

    fn live(&self) -> Live {
        Live { raw: self.has_raw, five_minutes: !self.five_minutes.is_empty(), one_hour: !self.one_hour.is_empty() }
    }
}
