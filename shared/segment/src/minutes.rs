//! Minute counts: how many entries, and bytes of lines, each stream has in each minute, by detected level.
//!
//! They lie in the tail of a compacted segment, so that volumes, statistics and counts over whole minutes read no line.
//! A segment counts what it holds itself; an entry that two segments hold is one entry, and [`settle`] says where that may be.

use std::collections::BTreeMap;

use model::labels::{DETECTED_LEVEL, put_varint};
use model::{TimeRangeNs, TimestampNs};

use crate::SegmentError;
use crate::cursor::{Cursor, put_bytes};
use crate::limits::LEVELS_MAX;
use crate::logs::{Index, StreamEntry};
use crate::table::{Pairs, Table};

/// Nanoseconds in a minute: the grain of the counts.
pub const MINUTE_NS: i64 = 60_000_000_000;

/// Level ids: 0 is none, then the segment's levels from 1 on.
const NO_LEVEL: u8 = 0;
const MIXED: u8 = u8::MAX;

/// What is known of the level of the entries that were counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level<'a> {
    /// None of them has `detected_level` in its structured metadata.
    None,
    /// All of them have this one.
    Value(&'a str),
    /// Not told apart.
    Mixed,
}

/// Entries of one stream, one minute and one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MinuteCount<'a> {
    /// First instant of the minute.
    pub start: TimestampNs,
    /// Their level.
    pub level: Level<'a>,
    /// How many there are.
    pub rows: u64,
    /// Bytes of their lines.
    pub line_bytes: u64,
    /// How many of them, and bytes of their lines, lie on the first instant of the minute, where a window `(start, end]` may end;
    /// `None` where that is not known.
    pub on_start: Option<(u64, u64)>,
}

/// What counts say of one stream over all segments that hold it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled<'a> {
    /// Exact: no other segment has an entry of the stream in that minute. Minutes ascend.
    pub counted: Vec<MinuteCount<'a>>,
    /// What has to be read, and told apart from repeats: minutes of several segments or cut by the range, and segments that
    /// do not count. Ascending, disjoint, inside the range.
    pub unsettled: Vec<TimeRangeNs>,
}

impl Settled<'_> {
    /// Sums what is counted: entries, and bytes of lines. All there is, where nothing is unsettled.
    pub fn total(&self) -> (u64, u64) {
        self.counted.iter().fold((0, 0), |(rows, bytes), count| (rows + count.rows, bytes + count.line_bytes))
    }
}

/// Decides which minutes of one stream inside `range` its counts answer exactly. `holders` are all segments of a snapshot
/// that may hold the stream, each with its entry; a repeat (same time, line and metadata) can only lie in two segments that
/// both have entries in its minute, so what a single one has is exact.
pub fn settle<'a>(holders: &[(&'a Index, &StreamEntry)], range: TimeRangeNs) -> Settled<'a> {
    // Per minute: who counts it, and whether its counts may be used.
    let mut minutes: BTreeMap<i64, Vec<MinuteCount<'a>>> = BTreeMap::new();
    let mut unsettled: Vec<TimeRangeNs> = Vec::new();
    let mut counted_by: BTreeMap<i64, usize> = BTreeMap::new();
    for (holder, (index, entry)) in holders.iter().enumerate() {
        let Some(counts) = index.minutes(entry) else {
            unsettled.push(whole_minutes(entry.range));
            continue;
        };
        for count in counts {
            let minute = minute_range(count.start);
            if minute.end <= range.start || range.end <= minute.start {
                continue;
            }
            let own = cut(minute, entry.range);
            let inside = range.start <= own.start && own.end <= range.end;
            let alone = *counted_by.entry(count.start.0).or_insert(holder) == holder;
            match inside && alone {
                true => minutes.entry(count.start.0).or_default().push(count),
                false => unsettled.push(minute),
            }
        }
    }
    let unsettled = joined(unsettled);
    let read = |start: i64| {
        let at = unsettled.partition_point(|gap| gap.end.0 <= start);
        unsettled.get(at).is_some_and(|gap| gap.start.0 <= start)
    };
    let counted = minutes.into_iter().filter(|(start, _)| !read(*start)).flat_map(|(_, counts)| counts).collect();
    let unsettled = unsettled.into_iter().map(|gap| cut(gap, range)).filter(|gap| gap.start < gap.end).collect();
    Settled { counted, unsettled }
}

fn minute_range(start: TimestampNs) -> TimeRangeNs {
    TimeRangeNs { start, end: TimestampNs(start.0.saturating_add(MINUTE_NS)) }
}

fn whole_minutes(range: TimeRangeNs) -> TimeRangeNs {
    let last = TimestampNs(minute_of(range.end.0.saturating_sub(1).max(range.start.0)).saturating_mul(MINUTE_NS));
    TimeRangeNs { start: TimestampNs(minute_of(range.start.0).saturating_mul(MINUTE_NS)), end: minute_range(last).end }
}

fn cut(range: TimeRangeNs, by: TimeRangeNs) -> TimeRangeNs {
    TimeRangeNs { start: range.start.max(by.start), end: range.end.min(by.end) }
}

/// Sorts ranges and joins those that touch.
fn joined(mut ranges: Vec<TimeRangeNs>) -> Vec<TimeRangeNs> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<TimeRangeNs> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// Minutes since the Unix epoch.
fn minute_of(timestamp: i64) -> i64 {
    timestamp.div_euclid(MINUTE_NS)
}

/// One count as it is kept. A minute of 64-bit nanoseconds fits into 32 bits.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Cell {
    minute: i32,
    level: u8,
    rows: u32,
    line_bytes: u64,
}

/// Entries of a count that lie on the first instant of its minute.
#[derive(Clone, Copy, PartialEq, Debug)]
struct OnStart {
    cell: u32,
    rows: u32,
    line_bytes: u64,
}

/// Version of the format since which entries on the first instant of a minute are counted.
const STARTS_SINCE: u16 = 8;

/// Counts of a segment, by stream.
///
/// # Invariants
/// `ends` ascends, one per stream; minutes of a stream ascend, levels of a minute come in the order of their first entry;
/// rows and bytes of a stream add up to those of the label table. `on_start` ascends by cell, and none has more than its cell.
#[derive(Debug, PartialEq)]
pub(crate) struct MinuteCounts {
    levels: Vec<Box<str>>,
    ends: Vec<u32>,
    cells: Vec<Cell>,
    /// Only where there are any; none of an older file.
    on_start: Option<Vec<OnStart>>,
}

impl Default for MinuteCounts {
    fn default() -> MinuteCounts {
        MinuteCounts { levels: Vec::new(), ends: Vec::new(), cells: Vec::new(), on_start: Some(Vec::new()) }
    }
}

impl MinuteCounts {
    /// Starts streams until there are `len`; entries that follow belong to the last one.
    pub(crate) fn start_streams(&mut self, len: usize) {
        self.ends.resize(len.max(self.ends.len()), self.cells.len() as u32);
    }

    /// Counts an entry of the stream started last; times ascend.
    pub(crate) fn add(&mut self, timestamp: i64, line_bytes: usize, metadata: &[u8]) {
        let minute = minute_of(timestamp) as i32;
        let level = self.level_of(metadata);
        let start = match self.ends.len() {
            0 | 1 => 0,
            len => self.ends[len - 2] as usize,
        };
        let recent = self.cells[start..].iter().rev().take_while(|cell| cell.minute == minute);
        let back = recent.enumerate().find(|(_, cell)| cell.level == level && cell.rows < u32::MAX).map(|(back, _)| back);
        let at = match back {
            Some(back) => self.cells.len() - 1 - back,
            None => {
                self.cells.push(Cell { minute, level, rows: 0, line_bytes: 0 });
                self.cells.len() - 1
            }
        };
        self.cells[at].rows += 1;
        self.cells[at].line_bytes += line_bytes as u64;
        if timestamp.rem_euclid(MINUTE_NS) == 0 {
            self.add_on_start(at as u32, line_bytes as u64);
        }
        *self.ends.last_mut().expect("a stream was started before its entries") = self.cells.len() as u32;
    }

    /// Counts an entry on the first instant of its minute: those come first, so that a cell has one where it begins, or none.
    fn add_on_start(&mut self, cell: u32, line_bytes: u64) {
        let on_start = self.on_start.get_or_insert_default();
        match on_start.iter_mut().rev().take_while(|known| known.cell >= cell).find(|known| known.cell == cell) {
            Some(known) => {
                known.rows += 1;
                known.line_bytes += line_bytes;
            }
            None => on_start.push(OnStart { cell, rows: 1, line_bytes }),
        }
    }

    /// Returns how many entries of a cell, and bytes, lie on the first instant of its minute.
    fn on_start(&self, cell: u32) -> Option<(u64, u64)> {
        let on_start = self.on_start.as_ref()?;
        let found = on_start.binary_search_by_key(&cell, |known| known.cell).ok().map(|at| on_start[at]);
        Some(found.map_or((0, 0), |found| (u64::from(found.rows), found.line_bytes)))
    }

    /// Returns the id of the level that the metadata names; levels past the bound are not told apart.
    fn level_of(&mut self, metadata: &[u8]) -> u8 {
        let Some((_, value, _)) = Pairs(metadata).find(|(key, _, _)| *key == DETECTED_LEVEL.as_bytes()) else { return NO_LEVEL };
        if let Some(at) = self.levels.iter().position(|level| level.as_bytes() == value) {
            return at as u8 + 1;
        }
        match std::str::from_utf8(value) {
            Ok(value) if self.levels.len() < LEVELS_MAX => {
                self.levels.push(value.into());
                self.levels.len() as u8
            }
            _ => MIXED,
        }
    }

    /// Returns what each minute of a stream holds.
    pub(crate) fn of(&self, stream: usize) -> impl Iterator<Item = MinuteCount<'_>> {
        let first = if stream == 0 { 0 } else { self.ends[stream - 1] };
        self.cells_of(stream).iter().zip(first..).map(|(cell, at)| MinuteCount {
            start: TimestampNs(i64::from(cell.minute).saturating_mul(MINUTE_NS)),
            level: match cell.level {
                NO_LEVEL => Level::None,
                level => self.levels.get(usize::from(level) - 1).map_or(Level::Mixed, |level| Level::Value(level)),
            },
            rows: u64::from(cell.rows),
            line_bytes: cell.line_bytes,
            on_start: self.on_start(at),
        })
    }

    fn cells_of(&self, stream: usize) -> &[Cell] {
        let start = if stream == 0 { 0 } else { self.ends[stream - 1] as usize };
        &self.cells[start..self.ends[stream] as usize]
    }

    /// Reports whether these are the counts of a segment with as many streams.
    pub(crate) fn covers(&self, streams: usize) -> bool {
        self.ends.len() == streams
    }

    pub(crate) fn cells_len(&self) -> usize {
        self.cells.len()
    }

    /// Reports whether these say of the same rows what `others` say; older ones say less.
    pub(crate) fn agree_with(&self, others: &MinuteCounts) -> bool {
        (&self.levels, &self.ends, &self.cells) == (&others.levels, &others.ends, &others.cells)
            && (self.on_start.is_none() || self.on_start == others.on_start)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.cells.len() * size_of::<Cell>()
            + self.on_start.as_ref().map_or(0, |on_start| on_start.len() * size_of::<OnStart>())
            + 4 * self.ends.len()
            + self.levels.iter().map(|level| level.len() + 16).sum::<usize>()
    }

    /// Appends the counts, column by column. Layout: `FORMAT.md`, "minute counts".
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.levels.len() as u64);
        self.levels.iter().for_each(|level| put_bytes(out, level.as_bytes()));
        let streams = 0..self.ends.len();
        streams.clone().for_each(|stream| put_varint(out, self.cells_of(stream).len() as u64));
        for stream in streams {
            let cells = self.cells_of(stream);
            let mut previous = cells.first().map_or(0, |cell| cell.minute);
            for cell in cells {
                put_varint(out, (cell.minute - previous) as u64);
                previous = cell.minute;
            }
        }
        out.extend(self.cells.iter().map(|cell| cell.level));
        self.cells.iter().for_each(|cell| put_varint(out, u64::from(cell.rows)));
        self.cells.iter().for_each(|cell| put_varint(out, cell.line_bytes));
        let on_start = self.on_start.as_deref().unwrap_or_default();
        put_varint(out, on_start.len() as u64);
        let mut previous = 0;
        for OnStart { cell, rows, line_bytes } in on_start {
            put_varint(out, u64::from(cell - previous));
            put_varint(out, u64::from(*rows));
            put_varint(out, *line_bytes);
            previous = *cell;
        }
    }

    /// Takes the counts of the streams of `table`, verifying every invariant.
    pub(crate) fn take(version: u16, cursor: &mut Cursor<'_>, table: &Table) -> Result<MinuteCounts, SegmentError> {
        let levels_len = cursor.count()?;
        let levels = (0..levels_len).map(|_| cursor.text().map(Box::from)).collect::<Result<Vec<Box<str>>, _>>()?;
        if levels.len() > LEVELS_MAX {
            return Err(cursor.fail("has too many levels"));
        }
        let mut counts = MinuteCounts { levels, ends: Vec::with_capacity(table.len()), cells: Vec::new(), on_start: None };
        let mut end = 0u32;
        for _ in 0..table.len() {
            end = end.checked_add(cursor.u32_varint()?).ok_or_else(|| cursor.fail("has too many counts"))?;
            counts.ends.push(end);
        }
        // A count takes four bytes or more.
        cursor.expect_bytes(4 * end as usize)?;
        counts.cells.reserve_exact(end as usize);
        let mut start = 0;
        for stream in 0..table.len() {
            let mut minute = minute_of(table.row(stream).first);
            for _ in start..counts.ends[stream] {
                minute = minute.saturating_add_unsigned(cursor.varint()?);
                let minute = i32::try_from(minute).map_err(|_| cursor.fail("has a minute out of bounds"))?;
                counts.cells.push(Cell { minute, level: NO_LEVEL, rows: 0, line_bytes: 0 });
            }
            start = counts.ends[stream];
        }
        let levels = cursor.take(end as usize)?;
        for (cell, level) in counts.cells.iter_mut().zip(levels) {
            cell.level = *level;
        }
        for cell in &mut counts.cells {
            cell.rows = cursor.u32_varint()?;
        }
        for cell in &mut counts.cells {
            cell.line_bytes = cursor.varint()?;
        }
        if version >= STARTS_SINCE {
            counts.on_start = Some(counts.take_on_start(cursor)?);
        }
        match counts.agrees(table) {
            true => Ok(counts),
            false => Err(cursor.fail("disagrees with the label table")),
        }
    }

    fn take_on_start(&self, cursor: &mut Cursor<'_>) -> Result<Vec<OnStart>, SegmentError> {
        let count = cursor.count()?;
        let mut on_start: Vec<OnStart> = Vec::with_capacity(count.min(self.cells.len()));
        for at in 0..count {
            let previous = on_start.last().map_or(0, |last| last.cell);
            let cell = previous.checked_add(cursor.u32_varint()?).filter(|cell| at == 0 || *cell > previous);
            let (rows, line_bytes) = (cursor.u32_varint()?, cursor.varint()?);
            let of = cell.and_then(|cell| self.cells.get(cell as usize));
            match cell.filter(|_| of.is_some_and(|of| 0 < rows && rows <= of.rows && line_bytes <= of.line_bytes)) {
                Some(cell) => on_start.push(OnStart { cell, rows, line_bytes }),
                None => return Err(cursor.fail("has more on the first instant of a minute than in it")),
            }
        }
        Ok(on_start)
    }

    /// Reports whether levels are known and each stream's counts add up to its row of the table.
    fn agrees(&self, table: &Table) -> bool {
        let known = self.cells.iter().all(|cell| usize::from(cell.level) <= self.levels.len() || cell.level == MIXED);
        known
            && (0..table.len()).all(|stream| {
                let (cells, row) = (self.cells_of(stream), table.row(stream));
                let rows: u64 = cells.iter().map(|cell| u64::from(cell.rows)).sum();
                let bytes = cells.iter().fold(0u64, |sum, cell| sum.saturating_add(cell.line_bytes));
                let last = cells.last().is_none_or(|cell| i64::from(cell.minute) == minute_of(row.last));
                (rows, bytes) == (row.rows, row.extra) && last
            })
    }
}

#[cfg(test)]
mod tests;
