//! Pushes the lines of real files by the Loki protocol and reads them back: every line there, once, in order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::client::Client;
use crate::loki::{Entry, PushRequest, Stream, Timestamp};
use crate::pages;

/// Which files, where.
#[derive(Args)]
pub struct Options {
    /// Base URL of the server.
    #[arg(long, default_value = "http://127.0.0.1:9009")]
    url: String,
    /// Base URL to push to, where that is another than `url` (functions have one each).
    #[arg(long)]
    push_url: Option<String>,
    /// Only read back what an earlier run with the same files and times pushed.
    #[arg(long)]
    verify_only: bool,
    /// Time of the first line, nanoseconds since the epoch; lines are one microsecond apart.
    #[arg(long)]
    start_ns: i64,
    /// Text files, one stream each.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Lines in a push request.
const LINES_PER_REQUEST: usize = 1_000;
/// Distance of lines, nanoseconds.
const LINE_NS: i64 = 1_000;

/// Pushes and verifies every file.
pub fn run(options: &Options) -> Result<()> {
    let mut total = 0;
    for file in &options.files {
        let lines = lines(file)?;
        let name = file.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        if !options.verify_only {
            push(options, &name, &lines)?;
        }
        verify(options, &name, &lines).with_context(|| format!("read back {name}"))?;
        println!("{:8} lines  {name}", lines.len());
        total += lines.len();
    }
    println!("{total} lines read back once each and in order");
    Ok(())
}

/// Protobuf strings are UTF-8, so a line that is not is sent as its lossy form, as log shippers do.
fn lines(file: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

fn push(options: &Options, name: &str, lines: &[String]) -> Result<()> {
    let base = options.push_url.as_ref().unwrap_or(&options.url);
    let client = Client::new(format!("{base}/loki/api/v1/push"), vec![("Content-Type", "application/x-protobuf")]);
    for (index, chunk) in lines.chunks(LINES_PER_REQUEST).enumerate() {
        let first = index * LINES_PER_REQUEST;
        let entries = chunk
            .iter()
            .enumerate()
            .map(|(line_index, line)| Entry {
                timestamp: Some(Timestamp::of(at(options, first + line_index))),
                line: line.clone(),
            })
            .collect();
        let request =
            PushRequest { streams: vec![Stream { labels: format!("{{job=\"roundtrip\", filename=\"{name}\"}}"), entries }] };
        client.post(&request.body()?)?;
    }
    Ok(())
}

fn at(options: &Options, line: usize) -> i64 {
    options.start_ns + line as i64 * LINE_NS
}

fn verify(options: &Options, name: &str, lines: &[String]) -> Result<()> {
    let end = at(options, lines.len());
    let mut next = 0;
    while next < lines.len() {
        let page = page(options, name, at(options, next), end)?;
        if page.is_empty() {
            bail!("{} lines of {} are missing", lines.len() - next, lines.len());
        }
        for (timestamp, line) in page {
            if next >= lines.len() || timestamp != at(options, next) || line != lines[next] {
                bail!("line {next}: expected {:?} at {}, read {line:?} at {timestamp}", lines.get(next), at(options, next));
            }
            next += 1;
        }
    }
    let beyond = page(options, name, end, end + 3_600_000_000_000)?;
    if !beyond.is_empty() {
        bail!("{} lines that were never pushed", beyond.len());
    }
    Ok(())
}

fn page(options: &Options, name: &str, start: i64, end: i64) -> Result<Vec<(i64, String)>> {
    pages::page(&options.url, &format!("{{job=\"roundtrip\", filename=\"{name}\"}}"), start, end)
}
