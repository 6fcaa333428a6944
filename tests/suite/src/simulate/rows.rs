//! The rows of a segment, as the plain model knows them.

use bytes::Bytes;
use model::{Exemplar, Histogram, LabelSet, STALE_NAN, Signal, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use segment::{Fetched, SegmentError, logs, metrics};
use std::sync::Arc;

/// What one row is about: two rows of one key are the same sample, exemplar or entry (W3).
pub type RowKey = Vec<u8>;

/// What follows the labels in a key. No encoded label set has these bytes: lengths are short and names are UTF-8.
const EXEMPLAR: u8 = 0xfd;
const ENTRY: u8 = 0xfe;
const SAMPLE: u8 = 0xff;

/// The value of a row. Of two under one key the larger one wins: of numbers by their bits, a histogram over any number, of
/// histograms by their bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowValue {
    /// Exact bits of a sample; 0 where the key says it all.
    Number(u64),
    /// Exact bytes of a native histogram.
    Histogram(Arc<[u8]>),
}

impl RowValue {
    /// Reports whether it says that a series has ended: it is stored, and no query answers it.
    pub fn is_stale(&self) -> bool {
        *self == RowValue::Number(STALE_NAN.to_bits())
    }
}

/// A row: its key, its hour, and its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Row {
    /// Labels, time, and what else tells rows apart.
    pub key: RowKey,
    /// When, ms.
    pub at_ms: i64,
    /// What was seen then.
    pub value: RowValue,
}

impl Row {
    /// Hours since the Unix epoch.
    pub fn hour(&self) -> i64 {
        self.at_ms.div_euclid(3_600_000)
    }
}

/// Reports whether a key is that of a sample, float or histogram.
pub fn is_sample(key: &[u8]) -> bool {
    key.iter().find(|byte| **byte >= EXEMPLAR) == Some(&SAMPLE)
}

/// Returns the labels of a row's key, and the line of an entry's.
pub fn labels_and_line(key: &[u8]) -> Option<(LabelSet, &[u8])> {
    let end = key.iter().position(|byte| *byte >= EXEMPLAR)?;
    let line = if key[end] == ENTRY { key.get(end + 9..)? } else { &[] };
    Some((LabelSet::from_encoded(&key[..end]).ok()?, line))
}

fn key(labels: &[u8], kind: u8, at: i64, rest: &[u8]) -> RowKey {
    let mut key = labels.to_vec();
    key.push(kind);
    key.extend_from_slice(&at.to_be_bytes());
    key.extend_from_slice(rest);
    key
}

/// Makes the row of a float sample.
pub fn sample(labels: &[u8], at_ms: i64, value: f64) -> Row {
    Row { key: key(labels, SAMPLE, at_ms, &[]), at_ms, value: RowValue::Number(value.to_bits()) }
}

/// Makes the row of a histogram sample.
pub fn histogram(labels: &[u8], at_ms: i64, histogram: &Histogram) -> Row {
    let value = RowValue::Histogram(metrics::histogram_bytes(histogram).into());
    Row { key: key(labels, SAMPLE, at_ms, &[]), at_ms, value }
}

/// Makes the row of an exemplar: two that differ in anything are two.
pub fn exemplar(labels: &[u8], exemplar: &Exemplar) -> Row {
    let mut rest = exemplar.value.to_bits().to_be_bytes().to_vec();
    rest.extend_from_slice(exemplar.labels.encoded());
    let at_ms = exemplar.timestamp.0;
    Row { key: key(labels, EXEMPLAR, at_ms, &rest), at_ms, value: RowValue::Number(0) }
}

/// Makes the row of an entry.
pub fn entry(labels: &[u8], at_ns: i64, line: &[u8]) -> Row {
    Row { key: key(labels, ENTRY, at_ns, line), at_ms: at_ns.div_euclid(1_000_000), value: RowValue::Number(0) }
}

/// Reads all rows of a segment through the segment readers.
///
/// # Errors
/// Those of the readers: the object is not what was written.
pub fn read(signal: Signal, object: &Bytes) -> Result<Vec<Row>, SegmentError> {
    match signal {
        Signal::Metrics => read_metrics(object),
        Signal::Logs => read_logs(object),
    }
}

fn read_metrics(object: &Bytes) -> Result<Vec<Row>, SegmentError> {
    let index = metrics::Index::open(object)?;
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(object.clone()))?;
    let mut rows = Vec::new();
    for (place, series) in all.iter().enumerate() {
        let samples = columns.series(place);
        let labels = series.labels.encoded();
        rows.extend(samples.timestamps.iter().zip(samples.values).map(|(at, value)| sample(labels, *at, *value)));
        rows.extend(samples.histograms.iter().map(|of| histogram(labels, of.timestamp.0, &of.histogram)));
    }
    let ever = TimeRangeMs::new(TimestampMs(i64::MIN), TimestampMs(i64::MAX));
    let exemplars = index.exemplars(&[], ever)?;
    rows.extend(exemplars.iter().map(|one| exemplar(one.labels.encoded(), &one.exemplar)));
    Ok(rows)
}

fn read_logs(object: &Bytes) -> Result<Vec<Row>, SegmentError> {
    let index = logs::Index::open(object)?;
    let all = index.all();
    let mut rows = Vec::new();
    for chunk in index.chunks(&all, TimeRangeNs::new(TimestampNs(i64::MIN), TimestampNs(i64::MAX)), &[]) {
        let columns = index.decode(&chunk, logs::Projection::ALL, &Fetched::whole(object.clone()))?;
        for (stream, range) in &columns.runs {
            let labels = all[*stream as usize].labels.encoded();
            let range = range.start as usize..range.end as usize;
            rows.extend(range.map(|row| entry(labels, columns.timestamps[row], columns.lines.get(row))));
        }
    }
    Ok(rows)
}
