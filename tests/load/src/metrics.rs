//! Remote-writes a set and says what each sample cost.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::client::Client;
use crate::remote_write::{Sample, TimeSeries, WriteRequest, body};
use crate::series::{STEP_MS, Walk};
use crate::{Target, cpu, recorded};

/// What to send.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    target: Target,
    /// Path of the remote-write endpoint.
    #[arg(long, default_value = "/api/v1/write")]
    path: String,
    /// Series of the set: 10000 is set S, 100000 set M, 1000000 set L, 500000 with --steps 4 the churn set.
    #[arg(long, default_value_t = 10_000)]
    series: usize,
    /// Samples per series, 15 s apart: 720 for set S, 240 for M, 24 for L.
    #[arg(long, default_value_t = 720)]
    steps: usize,
    /// Samples a request (Prometheus sends 2,000).
    #[arg(long, default_value_t = 2_000)]
    samples_per_request: usize,
    /// Where the walks start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time of the last sample, milliseconds since the epoch.
    #[arg(long)]
    end_ms: i64,
    /// Sends real series instead: a line each, `{"metric":{…},"values":[…],"timestamps":[ms…]}`, `null` for NaN, infinities as
    /// strings. They are moved in time so that the newest lies at `end_ms`.
    #[arg(long)]
    file: Option<PathBuf>,
}

/// Encodes the set, sends it, prints one line of figures.
pub fn run(options: &Options) -> Result<()> {
    let (bodies, samples) = match &options.file {
        Some(file) => recorded::encode(file, options.target.connections, options.samples_per_request, options.end_ms)?,
        None => (encode(options)?, options.series * options.steps),
    };
    let bytes: usize = bodies.iter().flatten().map(Vec::len).sum();
    eprintln!("{samples} samples in {} requests, {bytes} bytes", bodies.iter().map(Vec::len).sum::<usize>());

    let before = options.target.pid.map(cpu::usage).transpose()?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let senders: Vec<_> = bodies.iter().map(|bodies| scope.spawn(|| send(options, bodies))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    let wall = started.elapsed().as_secs_f64();
    let after = options.target.pid.map(cpu::usage).transpose()?;

    print!("{samples} samples acknowledged in {wall:.2} s wall, {:.0} samples/s", samples as f64 / wall);
    if let (Some(before), Some(after)) = (before, after) {
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        print!(
            ", {cpu:.2} s CPU, {:.0} samples per CPU second, {} MiB resident",
            samples as f64 / cpu,
            after.resident_bytes >> 20
        );
    }
    println!();
    Ok(())
}

fn send(options: &Options, bodies: &[Vec<u8>]) -> Result<()> {
    let headers = vec![
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ("User-Agent", "lamella-load"),
    ];
    let client = Client::new(format!("{}{}", options.target.url, options.path), headers);
    bodies.iter().try_for_each(|body| client.post(body))
}

/// Makes every request before the clock starts, one list per connection.
fn encode(options: &Options) -> Result<Vec<Vec<Vec<u8>>>> {
    let connections = options.target.connections.max(1);
    let start_ms = options.end_ms - (options.steps as i64 - 1) * STEP_MS;
    let per_connection = options.series.div_ceil(connections);
    (0..connections)
        .map(|connection| {
            let range = connection * per_connection..((connection + 1) * per_connection).min(options.series);
            let mut walks: Vec<Walk> = range.map(|index| Walk::new(index, options.seed)).collect();
            let mut bodies = Vec::new();
            for step in 0..options.steps {
                let at = start_ms + step as i64 * STEP_MS;
                for chunk in walks.chunks_mut(options.samples_per_request) {
                    bodies.push(body(&request(chunk, at)).context("compress a request")?);
                }
            }
            Ok(bodies)
        })
        .collect()
}

fn request(walks: &mut [Walk], at: i64) -> WriteRequest {
    let series = |walk: &mut Walk| TimeSeries {
        labels: walk.labels.clone(),
        samples: vec![Sample { value: walk.step(), timestamp: at - STEP_MS + walk.offset_ms }],
        ..TimeSeries::default()
    };
    WriteRequest { timeseries: walks.iter_mut().map(series).collect() }
}
