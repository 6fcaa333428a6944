//! Batches, built by hand or generated.

use model::{LabelSet, LogBatch, MetricBatch, TimestampMs, TimestampNs};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Builds a metric batch series by series.
#[derive(Clone, Debug, Default)]
pub struct MetricBatchBuilder {
    batch: MetricBatch,
}

impl MetricBatchBuilder {
    /// Adds a series with samples `(ms, value)`.
    pub fn series<'a>(
        mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) -> MetricBatchBuilder {
        self.batch.start_series_of(&LabelSet::from_pairs(labels));
        for (timestamp, value) in samples {
            self.batch.push_sample(TimestampMs(timestamp), value, TimestampMs(0));
        }
        self
    }

    /// Returns the batch.
    pub fn build(self) -> MetricBatch {
        self.batch
    }
}

/// Builds a log batch stream by stream.
#[derive(Clone, Debug, Default)]
pub struct LogBatchBuilder {
    batch: LogBatch,
}

impl LogBatchBuilder {
    /// Adds a stream with entries `(ns, line)`.
    pub fn stream<'a>(
        mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        entries: impl IntoIterator<Item = (i64, &'a str)>,
    ) -> LogBatchBuilder {
        let labels = LabelSet::from_pairs(labels);
        self.batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for (timestamp, line) in entries {
            self.batch.push_entry(TimestampNs(timestamp), line.as_bytes(), &[]);
        }
        self
    }

    /// Returns the batch.
    pub fn build(self) -> LogBatch {
        self.batch
    }
}

/// Generates counters as a scrape would send them: `series` series of a few metrics, `samples` each, from `start` every 15 s.
pub fn counters(seed: u64, series: usize, samples: usize, start: TimestampMs) -> MetricBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let mut builder = MetricBatchBuilder::default();
    for index in 0..series {
        let (name, instance) = (format!("requests_{}_total", index % 7), format!("host-{}", index / 7));
        let mut value = 0.0;
        let rows: Vec<(i64, f64)> = (0..samples as i64)
            .map(|row| {
                value += f64::from(random.random_range(0..100u32));
                (start.0 + row * 15_000, value)
            })
            .collect();
        builder = builder.series([("__name__", name.as_str()), ("instance", instance.as_str()), ("job", "generated")], rows);
    }
    builder.build()
}

/// Generates access-log lines: `streams` streams, `entries` each, from `start` every 100 ms.
pub fn access_logs(seed: u64, streams: usize, entries: usize, start: TimestampNs) -> LogBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let mut builder = LogBatchBuilder::default();
    for stream in 0..streams {
        let instance = format!("host-{stream}");
        let lines: Vec<(i64, String)> = (0..entries as i64)
            .map(|row| {
                let (path, status) = (random.random_range(0..50u32), [200, 200, 200, 404, 500][random.random_range(0..5usize)]);
                (start.0 + row * 100_000_000, format!("GET /item/{path} {status} {}ms", random.random_range(1..900u32)))
            })
            .collect();
        let rows = lines.iter().map(|(timestamp, line)| (*timestamp, line.as_str()));
        builder = builder.stream([("instance", instance.as_str()), ("job", "generated")], rows);
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_batches_have_what_was_asked_for() {
        let batch = counters(1, 10, 4, TimestampMs(0));
        assert_eq!((batch.series_len(), batch.samples_len()), (10, 40));
        assert_eq!(counters(1, 10, 4, TimestampMs(0)), batch);
        let logs = access_logs(1, 3, 5, TimestampNs(0));
        assert_eq!((logs.streams_len(), logs.entries_len()), (3, 15));
    }
}
