//! What evaluations read and return, as columns over the grid.

use std::sync::Arc;

use model::{Histogram, LabelSet, STALE_NAN, Text, is_stale};

/// Stored samples of one series, ordered by time, unique per timestamp over floats and histograms together.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: LabelSet,
    /// Times of float samples, milliseconds.
    pub timestamps: Vec<i64>,
    /// Float samples; staleness markers are among them.
    pub values: Vec<f64>,
    /// Start timestamps of float samples, milliseconds, 0 where unknown; empty where none is known.
    pub start_timestamps: Vec<i64>,
    /// Histogram samples.
    pub histograms: Vec<HistogramSample>,
}

/// One stored native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// When, milliseconds.
    pub timestamp: i64,
    /// Start timestamp, milliseconds, 0 where unknown.
    pub start_timestamp: i64,
    /// The value; stale where its sum is the staleness marker.
    pub histogram: Arc<Histogram>,
}

/// One value at one step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// The values of one series over the grid.
///
/// # Invariants
/// `floats` has one item per step; the staleness marker there means "no float at this step" (it is never a result value).
/// `histograms` is empty (no histogram at any step) or has one item per step; a step never has both.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StepValues {
    /// Float per step; [`STALE_NAN`] where absent.
    pub floats: Vec<f64>,
    /// Histogram per step, or empty.
    pub histograms: Vec<Option<Arc<Histogram>>>,
}

impl StepValues {
    /// Returns values absent at all `steps` steps.
    pub fn absent(steps: usize) -> StepValues {
        StepValues { floats: vec![STALE_NAN; steps], histograms: Vec::new() }
    }

    /// Returns the value at a step.
    pub fn get(&self, step: usize) -> Option<StepValue> {
        match self.histograms.get(step) {
            Some(Some(histogram)) => Some(StepValue::Histogram(Arc::clone(histogram))),
            _ if is_stale(self.floats[step]) => None,
            _ => Some(StepValue::Float(self.floats[step])),
        }
    }

    /// Sets the value at a step.
    pub fn set(&mut self, step: usize, value: StepValue) {
        match value {
            StepValue::Float(float) => self.floats[step] = float,
            StepValue::Histogram(histogram) => {
                if self.histograms.is_empty() {
                    self.histograms.resize(self.floats.len(), None);
                }
                self.histograms[step] = Some(histogram);
            }
        }
    }

    /// Reports whether no step has a value.
    pub fn is_absent(&self) -> bool {
        self.floats.iter().all(|v| is_stale(*v)) && self.histograms.iter().all(Option::is_none)
    }

    /// Counts the steps.
    pub fn len(&self) -> usize {
        self.floats.len()
    }

    /// Reports whether the grid has no step.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty()
    }
}

/// One series of an instant vector over the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSeries {
    /// Labels; with delayed name removal the name is still there and `drop_name` says it must go at the end.
    pub labels: LabelSet,
    /// Whether `__name__`, `__type__`, `__unit__` are to be dropped at the very end (delayed name removal).
    pub drop_name: bool,
    /// Values per step.
    pub values: StepValues,
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, nanoseconds.
    pub timestamp: i64,
    /// The line after the pipeline.
    pub line: Vec<u8>,
    /// Structured metadata labels of this entry, for `categorize-labels` answers.
    pub metadata: LabelSet,
    /// Parsed labels of this entry, for `categorize-labels` answers.
    pub parsed: LabelSet,
}

/// Stored or selected entries of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntries {
    /// Stream labels; in a result merged with metadata and parsed labels unless they are categorised.
    pub labels: LabelSet,
    /// Entries, in the direction asked for.
    pub entries: Vec<Entry>,
}

/// What a node evaluates to, over all steps of the grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number per step.
    Scalar(Vec<f64>),
    /// Series in result order.
    Vector(Vec<StepSeries>),
    /// A string.
    Text(Text),
    /// Raw samples: an instant query for a range vector.
    Ranges(Vec<Series>),
    /// Log entries.
    Streams(Vec<StreamEntries>),
}

/// A finished evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value over the grid.
    pub value: Value,
    /// Warnings, rendered with positions, deduplicated, in order of first occurrence.
    pub warnings: Vec<String>,
    /// Infos, likewise.
    pub infos: Vec<String>,
    /// Samples (or entries) used.
    pub samples: SampleCounts,
    /// Most samples held at once.
    pub samples_peak: u64,
}

impl Answer {
    /// Makes an answer of nothing but a value.
    pub fn of(value: Value) -> Answer {
        let (warnings, infos) = (Vec::new(), Vec::new());
        Answer { value, warnings, infos, samples: SampleCounts::default(), samples_peak: 0 }
    }
}

/// How many samples were used, as upstream counts them (`util/stats`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SampleCounts {
    /// Once for each window and step that has them: `totalQueryableSamples`.
    pub queryable: u64,
    /// Once where windows overlap: `samplesRead`.
    pub read: u64,
}

impl SampleCounts {
    /// Counts samples that no window shares.
    pub fn each(samples: usize) -> SampleCounts {
        SampleCounts { queryable: samples as u64, read: samples as u64 }
    }

    /// Counts a window, of which `fresh` samples were not in the one before.
    pub fn window(&mut self, samples: usize, fresh: usize) {
        self.queryable += samples as u64;
        self.read += fresh as u64;
    }
}

impl std::ops::AddAssign for SampleCounts {
    fn add_assign(&mut self, other: SampleCounts) {
        self.queryable += other.queryable;
        self.read += other.read;
    }
}
