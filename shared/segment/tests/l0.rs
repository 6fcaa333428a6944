//! L0 blocks: what goes in comes out, sorted and deduplicated, and no bytes make the reader panic.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use model::batch::{ExemplarRow, HistogramRow};
use model::{
    Exemplar, Histogram, LabelSet, LogBatch, Matcher, MetricBatch, MetricKind, MetricMetadata, Span, TenantId, TimeRangeMs,
    TimeRangeNs, TimestampMs, TimestampNs,
};
use segment::{Fetched, SegmentError, l0, logs, metrics};

const ALL: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };
const ALL_NS: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

fn series(name: &str, instance: u32) -> LabelSet {
    LabelSet::from_pairs([("__name__", name), ("instance", &format!("host-{instance}")), ("job", "node")])
}

fn histogram(sum: f64) -> Histogram {
    Histogram {
        schema: 3,
        zero_threshold: 1e-9,
        zero_count: 1.0,
        count: 6.0,
        sum,
        positive_spans: vec![Span { offset: -2, length: 2 }],
        positive_buckets: vec![2.0, 3.0],
        ..Histogram::default()
    }
}

fn batch() -> MetricBatch {
    let mut batch = MetricBatch::default();
    for instance in [3, 1, 2] {
        for name in ["up", "cpu"] {
            batch.start_series_of(&series(name, instance));
            for step in [2, 0, 1, 1] {
                let start = TimestampMs(if name == "cpu" { 500 } else { 0 });
                batch.push_sample(TimestampMs(1000 * step), f64::from(instance) + step as f64 / 10.0, start);
            }
        }
    }
    batch.start_series_of(&series("hist", 1));
    batch.push_sample(TimestampMs(1000), 1.0, TimestampMs(0));
    batch.push_sample(TimestampMs(3000), model::STALE_NAN, TimestampMs(0));
    let series = batch.series_len() as u32 - 1;
    for (t, sum) in [(1000, 3.5), (2000, 4.5), (2000, 4.0)] {
        let (timestamp, start_timestamp) = (TimestampMs(t), TimestampMs(7));
        batch.histograms.push(HistogramRow { series, timestamp, start_timestamp, histogram: histogram(sum) });
    }
    let exemplar = Exemplar { labels: LabelSet::from_pairs([("trace_id", "abc")]), value: 0.25, timestamp: TimestampMs(9999) };
    batch.exemplars = vec![ExemplarRow { series, exemplar: exemplar.clone() }, ExemplarRow { series, exemplar }];
    batch.metadata =
        vec![MetricMetadata { metric: "cpu".into(), kind: MetricKind::Counter, help: "h".into(), unit: String::new() }];
    batch
}

#[test]
fn metrics_come_back_sorted_and_settled() {
    let encoded = l0::encode_metrics(&TenantId::anonymous(), &batch()).unwrap();
    let tail = encoded.bytes.slice(encoded.tail_offset as usize..);
    let index = metrics::Index::open_tail(&tail, encoded.tail_offset).unwrap();
    assert_eq!((index.series_len(), index.rows()), (7, encoded.stats.rows));
    assert_eq!(encoded.stats.range, TimeRangeMs::new(TimestampMs(0), TimestampMs(10_000)));
    let cpu = index.select(&[Matcher::equal("__name__", "cpu"), Matcher::equal("instance", "host-2")], ALL);
    assert_eq!(cpu.len(), 1);
    assert_eq!(cpu[0].labels, series("cpu", 2));
    let fetched = Fetched::whole(encoded.bytes.clone());
    let columns = index.decode(&cpu, metrics::Projection::ALL, &fetched).unwrap();
    let samples = columns.series(0);
    assert_eq!(samples.timestamps, [0, 1000, 2000]);
    assert_eq!(samples.values, [2.0, 2.1, 2.2]);
    assert_eq!(samples.start_timestamps, [500, 500, 500]);

    let all = index.all();
    let names: Vec<_> = all.iter().map(|entry| entry.labels.metric_name().unwrap().to_owned()).collect();
    assert!(names.is_sorted());
    let columns = index.decode(&all, metrics::Projection::ALL, &fetched).unwrap();
    let at = names.iter().position(|name| name == "hist").unwrap();
    let hist = columns.series(at);
    assert_eq!(hist.timestamps, [3000]);
    assert_eq!(hist.values[0].to_bits(), model::STALE_NAN_BITS);
    let sums: Vec<_> =
        hist.histograms.iter().map(|sample| (sample.timestamp.0, sample.start_timestamp.0, sample.histogram.sum)).collect();
    assert_eq!(sums, [(1000, 7, 3.5), (2000, 7, 4.5)]);
    assert_eq!(index.exemplars(&[], ALL).unwrap().len(), 1);
    assert_eq!(index.metadata().unwrap().len(), 1);
    assert_eq!(index.label_names(&[], ALL), ["__name__", "instance", "job"]);
    let pairs = index.pairs_of("instance", &index.ordinals(&[Matcher::equal("__name__", "up")], ALL));
    let values: BTreeSet<&str> = pairs.iter().map(|pair| index.pair(*pair).1).collect();
    assert_eq!((pairs.len(), Vec::from_iter(values)), (3, vec!["host-1", "host-2", "host-3"]));
    assert!(index.select(&[Matcher::equal("absent", "x")], ALL).is_empty());
    assert_eq!(index.select(&[Matcher::equal("absent", "")], ALL).len(), 7);
}

#[test]
fn the_order_of_a_batch_does_not_matter() {
    let one = batch();
    let mut other = MetricBatch { exemplars: one.exemplars.clone(), metadata: one.metadata.clone(), ..MetricBatch::default() };
    let last = one.series_len() - 1;
    for index in (0..last).rev().chain([last]) {
        other.start_series_of(&one.label_set(index).unwrap());
        for row in one.sample_range(index).rev() {
            other.push_sample(TimestampMs(one.timestamps[row]), one.values[row], TimestampMs(one.start_timestamps[row]));
        }
    }
    other.histograms = one.histograms.iter().rev().cloned().collect();
    let tenant = TenantId::anonymous();
    assert_eq!(l0::encode_metrics(&tenant, &one).unwrap().bytes, l0::encode_metrics(&tenant, &other).unwrap().bytes);
}

fn log_batch() -> LogBatch {
    let mut batch = LogBatch::default();
    for app in ["web", "db", "web"] {
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", app)]).encoded()));
        let metadata = LabelSet::from_pairs([("trace_id", "t1")]);
        batch.push_entry(TimestampNs(20), b"second", &[]);
        batch.push_entry(TimestampNs(10), format!("first of {app}").as_bytes(), metadata.encoded());
        batch.push_entry(TimestampNs(20), b"also at 20 \xff", &[]);
    }
    batch
}

#[test]
fn logs_come_back_in_time_order() {
    let encoded = l0::encode_logs(&TenantId::anonymous(), &log_batch()).unwrap();
    let index = logs::Index::open(&encoded.bytes).unwrap();
    assert_eq!((index.streams_len(), index.rows()), (2, 6));
    let web = index.select(&[Matcher::equal("app", "web")], ALL_NS);
    let chunks = index.chunks(&web, ALL_NS, &[]);
    let columns = index.decode(&chunks[0], logs::Projection::ALL, &Fetched::whole(encoded.bytes.clone())).unwrap();
    assert_eq!(columns.timestamps, [10, 20, 20]);
    let lines: Vec<_> = columns.lines.iter().collect();
    assert_eq!(lines, [&b"first of web"[..], b"second", b"also at 20 \xff"]);
    assert_eq!(columns.metadata.get(0), LabelSet::from_pairs([("trace_id", "t1")]).encoded());
}

fn read_all(bytes: &bytes::Bytes) -> Result<(), SegmentError> {
    let fetched = Fetched::whole(bytes.clone());
    if let Ok(index) = logs::Index::open(bytes) {
        for chunk in index.chunks(&index.all(), ALL_NS, &[]) {
            index.decode(&chunk, logs::Projection::ALL, &fetched)?;
        }
        return Ok(());
    }
    let index = metrics::Index::open(bytes)?;
    index.decode(&index.all(), metrics::Projection::ALL, &fetched)?;
    index.metadata()?;
    Ok(())
}

proptest::proptest! {
    #[test]
    fn mutated_blocks_are_refused(at in 0usize..10_000, flip in 1u8.., cut in 0usize..64, logs in proptest::bool::ANY) {
        let tenant = TenantId::anonymous();
        let encoded = if logs { l0::encode_logs(&tenant, &log_batch()) } else { l0::encode_metrics(&tenant, &batch()) }.unwrap();
        let mut bytes = encoded.bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        proptest::prop_assert!(read_all(&bytes.clone().into()).is_err());
        bytes[at] ^= flip;
        proptest::prop_assert!(read_all(&bytes.clone().into()).is_ok());
        bytes.truncate(bytes.len() - 1 - cut.min(bytes.len() - 1));
        proptest::prop_assert!(read_all(&bytes.into()).is_err());
    }
}
