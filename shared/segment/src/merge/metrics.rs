//! Merge of metrics: a heap of inputs by their next series, one batch of each decoded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use model::labels::METRIC_NAME;
use model::{LabelSet, SeriesId, Slot, SlotRange, TimeRangeMs, TimestampMs};

use super::reduce::{Input, at_input, reduce};
use super::{EraseSamples, LeftOut, MergeOptions, MergeReport};
use crate::columnar::label_columns;
use crate::columnar::metrics_writer::MetricsWriter;
use crate::extras::{Extras, OrdinalExemplar};
use crate::metrics::{Index, Place, Projection, SeriesColumns, SeriesSlices};
use crate::rows::SeriesRows;
use crate::schema::MetricsShape;
use crate::table::{Table, columns};
use crate::{Encoded, Fetched, SegmentError};

/// Rows that all Parquet inputs together hold decoded: about 24 MB.
const OPEN_ROWS: u64 = 1 << 20;
/// Rows that one input holds decoded at least: two pages.
const BATCH_ROWS_MIN: u64 = 1 << 15;
/// Bytes of a decoded row.
const ROW_BYTES: usize = 24;

/// Merges whole metrics segments; `emit` takes each output as soon as it is closed.
///
/// # Errors
/// `Input` with the position of an input that cannot be read: leave it out and merge again.
pub fn metrics(inputs: &[Bytes], options: &MergeOptions, emit: &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> {
    metrics_without(inputs.to_vec(), options, &|_, _| Vec::new(), emit)
}

/// As [`metrics`], and leaves out the samples that `erase` names. Inputs are let go of as soon as nothing of them is needed.
///
/// # Errors
/// As [`metrics`].
pub fn metrics_without(
    inputs: Vec<Bytes>,
    options: &MergeOptions,
    erase: &EraseSamples<'_>,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let mut losses = MergeReport::default();
    let batch = BATCH_ROWS_MIN as usize * ROW_BYTES;
    let inputs = reduce(inputs, batch, &mut losses, &mut |group, options, emit| merge_step(group, options, erase, emit))?;
    let mut report = merge_step(inputs, options, erase, emit)?;
    report.add_losses(&losses);
    report.verify();
    Ok(report)
}

pub(super) fn merge_step(
    inputs: Vec<Input>,
    options: &MergeOptions,
    erase: &EraseSamples<'_>,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let batch_rows = batch_rows(inputs.len());
    let sources = inputs.into_iter().map(|input| Source::open(input, batch_rows));
    let sources = sources.collect::<Result<Vec<Source>, _>>()?;
    let rows_in = sources.iter().map(|source| source.index.rows() + source.ahead.rows).sum();
    rewrite(sources, rows_in, options, erase, emit)
}

/// Writes the series of all sources, which hold `rows_in` rows together, into segments.
pub(super) fn rewrite(
    mut sources: Vec<Source>,
    rows_in: u64,
    options: &MergeOptions,
    erase: &EraseSamples<'_>,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let shape = shape_of(&sources);
    let writer = MetricsWriter::new(shape.clone(), options.effort)?;
    let mut rewrite = Rewrite { shape, options, emit, writer };
    for source in &mut sources {
        rewrite.writer.extras_mut().metadata.append(&mut source.metadata);
    }
    let report = Walk::new(erase, rows_in).over(sources, &mut rewrite)?;
    if rewrite.writer.series_len() > 0 || !rewrite.writer.extras_mut().is_empty() {
        (rewrite.emit)(rewrite.writer.finish()?);
    }
    Ok(report)
}

/// Returns how many rows of each of so many inputs are decoded at a time.
pub(super) fn batch_rows(inputs: usize) -> u64 {
    (OPEN_ROWS / inputs.max(1) as u64).max(BATCH_ROWS_MIN)
}

/// What is made of the series, which come in segment order.
pub(super) trait Sink {
    /// Takes the settled samples of a series, or its exemplars alone.
    fn take(
        &mut self,
        labels: &LabelSet,
        slot: Slot,
        rows: &SeriesRows,
        exemplars: Vec<OrdinalExemplar>,
    ) -> Result<(), SegmentError>;
}

/// Merged segments.
struct Rewrite<'a> {
    shape: MetricsShape,
    options: &'a MergeOptions,
    emit: &'a mut dyn FnMut(Encoded),
    writer: MetricsWriter,
}

impl Sink for Rewrite<'_> {
    fn take(
        &mut self,
        labels: &LabelSet,
        slot: Slot,
        rows: &SeriesRows,
        exemplars: Vec<OrdinalExemplar>,
    ) -> Result<(), SegmentError> {
        let is_full = self.writer.bytes() >= self.options.output_bytes_max || self.writer.rows() >= self.options.output_rows_max;
        if is_full && self.writer.series_len() > 0 {
            let full = std::mem::replace(&mut self.writer, MetricsWriter::new(self.shape.clone(), self.options.effort)?);
            (self.emit)(full.finish()?);
        }
        let ordinal = self.writer.series_len() as u32;
        self.writer.extras_mut().exemplars.extend(exemplars.into_iter().map(|row| OrdinalExemplar { ordinal, ..row }));
        self.writer.push(labels, slot, rows)
    }
}

/// The walk over all series of all inputs, in segment order.
pub(super) struct Walk<'a> {
    erase: &'a EraseSamples<'a>,
    report: MergeReport,
    rows: SeriesRows,
}

impl<'a> Walk<'a> {
    /// Prepares the walk over sources that hold `rows_in` rows together.
    pub(super) fn new(erase: &'a EraseSamples<'a>, rows_in: u64) -> Walk<'a> {
        Walk { erase, report: MergeReport { rows_in, ..MergeReport::default() }, rows: SeriesRows::default() }
    }

    /// Gives every series to the sink, and tells what became of the rows.
    pub(super) fn over(mut self, mut sources: Vec<Source>, sink: &mut dyn Sink) -> Result<MergeReport, SegmentError> {
        rank_names(&mut sources);
        let mut heap: BinaryHeap<Reverse<(u128, usize)>> = BinaryHeap::with_capacity(sources.len());
        for (at, source) in sources.iter_mut().enumerate() {
            heap.extend(source.next()?.map(|key| Reverse((key, at))));
        }
        let mut same = Vec::with_capacity(sources.len());
        while let Some(Reverse((key, first))) = heap.pop() {
            same.clear();
            same.push(first);
            while let Some(Reverse((next, at))) = heap.peek().copied()
                && next == key
            {
                heap.pop();
                same.push(at);
            }
            Self::settle_collision(&sources, &mut same, &mut heap, key);
            self.series(&mut sources, &same, sink)?;
            for at in &same {
                heap.extend(sources[*at].next()?.map(|key| Reverse((key, *at))));
            }
        }
        self.report.verify();
        Ok(self.report)
    }

    /// Two label sets with one id: the smaller one first, the others go back into the heap.
    fn settle_collision(sources: &[Source], same: &mut Vec<usize>, heap: &mut BinaryHeap<Reverse<(u128, usize)>>, key: u128) {
        let Some(least) = same.iter().map(|at| &sources[*at].labels).min() else { return };
        if same.iter().any(|at| sources[*at].labels != *least) {
            heap.extend(same.iter().filter(|at| sources[**at].labels != *least).map(|at| Reverse((key, *at))));
            same.retain(|at| sources[*at].labels == *least);
        }
    }

    /// Merges one series out of the inputs that stand at it.
    fn series(&mut self, sources: &mut [Source], same: &[usize], sink: &mut dyn Sink) -> Result<(), SegmentError> {
        let first = &sources[same[0]];
        let labels = LabelSet::from_encoded(&first.labels).map_err(|_| SegmentError::corrupt("labels of a series"))?;
        let slot = first.slot();
        // Pieces in order of time make the common case a concatenation.
        let mut pieces = same.to_vec();
        pieces.sort_by_key(|at| sources[*at].row().first);
        self.rows.clear();
        let mut exemplars = Vec::new();
        for at in pieces {
            let source = &mut sources[at];
            let erased = source.position.map_or(Vec::new(), |position| (self.erase)(position, &labels));
            let piece = source.exemplars.remove(&source.ordinal).unwrap_or_default();
            exemplars.extend(piece.into_iter().filter(|row| !holds(&erased, row.exemplar.timestamp)));
            // Samples alone: an exemplar belongs to no replica that could win or lose.
            let left_out = source.left_out.clone();
            let left_out = left_out.get(&source.ordinal).map_or(&[][..], Vec::as_slice);
            let samples = source.samples()?;
            if erased.is_empty() && left_out.is_empty() {
                self.rows.extend_from_slices(samples);
            } else {
                let is_gone = |time| holds(&erased, time) || holds_ascending(left_out, time);
                self.report.erased += self.rows.extend_without(samples, |time| is_gone(TimestampMs(time)));
            }
        }
        self.rows.settle(&mut self.report);
        if self.rows.len() == 0 && exemplars.is_empty() {
            return Ok(());
        }
        self.report.rows_out += self.rows.len() as u64;
        sink.take(&labels, slot, &self.rows, exemplars)
    }
}

fn holds(ranges: &[TimeRangeMs], time: TimestampMs) -> bool {
    ranges.iter().any(|range| range.start <= time && time < range.end)
}

/// As [`holds`], of many ranges that ascend and lie apart: replicas may take turns each minute.
fn holds_ascending(ranges: &[TimeRangeMs], time: TimestampMs) -> bool {
    let next = ranges.get(ranges.partition_point(|range| range.end <= time));
    next.is_some_and(|range| range.start <= time)
}

pub(super) fn shape_of(sources: &[Source]) -> MetricsShape {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut used = 0;
    for source in sources {
        let ahead = source.ahead.labels.iter().map(|(name, count)| (&**name, *count));
        source.index.table().name_counts().chain(ahead).for_each(|(name, count)| *counts.entry(name).or_default() += count);
        used |= source.index.table().columns() | source.ahead.columns;
    }
    let (labels, labels_rest) = label_columns(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    MetricsShape { starts: used & columns::START != 0, histograms: used & columns::HISTOGRAM != 0, labels, labels_rest }
}

/// Numbers the metric names of all inputs in their order, so that comparing two series is comparing two numbers.
fn rank_names(sources: &mut [Source]) {
    let mut ranks: BTreeMap<String, u32> = BTreeMap::new();
    for source in sources.iter_mut() {
        let names = metric_names(source.index.table()).map(str::to_owned);
        ranks.extend(names.chain(source.ahead.metrics.drain(..)).map(|name| (name, 0)));
    }
    // 0 is the series without a name.
    ranks.values_mut().zip(1..).for_each(|(rank, next)| *rank = next);
    let ranks = Rc::new(ranks);
    for source in sources {
        source.rank_with(ranks.clone());
    }
}

fn metric_names(table: &Table) -> impl Iterator<Item = &str> {
    let pairs = (0..table.pairs_len() as u32).map(|pair| table.pair(pair));
    pairs.filter(|(name, _)| *name == METRIC_NAME).map(|(_, value)| value)
}

/// The segments of a run that are opened later, and what must be known of them before.
#[derive(Default)]
struct Ahead {
    segments: VecDeque<Bytes>,
    rows: u64,
    /// Series that have a label, by its name.
    labels: BTreeMap<String, u64>,
    metrics: Vec<String>,
    columns: u8,
}

impl Ahead {
    fn of(segments: VecDeque<Bytes>) -> Result<Ahead, SegmentError> {
        let mut ahead = Ahead::default();
        for segment in &segments {
            let index = Index::open(segment)?;
            let table = index.table();
            ahead.rows += index.rows();
            table.name_counts().for_each(|(name, count)| *ahead.labels.entry(name.to_owned()).or_default() += count);
            ahead.metrics.extend(metric_names(table).map(str::to_owned));
            ahead.columns |= table.columns();
        }
        Ok(Ahead { segments, ..ahead })
    }
}

fn open_segment(segment: &Bytes) -> Result<(Index, Extras), SegmentError> {
    let index = Index::open(segment)?;
    let extras = index.extras()?;
    Ok((index, extras))
}

/// One input, read batch by batch in the order of its series, and of a run segment by segment.
pub(super) struct Source {
    position: Option<usize>,
    ahead: Ahead,
    index: Index,
    fetched: Fetched,
    /// Only series of these slots are read.
    slots: SlotRange,
    /// Samples that go, by ordinal.
    left_out: Arc<LeftOut>,
    exemplars: BTreeMap<u32, Vec<OrdinalExemplar>>,
    metadata: Vec<model::MetricMetadata>,
    /// Per label pair, the rank of the metric name it gives, or 0.
    ranks: Vec<u32>,
    ranks_by_name: Rc<BTreeMap<String, u32>>,
    /// The series it stands at: ordinal, place in the order, canonical labels.
    ordinal: u32,
    key: Option<u128>,
    labels: Vec<u8>,
    /// Labels of the series before.
    before: Vec<u8>,
    batch_rows: u64,
    /// Ordinals of the series of the batch, which `columns` holds in this order.
    loaded: Vec<u32>,
    columns: SeriesColumns,
}

impl Source {
    fn open(mut input: Input, batch_rows: u64) -> Result<Source, SegmentError> {
        let first = input.segments.pop_front().expect("an input has a segment");
        let (index, extras) = open_segment(&first).map_err(|error| at_input(input.position, error))?;
        let mut source = Source::of(input.position, index, Fetched::whole(first), SlotRange::ALL, batch_rows);
        source.ahead = Ahead::of(input.segments)?;
        source.take_extras(extras);
        Ok(source)
    }

    fn take_extras(&mut self, extras: Extras) {
        extras.exemplars.into_iter().for_each(|exemplar| self.exemplars.entry(exemplar.ordinal).or_default().push(exemplar));
        self.metadata = extras.metadata;
    }

    /// Opens the next segment of a run; `false`: there is none.
    fn open_next(&mut self) -> Result<bool, SegmentError> {
        // What was read goes before the next comes.
        (self.fetched, self.columns) = (Fetched::default(), SeriesColumns::default());
        self.loaded.clear();
        let Some(segment) = self.ahead.segments.pop_front() else { return Ok(false) };
        let (index, extras) = open_segment(&segment)?;
        (self.index, self.fetched) = (index, Fetched::whole(segment));
        self.exemplars.clear();
        self.take_extras(extras);
        debug_assert!(self.metadata.is_empty(), "metadata goes with the first segment of a run");
        self.rank_with(self.ranks_by_name.clone());
        Ok(true)
    }

    fn rank_with(&mut self, ranks: Rc<BTreeMap<String, u32>>) {
        let table = self.index.table();
        let pairs = (0..table.pairs_len() as u32).map(|pair| table.pair(pair));
        self.ranks = pairs.map(|(name, value)| if name == METRIC_NAME { ranks[value] } else { 0 }).collect();
        self.ranks_by_name = ranks;
    }

    /// Makes a source of the samples of some slots alone, of which `fetched` holds the bytes.
    pub(super) fn of(position: Option<usize>, index: Index, fetched: Fetched, slots: SlotRange, batch_rows: u64) -> Source {
        Source {
            position,
            ahead: Ahead::default(),
            index,
            fetched,
            slots,
            left_out: Arc::default(),
            exemplars: BTreeMap::new(),
            metadata: Vec::new(),
            ranks: Vec::new(),
            ranks_by_name: Rc::default(),
            ordinal: 0,
            key: None,
            labels: Vec::new(),
            before: Vec::new(),
            batch_rows,
            loaded: Vec::new(),
            columns: SeriesColumns::default(),
        }
    }

    /// Leaves out samples, and takes the exemplars of its slots along, of which a source of samples alone has none.
    pub(super) fn thinned(mut self, left_out: Arc<LeftOut>, with_metadata: bool) -> Result<Source, SegmentError> {
        let extras = self.index.extras_of(&|ordinal| self.slots.contains(Slot(self.index.table().row(ordinal as usize).slot)));
        self.take_extras(extras.map_err(|error| at_input(self.position, error))?);
        if !with_metadata {
            self.metadata.clear();
        }
        self.left_out = left_out;
        Ok(self)
    }

    /// Moves to the next series; returns its place in the order: rank of the metric name, slot, id.
    fn next(&mut self) -> Result<Option<u128>, SegmentError> {
        let mut ordinal = if self.key.is_some() { self.ordinal + 1 } else { 0 };
        loop {
            let table = self.index.table();
            while (ordinal as usize) < table.len() && !self.slots.contains(Slot(table.row(ordinal as usize).slot)) {
                ordinal += 1;
            }
            if (ordinal as usize) < table.len() {
                break;
            }
            if !self.open_next()? {
                return Ok(None);
            }
            ordinal = 0;
        }
        let table = self.index.table();
        std::mem::swap(&mut self.labels, &mut self.before);
        self.labels.clear();
        table.encode_labels(ordinal as usize, &mut self.labels);
        let rank = table.pairs(ordinal as usize).iter().map(|pair| self.ranks[*pair as usize]).max().unwrap_or(0);
        let (slot, id) = (table.row(ordinal as usize).slot, SeriesId::of_encoded(&self.labels));
        let key = u128::from(rank) << 80 | u128::from(slot) << 64 | u128::from(id.0);
        // The heap relies on it, and so does the output's order.
        if self.key.is_some_and(|last| (last, &self.before) >= (key, &self.labels)) {
            return Err(at_input(self.position, SegmentError::corrupt("series are not in segment order")));
        }
        (self.ordinal, self.key) = (ordinal, Some(key));
        Ok(self.key)
    }

    fn row(&self) -> crate::table::Row {
        self.index.table().row(self.ordinal as usize)
    }

    fn slot(&self) -> Slot {
        Slot(self.row().slot)
    }

    /// Returns the samples of the series it stands at, decoding the next batch where needed.
    fn samples(&mut self) -> Result<SeriesSlices<'_>, SegmentError> {
        if self.loaded.binary_search(&self.ordinal).is_err() {
            self.load().map_err(|error| at_input(self.position, error))?;
        }
        let at = self.loaded.binary_search(&self.ordinal).expect("a batch begins with the series it is loaded for");
        Ok(self.columns.series(at))
    }

    fn load(&mut self) -> Result<(), SegmentError> {
        let table = self.index.table();
        // A block is one frame: reading it in parts would decompress it as often.
        let bounded = !self.index.is_block();
        let first = if bounded { self.ordinal } else { 0 };
        // The old batch goes before the new one comes.
        self.columns = SeriesColumns::default();
        let mut places: Vec<Place> = Vec::new();
        let mut rows = 0;
        for ordinal in first..table.len() as u32 {
            if !self.slots.contains(Slot(table.row(ordinal as usize).slot)) {
                continue;
            }
            let range = table.row_range(ordinal as usize);
            rows += range.end - range.start;
            if bounded && !places.is_empty() && rows > self.batch_rows {
                break;
            }
            places.push(Place { ordinal, rows: range });
        }
        self.columns = self.index.decode_places(&places, Projection::ALL, &self.fetched)?;
        self.loaded = places.iter().map(|place| place.ordinal).collect();
        Ok(())
    }
}
