//! Writes compacted segments and, as JSON lines, what our own reader finds in them: `tests/duckdb.sh` compares.
//!
//!   foreign DIR
#![allow(clippy::unwrap_used)]

#[path = "../tests/generator/mod.rs"]
mod generator;

use std::io::Write;

use bytes::Bytes;
use generator::{Random, SetS};
use model::batch::HistogramRow;
use model::{Histogram, LabelSet, LogBatch, MetricBatch, Span, TenantId, TimeRangeNs, TimestampMs, TimestampNs};
use segment::merge::{self, Effort, MergeOptions};
use segment::{Encoded, Fetched, l0, logs, metrics};
use serde_json::{Map, Value, json};

/// Set S, and what is odd: every kind of value, histograms, more labels than there are columns, reserved names.
fn metric_batch() -> Vec<MetricBatch> {
    let mut odd = MetricBatch::default();
    for series in 0..80i64 {
        let (name, value) = (format!("label_{series}"), format!("wert \"{series}\" ü"));
        let labels = [("__name__", "odd"), ("ts", "reserved"), (name.as_str(), value.as_str()), ("host", "a")];
        odd.start_series_of(&LabelSet::from_pairs(labels));
        let values = [1.0, -0.0, 0.25, f64::NAN, model::STALE_NAN, f64::INFINITY, 1e300, 0.1 + 0.2, -8192.0, 12.34];
        for step in 0..200i64 {
            let value = values[((step * step + series) % 10) as usize] * if step % 3 == 0 { 1.0 } else { step as f64 };
            odd.push_sample(TimestampMs(generator::START_MS + 1000 * step + step % 7), value, TimestampMs(series % 2));
        }
    }
    odd.start_series_of(&LabelSet::from_pairs([("__name__", "latency")]));
    for step in 0..100i64 {
        let histogram = Histogram {
            schema: 2,
            count: step as f64,
            sum: step as f64 / 3.0,
            positive_spans: vec![Span { offset: step as i32, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            ..Histogram::default()
        };
        let (timestamp, start_timestamp) = (TimestampMs(generator::START_MS + 10 * step), TimestampMs(0));
        odd.histograms.push(HistogramRow { series: 80, timestamp, start_timestamp, histogram });
    }
    vec![SetS::new(1, 4, 100).history(720), odd]
}

fn log_batch() -> Vec<LogBatch> {
    let mut random = Random(3);
    let mut odd = LogBatch::default();
    odd.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "odd"), ("body", "reserved")]).encoded()));
    for row in 0..5_000i64 {
        let pairs = [("trace_id", format!("t{row}")), ("level", ["info", "warn"][row as usize % 2].into())];
        let rare = (format!("rare_{}", row % 500), "x".to_owned());
        let metadata = LabelSet::from_pairs(
            pairs.iter().map(|(key, value)| (*key, &**value)).chain((row % 97 == 0).then_some((&*rare.0, &*rare.1))),
        );
        odd.push_entry(TimestampNs(row / 3), format!("line {row} “ü” \t tab").as_bytes(), metadata.encoded());
    }
    vec![generator::logs(&mut random, 0, 40, 3_000, 1_800_000_000_000_000_000), odd]
}

fn labels_json(labels: &LabelSet) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<String, Value>>())
}

fn write_metrics(bytes: &Bytes, out: &mut impl Write) {
    let index = metrics::Index::open(bytes).unwrap();
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(bytes.clone())).unwrap();
    for (place, entry) in all.iter().enumerate() {
        let samples = columns.series(place);
        let values: Vec<Value> = samples
            .timestamps
            .iter()
            .enumerate()
            .map(|(row, time)| {
                let start = samples.start_timestamps.get(row).copied().unwrap_or(0);
                json!([time, format!("{:016x}", samples.values[row].to_bits()), start])
            })
            .collect();
        let histograms = samples.histograms.iter();
        let histograms: Vec<Value> = histograms
            .map(|sample| {
                let h = &sample.histogram;
                json!([sample.timestamp.0, h.count, h.sum, h.positive_buckets, h.positive_spans[0].offset])
            })
            .collect();
        let line = json!({"labels": labels_json(&entry.labels), "id": entry.id.0, "values": values, "histograms": histograms});
        writeln!(out, "{line}").unwrap();
    }
}

fn write_logs(bytes: &Bytes, out: &mut impl Write) {
    let index = logs::Index::open(bytes).unwrap();
    let all = index.all();
    let mut chunks = index.chunks(&all, TimeRangeNs::new(TimestampNs(i64::MIN), TimestampNs(i64::MAX)), &[]);
    chunks.sort_by_key(|chunk| chunk.row_group);
    for chunk in chunks {
        let columns = index.decode(&chunk, logs::Projection::ALL, &Fetched::whole(bytes.clone())).unwrap();
        for (stream, rows) in &columns.runs {
            let labels = labels_json(&all[*stream as usize].labels);
            for row in rows.start as usize..rows.end as usize {
                let line = std::str::from_utf8(columns.lines.get(row)).unwrap();
                let metadata = match columns.metadata.get(row) {
                    [] => json!({}),
                    encoded => labels_json(&LabelSet::from_encoded(encoded).unwrap()),
                };
                writeln!(out, "{}", json!([labels, columns.timestamps[row], line, metadata])).unwrap();
            }
        }
    }
}

fn main() {
    let dir = std::env::args().nth(1).expect("usage: foreign DIR");
    let tenant = TenantId::anonymous();
    let metrics: Vec<Bytes> = metric_batch().iter().map(|batch| l0::encode_metrics(&tenant, batch).unwrap().bytes).collect();
    let logs: Vec<Bytes> = log_batch().iter().map(|batch| l0::encode_logs(&tenant, batch).unwrap().bytes).collect();
    for (effort, name) in [(Effort::Fast, "fast"), (Effort::Normal, "normal"), (Effort::Small, "small")] {
        let options = MergeOptions { effort, ..MergeOptions::default() };
        let write = |signal: &str, output: &Encoded, reader: &dyn Fn(&Bytes, &mut Vec<u8>)| {
            std::fs::write(format!("{dir}/{signal}-{name}.parquet"), &output.bytes).unwrap();
            let mut expected = Vec::new();
            reader(&output.bytes, &mut expected);
            std::fs::write(format!("{dir}/{signal}-{name}.jsonl"), expected).unwrap();
        };
        let mut emit = |output: Encoded| write("metrics", &output, &|bytes, out| write_metrics(bytes, out));
        merge::metrics(&metrics, &options, &mut emit).unwrap();
        let mut emit = |output: Encoded| write("logs", &output, &|bytes, out| write_logs(bytes, out));
        merge::logs(&logs, &options, &mut emit).unwrap();
    }
}
