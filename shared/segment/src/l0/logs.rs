//! Logs in an L0 block.

use model::batch::Arena;
use model::labels::put_varint;
use model::series::SlotHasher;
use model::{LogBatch, Signal, TenantId, TimeRangeNs, TimestampNs};

use super::assemble;
use crate::cursor::{Cursor, put_zigzag};
use crate::frame::Kind;
use crate::limits::SERIES_MAX;
use crate::table::{Pairs, Row, Table, TableBuilder};
use crate::{Encoded, SegmentError, SegmentStats};

/// Encodes a log batch, sorted by (stream labels, time); entries of equal time keep their order; exact repeats are one entry.
///
/// # Errors
/// `TooLarge` where the batch passes a bound of the format.
///
/// # Panics
/// If the batch breaches its own invariants.
pub fn encode_logs(tenant: &TenantId, batch: &LogBatch) -> Result<Encoded, SegmentError> {
    if batch.streams_len() > SERIES_MAX {
        return Err(SegmentError::TooLarge {
            what: "streams of a batch",
            value: batch.streams_len() as u64,
            limit: SERIES_MAX as u64,
        });
    }
    assert_eq!(batch.labels.len(), batch.entry_ends.len());
    assert!(batch.lines.len() == batch.timestamps.len() && batch.metadata.len() == batch.timestamps.len());
    let mut slots = SlotHasher::new(tenant, Signal::Logs);
    let mut order: Vec<u32> = (0..batch.streams_len() as u32).collect();
    order.sort_by(|a, b| compare_streams(batch.labels.get(*a as usize), batch.labels.get(*b as usize)));
    let mut table = TableBuilder::default();
    let mut block = BlockWriter::default();
    let mut entries: Vec<u32> = Vec::new();
    let mut start = 0;
    while start < order.len() {
        let labels = batch.labels.get(order[start] as usize);
        let same = |stream: &u32| batch.labels.get(*stream as usize) == labels;
        let end = start + order[start..].iter().take_while(|stream| same(stream)).count();
        entries.clear();
        order[start..end].iter().for_each(|stream| entries.extend(batch.entry_range(*stream as usize).map(|entry| entry as u32)));
        entries.sort_by_key(|entry| batch.timestamps[*entry as usize]);
        let slot = slots.slot(Pairs(labels).map(|(name, value, _)| (name, value)));
        let row = block.push(batch, &entries);
        table.push(labels, Row { slot: slot.0, ..row });
        start = end;
    }
    let mut data = Vec::with_capacity(batch.lines.bytes_len() + batch.metadata.bytes_len() + 8 * batch.entries_len() + 64);
    put_varint(&mut data, block.times.len() as u64);
    data.extend_from_slice(&block.times);
    data.extend_from_slice(&block.line_lens);
    data.extend_from_slice(&block.metadata_lens);
    data.extend_from_slice(&block.metadata);
    data.extend_from_slice(&block.lines);
    let (bytes, tail_offset) = assemble(Kind::BlockLogs, &data, |out| table.encode(Kind::BlockLogs.version(), out), &[])?;
    Ok(Encoded { bytes, stats: stats(&table), tail_offset })
}

/// Orders streams: the order of log segments. Equal bytes are equal streams, and neighbours share their first labels.
pub(crate) fn compare_streams(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.cmp(b)
}

/// Summarises a log segment.
pub(crate) fn stats(table: &TableBuilder) -> SegmentStats {
    let (first, last) = table.times().unwrap_or((0, -1));
    let range = TimeRangeNs::new(TimestampNs(first), TimestampNs(last.saturating_add(1)));
    SegmentStats {
        signal: Signal::Logs,
        rows: table.rows_sum(),
        series: table.len() as u64,
        range: range.cover_ms(),
        slots: table.slots(),
        filter: table.filter(|_| true),
    }
}

#[derive(Default)]
struct BlockWriter {
    times: Vec<u8>,
    line_lens: Vec<u8>,
    metadata_lens: Vec<u8>,
    metadata: Vec<u8>,
    lines: Vec<u8>,
}

impl BlockWriter {
    /// Appends the entries of one stream, ordered by time; a repeat among those of its time is left out.
    fn push(&mut self, batch: &LogBatch, entries: &[u32]) -> Row {
        let mut row = Row::default();
        let mut previous = 0i64;
        let mut same_time: Vec<u32> = Vec::new();
        for entry in entries {
            let index = *entry as usize;
            let (timestamp, line, metadata) = (batch.timestamps[index], batch.lines.get(index), batch.metadata.get(index));
            if timestamp != previous {
                same_time.clear();
            }
            let repeat = |seen: &u32| batch.lines.get(*seen as usize) == line && batch.metadata.get(*seen as usize) == metadata;
            if same_time.iter().any(repeat) {
                continue;
            }
            same_time.push(*entry);
            put_zigzag(&mut self.times, timestamp.wrapping_sub(previous));
            put_varint(&mut self.line_lens, line.len() as u64);
            put_varint(&mut self.metadata_lens, metadata.len() as u64);
            self.metadata.extend_from_slice(metadata);
            self.lines.extend_from_slice(line);
            row.first = if row.rows == 0 { timestamp } else { row.first };
            row.last = timestamp;
            row.rows += 1;
            row.extra += line.len() as u64;
            previous = timestamp;
        }
        row
    }
}

/// All entries of a block, in segment order.
#[derive(Debug, Default)]
pub(crate) struct EntryBlock {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) lines: Arena,
    pub(crate) metadata: Arena,
}

/// Decodes the raw data frame of a block.
pub(crate) fn decode_entries(raw: &[u8], table: &Table) -> Result<EntryBlock, SegmentError> {
    let mut cursor = Cursor::new(raw, "data frame");
    let rows = table.rows_sum() as usize;
    cursor.varint()?;
    cursor.expect_bytes(rows)?;
    let mut timestamps = Vec::with_capacity(rows);
    for stream in 0..table.len() {
        let mut previous = 0i64;
        for row in 0..table.row(stream).rows {
            let timestamp = previous.wrapping_add(cursor.zigzag()?);
            if row > 0 && timestamp < previous {
                return Err(cursor.fail("has times that descend"));
            }
            previous = timestamp;
            timestamps.push(timestamp);
        }
    }
    cursor.expect_bytes(2 * rows)?;
    let line_lens = (0..rows).map(|_| cursor.u32_varint()).collect::<Result<Vec<u32>, _>>()?;
    let metadata_lens = (0..rows).map(|_| cursor.u32_varint()).collect::<Result<Vec<u32>, _>>()?;
    let metadata = take_arena(&mut cursor, &metadata_lens)?;
    if metadata.iter().any(|labels| !labels.is_empty() && model::labels::verify(labels).is_err()) {
        return Err(cursor.fail("has bad structured metadata"));
    }
    let lines = take_arena(&mut cursor, &line_lens)?;
    cursor.finish()?;
    Ok(EntryBlock { timestamps, lines, metadata })
}

fn take_arena(cursor: &mut Cursor<'_>, lens: &[u32]) -> Result<Arena, SegmentError> {
    let total: u64 = lens.iter().map(|len| u64::from(*len)).sum();
    cursor.expect_bytes(usize::try_from(total).map_err(|_| cursor.fail("has a bad length"))?)?;
    if total > u64::from(u32::MAX) {
        return Err(cursor.fail("has more than 4 GiB of text"));
    }
    let mut arena = Arena::with_capacity(lens.len(), total as usize);
    for len in lens {
        arena.push(cursor.take(*len as usize)?);
    }
    Ok(arena)
}
