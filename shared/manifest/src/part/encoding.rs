//! A part's fields as bytes, shared by L0 items and heads.

use super::{Location, Part, PartStats};
use crate::codec::{Reader, Reason, Writer};
use crate::limits::NAME_FILTER_BYTES_MAX;
use model::{Hour, Resolution, SlotRange, TimeRangeMs};
use store::keys::Window;

pub(crate) fn write_part(out: &mut Writer, part: &Part) {
    out.id(part.id);
    out.number(u64::from(part.level));
    out.number(resolution_code(part.resolution));
    write_window(out, part.window);
    write_location(out, &part.location);
    out.number(part.tail_offset);
    write_stats(out, &part.stats);
    out.time(part.minted_at);
    out.list(&part.sources, |out, id| out.id(*id));
    out.list(&part.applied, |out, id| out.bits(*id));
}

pub(crate) fn read_part(from: &mut Reader) -> Result<Part, Reason> {
    Ok(Part {
        id: from.id()?,
        level: from.small()?,
        resolution: read_resolution(from)?,
        window: read_window(from)?,
        location: read_location(from)?,
        tail_offset: from.number()?,
        stats: read_stats(from)?,
        minted_at: from.time()?,
        sources: from.list(Reader::id)?,
        applied: if from.version >= 2 { from.list(Reader::bits)? } else { Vec::new() },
    })
}

pub(crate) fn write_window(out: &mut Writer, window: Window) {
    let (code, number) = match window {
        Window::Hour(hour) => (0, hour.0),
        Window::Day(day) => (1, day),
        Window::Month(month) => (2, month),
    };
    out.number(code);
    out.signed(number);
}

pub(crate) fn read_window(from: &mut Reader) -> Result<Window, Reason> {
    match (from.number()?, from.signed()?) {
        (0, hour) => Ok(Window::Hour(Hour(hour))),
        (1, day) => Ok(Window::Day(day)),
        (2, month) => Ok(Window::Month(month)),
        _ => Err("unknown window"),
    }
}

fn resolution_code(resolution: Resolution) -> u64 {
    match resolution {
        Resolution::Raw => 0,
        Resolution::FiveMinutes => 1,
        Resolution::OneHour => 2,
    }
}

fn read_resolution(from: &mut Reader) -> Result<Resolution, Reason> {
    let code = from.number()?;
    Resolution::ALL.into_iter().find(|resolution| resolution_code(*resolution) == code).ok_or("unknown resolution")
}

fn write_location(out: &mut Writer, location: &Location) {
    match location {
        Location::Object { key, len } => {
            out.number(0);
            out.bytes(key.as_bytes());
            out.number(*len);
        }
        Location::Inline(bytes) => {
            out.number(1);
            out.bytes(bytes);
        }
    }
}

fn read_location(from: &mut Reader) -> Result<Location, Reason> {
    match from.number()? {
        0 => Ok(Location::Object { key: from.text()?, len: from.number()? }),
        1 => from.bytes().map(Location::Inline),
        _ => Err("unknown location"),
    }
}

fn write_stats(out: &mut Writer, stats: &PartStats) {
    out.number(stats.rows);
    out.number(u64::from(stats.series));
    out.time(stats.time_range.start);
    out.time(stats.time_range.end);
    out.number(u64::from(stats.slots.lo));
    out.number(u64::from(stats.slots.hi));
    out.number(u64::from(stats.epoch));
    out.bytes(&stats.names);
}

fn read_stats(from: &mut Reader) -> Result<PartStats, Reason> {
    let stats = PartStats {
        rows: from.number()?,
        series: from.small()?,
        time_range: TimeRangeMs { start: from.time()?, end: from.time()? },
        slots: SlotRange { lo: from.small()?, hi: from.small()? },
        epoch: from.small()?,
        names: from.bytes()?,
    };
    if stats.names.len() > NAME_FILTER_BYTES_MAX {
        return Err("name filter is too long");
    }
    Ok(stats)
}
