//! The rows of a segment, as the plain model knows them.

use bytes::Bytes;
use model::{LabelSet, Signal, TimeRangeNs, TimestampNs};
use segment::{Fetched, SegmentError, logs, metrics};

/// What one row is about: two rows of one key are the same sample or the same entry (W3).
pub type RowKey = Vec<u8>;

/// A row: its key, its hour, and its value. Of two values under one key the larger one wins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Row {
    /// Labels, time, and for logs the line.
    pub key: RowKey,
    /// When, ms.
    pub at_ms: i64,
    /// Exact bits of a sample; 0 for an entry.
    pub value: u64,
}

impl Row {
    /// Hours since the Unix epoch.
    pub fn hour(&self) -> i64 {
        self.at_ms.div_euclid(3_600_000)
    }
}

/// Returns the labels of a row's key.
pub fn labels_of(key: &[u8]) -> Option<LabelSet> {
    let end = key.iter().position(|byte| *byte >= 0xfe)?;
    LabelSet::from_encoded(&key[..end]).ok()
}

/// Makes the row of a sample.
pub fn sample(labels: &[u8], at_ms: i64, value: f64) -> Row {
    let mut key = labels.to_vec();
    key.push(0xff);
    key.extend_from_slice(&at_ms.to_be_bytes());
    Row { key, at_ms, value: value.to_bits() }
}

/// Makes the row of an entry.
pub fn entry(labels: &[u8], at_ns: i64, line: &[u8]) -> Row {
    let mut key = labels.to_vec();
    key.push(0xfe);
    key.extend_from_slice(&at_ns.to_be_bytes());
    key.extend_from_slice(line);
    Row { key, at_ms: at_ns.div_euclid(1_000_000), value: 0 }
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
    }
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
