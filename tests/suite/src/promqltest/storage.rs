//! What the loads of a script amount to: samples by series and time.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Histogram, LabelSet, STALE_NAN, is_stale};
use plan::Series;
use plan::value::HistogramSample;

use super::hints::Hints;
use super::nhcb;
use super::script::{Load, LoadSeries};
use super::series::Item;

/// A value with its start timestamp, milliseconds, 0 where unknown.
type Sample = (Item, i64);

/// Samples loaded so far.
#[derive(Debug, Default)]
pub struct Storage(BTreeMap<LabelSet, BTreeMap<i64, Sample>>);

impl Storage {
    /// Adds the samples of a load; a sample already there stays.
    pub fn load(&mut self, load: &Load) {
        let converted = if load.with_nhcb { nhcb::convert(&load.series) } else { Vec::new() };
        load.series.iter().chain(&converted).for_each(|series| self.add(series, load.step_ms));
    }

    fn add(&mut self, series: &LoadSeries, step_ms: i64) {
        let samples = self.0.entry(series.labels.clone()).or_default();
        for (index, item) in series.items.iter().enumerate().filter(|(_, item)| **item != Item::Gap) {
            let at = step_ms.saturating_mul(index as i64);
            let offset = series.start_offsets_ms.get(index).copied().flatten();
            let start = offset.map_or(0, |offset| at.saturating_add(offset));
            samples.entry(at).or_insert_with(|| (item.clone(), start));
        }
    }

    /// Returns the series as a server's storage gives them back, sorted by labels.
    pub fn series(&self) -> Vec<Series> {
        let filled = self.0.iter().filter(|(_, samples)| !samples.is_empty());
        filled.map(|(labels, samples)| stored(labels, samples)).collect()
    }
}

fn stored(labels: &LabelSet, samples: &BTreeMap<i64, Sample>) -> Series {
    let mut series = Series {
        labels: labels.clone(),
        timestamps: Vec::new(),
        values: Vec::new(),
        start_timestamps: Vec::new(),
        histograms: Vec::new(),
    };
    let (mut hints, mut after_histogram) = (Hints::default(), false);
    for (timestamp, (item, start)) in samples {
        let histogram = match item {
            Item::Gap => continue,
            // A series of histograms ends with a stale histogram.
            Item::Float(value) if is_stale(*value) && after_histogram => {
                &Arc::new(Histogram { sum: STALE_NAN, ..Histogram::default() })
            }
            Item::Float(value) => {
                hints.float();
                after_histogram = false;
                series.timestamps.push(*timestamp);
                series.values.push(*value);
                series.start_timestamps.push(*start);
                continue;
            }
            Item::Histogram(histogram, _) => histogram,
        };
        after_histogram = true;
        let histogram = hints.histogram(histogram);
        series.histograms.push(HistogramSample { timestamp: *timestamp, start_timestamp: *start, histogram });
    }
    if series.start_timestamps.iter().all(|start| *start == 0) {
        series.start_timestamps.clear();
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promqltest::script::{self, Command};

    #[test]
    fn loads_add_up() {
        let mut storage = Storage::default();
        for command in script::parse("load 1m\n m 1 _ 3\n\nload 30s\n m@st _ -10s _\n m 7 8 {{count:1}}\n h {{count:1}} stale\n")
        {
            if let Command::Load(load) = command {
                storage.load(&load);
            }
        }
        let series = storage.series();
        assert_eq!(series.len(), 2);
        assert!(series[0].histograms[1].histogram.is_stale() && series[0].values.is_empty());
        assert_eq!(
            (series[1].timestamps.as_slice(), series[1].values.as_slice()),
            ([0, 30_000, 120_000].as_slice(), [1.0, 8.0, 3.0].as_slice())
        );
        assert_eq!(series[1].start_timestamps, [0, 20_000, 0]);
        assert_eq!(series[1].histograms[0].timestamp, 60_000);
    }
}
