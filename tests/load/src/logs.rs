//! Pushes a synthetic log set by the Loki protocol and says what each megabyte cost.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::client::Client;
use crate::loki::{Entry, PushRequest, Stream, Timestamp};
use crate::{Target, cpu};

/// What to send.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: Target,
    /// Path of the push endpoint.
    #[arg(long, default_value = "/loki/api/v1/push")]
    path: String,
    /// Mebibytes of lines: 128 is set S, 512 set M.
    #[arg(long, default_value_t = 128)]
    mebibytes: usize,
    /// Where the generator starts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time of the last entry, nanoseconds since the epoch.
    #[arg(long)]
    end_ns: i64,
}

/// Streams of the set: 25 apps × 10 pods.
const STREAMS: usize = 250;
/// Entries of one stream in a request.
const ENTRIES_PER_STREAM: usize = 256;
/// Streams in a request.
const STREAMS_PER_REQUEST: usize = 20;
/// Time the set spans, nanoseconds.
const SPAN_NS: i64 = 3 * 3_600_000_000_000;
/// Lines between two needles.
const NEEDLE_EVERY: usize = 400_000;

/// Encodes the set, sends it, prints one line of figures.
pub fn run(options: &Options) -> Result<()> {
    let (bodies, lines, bytes) = encode(options)?;
    eprintln!("{lines} lines, {bytes} bytes of lines in {} requests", bodies.iter().map(Vec::len).sum::<usize>());
    let before = options.target.pid.map(cpu::usage).transpose()?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let senders: Vec<_> = bodies.iter().map(|bodies| scope.spawn(|| send(options, bodies))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    let wall = started.elapsed().as_secs_f64();
    let after = options.target.pid.map(cpu::usage).transpose()?;

    let megabytes = bytes as f64 / 1e6;
    print!("{lines} lines, {megabytes:.1} MB acknowledged in {wall:.2} s wall");
    if let (Some(before), Some(after)) = (before, after) {
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        print!(", {cpu:.2} s CPU, {:.1} MB per CPU second, {} MiB resident", megabytes / cpu, after.resident_bytes >> 20);
    }
    println!();
    Ok(())
}

fn send(options: &Options, bodies: &[Vec<u8>]) -> Result<()> {
    let headers = vec![("Content-Type", "application/x-protobuf"), ("User-Agent", "lamella-load")];
    let client = Client::new(format!("{}{}", options.target.url, options.path), headers);
    bodies.iter().try_for_each(|body| client.post(body))
}

type Bodies = Vec<Vec<Vec<u8>>>;

/// Makes every request before the clock starts; connection `c` carries the stream groups `c, c + connections, …`.
fn encode(options: &Options) -> Result<(Bodies, usize, usize)> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let connections = options.target.connections.max(1);
    let mut bodies: Bodies = vec![Vec::new(); connections];
    let (mut lines, mut bytes) = (0, 0);
    let target = options.mebibytes << 20;
    let lines_expected = (target / 200).max(1);
    let start_ns = options.end_ns - SPAN_NS;
    let mut group = 0;
    while bytes < target {
        let mut request = PushRequest::default();
        for member in 0..STREAMS_PER_REQUEST {
            let stream = (group * STREAMS_PER_REQUEST + member) % STREAMS;
            let mut entries = Vec::with_capacity(ENTRIES_PER_STREAM);
            for _ in 0..ENTRIES_PER_STREAM {
                let at = start_ns + (SPAN_NS / lines_expected as i64) * lines as i64;
                let line = line(stream, lines, &mut random);
                bytes += line.len();
                lines += 1;
                entries.push(Entry { timestamp: Some(Timestamp::of(at)), line });
            }
            request.streams.push(Stream { labels: labels(stream), entries });
        }
        bodies[group % connections].push(request.body()?);
        group += 1;
    }
    Ok((bodies, lines, bytes))
}

fn labels(stream: usize) -> String {
    let app = stream % 25;
    format!(
        "{{app=\"app-{app}\", cluster=\"cluster-{}\", namespace=\"namespace-{}\", pod=\"app-{app}-{:08x}\"}}",
        stream % 3,
        stream % 7,
        stream * 2_654_435_761
    )
}

/// One line in the format of its app: JSON, logfmt, access log, Java or klog.
fn line(stream: usize, number: usize, random: &mut StdRng) -> String {
    let level = match random.random_range(0..100) {
        0..2 => "error",
        2..7 => "warn",
        7..27 => "debug",
        _ => "info",
    };
    let trace: u128 = random.random();
    let millis = random.random_range(1..2_000);
    let status = if level == "error" { 503 } else { 200 };
    let user = random.random_range(0..100_000);
    let mut out = String::with_capacity(256);
    let written = match stream % 5 {
        0 => write!(
            out,
            r#"{{"level":"{level}","msg":"request served","status":{status},"duration_ms":{millis},"user":"user-{user}","path":"/api/v1/items/{user}","trace_id":"{trace:032x}"}}"#
        ),
        1 => write!(
            out,
            "level={level} msg=\"request served\" status={status} duration={millis}ms user=user-{user} path=/api/v1/items/{user} trace_id={trace:032x}"
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
            "{} [worker-{}] com.example.orders.OrderService - order {user} handled in {millis} ms trace={trace:032x}",
            level.to_uppercase(),
            user % 16
        ),
        _ => write!(
            out,
            "{}{:04} {:05} reconciler.go:{}] synced pod app-{}/pod-{user} in {millis}ms",
            level[..1].to_uppercase(),
            1121,
            user % 32_768,
            millis % 900,
            user % 25
        ),
    };
    written.expect("writing to a string cannot fail");
    if number % NEEDLE_EVERY == NEEDLE_EVERY / 2 {
        out.push_str(" needle-in-the-haystack");
    }
    out
}
