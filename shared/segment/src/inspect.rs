//! What a segment consists of: levels, row groups, columns with their bytes and encodings, index, filters.

use bytes::Bytes;
use model::Signal;
use serde::Serialize;

use crate::columnar::Layout;
use crate::frame::{self, Kind};
use crate::{SegmentError, logs, metrics, windows};

/// Layout of a segment's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One ingest batch (L0).
    Block,
    /// L1 and up.
    Parquet,
    /// A coarse copy: Parquet with a row per window.
    Windows,
}

/// Summary of one segment, ready to be printed or written as JSON.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Inspection {
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// How it is laid out.
    pub form: Form,
    /// Version of the format.
    pub version: u16,
    /// Bytes of the whole object.
    pub bytes: u64,
    /// Where the tail starts.
    pub tail_offset: u64,
    /// Milliseconds a window is wide (coarse copies of metrics).
    pub window_ms: Option<i64>,
    /// Samples, windows or entries.
    pub rows: u64,
    /// Series or streams.
    pub series: u64,
    /// First and last time, milliseconds (metrics) or nanoseconds (logs); none where there are no rows.
    pub times: Option<(i64, i64)>,
    /// Distinct label names, sorted.
    pub label_names: Vec<String>,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Parts of the tail, in the order of the file: name and bytes.
    pub tail: Vec<(&'static str, u64)>,
    /// Exemplars in the tail (metrics).
    pub exemplars: u64,
    /// Metric families with metadata in the tail (metrics).
    pub metadata: u64,
    /// Row groups whose words are filtered, and the bytes of the filters in memory (logs).
    pub token_filters: (u64, u64),
    /// Counts by stream, minute and level (logs).
    pub minute_counts: u64,
    /// Row groups (Parquet).
    pub row_groups: Vec<RowGroup>,
    /// Columns over all row groups, in the order of the schema (Parquet).
    pub columns: Vec<Column>,
}

/// One row group.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RowGroup {
    /// Its rows.
    pub rows: u64,
    /// Its bytes in the file.
    pub bytes: u64,
    /// First and last time by its statistics.
    pub times: Option<(i64, i64)>,
}

/// One column, summed over all row groups.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Column {
    /// Path in the schema.
    pub path: String,
    /// Physical type.
    pub physical: String,
    /// Encodings in use.
    pub encodings: Vec<String>,
    /// Data pages.
    pub pages: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Bytes before compression.
    pub uncompressed_bytes: u64,
}

/// Describes a segment from its tail (the bytes from `tail_offset` or earlier to the end; the whole object and 0 will do).
/// Nothing outside the tail is read.
///
/// # Errors
/// `Corrupt`, `Version`.
pub fn inspect(tail: &Bytes, offset: u64) -> Result<Inspection, SegmentError> {
    let parts = frame::open_tail(tail, offset)?;
    let bytes = offset + tail.len() as u64;
    let lens = [parts.index, parts.extras, parts.sums].map(|part| part.len() as u64);
    let (signal, form) = match parts.seal.kind {
        Kind::BlockMetrics => (Signal::Metrics, Form::Block),
        Kind::BlockLogs => (Signal::Logs, Form::Block),
        Kind::ParquetMetrics => (Signal::Metrics, Form::Parquet),
        Kind::ParquetLogs => (Signal::Logs, Form::Parquet),
        Kind::ParquetWindows => (Signal::Metrics, Form::Windows),
    };
    let mut inspection = Inspection {
        signal: if signal == Signal::Logs { "logs" } else { "metrics" },
        form,
        version: parts.version,
        bytes,
        tail_offset: parts.seal.tail_offset,
        rows: 0,
        series: 0,
        times: None,
        window_ms: None,
        label_names: Vec::new(),
        label_pairs: 0,
        tail: tail_parts(bytes - parts.seal.tail_offset, lens, parts.footer_len),
        exemplars: 0,
        metadata: 0,
        token_filters: (0, 0),
        minute_counts: 0,
        row_groups: Vec::new(),
        columns: Vec::new(),
    };
    match signal {
        Signal::Metrics if form == Form::Windows => {
            let index = windows::Index::open_tail(tail, offset)?;
            inspection.window_ms = Some(index.width_ms());
            inspection.add_table(index.table());
            inspection.add_layout(index.layout());
        }
        Signal::Metrics => {
            let index = metrics::Index::open_tail(tail, offset)?;
            let extras = index.extras()?;
            (inspection.exemplars, inspection.metadata) = (extras.exemplars.len() as u64, extras.metadata.len() as u64);
            inspection.add_table(index.table());
            index.layout().into_iter().for_each(|layout| inspection.add_layout(layout));
        }
        Signal::Logs => {
            let index = logs::Index::open_tail(tail, offset)?;
            inspection.add_table(index.table());
            if let Some((layout, extras)) = index.layout() {
                inspection.token_filters = (extras.filters.0.len() as u64, extras.filters.memory_bytes() as u64);
                inspection.minute_counts = extras.minutes.cells_len() as u64;
                inspection.add_layout(layout);
            }
        }
    }
    Ok(inspection)
}

fn tail_parts(tail: u64, [index, extras, sums]: [u64; 3], footer: u64) -> Vec<(&'static str, u64)> {
    let seal = frame::SEAL_BYTES as u64;
    let pages = tail - index - extras - sums - seal - footer;
    let parts = [
        ("page indexes", pages),
        ("label index", index),
        ("extras", extras),
        ("page checksums", sums),
        ("seal", seal),
        ("parquet footer", footer),
    ];
    parts.into_iter().filter(|(_, bytes)| *bytes > 0).collect()
}

impl Inspection {
    fn add_table(&mut self, table: &crate::table::Table) {
        let all: Vec<u32> = (0..table.len() as u32).collect();
        self.rows = table.rows_sum();
        self.series = table.len() as u64;
        self.times = table.times();
        self.label_names = table.label_names(&all);
        self.label_pairs = table.pairs_len() as u64;
    }

    fn add_layout(&mut self, layout: &Layout) {
        self.row_groups = layout.describe_groups();
        self.columns = layout.describe_columns();
    }
}
