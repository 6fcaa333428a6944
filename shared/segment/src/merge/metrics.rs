//! Merge of metrics: series by series in segment order, a few batches in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{LabelSet, SeriesId, Slot, TenantId};

use super::{MergeOptions, MergeReport};
use crate::columnar::label_columns;
use crate::columnar::metrics_writer::MetricsWriter;
use crate::extras::OrdinalExemplar;
use crate::metrics::{Index, Place, Projection, SeriesColumns, SeriesSlices};
use crate::rows::SeriesRows;
use crate::schema::MetricsShape;
use crate::table::{Interned, columns};
use crate::{Encoded, Fetched, SegmentError};

/// Rows that one input may hold decoded: 64 inputs then stay below 512 MB.
const BATCH_ROWS: u64 = 1 << 18;

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
    let mut rows = SeriesRows::default();
    for series in Union::of(&sources).sorted() {
        if writer.bytes() >= options.output_bytes_max || writer.rows() >= options.output_rows_max {
            let full = std::mem::replace(&mut writer, MetricsWriter::new(shape.clone())?);
            emit(full.finish()?);
        }
        merge_series(&mut sources, &series, &mut rows, &mut writer, &mut report)?;
    }
    if writer.series_len() > 0 || !writer.extras_mut().is_empty() {
        emit(writer.finish()?);
    }
    report.verify();
    Ok(report)
}

/// A series of the output and where its samples come from.
struct UnitedSeries {
    labels: LabelSet,
    slot: Slot,
    id: SeriesId,
    /// (input, ordinal), by input.
    pieces: Vec<(u32, u32)>,
}

/// The distinct series of all inputs. Label pairs are numbered once for all, so that finding a series again costs a hash of
/// a few numbers instead of its text.
#[derive(Default)]
struct Union {
    pairs: Interned,
    /// Series as the bytes of their pair numbers.
    series: Interned,
    united: Vec<UnitedSeries>,
}

impl Union {
    fn of(sources: &[Source]) -> Union {
        let mut union = Union::default();
        for (position, source) in sources.iter().enumerate() {
            union.add(position as u32, source);
        }
        union
    }

    fn add(&mut self, position: u32, source: &Source) {
        let table = source.index.table();
        let mut encoded = Vec::new();
        let numbers: Vec<u32> = (0..table.pairs_len() as u32)
            .map(|pair| {
                let (name, value) = table.pair(pair);
                encoded.clear();
                model::labels::encode_label(&mut encoded, name.as_bytes(), value.as_bytes());
                self.pairs.intern(&encoded).0
            })
            .collect();
        let mut key = Vec::new();
        for ordinal in 0..table.len() {
            key.clear();
            table.pairs(ordinal).iter().for_each(|pair| key.extend_from_slice(&numbers[*pair as usize].to_le_bytes()));
            let (number, fresh) = self.series.intern(&key);
            if fresh {
                let labels = table.labels(ordinal);
                let (id, slot) = (SeriesId::of(&labels), Slot(table.row(ordinal).slot));
                self.united.push(UnitedSeries { labels, slot, id, pieces: Vec::new() });
            }
            self.united[number as usize].pieces.push((position, ordinal as u32));
        }
    }

    /// Returns the series in segment order: metric name, slot, id; the labels tell two series with one id apart.
    fn sorted(mut self) -> Vec<UnitedSeries> {
        debug_assert_eq!(self.series.len(), self.united.len());
        self.united.sort_unstable_by(|a, b| {
            let by_name = a.labels.metric_name().unwrap_or("").cmp(b.labels.metric_name().unwrap_or(""));
            let by_place = by_name.then_with(|| (a.slot.0, a.id).cmp(&(b.slot.0, b.id)));
            by_place.then_with(|| a.labels.encoded().cmp(b.labels.encoded()))
        });
        self.united
    }
}

fn merge_series(
    sources: &mut [Source],
    series: &UnitedSeries,
    rows: &mut SeriesRows,
    writer: &mut MetricsWriter,
    report: &mut MergeReport,
) -> Result<(), SegmentError> {
    rows.clear();
    let ordinal = writer.series_len() as u32;
    // Pieces in order of time make the common case a concatenation.
    let mut pieces = series.pieces.clone();
    pieces.sort_by_key(|(input, ordinal)| sources[*input as usize].index.table().row(*ordinal as usize).first);
    for (input, piece) in pieces {
        let source = &mut sources[input as usize];
        rows.extend_from_slices(source.samples(piece)?);
        let exemplars = source.exemplars.remove(&piece).unwrap_or_default();
        writer.extras_mut().exemplars.extend(exemplars.into_iter().map(|exemplar| OrdinalExemplar { ordinal, ..exemplar }));
    }
    rows.settle(report);
    report.rows_out += rows.len() as u64;
    writer.push(&series.labels, series.slot, rows)
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

/// One input, read batch by batch in the order of its series.
struct Source {
    position: usize,
    index: Index,
    fetched: Fetched,
    exemplars: BTreeMap<u32, Vec<OrdinalExemplar>>,
    metadata: Vec<model::MetricMetadata>,
    /// First series of the batch; `columns` holds as many as it has `ends`.
    first: u32,
    columns: SeriesColumns,
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
        let (fetched, metadata, columns) = (Fetched::whole(input.clone()), extras.metadata, SeriesColumns::default());
        Ok(Source { position, index, fetched, exemplars, metadata, first: 0, columns })
    }

    /// Returns the samples of a series, decoding its batch where needed.
    fn samples(&mut self, ordinal: u32) -> Result<SeriesSlices<'_>, SegmentError> {
        let loaded = self.first..self.first + self.columns.series_len() as u32;
        if !loaded.contains(&ordinal) {
            // Files are written in the order they are read here; one that is not would be decoded again and again.
            if ordinal < loaded.end {
                return Err(at_input(self.position, SegmentError::corrupt("series are not in segment order")));
            }
            self.load(ordinal).map_err(|error| at_input(self.position, error))?;
        }
        Ok(self.columns.series((ordinal - self.first) as usize))
    }

    fn load(&mut self, first: u32) -> Result<(), SegmentError> {
        let table = self.index.table();
        // A block is one frame: reading it in parts would decompress it as often.
        let bounded = !self.index.is_block();
        let first = if bounded { first } else { 0 };
        let mut places: Vec<Place> = Vec::new();
        let mut rows = 0;
        for ordinal in first..table.len() as u32 {
            let range = table.row_range(ordinal as usize);
            rows += range.end - range.start;
            if bounded && !places.is_empty() && rows > BATCH_ROWS {
                break;
            }
            places.push(Place { ordinal, rows: range });
        }
        self.columns = self.index.decode_places(&places, Projection::ALL, &self.fetched)?;
        self.first = first;
        Ok(())
    }
}

/// Names the input in an error about its bytes.
pub(super) fn at_input(position: usize, error: SegmentError) -> SegmentError {
    SegmentError::Input { position, source: Box::new(error) }
}
