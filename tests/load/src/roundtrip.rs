//! Pushes the lines of real files by the Loki protocol and reads them back: every line there, once, in order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::client::Client;
use crate::loki::{Entry, PushRequest, Stream, Timestamp};

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
/// Lines in a page read back: Loki's own bound.
const LINES_PER_PAGE: usize = 5_000;
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
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent
        .get(format!("{}/loki/api/v1/query_range", options.url))
        .query("query", format!("{{job=\"roundtrip\", filename=\"{name}\"}}"))
        .query("start", start.to_string())
        .query("end", end.to_string())
        .query("limit", LINES_PER_PAGE.to_string())
        .query("direction", "forward")
        .call()?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    let answer: Value = serde_json::from_str(&text).context("parse the page")?;
    let mut entries = Vec::new();
    for stream in answer["data"]["result"].as_array().context("a page has a result")? {
        for value in stream["values"].as_array().context("a stream has values")? {
            let timestamp = value[0].as_str().and_then(|text| text.parse().ok()).context("a value has a timestamp")?;
            entries.push((timestamp, value[1].as_str().context("a value has a line")?.to_owned()));
        }
    }
    entries.sort_by_key(|(timestamp, _)| *timestamp);
    Ok(entries)
}
