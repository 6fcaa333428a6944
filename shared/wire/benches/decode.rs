//! What one core decodes: snappy, remote write 1.0 and 2.0, Loki push. Bodies are made by `prost`, an encoder independent of ours.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{LabelSet, Limits, SeriesId, Signal, Slot, TenantId, TimestampMs};
use prost::Message;
use wire::loki_push::{Intake, Shape};
use wire::remote_write::{Version, decode_message};

/// Samples of a request, as Prometheus sends.
const SAMPLES: usize = 2_000;
/// When the samples are taken and the requests arrive.
const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesRefs {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<SeriesRefs>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}

fn labels(index: usize) -> Vec<(String, String)> {
    [
        ("__name__", format!("requests_{}_total", index % 100)),
        ("cluster", format!("cluster-{}", index % 3)),
        ("instance", format!("host-{:04}.example.internal:9100", index / 100)),
        ("job", format!("job-{}", index % 10)),
        ("mode", format!("mode-{}", index % 100)),
        ("namespace", format!("namespace-{}", index % 17)),
        ("pod", format!("pod-{index:08x}-{:05}", (index * 7_907) % 99_991)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn samples(index: usize) -> Vec<Sample> {
    vec![Sample { value: index as f64, timestamp: NOW.0 }]
}

fn v1() -> Vec<u8> {
    let series = |index| Series {
        labels: labels(index).into_iter().map(|(name, value)| Label { name, value }).collect(),
        samples: samples(index),
    };
    WriteRequest { timeseries: (0..SAMPLES).map(series).collect() }.encode_to_vec()
}

fn v2() -> Vec<u8> {
    let mut request = Request { symbols: vec![String::new()], timeseries: Vec::new() };
    let mut known = std::collections::HashMap::from([(String::new(), 0u32)]);
    for index in 0..SAMPLES {
        let mut labels_refs = Vec::new();
        for text in labels(index).into_iter().flat_map(|(name, value)| [name, value]) {
            let next = known.len() as u32;
            labels_refs.push(*known.entry(text.clone()).or_insert_with(|| {
                request.symbols.push(text);
                next
            }));
        }
        request.timeseries.push(SeriesRefs { labels_refs, samples: samples(index) });
    }
    request.encode_to_vec()
}

fn loki() -> Vec<u8> {
    let entry = |line: usize| Entry {
        timestamp: Some(Timestamp { seconds: NOW.0 / 1000 }),
        line: format!(
            "level=info msg=\"request served\" status=200 duration={line}ms user=user-{line} path=/api/v1/items/{line}"
        ),
    };
    let stream = |app: usize| Stream {
        labels: format!("{{app=\"app-{app}\", cluster=\"c\", namespace=\"n\", pod=\"app-{app}-0\"}}"),
        entries: (0..256).map(entry).collect(),
    };
    PushRequest { streams: (0..20).map(stream).collect() }.encode_to_vec()
}

fn decode(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("remote write, 2,000 samples");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let (v1, v2) = (v1(), v2());
    let compressed = snap::raw::Encoder::new().compress_vec(&v1).expect("a request compresses");
    group.bench_function("snappy", |bencher| {
        bencher
            .iter(|| wire::decompress::snappy_block(black_box(&compressed), limits.decoded_bytes_max).expect("a snappy block"));
    });
    group.bench_function("1.0", |bencher| {
        bencher.iter(|| decode_message(black_box(&v1), Version::V1, &limits, NOW).expect("a 1.0 request"));
    });
    group.bench_function("2.0", |bencher| {
        bencher.iter(|| decode_message(black_box(&v2), Version::V2, &limits, NOW).expect("a 2.0 request"));
    });
    group.finish();

    let tenant = TenantId::anonymous();
    let intake = Intake { tenant: &tenant, limits: &limits, now: NOW.to_ns() };
    let body = snap::raw::Encoder::new().compress_vec(&loki()).expect("a request compresses");
    let mut group = criterion.benchmark_group("loki push, 5,120 entries");
    group.throughput(Throughput::Elements(5_120));
    group.bench_function("protobuf", |bencher| {
        bencher.iter(|| {
            wire::loki_push::decode(black_box(&body), Some("application/x-protobuf"), None, Shape::V1, &intake)
                .expect("a push request")
        });
    });
    group.finish();
}

/// What a series costs before it is known: its id and its slot of the ring.
fn hash(criterion: &mut Criterion) {
    let limits = Limits::default();
    let batch = decode_message(&v1(), Version::V1, &limits, NOW).expect("a 1.0 request").batch;
    let labels: Vec<LabelSet> = (0..batch.series_len()).map(|index| batch.label_set(index).expect("canonical labels")).collect();
    let tenant = TenantId::anonymous();
    let mut group = criterion.benchmark_group("hash, 2,000 label sets");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    group.bench_function("series id", |bencher| {
        bencher.iter(|| labels.iter().map(SeriesId::of).fold(0, |sum: u64, id| sum.wrapping_add(id.0)));
    });
    group.bench_function("slot", |bencher| {
        bencher.iter(|| labels.iter().map(|labels| u64::from(Slot::of(&tenant, Signal::Metrics, labels).0)).sum::<u64>());
    });
    group.finish();
}

criterion_group!(benches, decode, hash);
criterion_main!(benches);
