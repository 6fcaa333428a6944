//! Stored bytes and CPU seconds of rewriting: set S, a recorded scrape, synthetic logs, log files. Prints totals and columns.
//!
//!   sizes s [HOSTS] [STEPS]         set S: 100 hosts × 100 metrics × 720 steps of 15 s, by hour and as one part
//!   sizes coarse [HOSTS] [EVERY]    set S for a day of 15 s, every so many scrapes: raw samples against windows of 5m and 1h
//!   sizes scrape FILE.jsonl         series as JSON lines ({"metric":…,"values":…,"timestamps":…}), uncompressed
//!   sizes logs [MIB]                synthetic logs: five formats, 250 streams
//!   sizes files FILE…               text files, one stream each
//!
//! `coarse` prints every column of the copies too.
#![allow(clippy::unwrap_used)]

#[path = "../tests/generator/mod.rs"]
mod generator;

use bytes::Bytes;
use generator::{Random, SetS};
use model::{LabelSet, LogBatch, MetricBatch, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use segment::merge::{self, Effort, MergeOptions};
use segment::{Encoded, Fetched, l0, logs, metrics};

const ALL_NS: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

/// CPU time of this thread: walls mean nothing on a machine that is shared.
fn cpu_seconds() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn rewrite(inputs: &[Bytes], of_logs: bool, effort: Effort) -> (Vec<Encoded>, f64) {
    let options = MergeOptions { effort, ..MergeOptions::default() };
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output);
    let start = cpu_seconds();
    let merged = if of_logs { merge::logs(inputs, &options, &mut emit) } else { merge::metrics(inputs, &options, &mut emit) };
    merged.unwrap();
    (outputs, cpu_seconds() - start)
}

/// Decodes everything; returns seconds.
fn read(outputs: &[Encoded], of_logs: bool) -> f64 {
    let start = cpu_seconds();
    for output in outputs {
        let fetched = Fetched::whole(output.bytes.clone());
        if of_logs {
            let index = logs::Index::open(&output.bytes).unwrap();
            for chunk in index.chunks(&index.all(), ALL_NS, &[]) {
                index.decode(&chunk, logs::Projection::ALL, &fetched).unwrap();
            }
        } else {
            let index = metrics::Index::open(&output.bytes).unwrap();
            let all = index.select(&[], TimeRangeMs::new(TimestampMs(i64::MIN), TimestampMs(i64::MAX)));
            for some in all.chunks(2_000) {
                index.decode(some, metrics::Projection::SAMPLES, &fetched).unwrap();
            }
        }
    }
    cpu_seconds() - start
}

/// Rewrites with each effort and prints what came out. `raw` is samples (metrics) or bytes of lines (logs).
fn report(name: &str, inputs: &[Bytes], of_logs: bool, raw: u64) {
    for effort in [Effort::Fast, Effort::Normal, Effort::Small] {
        let (outputs, seconds) = rewrite(inputs, of_logs, effort);
        let bytes: usize = outputs.iter().map(|output| output.bytes.len()).sum();
        let tail: u64 = outputs.iter().map(|output| output.bytes.len() as u64 - output.tail_offset).sum();
        let decode = read(&outputs, of_logs);
        let (size, per) = if of_logs {
            (format!("{:.2}x", raw as f64 / bytes as f64), "MB")
        } else {
            (format!("{:.3} B/sample", bytes as f64 / raw as f64), "M samples")
        };
        let million = raw as f64 / 1e6;
        println!(
            "{name} {effort:?}: {size} in {} parts, tail {:.1} %; write {:.3} s/{per}, read {:.4} s/{per}",
            outputs.len(),
            100.0 * tail as f64 / bytes as f64,
            seconds / million,
            decode / million
        );
    }
}

fn set_s(hosts: u64, steps: usize) {
    let tenant = TenantId::anonymous();
    let mut set = SetS::new(1, hosts, 100);
    let inputs: Vec<Bytes> = (0..steps / 240).map(|_| l0::encode_metrics(&tenant, &set.history(240)).unwrap().bytes).collect();
    let samples = hosts * 100 * 240;
    report("s-hour", &inputs[..1], false, samples);
    if inputs.len() > 1 {
        report("s-all", &inputs, false, samples * inputs.len() as u64);
    }
}

/// A day's raw segment and its coarse copies; `every` thins the scrapes out.
fn coarse(hosts: u64, every: usize) {
    let mut set = SetS::new(1, hosts, 100);
    let (mut inputs, mut samples) = (Vec::new(), 0);
    for _ in 0..24 {
        let (all, mut batch) = (set.history(240), MetricBatch::default());
        for series in 0..all.series_len() {
            batch.start_series_of(&all.label_set(series).unwrap());
            for row in all.sample_range(series).step_by(every) {
                batch.push_sample(TimestampMs(all.timestamps[row]), all.values[row], TimestampMs(0));
                samples += 1;
            }
        }
        inputs.push(l0::encode_metrics(&TenantId::anonymous(), &batch).unwrap().bytes);
    }
    let (raw, _) = rewrite(&inputs, false, Effort::Small);
    let sources = raw.iter().map(|raw| merge::CoarseSource {
        index: metrics::Index::open(&raw.bytes).unwrap(),
        fetched: Fetched::whole(raw.bytes.clone()),
    });
    let widths_ms = vec![300_000, 3_600_000];
    let options = merge::CoarseOptions { slots: model::SlotRange::ALL, widths_ms, output_bytes_max: usize::MAX };
    let (mut copies, mut described, start) = ([(0, 0, 0); 2], [Vec::new(), Vec::new()], cpu_seconds());
    let sources: Vec<merge::CoarseSource> = sources.collect();
    let mut emit = |width: usize, output: Encoded| {
        let (bytes, windows, kept) = &mut copies[width];
        *bytes += output.bytes.len();
        described[width].push(segment::inspect::inspect(&output.bytes, 0).unwrap());
        *if segment::windows::is_windows(&output.bytes, 0) { windows } else { kept } += output.stats.rows;
    };
    merge::downsample(sources, &options, &mut emit).unwrap();
    let seconds = cpu_seconds() - start;
    let bytes: usize = raw.iter().map(|raw| raw.bytes.len()).sum();
    println!("raw: {samples} samples, {bytes} bytes, {:.3} B/sample", bytes as f64 / samples as f64);
    for (at, (width, (size, windows, kept))) in ["5m", "1h"].into_iter().zip(copies).enumerate() {
        let share = 100.0 * size as f64 / bytes as f64;
        println!("{width}: {windows} windows and {kept} samples, {size} bytes, {share:.1} % of raw");
        for file in &described[at] {
            let rows = file.rows as f64;
            let tail: u64 = file.tail.iter().map(|(_, bytes)| bytes).sum();
            println!("  {:?} of {} rows, tail {:.2} B a row {:?}", file.form, file.rows, tail as f64 / rows, file.tail);
            for column in file.columns.iter().filter(|column| column.bytes > 0) {
                println!("    {:20} {:6.2} B a row {:?}", column.path, column.bytes as f64 / rows, column.encodings);
            }
        }
    }
    println!("both: {:.3} CPU s/M samples", seconds / (samples as f64 / 1e6));
}

fn scrape(path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut batch = MetricBatch::default();
    for line in text.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let pairs = json["metric"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        batch.start_series_of(&LabelSet::from_pairs(pairs));
        for (value, time) in json["values"].as_array().unwrap().iter().zip(json["timestamps"].as_array().unwrap()) {
            let value = match value {
                serde_json::Value::Number(number) => number.as_f64().unwrap(),
                serde_json::Value::String(text) if text.starts_with('-') => f64::NEG_INFINITY,
                serde_json::Value::String(_) => f64::INFINITY,
                _ => f64::NAN,
            };
            batch.push_sample(TimestampMs(time.as_i64().unwrap()), value, TimestampMs(0));
        }
    }
    let samples = batch.samples_len() as u64;
    let input = l0::encode_metrics(&TenantId::anonymous(), &batch).unwrap().bytes;
    report("scrape", &[input], false, samples);
}

/// One line in the format of its stream, as `load logs` makes them.
fn line(stream: u64, number: u64, random: &mut Random) -> String {
    let level = match random.below(100) {
        0..2 => "error",
        2..7 => "warn",
        7..27 => "debug",
        _ => "info",
    };
    let trace = u128::from(random.next()) << 64 | u128::from(random.next());
    let millis = 1 + random.below(1_999);
    let status = if level == "error" { 503 } else { 200 };
    let user = random.below(100_000);
    let mut out = match stream % 5 {
        0 => format!(
            r#"{{"level":"{level}","msg":"request served","status":{status},"duration_ms":{millis},"user":"user-{user}","path":"/api/v1/items/{user}","trace_id":"{trace:032x}"}}"#
        ),
        1 => format!(
            "level={level} msg=\"request served\" status={status} duration={millis}ms user=user-{user} path=/api/v1/items/{user} trace_id={trace:032x}"
        ),
        2 => format!(
            "10.{}.{}.{} - user-{user} \"GET /api/v1/items/{user} HTTP/1.1\" {status} {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" {millis}",
            user % 250,
            user % 199,
            user % 251,
            millis * 37
        ),
        3 => format!(
            "{} [worker-{}] com.example.orders.OrderService - order {user} handled in {millis} ms trace={trace:032x}",
            level.to_uppercase(),
            user % 16
        ),
        _ => format!(
            "{}{:04} {:05} reconciler.go:{}] synced pod app-{}/pod-{user} in {millis}ms",
            level[..1].to_uppercase(),
            1121,
            user % 32_768,
            millis % 900,
            user % 25
        ),
    };
    if number % 400_000 == 200_000 {
        out.push_str(" needle-in-the-haystack");
    }
    out
}

fn synthetic_logs(mib: u64) {
    let (mut random, mut trace, mut l0_s) = (Random(1), String::new(), 0.0);
    let (mut inputs, mut raw, mut number, mut group) = (Vec::new(), 0, 0u64, 0u64);
    let lines = (mib << 20) / 200;
    while raw < mib << 20 {
        let mut batch = LogBatch::default();
        for member in 0..20 {
            let stream = (group * 20 + member) % 250;
            let app = stream % 25;
            let labels = LabelSet::from_pairs([
                ("app", &*format!("app-{app}")),
                ("cluster", &format!("cluster-{}", stream % 3)),
                ("namespace", &format!("namespace-{}", stream % 7)),
                ("pod", &format!("app-{app}-{:08x}", stream * 2_654_435_761)),
            ]);
            batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
            for _ in 0..256 {
                let time = 1_800_000_000_000_000_000 + (3 * 3_600_000_000_000 / lines * number) as i64;
                let line = line(stream, number, &mut random);
                if let (true, Some((_, id))) = (trace.is_empty(), line.split_once("trace_id=")) {
                    trace = id.to_owned();
                }
                raw += line.len() as u64;
                number += 1;
                batch.push_entry(TimestampNs(time), line.as_bytes(), &[]);
            }
        }
        let start = cpu_seconds();
        inputs.push(l0::encode_logs(&TenantId::anonymous(), &batch).unwrap().bytes);
        l0_s += cpu_seconds() - start;
        group += 1;
    }
    let l0: usize = inputs.iter().map(Bytes::len).sum();
    let encode = l0_s / raw as f64 * 1e6;
    println!("{number} lines, {raw} bytes, L0 {:.2}x, encode {encode:.4} s/MB", raw as f64 / l0 as f64);
    report("logs", &inputs, true, raw);
    let (outputs, _) = rewrite(&inputs, true, Effort::Fast);
    for (name, needle) in
        [("L1 needle", "needle-in-the-haystack"), ("L9 trace id", &trace), ("L10 absent", "no-such-token-anywhere")]
    {
        let (mut read, mut all) = (0, 0);
        for output in &outputs {
            let index = logs::Index::open(&output.bytes).unwrap();
            read += index.chunks(&index.all(), ALL_NS, &[needle.as_bytes()]).len();
            all += index.chunks(&index.all(), ALL_NS, &[]).len();
        }
        println!("{name}: {read} of {all} row groups");
    }
}

fn files(paths: &[String]) {
    let (mut inputs, mut raw) = (Vec::new(), 0);
    for path in paths {
        let text = std::fs::read(path).unwrap();
        let mut batch = LogBatch::default();
        let labels = LabelSet::from_pairs([("file", &**path)]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for (number, line) in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            raw += line.len() as u64;
            batch.push_entry(TimestampNs(1_800_000_000_000_000_000 + number as i64 * 1_000_000), line, &[]);
        }
        inputs.push(l0::encode_logs(&TenantId::anonymous(), &batch).unwrap().bytes);
    }
    let l0: usize = inputs.iter().map(Bytes::len).sum();
    println!("{} files, {raw} bytes, L0 {:.2}x", paths.len(), raw as f64 / l0 as f64);
    report("files", &inputs, true, raw);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| args.get(at).map_or(default, |text| text.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("s") => set_s(number(1, 100), number(2, 720) as usize),
        Some("coarse") => coarse(number(1, 10), number(2, 1) as usize),
        Some("scrape") => scrape(&args[1]),
        Some("logs") => synthetic_logs(number(1, 128)),
        Some("files") => files(&args[1..]),
        _ => eprintln!("usage: sizes s [HOSTS] [STEPS] | coarse [HOSTS] [EVERY] | scrape FILE | logs [MIB] | files FILE…"),
    }
}
