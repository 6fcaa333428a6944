//! The log queries L1 to L10 over generated logs in compacted segments, in memory: CPU per query and what was read.
//!
//! `cargo bench -p engine --bench logs -- [MEBIBYTES] [lines|answers] [only these queries ...]`; 128 mebibytes unless said otherwise.
//! `lines` prints the set instead, as tab-separated app, cluster, namespace, pod, nanoseconds, level and line; `answers` what the queries
//! answer (`tests/bench-logs.sh` compares both with a peer). The set has 250
//! streams (25 apps, 3 clusters, 7 namespaces), five formats, three hours, a needle every 400,000 lines, and the `detected_level` that
//! ingest writes. CPU is of the whole process; a query is repeated until it took half a second.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, EngineConfig, QueryStats};
use manifest::{L0Item, Location, Manifest, PartStats};
use model::{Clock, LabelSet, Limits, LogBatch, Nonces, SegmentId, Signal, TenantId, TimestampMs, TimestampNs};
use store::objects::{ObjectPath, ObjectStoreExt};

const T0_NS: i64 = 1_767_225_600_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
const HOURS: i64 = 3;
const STREAMS: u64 = 250;
const NEEDLE_EVERY: u64 = 400_000;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs((T0_NS + HOURS * HOUR_NS) / 1_000_000)
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn labels(stream: u64) -> LabelSet {
    let app = stream % 25;
    let (name, pod) = (format!("app-{app}"), format!("app-{app}-{:08x}", stream * 2_654_435_761));
    let (cluster, namespace) = (format!("cluster-{}", stream % 3), format!("namespace-{}", stream % 7));
    LabelSet::from_pairs([("app", name.as_str()), ("cluster", &cluster), ("namespace", &namespace), ("pod", &pod)])
}

fn line(stream: u64, number: u64, random: &mut Random, out: &mut String) -> &'static str {
    let level = match random.below(100) {
        0..2 => "error",
        2..7 => "warn",
        7..27 => "debug",
        _ => "info",
    };
    let trace = format!("{:016x}{:016x}", random.0 ^ number, random.0.rotate_left(17));
    let (millis, user) = (1 + random.below(1999), random.below(100_000));
    let status = if level == "error" { 503 } else { 200 };
    out.clear();
    match stream % 5 {
        0 => write!(
            out,
            r#"{{"level":"{level}","msg":"request served","status":{status},"duration_ms":{millis},"user":"user-{user}","path":"/api/v1/items/{user}","trace_id":"{trace}"}}"#
        ),
        1 => write!(
            out,
            "level={level} msg=\"request served\" status={status} duration={millis}ms user=user-{user} path=/api/v1/items/{user} trace_id={trace}"
        ),
        2 => write!(
            out,
            "10.{}.{}.{} - user-{user} \"GET /api/v1/items/{user} HTTP/1.1\" {status} {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" {millis}",
            user % 250,
            user % 199,
            user % 251,
            millis * 37
        ),
        3 => write!(
            out,
            "{} [worker-{}] com.example.orders.OrderService - order {user} handled in {millis} ms trace={trace}",
            level.to_uppercase(),
            user % 16
        ),
        _ => write!(
            out,
            "{}1121 {:05} reconciler.go:{}] synced pod app-{}/pod-{user} in {millis}ms",
            level[..1].to_uppercase(),
            user % 32_768,
            millis % 900,
            user % 25
        ),
    }
    .unwrap();
    if number % NEEDLE_EVERY == NEEDLE_EVERY / 2 {
        out.push_str(" needle-in-the-haystack");
    }
    level
}

/// Makes the entries of one hour; returns a trace id among them.
fn hour(hour: i64, lines: u64, random: &mut Random) -> (LogBatch, String) {
    let mut batch = LogBatch::default();
    let (mut text, mut trace) = (String::new(), String::new());
    for stream in 0..STREAMS {
        batch.start_stream(|out| out.extend_from_slice(labels(stream).encoded()));
        for number in 0..lines / STREAMS {
            let at = T0_NS + hour * HOUR_NS + (HOUR_NS / (lines / STREAMS) as i64) * number as i64 + stream as i64 * 977;
            let level = line(stream, (hour as u64 * lines) + stream * (lines / STREAMS) + number, random, &mut text);
            if stream == 101 && number == 7 {
                trace = text[text.find("trace_id=").unwrap() + 9..].to_owned();
            }
            let metadata = LabelSet::from_pairs([("detected_level", level)]);
            batch.push_entry(TimestampNs(at), text.as_bytes(), metadata.encoded());
        }
    }
    (batch, trace)
}

/// Returns how many lines an hour has, of a set of so many mebibytes.
fn lines_of_hour(mebibytes: u64) -> u64 {
    (mebibytes << 20) / 178 / HOURS as u64
}

/// Prints the set.
fn print_lines(mebibytes: u64) {
    let (mut random, mut out) = (Random(1), std::io::BufWriter::new(std::io::stdout().lock()));
    for at in 0..HOURS {
        let (batch, _) = hour(at, lines_of_hour(mebibytes), &mut random);
        for stream in 0..STREAMS {
            let labels = labels(stream);
            let labels: Vec<&str> = labels.iter().map(|(_, value)| value).collect();
            for row in batch.entry_range(stream as usize) {
                let metadata = LabelSet::from_encoded(batch.metadata.get(row)).unwrap();
                let (labels, level) = (labels.join("\t"), metadata.get("detected_level").unwrap());
                write!(out, "{labels}\t{}\t{level}\t", batch.timestamps[row]).unwrap();
                out.write_all(batch.lines.get(row)).unwrap();
                out.write_all(b"\n").unwrap();
            }
        }
    }
}

async fn filled(mebibytes: u64) -> (Engine, String) {
    let records: store::Records = Arc::new(store::records::memory::MemoryRecords::default());
    let manifest = Manifest::new(records, Arc::new(Fixed), Arc::new(Nonces::seeded(1)));
    let objects = store::objects::memory();
    let (tenant, mut random, mut wanted, mut written) = (TenantId::anonymous(), Random(1), String::new(), 0u128);
    let (mut raw, mut stored, mut entries) = (0, 0, 0);
    for at in 0..HOURS {
        let (batch, trace) = hour(at, lines_of_hour(mebibytes), &mut random);
        wanted = trace;
        (raw, entries) = (raw + batch.lines.bytes_len(), entries + batch.entries_len());
        let block = segment::l0::encode_logs(&tenant, &batch).unwrap();
        drop(batch);
        let mut outputs = Vec::new();
        segment::merge::logs(&[block.bytes], &Default::default(), &mut |output| outputs.push(output)).unwrap();
        for output in outputs {
            written += 1;
            stored += output.bytes.len();
            let key = format!("anonymous/{written}");
            objects.put(&ObjectPath::from(key.as_str()), output.bytes.clone().into()).await.unwrap();
            let stats = PartStats {
                rows: output.stats.rows,
                series: output.stats.series as u32,
                time_range: output.stats.range,
                slots: output.stats.slots,
                epoch: 0,
                names: Bytes::copy_from_slice(output.stats.filter.as_bytes()),
            };
            let location = Location::Object { key, len: output.bytes.len() as u64 };
            let (id, tail_offset, minted_at) = (SegmentId(written), output.tail_offset, Fixed.now());
            let item = L0Item { id, location, tail_offset, stats, minted_at };
            let hour = TimestampNs(T0_NS + at * HOUR_NS).to_ms().hour();
            manifest.commit(&tenant, Signal::Logs, hour, item).await.unwrap();
        }
    }
    println!("{entries} lines, {:.1} MB raw, {:.1} MB in {written} segments", raw as f64 / 1e6, stored as f64 / 1e6);
    (Engine::new(EngineConfig::default(), objects, manifest, Arc::new(Fixed)), wanted)
}

/// CPU of this process so far, in hundredths of a second.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn ask(engine: &Engine, text: &str) -> (plan::Value, QueryStats) {
    let params = logql::Params {
        text: text.into(),
        start_ns: T0_NS,
        end_ns: T0_NS + HOURS * HOUR_NS,
        step_ns: 300_000_000_000,
        instant: false,
        newest_first: true,
        limit: 100,
        interval_ns: 0,
        approx_topk: false,
    };
    let plan = logql::lower(&logql::parse(text).unwrap(), &params).unwrap();
    let limits = Limits { query_timeout: std::time::Duration::from_secs(600), ..Limits::default() };
    let (answer, stats) = engine.query(&TenantId::anonymous(), plan, &limits).await.unwrap();
    (answer.value, stats)
}

fn rows(value: &plan::Value) -> usize {
    match value {
        plan::Value::Streams(streams) => streams.iter().map(|stream| stream.entries.len()).sum(),
        plan::Value::Vector(series) => series.len(),
        _ => 0,
    }
}

/// Prints an answer as tab-separated query, labels, step and value, or query, nanoseconds and line.
fn print_answer(name: &str, value: &plan::Value) {
    match value {
        plan::Value::Streams(streams) => {
            for entry in streams.iter().flat_map(|stream| &stream.entries) {
                println!("{name}\t{}\t{}", entry.timestamp, String::from_utf8_lossy(&entry.line));
            }
        }
        plan::Value::Vector(series) => {
            for one in series {
                let steps = one.values.floats.iter().enumerate().filter(|(_, value)| !model::is_stale(**value));
                steps.for_each(|(step, value)| println!("{name}\t{}\t{step}\t{value}", one.labels));
            }
        }
        _ => {}
    }
}

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mebibytes = arguments.first().and_then(|first| first.parse().ok()).unwrap_or(128);
    let prints = arguments.get(1).is_some_and(|second| second == "answers");
    match arguments.get(1).map(String::as_str) {
        Some("lines") => return print_lines(mebibytes),
        Some("answers") => drop(arguments.remove(1)),
        _ => {}
    }
    let (engine, trace) = filled(mebibytes).await;
    let by_trace = format!("{{cluster=~\".+\"}} |= \"trace_id={trace}\"");
    let queries = [
        ("L1", r#"{cluster=~".+"} |= " needle-in-the-haystack""#),
        ("L2", r#"{app="app-3"}"#),
        ("L3", r#"{app="app-1"} |= "error""#),
        ("L4", r#"sum by (app) (count_over_time({cluster=~".+"}[5m]))"#),
        ("L5", r#"sum by (namespace) (rate({cluster=~".+"} |~ "(?i)error" [5m]))"#),
        ("L6", r#"sum by (app) (count_over_time({app=~"app-(0|5|10|15|20)"} | json | status >= 500 [5m]))"#),
        ("L7", r#"quantile_over_time(0.95, {app=~"app-(1|6|11|16|21)"} | logfmt | unwrap duration(duration) [5m]) by (app)"#),
        ("L8", r#"sum(count_over_time({cluster="cluster-1"} |~ "handled in [0-9]+ ms" [5m]))"#),
        ("L9", by_trace.as_str()),
        ("L10", r#"{cluster=~".+"} |= " no-such-needle-here ""#),
        ("L4b", r#"sum by (app) (bytes_over_time({cluster=~".+"}[5m]))"#),
        ("L4l", r#"sum by (detected_level) (count_over_time({cluster=~".+"}[5m]))"#),
    ];
    for (name, text) in queries {
        if arguments.len() > 1 && !arguments[1..].iter().any(|wanted| wanted == name) {
            continue;
        }
        let (value, stats) = ask(&engine, text).await;
        let rows = rows(&value);
        if prints {
            println!("{name}\tquery\t{text}");
            print_answer(name, &value);
            continue;
        }
        let (before, mut runs) = (ticks(), 0);
        while ticks() < before + 50 && runs < 2000 {
            ask(&engine, text).await;
            runs += 1;
        }
        let cpu_ms = (ticks() - before) as f64 * 10.0 / f64::from(runs);
        println!(
            "{name:4} {cpu_ms:9.2} ms CPU  {rows:4} rows  {:4} requests  {:9} bytes read  {:3}/{:3} row groups pruned  {:8} entries  {:8} lines",
            stats.requests, stats.bytes_read, stats.row_groups_pruned, stats.row_groups, stats.entries, stats.lines
        );
    }
}
