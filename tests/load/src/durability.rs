//! Kills the real binary under load, starts it again, and counts: nothing acknowledged is missing, nothing is doubled.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::answers::{Question, ask};
use crate::client::Client;
use crate::remote_write::{Label, Sample, TimeSeries, WriteRequest, body};

/// What to kill, and how often.
#[derive(Args)]
pub struct Options {
    /// The `lamella` binary.
    #[arg(long)]
    binary: PathBuf,
    /// Data directory; made if missing.
    #[arg(long)]
    data_dir: PathBuf,
    /// Address the server listens on.
    #[arg(long, default_value = "127.0.0.1:19009")]
    listen: String,
    /// Times the server is killed.
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Asks the server to stop (SIGTERM) instead of killing it; it must end by itself and lose nothing either.
    #[arg(long)]
    terminate: bool,
    /// Writers at once, a series each.
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// Where the moments of the kills come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds since the epoch now; sample `i` of a writer lies `i` ms after one hour ago.
    #[arg(long)]
    now_ms: i64,
}

/// What one writer knows: samples `0..=acknowledged` were answered with a 2xx, `attempted` is the newest ever sent.
#[derive(Default)]
struct Writer {
    acknowledged: AtomicI64,
    attempted: AtomicI64,
}

/// Runs the rounds; an error names what is missing or doubled.
pub fn run(options: &Options) -> Result<()> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let writers: Vec<Writer> =
        (0..options.writers).map(|_| Writer { acknowledged: AtomicI64::new(-1), attempted: AtomicI64::new(-1) }).collect();
    for round in 1..=options.kills {
        let mut server = start(options)?;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (index, writer) in writers.iter().enumerate() {
                let stop = &stop;
                scope.spawn(move || write_until(options, index, writer, stop));
            }
            std::thread::sleep(Duration::from_millis(random.random_range(300..2_500)));
            let killed = if options.terminate { terminate(&server) } else { server.kill() };
            stop.store(true, Ordering::SeqCst);
            killed
        })
        .context("kill the server")?;
        server.wait().context("wait for the killed server")?;

        let mut server = start(options)?;
        let verified = verify(options, &writers);
        server.kill().context("stop the server")?;
        server.wait()?;
        let samples = verified.with_context(|| format!("after kill {round}"))?;
        println!("kill {round}: {samples} acknowledged samples there, none doubled");
    }
    Ok(())
}

fn terminate(server: &Child) -> std::io::Result<()> {
    Command::new("kill").arg(server.id().to_string()).status().map(drop)
}

fn start(options: &Options) -> Result<Child> {
    let child = Command::new(&options.binary)
        .args(["serve", "--listen", &options.listen, "--data-dir"])
        .arg(path(&options.data_dir))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", options.binary.display()))?;
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if agent.get(format!("http://{}/-/ready", options.listen)).call().is_ok_and(|response| response.status().is_success()) {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the server was not ready after 20 s")
}

fn path(path: &Path) -> &std::ffi::OsStr {
    path.as_os_str()
}

/// Sends one sample a request and retries the same sample until it is acknowledged or the server is gone.
fn write_until(options: &Options, index: usize, writer: &Writer, stop: &AtomicBool) {
    let headers = vec![("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    let client = Client::new(format!("http://{}/api/v1/write", options.listen), headers);
    while !stop.load(Ordering::SeqCst) {
        let next = writer.acknowledged.load(Ordering::SeqCst) + 1;
        writer.attempted.fetch_max(next, Ordering::SeqCst);
        let label = |name: &str, value: String| Label { name: name.to_owned(), value };
        let request = WriteRequest {
            timeseries: vec![TimeSeries {
                labels: vec![label("__name__", "durability".to_owned()), label("writer", index.to_string())],
                samples: vec![Sample { value: next as f64, timestamp: time_of(options, next) }],
                histograms: Vec::new(),
            }],
        };
        let Ok(bytes) = body(&request) else { return };
        if client.post(&bytes).is_ok() {
            writer.acknowledged.store(next, Ordering::SeqCst);
        }
    }
}

fn time_of(options: &Options, sample: i64) -> i64 {
    options.now_ms - 3_600_000 + sample
}

/// Reads every raw sample back and holds it against what the writers know; returns the acknowledged samples found.
fn verify(options: &Options, writers: &[Writer]) -> Result<usize> {
    let end = options.now_ms as f64 / 1000.0 + 60.0;
    let question = Question { text: "durability[2h]".to_owned(), start: end, end, step: None };
    let answer = ask(&format!("http://{}", options.listen), &question)?;
    let mut found = 0;
    for (index, writer) in writers.iter().enumerate() {
        let acknowledged = writer.acknowledged.load(Ordering::SeqCst);
        let attempted = writer.attempted.load(Ordering::SeqCst);
        let points: Vec<i64> = answer["data"]["result"]
            .as_array()
            .context("the answer has a result")?
            .iter()
            .filter(|series| series["metric"]["writer"].as_str().and_then(|text| text.parse().ok()) == Some(index))
            .flat_map(|series| series["values"].as_array().cloned().unwrap_or_default())
            .filter_map(|point| point[1].as_str().and_then(|text| text.parse().ok()))
            .collect();
        let newest = points.last().copied().unwrap_or(-1);
        if points.iter().copied().ne(0..=newest) {
            bail!("writer {index}: samples are not 0 to {newest}, each once ({} read)", points.len());
        }
        if newest < acknowledged || newest > attempted {
            bail!("writer {index}: newest sample is {newest}, acknowledged {acknowledged}, attempted {attempted}");
        }
        found += usize::try_from(acknowledged + 1).unwrap_or(0);
    }
    Ok(found)
}
