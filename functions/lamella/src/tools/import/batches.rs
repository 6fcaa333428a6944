//! A block as batches: window after window, in each series after series, cut where a batch is large enough. The same block gives
//! the same batches, whichever of them it begins with.

use anyhow::{Result, ensure};
use model::batch::HistogramRow;
use model::labels::encode_label;
use model::{Histogram, MetricBatch};
use wire::tsdb::chunk::{Sample, Value};

use super::block::Block;

/// Bytes that one series may take in one window: a batch is not cut inside a series.
const SERIES_BYTES_MAX: usize = 512 << 20;
/// Bytes of a float sample: time, value, start.
const SAMPLE_BYTES: usize = 24;

/// Where to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The window.
    pub window: usize,
    /// The series in it.
    pub series: usize,
}

/// Reads from a place on and hands each batch to `emit` with the place behind it, until there is no more or `emit` says no.
pub fn read(block: &mut Block, from: Place, emit: &mut dyn FnMut(Place, MetricBatch) -> bool) -> Result<()> {
    let plan = block.plan();
    for window in from.window..plan.windows {
        let mut batch = Growing::default();
        let first = if window == from.window { from.series } else { 0 };
        for series in first..block.series() {
            batch.append(block, series, plan.window(window))?;
            if batch.held_bytes >= block.batch_bytes() && !emit(Place { window, series: series + 1 }, batch.take()) {
                return Ok(());
            }
        }
        if !batch.rows.is_empty() && !emit(Place { window: window + 1, series: 0 }, batch.take()) {
            return Ok(());
        }
    }
    Ok(())
}

/// A batch, and about how much memory it holds.
#[derive(Default)]
struct Growing {
    rows: MetricBatch,
    held_bytes: usize,
}

impl Growing {
    fn take(&mut self) -> MetricBatch {
        std::mem::take(self).rows
    }

    /// Appends the samples of a series; one without any is not started.
    fn append(&mut self, block: &mut Block, series: usize, window: (i64, i64)) -> Result<()> {
        let (mut started, before) = (false, self.held_bytes);
        block.samples(series, window, &mut |labels, sample| {
            if !std::mem::replace(&mut started, true) {
                self.start(labels);
            }
            self.push(sample);
            let own = self.held_bytes - before;
            ensure!(own <= SERIES_BYTES_MAX, "one series takes {own} bytes in a window, limit is {SERIES_BYTES_MAX}");
            Ok(())
        })
    }

    fn start(&mut self, labels: &[(&str, &str)]) {
        let before = self.rows.labels.bytes_len();
        self.rows.start_series(|out| {
            for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
                encode_label(out, name.as_bytes(), value.as_bytes());
            }
        });
        self.held_bytes += self.rows.labels.bytes_len() - before;
    }

    fn push(&mut self, sample: Sample) {
        let Sample { timestamp, start, value } = sample;
        match value {
            Value::Float(value) => {
                self.held_bytes += SAMPLE_BYTES;
                self.rows.push_sample(timestamp, value, start);
            }
            Value::Histogram(histogram) => {
                self.held_bytes += held_bytes(&histogram);
                let series = self.rows.series_len() as u32 - 1;
                self.rows.histograms.push(HistogramRow { series, timestamp, start_timestamp: start, histogram });
            }
        }
    }
}

fn held_bytes(histogram: &Histogram) -> usize {
    let Histogram { positive_spans, negative_spans, positive_buckets, negative_buckets, custom_values, .. } = histogram;
    let numbers =
        positive_spans.len() + negative_spans.len() + positive_buckets.len() + negative_buckets.len() + custom_values.len();
    size_of::<HistogramRow>() + 8 * numbers
}
