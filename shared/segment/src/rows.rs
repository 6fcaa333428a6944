//! The samples of one series on their way into a file, and the one place where rule W3 is decided.

use model::MetricBatch;
use model::TimestampMs;

use crate::merge::MergeReport;
use crate::metrics::{HistogramSample, SeriesSlices, histogram_bytes};

/// Samples of one series in any order, until [`SeriesRows::settle`] sorts and deduplicates them.
///
/// # Invariants
/// `timestamps`, `values` and `starts` are equally long.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesRows {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// 0 where unknown.
    pub(crate) starts: Vec<i64>,
    pub(crate) histograms: Vec<HistogramSample>,
}

impl SeriesRows {
    pub(crate) fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.starts.clear();
        self.histograms.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Appends the float samples of series `index` of a batch.
    pub(crate) fn extend_from_batch(&mut self, batch: &MetricBatch, index: usize) {
        let range = batch.sample_range(index);
        self.timestamps.extend_from_slice(&batch.timestamps[range.clone()]);
        self.values.extend_from_slice(&batch.values[range.clone()]);
        match batch.start_timestamps.get(range) {
            Some(starts) => self.starts.extend_from_slice(starts),
            None => self.starts.resize(self.timestamps.len(), 0),
        }
        self.starts.resize(self.timestamps.len(), 0);
    }

    /// Appends decoded samples.
    pub(crate) fn extend_from_slices(&mut self, slices: SeriesSlices<'_>) {
        self.timestamps.extend_from_slice(slices.timestamps);
        self.values.extend_from_slice(slices.values);
        self.starts.extend_from_slice(slices.start_timestamps);
        self.starts.resize(self.timestamps.len(), 0);
        self.histograms.extend_from_slice(slices.histograms);
    }

    /// Appends decoded samples without those at times that `erased` names; returns how many it left out.
    pub(crate) fn extend_without(&mut self, slices: SeriesSlices<'_>, erased: impl Fn(i64) -> bool) -> u64 {
        let before = self.len();
        for (row, timestamp) in slices.timestamps.iter().enumerate().filter(|(_, timestamp)| !erased(**timestamp)) {
            self.timestamps.push(*timestamp);
            self.values.push(slices.values[row]);
            self.starts.push(slices.start_timestamps.get(row).copied().unwrap_or(0));
        }
        self.histograms.extend(slices.histograms.iter().filter(|sample| !erased(sample.timestamp.0)).cloned());
        (slices.timestamps.len() + slices.histograms.len() - (self.len() - before)) as u64
    }

    /// Sorts by time and leaves one sample per time (W3): of equal values one, of different values the larger bit pattern,
    /// of a float and a histogram the histogram. Counts what it drops.
    pub(crate) fn settle(&mut self, report: &mut MergeReport) {
        if !ascends(&self.timestamps) {
            self.settle_floats(report);
        }
        if !self.histograms.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp) {
            self.settle_histograms(report);
        }
        if !self.histograms.is_empty() && !self.timestamps.is_empty() {
            self.prefer_histograms(report);
        }
        assert_eq!(self.timestamps.len(), self.values.len());
        assert_eq!(self.timestamps.len(), self.starts.len());
    }

    fn settle_floats(&mut self, report: &mut MergeReport) {
        let mut rows: Vec<(i64, u64, i64)> =
            (0..self.timestamps.len()).map(|i| (self.timestamps[i], self.values[i].to_bits(), self.starts[i])).collect();
        // The largest of a time comes first; the stable order is irrelevant because the key is the whole row.
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| (b.1, b.2).cmp(&(a.1, a.2))));
        self.timestamps.clear();
        self.values.clear();
        self.starts.clear();
        let mut kept: Option<(i64, u64)> = None;
        for (timestamp, bits, start) in rows {
            match kept {
                Some((t, b)) if t == timestamp && b == bits => report.duplicates += 1,
                Some((t, _)) if t == timestamp => report.conflicts += 1,
                _ => {
                    self.timestamps.push(timestamp);
                    self.values.push(f64::from_bits(bits));
                    self.starts.push(start);
                    kept = Some((timestamp, bits));
                }
            }
        }
    }

    fn settle_histograms(&mut self, report: &mut MergeReport) {
        let mut keyed: Vec<(Vec<u8>, HistogramSample)> =
            self.histograms.drain(..).map(|sample| (histogram_bytes(&sample.histogram), sample)).collect();
        keyed.sort_by(|a, b| {
            let by_time = a.1.timestamp.cmp(&b.1.timestamp);
            by_time.then_with(|| (&b.0, b.1.start_timestamp).cmp(&(&a.0, a.1.start_timestamp)))
        });
        let mut kept: Option<(TimestampMs, Vec<u8>)> = None;
        for (bytes, sample) in keyed {
            match &kept {
                Some((t, b)) if *t == sample.timestamp && *b == bytes => report.duplicates += 1,
                Some((t, _)) if *t == sample.timestamp => report.conflicts += 1,
                _ => {
                    kept = Some((sample.timestamp, bytes));
                    self.histograms.push(sample);
                }
            }
        }
    }

    fn prefer_histograms(&mut self, report: &mut MergeReport) {
        let taken = |timestamp: i64| self.histograms.binary_search_by_key(&timestamp, |sample| sample.timestamp.0).is_ok();
        let keep: Vec<bool> = self.timestamps.iter().map(|timestamp| !taken(*timestamp)).collect();
        let dropped = keep.iter().filter(|keep| !**keep).count();
        if dropped == 0 {
            return;
        }
        report.conflicts += dropped as u64;
        retain(&mut self.timestamps, &keep);
        retain(&mut self.values, &keep);
        retain(&mut self.starts, &keep);
    }

    /// Returns first and last time; only after [`SeriesRows::settle`].
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let firsts = self.timestamps.first().copied().into_iter().chain(self.histograms.first().map(|sample| sample.timestamp.0));
        let lasts = self.timestamps.last().copied().into_iter().chain(self.histograms.last().map(|sample| sample.timestamp.0));
        Some((firsts.min()?, lasts.max()?))
    }

    /// Reports whether some sample has a start timestamp.
    pub(crate) fn any_start(&self) -> bool {
        self.starts.iter().any(|start| *start != 0) || self.histograms.iter().any(|sample| sample.start_timestamp.0 != 0)
    }

    /// Calls `row` for each row in time order: the index of the float, or of the histogram.
    pub(crate) fn interleave(&self, mut row: impl FnMut(i64, Result<usize, usize>)) {
        let (mut float, mut histogram) = (0, 0);
        while float < self.timestamps.len() || histogram < self.histograms.len() {
            let t = self.timestamps.get(float).copied();
            let h = self.histograms.get(histogram).map(|sample| sample.timestamp.0);
            match (t, h) {
                (Some(t), h) if h.is_none_or(|h| t < h) => {
                    row(t, Ok(float));
                    float += 1;
                }
                (_, Some(h)) => {
                    row(h, Err(histogram));
                    histogram += 1;
                }
                (_, None) => return,
            }
        }
    }
}

fn ascends(timestamps: &[i64]) -> bool {
    timestamps.windows(2).all(|pair| pair[0] < pair[1])
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| *keep.next().expect("as many flags as items"));
}
