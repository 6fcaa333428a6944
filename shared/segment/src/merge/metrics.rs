//! Merge of metrics: series by series in segment order, a few batches in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use bytes::Bytes;
use model::{SeriesId, TenantId};

use super::{MergeOptions, MergeReport};
use crate::columnar::label_columns;
use crate::columnar::metrics_writer::MetricsWriter;
use crate::extras::OrdinalExemplar;
use crate::metrics::{Index, Projection, SeriesColumns, SeriesEntry};
use crate::rows::SeriesRows;
use crate::schema::MetricsShape;
use crate::table::columns;
use crate::{Encoded, Fetched, SegmentError};

/// Rows that one input may hold decoded: 64 inputs then stay below 512 MB.
const BATCH_ROWS: u64 = 1 << 18;
/// Series in one batch, since each costs a label set.
const BATCH_SERIES: usize = 1 << 13;

/// Merges whole metrics segments; `emit` takes each output as soon as it is closed.
///
/// # Errors
/// `Input` with the position of an input that cannot be read: leave it out and merge again.
pub fn metrics(
    tenant: &TenantId,
    inputs: &[Bytes],
    options: &MergeOptions,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    // Slots were computed at ingest and come with the inputs; the tenant is here so that both merges are called alike.
    let _ = tenant;
    let sources = inputs.iter().enumerate().map(|(position, input)| Source::open(position, input));
    let mut sources = sources.collect::<Result<Vec<Source>, _>>()?;
    let shape = shape_of(&sources);
    let mut report = MergeReport { rows_in: sources.iter().map(|source| source.index.rows()).sum(), ..MergeReport::default() };
    let mut writer = MetricsWriter::new(shape.clone())?;
    for source in &mut sources {
        writer.extras_mut().metadata.append(&mut source.metadata);
    }
    let mut heap = BinaryHeap::new();
    for (position, source) in sources.iter_mut().enumerate() {
        heap.extend(source.head()?.map(|key| Reverse((key, position))));
    }
    let mut rows = SeriesRows::default();
    while let Some(Reverse((key, first))) = heap.pop() {
        let mut same = vec![first];
        while heap.peek().is_some_and(|Reverse((other, _))| *other == key) {
            same.extend(heap.pop().map(|Reverse((_, position))| position));
        }
        if writer.bytes() >= options.output_bytes_max || writer.rows() >= options.output_rows_max {
            let full = std::mem::replace(&mut writer, MetricsWriter::new(shape.clone())?);
            emit(full.finish()?);
        }
        merge_series(&mut sources, &same, &mut rows, &mut writer, &mut report)?;
        for position in same {
            sources[position].advance();
            heap.extend(sources[position].head()?.map(|key| Reverse((key, position))));
        }
    }
    if writer.series_len() > 0 || !writer.extras_mut().is_empty() {
        emit(writer.finish()?);
    }
    report.verify();
    Ok(report)
}

/// Order of segments: metric name, slot, id; the labels tell two series with one id apart.
type Key = (String, u16, SeriesId, Vec<u8>);

fn merge_series(
    sources: &mut [Source],
    same: &[usize],
    rows: &mut SeriesRows,
    writer: &mut MetricsWriter,
    report: &mut MergeReport,
) -> Result<(), SegmentError> {
    rows.clear();
    let ordinal = writer.series_len() as u32;
    // Pieces in order of time make the common case a concatenation.
    let mut pieces: Vec<usize> = same.to_vec();
    pieces.sort_by_key(|position| sources[*position].entry().range.start);
    for position in &pieces {
        rows.extend_from_slices(sources[*position].samples());
    }
    for position in same {
        let exemplars = sources[*position].exemplars();
        writer.extras_mut().exemplars.extend(exemplars.into_iter().map(|exemplar| OrdinalExemplar { ordinal, ..exemplar }));
    }
    rows.settle(report);
    report.rows_out += rows.len() as u64;
    let entry = sources[same[0]].entry();
    let (labels, slot) = (entry.labels.clone(), entry.slot);
    writer.push(&labels, slot, rows)
}

fn shape_of(sources: &[Source]) -> MetricsShape {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut used = 0;
    for source in sources {
        source.index.table().name_counts().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        used |= source.index.table().columns();
    }
    let (labels, labels_rest) = label_columns(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    MetricsShape { starts: used & columns::START != 0, histograms: used & columns::HISTOGRAM != 0, labels, labels_rest }
}

/// One input, read batch by batch.
struct Source {
    position: usize,
    index: Index,
    fetched: Fetched,
    exemplars: BTreeMap<u32, Vec<OrdinalExemplar>>,
    metadata: Vec<model::MetricMetadata>,
    next: u32,
    batch: Vec<SeriesEntry>,
    columns: SeriesColumns,
    at: usize,
}

impl Source {
    fn open(position: usize, input: &Bytes) -> Result<Source, SegmentError> {
        let open = || {
            let index = Index::open(input)?;
            let extras = index.extras()?;
            Ok((index, extras))
        };
        let (index, extras) = open().map_err(|error| at_input(position, error))?;
        let mut exemplars: BTreeMap<u32, Vec<OrdinalExemplar>> = BTreeMap::new();
        extras.exemplars.into_iter().for_each(|exemplar| exemplars.entry(exemplar.ordinal).or_default().push(exemplar));
        Ok(Source {
            position,
            index,
            fetched: Fetched::whole(input.clone()),
            exemplars,
            metadata: extras.metadata,
            next: 0,
            batch: Vec::new(),
            columns: SeriesColumns::default(),
            at: 0,
        })
    }

    /// Returns the key of the series that comes next, decoding its batch where needed.
    fn head(&mut self) -> Result<Option<Key>, SegmentError> {
        if self.at == self.batch.len() {
            self.load()?;
        }
        Ok(self.batch.get(self.at).map(|entry| {
            (entry.labels.metric_name().unwrap_or("").to_owned(), entry.slot.0, entry.id, entry.labels.encoded().to_vec())
        }))
    }

    fn load(&mut self) -> Result<(), SegmentError> {
        self.batch.clear();
        self.at = 0;
        let mut rows = 0;
        // A block is one frame: reading it in parts would decompress it as often.
        let bounded = !self.index.is_block();
        while (self.next as usize) < self.index.series_len() {
            let entry = self.index.entry(self.next);
            rows += entry.rows.end - entry.rows.start;
            if bounded && !self.batch.is_empty() && (rows > BATCH_ROWS || self.batch.len() >= BATCH_SERIES) {
                break;
            }
            self.batch.push(entry);
            self.next += 1;
        }
        let columns = self.index.decode(&self.batch, Projection::ALL, &self.fetched);
        self.columns = columns.map_err(|error| at_input(self.position, error))?;
        Ok(())
    }

    fn entry(&self) -> &SeriesEntry {
        &self.batch[self.at]
    }

    fn samples(&self) -> crate::metrics::SeriesSlices<'_> {
        self.columns.series(self.at)
    }

    fn exemplars(&mut self) -> Vec<OrdinalExemplar> {
        let ordinal = self.entry().ordinal;
        self.exemplars.remove(&ordinal).unwrap_or_default()
    }

    fn advance(&mut self) {
        self.at += 1;
    }
}

/// Names the input in an error about its bytes.
pub(super) fn at_input(position: usize, error: SegmentError) -> SegmentError {
    SegmentError::Input { position, source: Box::new(error) }
}
