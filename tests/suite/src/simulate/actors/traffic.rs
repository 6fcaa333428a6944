//! Batches: small, of both signals, mostly of now, some late, some of two hours, some with rows that were sent before.

use super::super::rows::{self, Row};
use super::super::scenario::pick;
use appender::Batch;
use model::{LabelSet, LogBatch, MetricBatch, Signal, TimestampMs, TimestampNs};
use rand::RngExt;
use rand::rngs::StdRng;

/// A batch and the rows it must leave behind.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is sent.
    pub batch: Batch,
    /// Its rows.
    pub rows: Vec<Row>,
}

const HOUR_MS: i64 = 3_600_000;

/// Draws when a row happened: mostly now, sometimes hours ago, now and then yesterday.
fn event_time(random: &mut StdRng, now: TimestampMs) -> i64 {
    let late_ms = match random.random_range(0..20u32) {
        0 => random.random_range(0..30 * HOUR_MS),
        1..=3 => random.random_range(0..3 * HOUR_MS),
        _ => random.random_range(0..60_000),
    };
    // Coarse, so that some times meet.
    (now.0 - late_ms) / 5_000 * 5_000
}

/// Draws a request.
pub fn request(random: &mut StdRng, signal: Signal, now: TimestampMs) -> Request {
    match signal {
        Signal::Metrics => metrics(random, now),
        Signal::Logs => logs(random, now),
    }
}

fn metrics(random: &mut StdRng, now: TimestampMs) -> Request {
    let (mut batch, mut rows) = (MetricBatch::default(), Vec::new());
    for _ in 0..random.random_range(1..=3u32) {
        let name = pick(random, &["up", "requests_total", "temperature"]);
        let labels = LabelSet::from_pairs([("__name__", name), ("i", pick(random, &["a", "b", "c", "d"])), ("job", "sim")]);
        batch.start_series_of(&labels);
        let mut times: Vec<i64> = (0..random.random_range(1..=3u32)).map(|_| event_time(random, now)).collect();
        times.sort_unstable();
        times.dedup();
        for at in times {
            let value = match random.random_range(0..10u32) {
                0 => pick(random, &[0.0, -0.0, 1.0, f64::INFINITY, f64::from_bits(0x7ff8_0000_0000_0003)]),
                1..=4 => f64::from(random.random_range(0..4u32)),
                _ => random.random_range(0.0..1e6),
            };
            batch.push_sample(TimestampMs(at), value, TimestampMs(0));
            rows.push(rows::sample(labels.encoded(), at, value));
        }
    }
    Request { batch: Batch::Metrics(batch), rows }
}

fn logs(random: &mut StdRng, now: TimestampMs) -> Request {
    let (mut batch, mut rows) = (LogBatch::default(), Vec::new());
    for _ in 0..random.random_range(1..=2u32) {
        let labels = LabelSet::from_pairs([("app", pick(random, &["api", "web", "db"])), ("job", "sim")]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for _ in 0..random.random_range(1..=3u32) {
            let at = event_time(random, now) * 1_000_000 + random.random_range(0..3);
            let line = format!("GET /{} {}", random.random_range(0..30u32), pick(random, &[200, 404, 500]));
            batch.push_entry(TimestampNs(at), line.as_bytes(), &[]);
            rows.push(rows::entry(labels.encoded(), at, line.as_bytes()));
        }
    }
    Request { batch: Batch::Logs(batch), rows }
}
