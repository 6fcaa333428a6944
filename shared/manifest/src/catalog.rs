//! The catalog: per day, the hours that may have data, where its parts are listed, and what retention dropped.
//!
//! A reader looks only where the catalog says. What sets a bit therefore comes first, a snapshot's time before anything moves
//! there: an hour's bit opens its day as well, and parts roll into the day only after their hour's head has rested; a day is
//! marked as packed half an hour before its month takes parts over. What clears a bit comes last, and only when nothing can be
//! on its way: a write to an old hour, and every publication in a day, stamps the day's record; a bit is cleared by one
//! conditional update of the record as it was before the emptiness was looked at, and only if the stamp is old.

use crate::codec::{Kind, Reader, Reason, Writer};
use crate::limits::{HOUR_KNOWN_MAX, STAMP_COVERS};
use bytes::Bytes;
use model::{Hour, Resolution, TimestampMs};

/// The record of one day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DayRecord {
    /// Bit h: hour h of the day may have data.
    pub hours: u32,
    /// Per resolution, finest first: since when it is dropped.
    pub dropped: [Option<TimestampMs>; Resolution::ALL.len()],
    /// When an old hour was last written to: hour of the day, time.
    pub late: Vec<(u8, TimestampMs)>,
    /// The day's heads may list parts; when somebody last set out to publish there. Open while any hour has its bit.
    pub opened: Option<TimestampMs>,
    /// The month's heads may list parts of this day; since when.
    pub packed: Option<TimestampMs>,
}

impl DayRecord {
    pub fn decode(record: &Bytes) -> Result<DayRecord, Reason> {
        let mut from = Reader::open_as(record, Kind::Day)?;
        let mut day = DayRecord { hours: from.small()?, ..DayRecord::default() };
        for slot in &mut day.dropped {
            *slot = from.time_if()?;
        }
        // Version 1 always looked into the day's heads, and knew no months.
        day.opened = Some(TimestampMs(0));
        if from.version >= 2 {
            day.late = from.list(|from| Ok((from.small()?, from.time()?)))?;
            day.opened = from.time_if()?;
            day.packed = from.time_if()?;
        }
        from.finish()?;
        Ok(day)
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Day);
        out.number(u64::from(self.hours));
        for dropped in self.dropped {
            out.time_if(dropped);
        }
        out.list(&self.late, |out, (hour, at)| {
            out.number(u64::from(*hour));
            out.time(*at);
        });
        out.time_if(self.opened);
        out.time_if(self.packed);
        out.finish()
    }

    pub fn has(&self, hour: Hour) -> bool {
        self.hours & bit(hour) != 0
    }

    /// Prepares an hour for somebody about to write to it, and tells until when he may rely on it: while it is young, or for as
    /// long as a stamp covers.
    pub fn announce(&mut self, hour: Hour, now: TimestampMs) -> TimestampMs {
        let known_until = hour.end().plus(HOUR_KNOWN_MAX);
        let covered_until = self.stamped_at(hour).map(|at| at.plus(STAMP_COVERS));
        match (self.has(hour), now < known_until, covered_until) {
            (true, true, _) => known_until,
            (true, false, Some(until)) if now < until => until,
            (_, true, _) => {
                self.set(hour, now);
                known_until
            }
            (_, false, _) => {
                self.set(hour, now);
                self.stamp(hour, now);
                now.plus(STAMP_COVERS)
            }
        }
    }

    /// Sets an hour, and opens the day it will roll into.
    fn set(&mut self, hour: Hour, at: TimestampMs) {
        self.hours |= bit(hour);
        self.opened.get_or_insert(at);
    }

    /// Clears an hour, with its stamp.
    pub fn clear(&mut self, hour: Hour) {
        self.hours &= !bit(hour);
        self.late.retain(|(of, _)| *of != index_in_day(hour));
    }

    /// Returns when the hour was last stamped.
    pub fn stamped_at(&self, hour: Hour) -> Option<TimestampMs> {
        self.late.iter().find(|(of, _)| *of == index_in_day(hour)).map(|(_, at)| *at)
    }

    /// Stamps an hour, never backwards.
    fn stamp(&mut self, hour: Hour, at: TimestampMs) {
        let at = self.stamped_at(hour).map_or(at, |before| before.max(at));
        self.late.retain(|(of, _)| *of != index_in_day(hour));
        self.late.push((index_in_day(hour), at));
    }

    /// Stamps the day, never backwards.
    pub fn stamp_open(&mut self, at: TimestampMs) {
        self.opened = self.opened.max(Some(at));
    }

    pub fn dropped_at(&self, resolution: Resolution) -> Option<TimestampMs> {
        self.dropped[index(resolution)]
    }

    pub fn drop_at(&mut self, resolution: Resolution, at: TimestampMs) {
        self.dropped[index(resolution)].get_or_insert(at);
    }

    /// Returns the hours of `day` that may have data, ascending.
    pub fn hours_of(&self, day: i64) -> impl Iterator<Item = Hour> {
        let hours = self.hours;
        (0..24).map(move |hour| Hour(day * 24 + hour)).filter(move |hour| hours & bit(*hour) != 0)
    }
}

fn bit(hour: Hour) -> u32 {
    1 << index_in_day(hour)
}

fn index_in_day(hour: Hour) -> u8 {
    hour.0.rem_euclid(24) as u8
}

fn index(resolution: Resolution) -> usize {
    Resolution::ALL.iter().position(|of| *of == resolution).expect("ALL lists every resolution")
}
