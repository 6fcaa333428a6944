//! Coarse copies of metrics: one pass over the samples of some slots, several resolutions at once.
//!
//! ```text
//!  sources (open indexes, fetched ranges) ─ heap, settle (as a merge) ─┬─▶ 5m: windows │ samples ─▶ emit
//!                                                                      └─▶ 1h: windows │ samples ─▶ emit
//! ```
//! A copy holds each series in the form that is smaller: as windows, or as the samples themselves, which windows of few samples
//! stay. Of native histograms the samples that matter are beside windows that count all of them. Exemplars and metadata stay with the raw
//! segments.

use model::windowed::histograms::{self, Thinned};
use model::windowed::{self, Window};
use model::{LabelSet, Slot, SlotRange, TimeRangeMs};

use super::metrics::{Sink, Source, Walk, batch_rows, shape_of};
use super::{Effort, MergeReport};
use crate::columnar::metrics_writer::MetricsWriter;
use crate::columnar::windows_writer::{Of, WindowsWriter};
use crate::extras::OrdinalExemplar;
use crate::metrics::Index;
use crate::rows::SeriesRows;
use crate::schema::{LabelShape, MetricsShape};
use crate::windows::{self, Projection};
use crate::{Encoded, Fetched, SegmentError};

/// Samples per window from which windows are smaller than the samples (measured: `docs/0020-downsampling.md`).
pub const SAMPLES_PER_WINDOW_MIN: usize = 8;

/// Native histograms of which fewer could be left out are all kept.
const HISTOGRAMS_PER_KEPT_MIN: usize = 2;

/// A raw segment with the bytes of the slots that are read.
#[derive(Clone, Debug)]
pub struct CoarseSource {
    /// Its index.
    pub index: Index,
    /// The ranges that [`Index::plan_ordinals`] names for the slots, with everything projected.
    pub fetched: Fetched,
}

/// What is built.
#[derive(Clone, Debug)]
pub struct CoarseOptions {
    /// Only series of these slots.
    pub slots: SlotRange,
    /// Widths of windows, milliseconds: one copy each.
    pub widths_ms: Vec<i64>,
    /// An output is closed once it holds about this many bytes.
    pub output_bytes_max: usize,
}

/// Builds the copies; `emit` takes each output with the position of its width. Memory: one batch of rows per source, and per width
/// a row group and an output in the making.
///
/// # Errors
/// `Input` with the position of a source that cannot be read.
pub fn downsample(
    sources: Vec<CoarseSource>,
    options: &CoarseOptions,
    emit: &mut dyn FnMut(usize, Encoded),
) -> Result<MergeReport, SegmentError> {
    let (batch_rows, slots) = (batch_rows(sources.len()), options.slots);
    let rows_in = sources.iter().map(|source| rows_held(&source.index, slots)).sum();
    let sources = sources.into_iter().enumerate();
    let sources = sources.map(|(at, source)| Source::of(Some(at), source.index, source.fetched, slots, batch_rows));
    let sources: Vec<Source> = sources.collect();
    let shape = shape_of(&sources);
    let mut copies = Vec::with_capacity(options.widths_ms.len());
    for (at, width_ms) in options.widths_ms.iter().enumerate() {
        copies.push(Copy::new(at, *width_ms, &shape)?);
    }
    let mut sink = Copies { copies, shape, output_bytes_max: options.output_bytes_max, emit };
    let report = Walk::new(&|_, _| Vec::new(), rows_in).over(sources, &mut sink)?;
    for copy in sink.copies {
        copy.finish(sink.emit)?;
    }
    Ok(report)
}

/// Counts the rows of some slots.
pub(super) fn rows_held(index: &Index, slots: SlotRange) -> u64 {
    let table = index.table();
    let rows = (0..table.len()).map(|series| table.row(series)).filter(|row| slots.contains(Slot(row.slot)));
    rows.map(|row| row.rows).sum()
}

struct Copies<'a> {
    copies: Vec<Copy>,
    shape: MetricsShape,
    output_bytes_max: usize,
    emit: &'a mut dyn FnMut(usize, Encoded),
}

/// The copy of one width in the making.
struct Copy {
    at: usize,
    width_ms: i64,
    windows: WindowsWriter,
    samples: MetricsWriter,
}

impl Copy {
    fn new(at: usize, width_ms: i64, shape: &MetricsShape) -> Result<Copy, SegmentError> {
        let labels = LabelShape { labels: shape.labels.clone(), labels_rest: shape.labels_rest };
        let windows = WindowsWriter::new(width_ms, labels)?;
        Ok(Copy { at, width_ms, windows, samples: MetricsWriter::new(shape.clone(), Effort::Small)? })
    }

    fn bytes(&self) -> usize {
        self.windows.bytes() + self.samples.bytes()
    }

    fn push(&mut self, labels: &LabelSet, slot: Slot, rows: &SeriesRows) -> Result<(), SegmentError> {
        if rows.timestamps.is_empty() {
            return self.push_histograms(labels, slot, rows);
        }
        let windows = windowed::windows(self.width_ms, &rows.timestamps, &rows.values);
        let is_dense = rows.timestamps.len() >= SAMPLES_PER_WINDOW_MIN * windows.len();
        match is_dense && rows.histograms.is_empty() {
            true => self.windows.push(labels, slot, Of::Floats, &windows),
            false => self.samples.push(labels, slot, rows),
        }
    }

    fn push_histograms(&mut self, labels: &LabelSet, slot: Slot, rows: &SeriesRows) -> Result<(), SegmentError> {
        let samples = rows.histograms.iter().map(|sample| (sample.timestamp.0, &sample.histogram));
        let Thinned { kept, windows } = histograms::thin(self.width_ms, samples);
        if kept.len() > rows.histograms.len() / HISTOGRAMS_PER_KEPT_MIN {
            return self.samples.push(labels, slot, rows);
        }
        let histograms = kept.iter().map(|place| rows.histograms[*place].clone()).collect();
        self.samples.push(labels, slot, &SeriesRows { histograms, ..SeriesRows::default() })?;
        // Of stale markers alone there is nothing to count.
        if windows.is_empty() { Ok(()) } else { self.windows.push(labels, slot, Of::Histograms, &windows) }
    }

    fn finish(self, emit: &mut dyn FnMut(usize, Encoded)) -> Result<(), SegmentError> {
        if self.windows.series_len() > 0 {
            emit(self.at, self.windows.finish()?);
        }
        if self.samples.series_len() > 0 {
            emit(self.at, self.samples.finish()?);
        }
        Ok(())
    }
}

impl Sink for Copies<'_> {
    fn take(
        &mut self,
        labels: &LabelSet,
        slot: Slot,
        rows: &SeriesRows,
        _exemplars: Vec<OrdinalExemplar>,
    ) -> Result<(), SegmentError> {
        if rows.len() == 0 {
            return Ok(());
        }
        for copy in &mut self.copies {
            if copy.bytes() >= self.output_bytes_max {
                let full = std::mem::replace(copy, Copy::new(copy.at, copy.width_ms, &self.shape)?);
                full.finish(self.emit)?;
            }
            copy.push(labels, slot, rows)?;
        }
        Ok(())
    }
}

/// Rewrites a segment of windows without those that touch a deleted range; `erase` names the ranges of a series. Nothing is left:
/// `None`.
///
/// # Errors
/// `Corrupt`.
pub fn erase_windows(
    object: &bytes::Bytes,
    erase: &dyn Fn(&LabelSet) -> Vec<TimeRangeMs>,
) -> Result<Option<Encoded>, SegmentError> {
    let index = windows::Index::open_tail(object, 0)?;
    let fetched = Fetched::whole(object.clone());
    let counts = index.table().name_counts().map(|(name, count)| (name.to_owned(), count)).collect();
    let (labels, labels_rest) = crate::columnar::label_columns(counts);
    let mut writer = WindowsWriter::new(index.width_ms(), LabelShape { labels, labels_rest })?;
    for ordinal in 0..index.series_len() as u32 {
        let labels = index.labels(ordinal);
        let columns = index.decode_ordinals(&[ordinal], Projection::ALL, &fetched)?;
        let erased = erase(&labels);
        let kept: Vec<Window> = columns.windows.into_iter().filter(|window| !touches(window, &erased)).collect();
        if !kept.is_empty() {
            let of = if index.is_of_histograms(ordinal) { Of::Histograms } else { Of::Floats };
            writer.push(&labels, index.extent(ordinal).slot, of, &kept)?;
        }
    }
    Ok(if writer.series_len() > 0 { Some(writer.finish()?) } else { None })
}

/// Reports whether a window `(start, end]` may hold samples of one of the ranges.
pub fn touches(window: &Window, ranges: &[TimeRangeMs]) -> bool {
    ranges.iter().any(|range| window.start + 1 < range.end.0 && range.start.0 <= window.end)
}
