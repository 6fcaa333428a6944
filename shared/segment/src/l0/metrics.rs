//! Metrics in an L0 block.

use std::collections::HashMap;

use model::labels::put_varint;
use model::series::SlotHasher;
use model::{MetricBatch, SeriesId, Signal, TenantId, TimeRangeMs, TimestampMs};

use super::assemble;
use crate::cursor::{Cursor, planes_to_f64, put_planes, put_zigzag};
use crate::extras::{Extras, OrdinalExemplar};
use crate::frame::Kind;
use crate::limits::SERIES_MAX;
use crate::merge::MergeReport;
use crate::metrics::{HistogramSample, SeriesColumns};
use crate::rows::SeriesRows;
use crate::table::{Pairs, Row, Table, TableBuilder, columns};
use crate::{Encoded, SegmentError, SegmentStats, histogram};

/// Encodes a metric batch, sorted by (metric name, slot, series id, time) and deduplicated by W3.
///
/// Pure and deterministic: the same samples give the same bytes, whatever the order of the batch.
///
/// # Errors
/// `TooLarge` where the batch passes a bound of the format.
///
/// # Panics
/// If the batch breaches its own invariants.
pub fn encode_metrics(tenant: &TenantId, batch: &MetricBatch) -> Result<Encoded, SegmentError> {
    if batch.series_len() > SERIES_MAX {
        return Err(SegmentError::TooLarge {
            what: "series of a batch",
            value: batch.series_len() as u64,
            limit: SERIES_MAX as u64,
        });
    }
    assert_eq!(batch.labels.len(), batch.sample_ends.len());
    assert_eq!(batch.timestamps.len(), batch.values.len());
    let keys = sorted_keys(tenant, batch);
    let mut writer = BlockWriter::with_capacity(batch);
    let mut start = 0;
    while start < keys.len() {
        let labels = batch.labels.get(keys[start].index as usize);
        let same = |key: &Key| key.order == keys[start].order && batch.labels.get(key.index as usize) == labels;
        let end = start + 1 + keys[start + 1..].iter().take_while(|key| same(key)).count();
        writer.push(batch, &keys[start..end]);
        start = end;
    }
    writer.extras.metadata = batch.metadata.clone();
    writer.finish()
}

/// Where a series stands in the segment's order.
struct Key {
    /// Rank of the metric name, slot, series id.
    order: u128,
    index: u32,
}

impl Key {
    fn slot(&self) -> u16 {
        (self.order >> 64) as u16
    }
}

fn sorted_keys(tenant: &TenantId, batch: &MetricBatch) -> Vec<Key> {
    let mut slots = SlotHasher::new(tenant, Signal::Metrics);
    let mut names: HashMap<&[u8], u32, xxhash_rust::xxh3::Xxh3Builder> = HashMap::default();
    let mut keys = Vec::with_capacity(batch.series_len());
    for index in 0..batch.series_len() {
        let labels = batch.labels.get(index);
        let mut metric: &[u8] = &[];
        let pairs = Pairs(labels).map(|(name, value, _)| {
            if name == model::labels::METRIC_NAME.as_bytes() {
                metric = value;
            }
            (name, value)
        });
        let slot = slots.slot(pairs);
        let next = names.len() as u32;
        let name = *names.entry(metric).or_insert(next);
        let order = u128::from(name) << 80 | u128::from(slot.0) << 64 | u128::from(SeriesId::of_encoded(labels).0);
        keys.push(Key { order, index: index as u32 });
    }
    let mut sorted: Vec<(&[u8], u32)> = names.into_iter().collect();
    sorted.sort_unstable();
    let mut ranks = vec![0u128; sorted.len()];
    sorted.iter().enumerate().for_each(|(rank, (_, name))| ranks[*name as usize] = rank as u128);
    for key in &mut keys {
        key.order = ranks[(key.order >> 80) as usize] << 80 | key.order & ((1 << 80) - 1);
    }
    // Two label sets with one id are told apart by their bytes; the same set keeps the order of the batch.
    keys.sort_unstable_by(|a, b| {
        let labels = |key: &Key| batch.labels.get(key.index as usize);
        a.order.cmp(&b.order).then_with(|| labels(a).cmp(labels(b))).then(a.index.cmp(&b.index))
    });
    keys
}

/// Columns of the data frame while they grow.
struct BlockWriter {
    table: TableBuilder,
    extras: Extras,
    rows: SeriesRows,
    report: MergeReport,
    times: Vec<u8>,
    base: i64,
    values: Vec<u64>,
    starts: Vec<u8>,
    any_start: bool,
    histograms: Vec<u8>,
    histogram_rows: Vec<u8>,
    rows_len: u64,
    histograms_at: Vec<u32>,
    exemplars_at: Vec<u32>,
}

impl BlockWriter {
    fn with_capacity(batch: &MetricBatch) -> BlockWriter {
        let starts_of = |series: Vec<u32>| {
            // Per series, where its items start in a list ordered by series.
            let mut at = vec![0u32; batch.series_len() + 1];
            series.iter().for_each(|series| at[*series as usize + 1] += 1);
            (1..at.len()).for_each(|i| at[i] += at[i - 1]);
            at
        };
        let some = |items: Vec<u32>| if items.is_empty() { Vec::new() } else { starts_of(items) };
        BlockWriter {
            table: TableBuilder::default(),
            extras: Extras::default(),
            rows: SeriesRows::default(),
            report: MergeReport::default(),
            times: Vec::with_capacity(batch.samples_len() * 2),
            base: 0,
            values: Vec::with_capacity(batch.timestamps.len()),
            starts: Vec::new(),
            any_start: !batch.start_timestamps.is_empty() || batch.histograms.iter().any(|row| row.start_timestamp.0 != 0),
            histograms: Vec::new(),
            histogram_rows: Vec::new(),
            rows_len: 0,
            histograms_at: some(batch.histograms.iter().map(|row| row.series).collect()),
            exemplars_at: some(batch.exemplars.iter().map(|row| row.series).collect()),
        }
    }

    fn push(&mut self, batch: &MetricBatch, keys: &[Key]) {
        self.rows.clear();
        let ordinal = self.table.len() as u32;
        for key in keys {
            let index = key.index as usize;
            self.rows.extend_from_batch(batch, index);
            if !self.histograms_at.is_empty() {
                let range = self.histograms_at[index] as usize..self.histograms_at[index + 1] as usize;
                self.rows.histograms.extend(batch.histograms[range].iter().map(|row| HistogramSample {
                    timestamp: row.timestamp,
                    start_timestamp: row.start_timestamp,
                    histogram: row.histogram.clone(),
                }));
            }
            if !self.exemplars_at.is_empty() {
                let range = self.exemplars_at[index] as usize..self.exemplars_at[index + 1] as usize;
                let exemplars = batch.exemplars[range].iter();
                self.extras.exemplars.extend(exemplars.map(|row| OrdinalExemplar { ordinal, exemplar: row.exemplar.clone() }));
            }
        }
        self.rows.settle(&mut self.report);
        let (first, last) = self.rows.times().unwrap_or((0, 0));
        let histograms = self.rows.histograms.len() as u64;
        let mut used = 0;
        used |= if self.rows.timestamps.is_empty() { 0 } else { columns::DOUBLE };
        used |= if histograms == 0 { 0 } else { columns::HISTOGRAM };
        used |= if self.any_start && self.rows.any_start() { columns::START } else { 0 };
        let row = Row {
            slot: keys[0].slot(),
            rows: self.rows.len() as u64,
            first,
            last,
            columns: used,
            scale: 0,
            extra: histograms,
            base: 0,
        };
        self.table.push(batch.labels.get(keys[0].index as usize), row);
        self.push_rows();
    }

    fn push_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let mut previous = self.base;
        let mut first = None;
        rows.interleave(|timestamp, place| {
            put_zigzag(&mut self.times, timestamp.wrapping_sub(previous));
            previous = timestamp;
            first.get_or_insert(timestamp);
            let start = match place {
                Ok(float) => rows.starts[float],
                Err(histogram) => {
                    // Gaps between histogram rows, so that none of them costs anything elsewhere.
                    put_varint(&mut self.histogram_rows, self.rows_len);
                    histogram::put(&mut self.histograms, &rows.histograms[histogram].histogram);
                    rows.histograms[histogram].start_timestamp.0
                }
            };
            if self.any_start {
                put_start(&mut self.starts, timestamp, start);
            }
            self.rows_len += 1;
        });
        // Series of one scrape share their time: the next one's first is coded against this one's first.
        self.base = first.unwrap_or(self.base);
        self.values.extend(rows.values.iter().map(|value| value.to_bits()));
        self.rows = rows;
    }

    fn finish(mut self) -> Result<Encoded, SegmentError> {
        self.extras.settle();
        let mut data = Vec::with_capacity(self.times.len() + 8 * self.values.len() + 64);
        data.push(u8::from(self.any_start));
        data.extend_from_slice(&self.times);
        put_planes(&mut data, self.values.iter().copied());
        data.extend_from_slice(&self.starts);
        data.extend_from_slice(&self.histogram_rows);
        data.extend_from_slice(&self.histograms);
        let extras = if self.extras.is_empty() { Vec::new() } else { self.extras.encode() };
        let (bytes, tail_offset) =
            assemble(Kind::BlockMetrics, &data, |out| self.table.encode(Kind::BlockMetrics.version(), out), &extras)?;
        Ok(Encoded { bytes, stats: stats(&self.table, &self.extras), tail_offset })
    }
}

/// Summarises a metrics segment.
pub(crate) fn stats(table: &TableBuilder, extras: &Extras) -> SegmentStats {
    let times = [table.times(), extras.times()].into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let range = times.map_or(TimeRangeMs::new(TimestampMs(0), TimestampMs(0)), |(first, last)| {
        TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)))
    });
    SegmentStats {
        signal: Signal::Metrics,
        rows: table.rows_sum(),
        series: table.len() as u64,
        range,
        slots: table.slots(),
        filter: table.filter(|name| name == model::labels::METRIC_NAME.as_bytes()),
    }
}

/// 0 where unknown, otherwise one more than the zigzag distance to the sample.
fn put_start(out: &mut Vec<u8>, timestamp: i64, start: i64) {
    match start {
        0 => out.push(0),
        _ => {
            out.push(1);
            put_zigzag(out, timestamp.wrapping_sub(start));
        }
    }
}

/// All samples of a block, in segment order.
#[derive(Debug, Default)]
pub(crate) struct SampleBlock {
    columns: SeriesColumns,
}

impl SampleBlock {
    /// Returns the columns of all series; `ends` by ordinal.
    pub(crate) fn into_columns(self) -> SeriesColumns {
        self.columns
    }
}

/// Decodes the raw data frame of a block.
pub(crate) fn decode_samples(raw: &[u8], table: &Table) -> Result<SampleBlock, SegmentError> {
    let mut cursor = Cursor::new(raw, "data frame");
    let any_start = match cursor.u8()? {
        0 => false,
        1 => true,
        _ => return Err(cursor.fail("has unknown flags")),
    };
    let rows = table.rows_sum() as usize;
    cursor.expect_bytes(rows)?;
    let mut times = Vec::with_capacity(rows);
    let mut base = 0i64;
    for series in 0..table.len() {
        let mut previous = base;
        let range = table.row_range(series);
        for row in 0..range.end - range.start {
            let timestamp = previous.wrapping_add(cursor.zigzag()?);
            if row > 0 && timestamp <= previous {
                return Err(cursor.fail("has times that do not ascend"));
            }
            base = if row == 0 { timestamp } else { base };
            previous = timestamp;
            times.push(timestamp);
        }
    }
    let histogram_count = |series: usize| table.extra_of(series);
    let histograms: u64 = (0..table.len()).try_fold(0u64, |sum, series| {
        let fits = histogram_count(series) <= table.rows_of(series);
        sum.checked_add(histogram_count(series)).filter(|_| fits).ok_or_else(|| cursor.fail("counts more histograms than rows"))
    })?;
    let floats = rows - histograms as usize;
    let values = planes_to_f64(cursor.take(floats.checked_mul(8).ok_or_else(|| cursor.fail("has a bad count"))?)?, floats);
    let starts = decode_starts(&mut cursor, &times, any_start)?;
    cursor.expect_bytes(histograms as usize)?;
    let histogram_rows = (0..histograms).map(|_| cursor.varint()).collect::<Result<Vec<u64>, _>>()?;
    if histograms == 0 {
        cursor.finish()?;
        let ends = (0..table.len()).map(|series| (table.row_range(series).end as u32, 0)).collect();
        let columns = SeriesColumns { timestamps: times, values, start_timestamps: starts, histograms: Vec::new(), ends };
        return Ok(SampleBlock { columns });
    }
    let samples = (0..histograms).map(|_| histogram::take(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
    cursor.finish()?;
    let mut columns = SeriesColumns { values, ..SeriesColumns::default() };
    let mut pending = histogram_rows.into_iter().zip(samples).peekable();
    for series in 0..table.len() {
        let before = columns.histograms.len() as u64;
        for row in table.row_range(series) {
            let (timestamp, start) = (times[row as usize], starts.get(row as usize).copied().unwrap_or(0));
            match pending.next_if(|(at, _)| *at == row) {
                Some((_, histogram)) => {
                    let (timestamp, start_timestamp) = (TimestampMs(timestamp), TimestampMs(start));
                    columns.histograms.push(HistogramSample { timestamp, start_timestamp, histogram });
                }
                None => {
                    columns.timestamps.push(timestamp);
                    if any_start {
                        columns.start_timestamps.push(start);
                    }
                }
            }
        }
        if columns.histograms.len() as u64 - before != histogram_count(series) {
            return Err(SegmentError::corrupt("data frame has histograms at other rows than the index counts"));
        }
        columns.ends.push((columns.timestamps.len() as u32, columns.histograms.len() as u32));
    }
    if columns.timestamps.len() != columns.values.len() {
        return Err(SegmentError::corrupt("data frame has other values than rows"));
    }
    Ok(SampleBlock { columns })
}

fn decode_starts(cursor: &mut Cursor<'_>, times: &[i64], any_start: bool) -> Result<Vec<i64>, SegmentError> {
    if !any_start {
        return Ok(Vec::new());
    }
    times
        .iter()
        .map(|timestamp| match cursor.u8()? {
            0 => Ok(0),
            1 => Ok(timestamp.wrapping_sub(cursor.zigzag()?)),
            _ => Err(cursor.fail("has an unknown start timestamp")),
        })
        .collect()
}
