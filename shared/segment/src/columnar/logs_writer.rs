//! Writing logs as rows sorted by (stream, time).

use std::collections::HashMap;

use bytes::Bytes;
use model::labels::Iter;
use model::{LabelSet, Slot};
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use parquet::file::writer::SerializedFileWriter;

use super::lines::LineColumns;
use super::metrics_writer::{RowGroup, by_series, series_id, write_labels, write_numbers, write_runs, write_values};
use super::values::{Chunk, Values};
use super::{column, open_writer, parquet_error, properties, seal, with_encoding};
use crate::frame::Kind;
use crate::limits::{LOG_BYTES_PER_GROUP, LOG_ROWS_PER_GROUP, METADATA_COLUMNS_MAX, ROWS_PER_PAGE};
use crate::logs::Extras;
use crate::merge::Effort;
use crate::schema::{self, LogsShape};
use crate::table::{Pairs, Row, TableBuilder};
use crate::tokens::TokenSet;
use crate::{Encoded, SegmentError, l0};

/// Writes one log file, stream by stream in segment order.
pub(crate) struct LogsWriter {
    shape: LogsShape,
    effort: Effort,
    /// Opened with the first row group: only then it is known which metadata is frequent.
    writer: Option<SerializedFileWriter<Vec<u8>>>,
    table: TableBuilder,
    rows: u64,
    group: Group,
    extras: Extras,
}

/// The row group in the making.
#[derive(Default)]
struct Group {
    /// (ordinal, rows).
    runs: Vec<(u32, u32)>,
    ts: Vec<i64>,
    lines: Vec<u8>,
    line_ends: Vec<usize>,
    metadata: Vec<u8>,
    metadata_ends: Vec<usize>,
    utf8: bool,
}

impl LogsWriter {
    pub(crate) fn new(shape: LogsShape, effort: Effort) -> LogsWriter {
        LogsWriter {
            shape,
            effort,
            writer: None,
            table: TableBuilder::default(),
            rows: 0,
            group: Group { utf8: true, ..Group::default() },
            extras: Extras::default(),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns about how many bytes the file has so far.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, SerializedFileWriter::bytes_written) + self.group.lines.len() / 6
    }

    /// Reports whether the line may go into this file: once it says that its lines are text, they are.
    pub(crate) fn accepts(&self, line: &[u8]) -> bool {
        self.writer.is_none() || !self.shape.utf8 || std::str::from_utf8(line).is_ok()
    }

    /// Starts a stream; following entries belong to it.
    pub(crate) fn start_stream(&mut self, labels: &LabelSet, slot: Slot) {
        self.table.push(labels.encoded(), Row { slot: slot.0, ..Row::default() });
        self.extras.minutes.start_streams(self.table.len());
    }

    /// Appends an entry to the stream started last.
    ///
    /// # Panics
    /// If no stream was started, or times descend.
    pub(crate) fn push(&mut self, timestamp: i64, line: &[u8], metadata: &[u8]) -> Result<(), SegmentError> {
        if self.group.ts.len() >= LOG_ROWS_PER_GROUP || self.group.lines.len() + line.len() > LOG_BYTES_PER_GROUP {
            self.flush()?;
        }
        let ordinal = self.table.len() as u32 - 1;
        let row = self.table.last_mut().expect("a stream was started before its entries");
        assert!(row.rows == 0 || row.last <= timestamp, "entries are written in time order");
        row.first = if row.rows == 0 { timestamp } else { row.first };
        row.last = timestamp;
        row.rows += 1;
        row.extra += line.len() as u64;
        self.rows += 1;
        self.extras.minutes.add(timestamp, line.len(), metadata);
        let group = &mut self.group;
        match group.runs.last_mut() {
            Some(last) if last.0 == ordinal => last.1 += 1,
            _ => group.runs.push((ordinal, 1)),
        }
        group.utf8 = group.utf8 && std::str::from_utf8(line).is_ok();
        group.ts.push(timestamp);
        group.lines.extend_from_slice(line);
        group.line_ends.push(group.lines.len());
        group.metadata.extend_from_slice(metadata);
        group.metadata_ends.push(group.metadata.len());
        Ok(())
    }

    fn open(&mut self) -> Result<(), SegmentError> {
        self.shape.utf8 = self.group.utf8;
        self.shape.metadata = self.group.frequent_keys();
        self.shape.metadata_rest = true;
        let schema = schema::logs(&self.shape).map_err(parquet_error("build schema"))?;
        let mut builder = with_encoding(properties(), schema::LINE_LEN, Encoding::DELTA_BINARY_PACKED);
        for key in &self.shape.metadata {
            let name = parquet::schema::types::ColumnPath::new(vec![format!("{}{key}", schema::METADATA_PREFIX)]);
            builder = builder.set_column_dictionary_enabled(name, true);
        }
        for leaf in ["metadata.key_value.key", "metadata.key_value.value"] {
            builder = builder.set_column_dictionary_enabled(column(leaf), true);
        }
        self.writer = Some(open_writer(schema, builder)?);
        Ok(())
    }

    /// Writes the row group, column by column in the order of the schema.
    fn flush(&mut self) -> Result<(), SegmentError> {
        if self.group.ts.is_empty() {
            return Ok(());
        }
        if self.writer.is_none() {
            self.open()?;
        }
        let group = std::mem::replace(&mut self.group, Group { utf8: true, ..Group::default() });
        let mut writer = RowGroup::start(self.writer.as_mut().expect("the file was opened above"), ROWS_PER_PAGE)?;
        let ids = by_series(&self.table, &group.runs, |stream, _| Some(series_id(&self.table, stream).0));
        write_runs(&mut writer, ids)?;
        let bounds = group.ts.iter().copied().min().zip(group.ts.iter().copied().max());
        write_numbers(&mut writer, Chunk { values: Values::Ints(&group.ts), levels: None }, self.effort, bounds)?;
        let lines: Vec<&[u8]> = spans(&group.line_ends).map(|span| &group.lines[span]).collect();
        let mut tokens = TokenSet::default();
        LineColumns::of(&lines, &mut tokens).write(&mut writer, self.effort)?;
        self.extras.filters.0.push(tokens.take_filter());
        let lens: Vec<i32> = spans(&group.line_ends).map(|span| span.len() as i32).collect();
        write_values::<Int32Type>(&mut writer, &lens, None, None)?;
        write_metadata(&mut writer, &self.shape.metadata, &group.metadata.into(), &group.metadata_ends)?;
        write_labels(&mut writer, &self.table, &self.shape.labels, self.shape.labels_rest, &group.runs)?;
        writer.close()
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Encoded, SegmentError> {
        self.flush()?;
        if self.writer.is_none() {
            self.open()?;
        }
        let extras = self.extras.encode()?;
        let stats = l0::logs_stats(&self.table);
        let writer = self.writer.take().expect("the file was opened above");
        let (bytes, tail_offset) = seal(writer, Kind::ParquetLogs, &self.table, &extras)?;
        Ok(Encoded { bytes: bytes.into(), stats, tail_offset })
    }
}

impl Group {
    /// Returns the metadata keys of at least one row in a hundred, the most frequent first cut, sorted.
    fn frequent_keys(&self) -> Vec<String> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for span in spans(&self.metadata_ends) {
            Iter::over(&self.metadata[span]).for_each(|(key, _)| *counts.entry(key).or_default() += 1);
        }
        let mut frequent: Vec<(&str, usize)> = counts.into_iter().filter(|(_, count)| count * 100 >= self.ts.len()).collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        frequent.truncate(METADATA_COLUMNS_MAX);
        let mut keys: Vec<String> = frequent.into_iter().map(|(key, _)| key.to_owned()).collect();
        keys.sort_unstable();
        keys
    }
}

fn spans(ends: &[usize]) -> impl Iterator<Item = std::ops::Range<usize>> {
    std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied()).map(|(start, end)| start..end)
}

/// Writes one column per frequent key, then the map of the rest.
fn write_metadata(writer: &mut RowGroup<'_>, keys: &[String], metadata: &Bytes, ends: &[usize]) -> Result<(), SegmentError> {
    let mut columns: Vec<(Vec<ByteArray>, Vec<i16>)> = keys.iter().map(|_| (Vec::new(), vec![0i16; ends.len()])).collect();
    let (mut rest_keys, mut rest_values, mut levels, mut repetition) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (row, span) in spans(ends).enumerate() {
        let mut rest = 0;
        for (key, value, _) in Pairs(&metadata[span]) {
            match keys.binary_search_by(|column| column.as_bytes().cmp(key)) {
                Ok(column) => {
                    columns[column].0.push(ByteArray::from(metadata.slice_ref(value)));
                    columns[column].1[row] = 1;
                }
                Err(_) => {
                    rest_keys.push(ByteArray::from(metadata.slice_ref(key)));
                    rest_values.push(ByteArray::from(metadata.slice_ref(value)));
                    levels.push(1);
                    repetition.push(i16::from(rest > 0));
                    rest += 1;
                }
            }
        }
        if rest == 0 {
            levels.push(0);
            repetition.push(0);
        }
    }
    for (values, levels) in &columns {
        write_values::<ByteArrayType>(writer, values, Some(levels), None)?;
    }
    write_values::<ByteArrayType>(writer, &rest_keys, Some(&levels), Some(&repetition))?;
    write_values::<ByteArrayType>(writer, &rest_values, Some(&levels), Some(&repetition))
}
