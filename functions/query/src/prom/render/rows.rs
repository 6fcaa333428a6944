//! A series of a matrix, written some points at a time.

use model::{Histogram, LabelSet, is_stale};
use plan::Grid;
use plan::value::{Series, StepSeries};
use wire::prom_api::envelope::{self, Points};

/// Labels that name removal takes away at the very end.
const NAME_LABELS: [&str; 3] = ["__name__", "__type__", "__unit__"];
/// Floats written at once: a few tens of kilobytes of text.
const FLOATS_AT_ONCE: usize = 1024;
/// Histograms written at once: each may have hundreds of buckets.
const HISTOGRAMS_AT_ONCE: usize = 16;

/// Points by index; an index may have none.
pub trait Rows {
    /// Returns the labels as they are shown.
    fn metric(&self) -> LabelSet;
    /// Counts the indexes of floats.
    fn floats_len(&self) -> usize;
    /// Returns the float at an index.
    fn float(&self, index: usize) -> Option<(i64, f64)>;
    /// Counts the indexes of histograms.
    fn histograms_len(&self) -> usize;
    /// Returns the histogram at an index.
    fn histogram(&self, index: usize) -> Option<(i64, &Histogram)>;

    /// Reports whether there is no point at all.
    fn is_absent(&self) -> bool {
        (0..self.floats_len()).all(|index| self.float(index).is_none())
            && (0..self.histograms_len()).all(|index| self.histogram(index).is_none())
    }
}

/// Returns the labels of a series as they are shown.
pub fn metric(series: &StepSeries) -> LabelSet {
    match series.drop_name {
        true => series.labels.retain(|name| !NAME_LABELS.contains(&name)),
        false => series.labels.clone(),
    }
}

/// Values over a grid.
pub struct GridRows {
    /// The values.
    pub series: StepSeries,
    /// Their times.
    pub grid: Grid,
}

impl Rows for GridRows {
    fn metric(&self) -> LabelSet {
        metric(&self.series)
    }

    fn floats_len(&self) -> usize {
        self.series.values.floats.len()
    }

    fn float(&self, step: usize) -> Option<(i64, f64)> {
        let value = self.series.values.floats[step];
        (!is_stale(value) && self.histogram(step).is_none()).then(|| (self.grid.at(step), value))
    }

    fn histograms_len(&self) -> usize {
        self.series.values.histograms.len()
    }

    fn histogram(&self, step: usize) -> Option<(i64, &Histogram)> {
        let histogram = self.series.values.histograms.get(step)?.as_ref()?;
        Some((self.grid.at(step), histogram))
    }
}

/// Samples as stored; staleness markers are no points.
pub struct RawRows(pub Series);

impl Rows for RawRows {
    fn metric(&self) -> LabelSet {
        self.0.labels.clone()
    }

    fn floats_len(&self) -> usize {
        self.0.values.len()
    }

    fn float(&self, index: usize) -> Option<(i64, f64)> {
        let value = self.0.values[index];
        (!is_stale(value)).then(|| (self.0.timestamps[index], value))
    }

    fn histograms_len(&self) -> usize {
        self.0.histograms.len()
    }

    fn histogram(&self, index: usize) -> Option<(i64, &Histogram)> {
        let sample = &self.0.histograms[index];
        (!sample.histogram.is_stale()).then(|| (sample.timestamp, &*sample.histogram))
    }
}

/// A series that is being written.
pub struct Open<R> {
    rows: R,
    points: Points,
    next: usize,
}

impl<R: Rows> Open<R> {
    /// Writes the series' labels.
    pub fn begin(rows: R, out: &mut Vec<u8>) -> Open<R> {
        envelope::series_head(out, &rows.metric());
        Open { rows, points: Points::Values(0), next: 0 }
    }

    /// Writes some points, after the last ones the end. Reports whether there may be more.
    pub fn write_some(&mut self, out: &mut Vec<u8>) -> bool {
        let floats = matches!(self.points, Points::Values(_));
        let (len, most) = match floats {
            true => (self.rows.floats_len(), FLOATS_AT_ONCE),
            false => (self.rows.histograms_len(), HISTOGRAMS_AT_ONCE),
        };
        let end = len.min(self.next + most);
        for index in self.next..end {
            if floats && let Some((at, value)) = self.rows.float(index) {
                self.points.float(out, at, value);
            }
            if !floats && let Some((at, value)) = self.rows.histogram(index) {
                self.points.histogram(out, at, value);
            }
        }
        self.next = end;
        if end < len {
            return true;
        }
        self.points.end(out);
        if floats {
            (self.points, self.next) = (Points::Histograms(0), 0);
            return true;
        }
        envelope::series_tail(out);
        false
    }
}
