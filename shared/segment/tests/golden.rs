//! S1: files written once stay readable. `GOLDEN_WRITE=1` adds a missing file and never changes one.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use bytes::Bytes;
use model::batch::{ExemplarRow, HistogramRow};
use model::windowed::Window;
use model::{
    Exemplar, Histogram, LabelSet, LogBatch, MetricBatch, MetricKind, MetricMetadata, Span, TenantId, TimestampMs, TimestampNs,
};
use segment::merge::{self, MergeOptions};
use segment::minutes::MinuteCount;
use segment::{Fetched, l0, logs, metrics};

fn metric_batch() -> MetricBatch {
    let mut batch = MetricBatch::default();
    for instance in 0..3i64 {
        batch.start_series_of(&LabelSet::from_pairs([("__name__", "up"), ("instance", &format!("host-{instance}"))]));
        for (step, value) in [1.0, 0.25, f64::NAN, model::STALE_NAN, 0.1 + 0.2, 8192.0].into_iter().enumerate() {
            batch.push_sample(TimestampMs(1_000_000 + 15_000 * step as i64 + instance), value, TimestampMs(instance));
        }
    }
    let histogram = Histogram {
        schema: 1,
        count: 3.0,
        sum: 2.5,
        positive_spans: vec![Span { offset: -1, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..Histogram::default()
    };
    batch.start_series_of(&LabelSet::from_pairs([("__name__", "latency")]));
    batch.histograms.push(HistogramRow {
        series: 3,
        timestamp: TimestampMs(1_000_000),
        start_timestamp: TimestampMs(5),
        histogram,
    });
    let exemplar =
        Exemplar { labels: LabelSet::from_pairs([("trace_id", "abc")]), value: 0.5, timestamp: TimestampMs(1_000_001) };
    batch.exemplars.push(ExemplarRow { series: 3, exemplar });
    batch.metadata.push(MetricMetadata { metric: "up".into(), kind: MetricKind::Gauge, help: "h".into(), unit: "u".into() });
    batch
}

fn log_batch() -> LogBatch {
    let mut batch = LogBatch::default();
    for app in ["web", "db"] {
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", app)]).encoded()));
        for line in 0..5i64 {
            let metadata = LabelSet::from_pairs([("trace_id", &*format!("t{line}"))]);
            batch.push_entry(
                TimestampNs(1_000_000_000 + line / 2),
                format!("line {line} of {app}").as_bytes(),
                metadata.encoded(),
            );
        }
    }
    batch
}

/// Keeps some digits.
fn digits(value: f64, count: usize) -> f64 {
    format!("{value:.*e}", count - 1).parse().unwrap()
}

/// What a file holds, as text.
fn describe(bytes: &Bytes) -> String {
    let fetched = Fetched::whole(bytes.clone());
    let mut out = String::new();
    if let Ok(index) = segment::windows::Index::open_tail(bytes, 0) {
        for ordinal in 0..index.series_len() as u32 {
            let columns = index.decode_ordinals(&[ordinal], segment::windows::Projection::ALL, &fetched).unwrap();
            // Version 6 kept digits of sums that are never exact.
            let near = |window: &Window| Window {
                sum: digits(window.sum, 6),
                lost: digits(window.lost, 6),
                m2: digits(window.m2, 1),
                ..*window
            };
            let windows: Vec<Window> = columns.windows.iter().map(near).collect();
            let of = if index.is_of_histograms(ordinal) { "histograms" } else { "floats" };
            out += &format!("{} {} {of} {windows:?}\n", index.labels(ordinal), index.width_ms());
        }
        return out;
    }
    if let Ok(index) = metrics::Index::open(bytes) {
        let all = index.all();
        let columns = index.decode(&all, metrics::Projection::ALL, &fetched).unwrap();
        for (place, entry) in all.iter().enumerate() {
            let samples = columns.series(place);
            let bits: Vec<String> = samples.values.iter().map(|value| format!("{:x}", value.to_bits())).collect();
            let (times, histograms) = (samples.timestamps, samples.histograms);
            out += &format!("{} {:?} {bits:?} {:?} {histograms:?}\n", entry.labels, times, samples.start_timestamps);
        }
        let all_time = model::TimeRangeMs::new(TimestampMs(0), TimestampMs(i64::MAX));
        return out + &format!("{:?} {:?}", index.exemplars(&[], all_time).unwrap(), index.metadata().unwrap());
    }
    let index = logs::Index::open(bytes).unwrap();
    let all = index.all();
    for chunk in index.chunks(&all, model::TimeRangeNs::new(TimestampNs(0), TimestampNs(i64::MAX)), &[]) {
        let columns = index.decode(&chunk, logs::Projection::ALL, &fetched).unwrap();
        for (stream, rows) in &columns.runs {
            for row in rows.start as usize..rows.end as usize {
                let (line, metadata) = (String::from_utf8_lossy(columns.lines.get(row)), columns.metadata.get(row));
                out += &format!("{} {} {line} {metadata:?}\n", all[*stream as usize].labels, columns.timestamps[row]);
            }
        }
    }
    out
}

#[test]
fn golden_files_stay_readable() {
    let tenant = TenantId::anonymous();
    let l0_metrics = l0::encode_metrics(&tenant, &metric_batch()).unwrap().bytes;
    let l0_logs = l0::encode_logs(&tenant, &log_batch()).unwrap().bytes;
    let mut merged = Vec::new();
    merge::metrics(std::slice::from_ref(&l0_metrics), &MergeOptions::default(), &mut |output| merged.push(output.bytes)).unwrap();
    merge::logs(std::slice::from_ref(&l0_logs), &MergeOptions::default(), &mut |output| merged.push(output.bytes)).unwrap();
    let [floats, windows] = [false, true].map(|with_histograms| windows(&tenant, with_histograms));
    let fresh = [
        ("v1-metrics.l0", &l0_metrics),
        ("v1-logs.l0", &l0_logs),
        ("v1-metrics.parquet", &merged[0]),
        ("v1-logs.parquet", &merged[1]),
        ("v2-metrics.parquet", &merged[0]),
        ("v2-logs.parquet", &merged[1]),
        ("v3-logs.parquet", &merged[1]),
        ("v4-logs.parquet", &merged[1]),
        ("v5-logs.parquet", &merged[1]),
        ("v8-logs.parquet", &merged[1]),
        ("v6-windows.parquet", &floats),
        ("v7-windows.parquet", &windows),
    ];
    for (name, bytes) in fresh {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        if std::env::var_os("GOLDEN_WRITE").is_some() && !path.exists() {
            std::fs::write(&path, bytes).unwrap();
        }
        let stored: Bytes = std::fs::read(&path).unwrap().into();
        assert_eq!(describe(&stored), describe(bytes), "{name}");
        if ["v3-logs.parquet", "v4-logs.parquet", "v5-logs.parquet", "v8-logs.parquet"].contains(&name) {
            assert_eq!(minutes(&stored), minutes(bytes), "{name}");
        }
    }
}

/// A coarse copy with a counter, a gauge that is no integer, a reset and a stale marker, and since version 7 native histograms.
fn windows(tenant: &TenantId, with_histograms: bool) -> Bytes {
    let mut batch = MetricBatch::default();
    for step in 0..if with_histograms { 60 } else { 0 } {
        if step == 0 {
            batch.start_series_of(&LabelSet::from_pairs([("__name__", "latency")]));
        }
        let (timestamp, start_timestamp) = (TimestampMs(15_000 * step + 7), TimestampMs(0));
        let histogram = Histogram { count: step as f64, zero_count: step as f64, ..Histogram::default() };
        batch.histograms.push(HistogramRow { series: 0, timestamp, start_timestamp, histogram });
    }
    for (name, scale) in [("requests_total", 1.0), ("load", 0.37)] {
        batch.start_series_of(&LabelSet::from_pairs([("__name__", name), ("job", "node")]));
        for step in 0..80i64 {
            let value = if step == 70 { model::STALE_NAN } else { (step % 50) as f64 * scale };
            batch.push_sample(TimestampMs(15_000 * step + 7), value, TimestampMs(0));
        }
    }
    let block = l0::encode_metrics(tenant, &batch).unwrap().bytes;
    let index = metrics::Index::open(&block).unwrap();
    let source = merge::CoarseSource { index, fetched: Fetched::whole(block) };
    let options = merge::CoarseOptions { slots: model::SlotRange::ALL, widths_ms: vec![300_000], output_bytes_max: usize::MAX };
    let mut found = Vec::new();
    merge::downsample(vec![source], &options, &mut |_, output| found.push(output.bytes)).unwrap();
    // The samples of histograms that matter come after the windows.
    assert_eq!(found.len(), if with_histograms { 2 } else { 1 });
    found.remove(0)
}

/// What a file of logs counts.
fn minutes(bytes: &Bytes) -> String {
    let index = logs::Index::open(bytes).unwrap();
    let of = |entry: &logs::StreamEntry| {
        let counts = index.minutes(entry).unwrap().into_iter();
        // Older files do not tell those on the first instant apart.
        let said = |count: MinuteCount<'_>| format!("{:?} {:?} {} {}", count.start, count.level, count.rows, count.line_bytes);
        format!("{} {:?}\n", entry.labels, counts.map(said).collect::<Vec<_>>())
    };
    index.all().iter().map(of).collect()
}
