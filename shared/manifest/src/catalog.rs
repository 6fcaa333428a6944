//! The catalog: per day, the hours that may have data, and what retention dropped.

use crate::codec::{Kind, Reader, Reason, Writer};
use bytes::Bytes;
use model::{Hour, Resolution, TimestampMs};

/// The record of one day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DayRecord {
    /// Bit h: hour h of the day may have data.
    pub hours: u32,
    /// Per resolution, finest first: since when it is dropped.
    pub dropped: [Option<TimestampMs>; Resolution::ALL.len()],
}

impl DayRecord {
    pub fn decode(record: &Bytes) -> Result<DayRecord, Reason> {
        let mut from = Reader::open_as(record, Kind::Day)?;
        let hours = from.small()?;
        let mut dropped = [None; Resolution::ALL.len()];
        for slot in &mut dropped {
            *slot = from.time_if()?;
        }
        from.finish()?;
        Ok(DayRecord { hours, dropped })
    }

    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Day);
        out.number(u64::from(self.hours));
        for dropped in self.dropped {
            out.time_if(dropped);
        }
        out.finish()
    }

    pub fn has(&self, hour: Hour) -> bool {
        self.hours & bit(hour) != 0
    }

    pub fn set(&mut self, hour: Hour) {
        self.hours |= bit(hour);
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
    1 << hour.0.rem_euclid(24)
}

fn index(resolution: Resolution) -> usize {
    Resolution::ALL.iter().position(|of| *of == resolution).expect("ALL lists every resolution")
}
