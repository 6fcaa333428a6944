//! Batches: small, of both signals, mostly of now, some late, some of two hours, some with rows that were sent before.

use super::super::rows::{self, Row};
use super::super::scenario::pick;
use appender::Batch;
use model::batch::{ExemplarRow, HistogramRow};
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{
    CounterResetHint, Exemplar, Histogram, LabelSet, LogBatch, MetricBatch, STALE_NAN, Signal, Span, TimestampMs, TimestampNs,
};
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

/// When rows happened that are sent at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The moment.
    pub now: TimestampMs,
    /// How late the latest are, ms.
    pub late_ms_max: i64,
}

impl Times {
    /// Draws when a row happened: mostly now, sometimes hours ago, now and then as late as it may be.
    fn draw(self, random: &mut StdRng) -> i64 {
        let late_ms = match random.random_range(0..20u32) {
            0 => random.random_range(0..self.late_ms_max),
            1..=3 => random.random_range(0..3 * HOUR_MS),
            _ => random.random_range(0..60_000),
        };
        // Coarse, so that some times meet.
        (self.now.0 - late_ms) / 5_000 * 5_000
    }
}

/// Draws a request.
pub fn request(random: &mut StdRng, signal: Signal, times: Times) -> Request {
    match signal {
        Signal::Metrics => metrics(random, times),
        Signal::Logs => logs(random, times),
    }
}

fn metrics(random: &mut StdRng, times: Times) -> Request {
    let (mut batch, mut rows) = (MetricBatch::default(), Vec::new());
    for _ in 0..random.random_range(1..=3u32) {
        let name = pick(random, &["up", "requests_total", "temperature", "latency_seconds"]);
        let labels = LabelSet::from_pairs([("__name__", name), ("i", pick(random, &["a", "b", "c", "d"])), ("job", "sim")]);
        batch.start_series_of(&labels);
        let mut at: Vec<i64> = (0..random.random_range(1..=3u32)).map(|_| times.draw(random)).collect();
        at.sort_unstable();
        at.dedup();
        for at in at {
            // A few of the others are histograms too: of a float and a histogram at one time the histogram wins.
            if name == "latency_seconds" || random.random_range(0..12u32) == 0 {
                push_histogram(random, &mut batch, &mut rows, &labels, at);
            } else {
                let value = float(random);
                batch.push_sample(TimestampMs(at), value, TimestampMs(0));
                rows.push(rows::sample(labels.encoded(), at, value));
            }
            if random.random_range(0..6u32) == 0 {
                push_exemplar(random, &mut batch, &mut rows, &labels, at);
            }
        }
    }
    Request { batch: Batch::Metrics(batch), rows }
}

/// Draws some minutes of a counter scraped every ten seconds, on the edges of windows too: so dense that copies hold windows of it.
pub fn scrapes(random: &mut StdRng, times: Times) -> Request {
    let (mut batch, mut rows) = (MetricBatch::default(), Vec::new());
    let labels = LabelSet::from_pairs([("__name__", "dense_total"), ("i", pick(random, &["a", "b"])), ("job", "sim")]);
    batch.start_series_of(&labels);
    let start = times.draw(random) / 300_000 * 300_000 - 300_000;
    let (step, mut value) = (pick(random, &[1.0, 0.5, 0.1]), f64::from(random.random_range(0..100u32)));
    for scrape in 0..=30 {
        value = if random.random_range(0..20u32) == 0 { 0.0 } else { value + step * f64::from(random.random_range(0..5u32)) };
        let value = if random.random_range(0..40u32) == 0 { STALE_NAN } else { value };
        let at = start + scrape * 10_000;
        batch.push_sample(TimestampMs(at), value, TimestampMs(0));
        rows.push(rows::sample(labels.encoded(), at, value));
    }
    Request { batch: Batch::Metrics(batch), rows }
}

/// Draws what two replicas, or one of them, scraped of a target in 20 minutes: each at its own offset, late by up to a second, with outages and
/// markers. Most is young enough for a tenant whose replicas are merged `after_ms`; some is not, as of an import.
pub fn replicas(random: &mut StdRng, times: Times, after_ms: i64) -> Request {
    const SPAN_MS: i64 = 20 * 60_000;
    let (mut batch, mut rows) = (MetricBatch::default(), Vec::new());
    let metrics = [("pair_total", 30_000), ("pair_gauge", 60_000), ("pair_seconds", 60_000), ("pair_slow", 400_000)];
    let (name, step_ms) = pick(random, &metrics);
    let target = pick(random, &["a", "b"]);
    let late_ms_max = if random.random_range(0..8u32) == 0 { times.late_ms_max } else { after_ms.min(20 * HOUR_MS) };
    let start = (times.now.0 - random.random_range(0..late_ms_max)) / SPAN_MS * SPAN_MS - SPAN_MS;
    let who = pick(random, &[&["a", "b"][..], &["a", "b"], &["a"], &["b"]]);
    for (replica, offset_ms) in [("a", 2_000), ("b", 9_000)].into_iter().filter(|(replica, _)| who.contains(replica)) {
        let labels = LabelSet::from_pairs([("__name__", name), ("i", target), ("job", "sim"), ("replica", replica)]);
        batch.start_series_of(&labels);
        let (outage, len) = (start + random.random_range(0..SPAN_MS), pick(random, &[0, 0, 2 * step_ms, 10 * step_ms]));
        for scrape in (start..start + SPAN_MS).step_by(step_ms as usize) {
            let late_ms = random.random_range(0..1_000);
            let at = scrape + offset_ms + pick(random, &[0, 0, late_ms]);
            if outage <= at && at < outage + len {
                continue;
            }
            if name == "pair_seconds" && random.random_range(0..3u32) == 0 {
                push_histogram(random, &mut batch, &mut rows, &labels, at);
                continue;
            }
            let value = if random.random_range(0..30u32) == 0 { STALE_NAN } else { (at % 86_400_000 / 1_000) as f64 };
            batch.push_sample(TimestampMs(at), value, TimestampMs(0));
            rows.push(rows::sample(labels.encoded(), at, value));
        }
    }
    Request { batch: Batch::Metrics(batch), rows }
}

fn float(random: &mut StdRng) -> f64 {
    match random.random_range(0..10u32) {
        0 => pick(random, &[0.0, -0.0, 1.0, f64::INFINITY, f64::from_bits(0x7ff8_0000_0000_0003), STALE_NAN]),
        1..=4 => f64::from(random.random_range(0..4u32)),
        _ => random.random_range(0.0..1e6),
    }
}

fn push_histogram(random: &mut StdRng, batch: &mut MetricBatch, rows: &mut Vec<Row>, labels: &LabelSet, at: i64) {
    let histogram = histogram(random);
    rows.push(rows::histogram(labels.encoded(), at, &histogram));
    let (series, start_timestamp) = (batch.series_len() as u32 - 1, TimestampMs(0));
    batch.histograms.push(HistogramRow { series, timestamp: TimestampMs(at), start_timestamp, histogram });
}

/// Draws a histogram: exponential or with custom bounds, counts of integers or not, a gauge or a counter.
fn histogram(random: &mut StdRng) -> Histogram {
    let is_custom = random.random_range(0..3u32) == 0;
    let is_float = random.random();
    let mut count = || f64::from(random.random_range(0..40u32)) / if is_float { 8.0 } else { 1.0 };
    let (positive_buckets, zero_count) = (vec![count(), count(), count()], if is_custom { 0.0 } else { count() });
    let (mut positive_spans, mut negative_spans, mut negative_buckets) = (vec![Span { offset: 0, length: 3 }], vec![], vec![]);
    if !is_custom {
        positive_spans = vec![Span { offset: -2, length: 1 }, Span { offset: 3, length: 2 }];
        (negative_spans, negative_buckets) = (vec![Span { offset: 1, length: 1 }], vec![count()]);
    }
    let total = zero_count + positive_buckets.iter().chain(&negative_buckets).sum::<f64>();
    Histogram {
        counter_reset_hint: pick(random, &[CounterResetHint::Unknown, CounterResetHint::Gauge]),
        schema: if is_custom { CUSTOM_BUCKETS_SCHEMA } else { pick(random, &[-4, 0, 3, 8]) },
        zero_threshold: if is_custom { 0.0 } else { 0.001 },
        zero_count,
        count: total,
        sum: 3.5 * total,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values: if is_custom { vec![0.1, 1.0] } else { Vec::new() },
    }
}

fn push_exemplar(random: &mut StdRng, batch: &mut MetricBatch, rows: &mut Vec<Row>, labels: &LabelSet, at: i64) {
    let trace = format!("t{}", random.random_range(0..9u32));
    let (value, timestamp) = (f64::from(random.random_range(0..3u32)), TimestampMs(at));
    let exemplar = Exemplar { labels: LabelSet::from_pairs([("trace_id", trace.as_str())]), value, timestamp };
    rows.push(rows::exemplar(labels.encoded(), &exemplar));
    batch.exemplars.push(ExemplarRow { series: batch.series_len() as u32 - 1, exemplar });
}

fn logs(random: &mut StdRng, times: Times) -> Request {
    let (mut batch, mut rows) = (LogBatch::default(), Vec::new());
    for _ in 0..random.random_range(1..=2u32) {
        let labels = LabelSet::from_pairs([("app", pick(random, &["api", "web", "db"])), ("job", "sim")]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for _ in 0..random.random_range(1..=3u32) {
            let at = times.draw(random) * 1_000_000 + random.random_range(0..3);
            let line = format!("GET /{} {}", random.random_range(0..30u32), pick(random, &[200, 404, 500]));
            batch.push_entry(TimestampNs(at), line.as_bytes(), &[]);
            rows.push(rows::entry(labels.encoded(), at, line.as_bytes()));
        }
    }
    Request { batch: Batch::Logs(batch), rows }
}
