//! Rates of the segment formats on set S: L0 encode and decode, Parquet write (merge) and read; prints bytes per sample first.

#[path = "../tests/generator/mod.rs"]
mod generator;

use std::time::Instant;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use generator::{Random, SetS};
use model::TenantId;
use segment::merge::{self, MergeOptions};
use segment::{Encoded, Fetched, l0, logs, metrics};

fn merged(inputs: &[Bytes]) -> Encoded {
    let mut outputs = Vec::new();
    merge::metrics(inputs, &MergeOptions::default(), &mut |output| outputs.push(output)).expect("inputs are ours");
    assert_eq!(outputs.len(), 1);
    outputs.remove(0)
}

fn decode_all(object: &Bytes) -> usize {
    let index = metrics::Index::open(object).expect("our own file");
    let all = index.all();
    index.decode(&all, metrics::Projection::SAMPLES, &Fetched::whole(object.clone())).expect("our own file").timestamps.len()
}

/// Prints sizes of set S (10,000 series × 720) and of 537 MB of logs through the same path as compaction.
fn sizes() {
    let tenant = TenantId::anonymous();
    let mut set = SetS::new(1, 100, 100);
    let (mut level0, mut level1, mut samples, mut l0_bytes) = (Vec::new(), Vec::new(), 0, 0);
    let mut l1_bytes = 0;
    let mut encode_s = 0.0;
    let mut l1_s = 0.0;
    for _ in 0..720 {
        for batch in set.scrape(2_000) {
            samples += batch.samples_len();
            let start = Instant::now();
            level0.push(l0::encode_metrics(&tenant, &batch).expect("in bounds").bytes);
            encode_s += start.elapsed().as_secs_f64();
        }
        if level0.len() >= 64 {
            l0_bytes += level0.iter().map(Bytes::len).sum::<usize>();
            let start = Instant::now();
            level1.push(merged(&level0).bytes);
            l1_s += start.elapsed().as_secs_f64();
            l1_bytes += level1.last().map_or(0, Bytes::len);
            level0.clear();
        }
    }
    level1.append(&mut level0);
    let start = Instant::now();
    let last = merged(&level1);
    let l2_s = start.elapsed().as_secs_f64();
    let per = |bytes: usize| bytes as f64 / samples as f64;
    let rate = |seconds: f64| samples as f64 / seconds / 1e6;
    println!("set S: {samples} samples; L0 {:.2} B/sample at {:.2} M/s;", per(l0_bytes), rate(encode_s));
    println!(
        "  L1 {:.3} B/sample at {:.2} M/s; last {:.3} B/sample at {:.2} M/s",
        per(l1_bytes),
        rate(l1_s),
        per(last.bytes.len()),
        rate(l2_s)
    );
    println!("  tail {:.3} B/sample", per(last.bytes.len() - last.tail_offset as usize));
    if let Ok(path) = std::env::var("SEGMENT_BENCH_OUT") {
        std::fs::write(path, &last.bytes).expect("write the file asked for");
    }

    let mut random = Random(7);
    let (mut inputs, mut raw) = (Vec::new(), 0);
    let start = Instant::now();
    for request in 0..60 {
        let batch = generator::logs(
            &mut random,
            20 * (request % 12),
            20,
            256,
            1_800_000_000_000_000_000 + (request / 12) as i64 * 1_000_000_000,
        );
        raw += batch.lines.bytes_len();
        inputs.push(l0::encode_logs(&tenant, &batch).expect("in bounds").bytes);
    }
    let l0_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut outputs = Vec::new();
    merge::logs(&inputs, &MergeOptions::default(), &mut |output| outputs.push(output)).expect("inputs are ours");
    let merge_s = start.elapsed().as_secs_f64();
    let level0: usize = inputs.iter().map(Bytes::len).sum();
    let level1: usize = outputs.iter().map(|output| output.bytes.len()).sum();
    let tail: usize = outputs.iter().map(|output| output.bytes.len() - output.tail_offset as usize).sum();
    let mb = raw as f64 / 1e6;
    println!("logs: {mb:.1} MB; L0 {:.2}x, made and encoded at {:.0} MB/s;", raw as f64 / level0 as f64, mb / l0_s);
    println!("  L1 {:.2}x at {:.0} MB/s, tail {tail} of {level1} bytes", raw as f64 / level1 as f64, mb / merge_s);
    let object = &outputs[0].bytes;
    let index = logs::Index::open(object).expect("our own file");
    let start = Instant::now();
    for chunk in
        index.chunks(&index.all(), model::TimeRangeNs::new(model::TimestampNs(i64::MIN), model::TimestampNs(i64::MAX)), &[])
    {
        index.decode(&chunk, logs::Projection::ALL, &Fetched::whole(object.clone())).expect("our own file");
    }
    println!("  decode at {:.0} MB/s", mb / start.elapsed().as_secs_f64());
}

fn benches(c: &mut Criterion) {
    sizes();
    let tenant = TenantId::anonymous();
    let mut group = c.benchmark_group("segment");
    group.sample_size(20);
    for (name, hosts) in [("2k", 20), ("100k", 1000)] {
        let batch = SetS::new(2, hosts, 100).scrape(usize::MAX).remove(0);
        group.throughput(Throughput::Elements(batch.samples_len() as u64));
        group.bench_function(format!("l0 encode {name}"), |b| b.iter(|| l0::encode_metrics(&tenant, &batch).expect("in bounds")));
        let encoded = l0::encode_metrics(&tenant, &batch).expect("in bounds").bytes;
        group.bench_function(format!("l0 decode {name}"), |b| b.iter(|| decode_all(&encoded)));
    }
    let batch = SetS::new(3, 20, 100).history(720);
    let input = [l0::encode_metrics(&tenant, &batch).expect("in bounds").bytes];
    group.throughput(Throughput::Elements(batch.samples_len() as u64));
    group.bench_function("parquet write", |b| b.iter_batched(|| input.clone(), |input| merged(&input), BatchSize::LargeInput));
    let output = merged(&input).bytes;
    group.bench_function("parquet read", |b| b.iter(|| decode_all(&output)));
    let index = metrics::Index::open(&output).expect("our own file");
    let one = vec![index.all().swap_remove(700)];
    group.throughput(Throughput::Elements(720));
    group.bench_function("parquet read one series", |b| {
        b.iter(|| index.decode(&one, metrics::Projection::SAMPLES, &Fetched::whole(output.clone())).expect("our own file"))
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
