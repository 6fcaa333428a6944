//! `lamella import prometheus|thanos`: blocks of Prometheus's TSDB become segments, through the writer that takes remote write.
//!
//! ```text
//! source ─▶ block (a directory, or a copy of one in a bucket) ─▶ batches by window and series ─▶ writer ─▶ ledger
//! ```
//! Owns: which blocks are read and in what pieces, what is noted so that a second run goes on where the first stopped.
//! Does not own: the blocks' format (`wire::tsdb`), segments and commits (`appender`). A piece is the same whenever it is made, so
//! that writing it again changes nothing (W2); the ledger only saves the work.

mod batches;
mod block;
mod ledger;
mod source;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result};
use appender::{Batch, Receipt, Writer};
use boot::Host;
use clap::{Args, Subcommand};
use model::{Keep, Signal, TenantId, TimeRangeMs, TimestampMs};
use serde::Serialize;
use tokio::sync::mpsc;
use wire::tsdb::Meta;

use self::batches::Place;
use self::block::{Block, Cut};
use self::ledger::{Entry, Ledger};
use self::source::Source;
use super::filter::parse_tenant;
use super::output::Answer;
use super::progress::Progress;
use super::table::Table;
use super::{finish, format, open_or_create};
use crate::cli::ToolOptions;

/// Whose blocks.
#[derive(Subcommand)]
pub enum Command {
    /// Blocks of a Prometheus: its data directory, or a snapshot of it. What is still in its head is not in a block yet.
    Prometheus {
        /// The directory that holds the blocks.
        directory: std::path::PathBuf,
        /// How they are stored.
        #[command(flatten)]
        options: Options,
    },
    /// Blocks of a Thanos: s3://bucket/prefix, or a directory. Its downsampled copies are left out.
    Thanos {
        /// Where the blocks lie.
        from: String,
        /// Where from, in detail.
        #[command(flatten)]
        bucket: source::BucketOptions,
        /// How they are stored.
        #[command(flatten)]
        options: Options,
    },
}

/// How blocks are stored.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Whose data it becomes.
    #[arg(long, value_parser = parse_tenant, default_value = "anonymous")]
    pub tenant: TenantId,
    /// A label that every series gets, such as replica=a; given as often as wanted. Wins over the series' own.
    #[arg(long = "label", value_parser = parse_label)]
    pub labels: Vec<(String, String)>,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected name=value".to_owned()),
    }
}

/// Imports.
pub async fn run(command: Command) -> Result<ExitCode> {
    let (source, options) = match command {
        Command::Prometheus { directory, options } => (Source::Directory(directory), options),
        Command::Thanos { from, bucket, options } => (Source::parse(&from, &bucket).await?, options),
    };
    let host = open_or_create(&options.tool.storage).await?;
    finish(&import(&host, &source, &options).await?, &options.tool)
}

/// Imports every block of a source, oldest first.
pub async fn import(host: &Host, source: &Source, options: &Options) -> Result<Imported> {
    let found = source.blocks().await?;
    let mut answer = Imported { notes: found.notes, ..Imported::default() };
    let tenant = &options.tenant;
    for meta in found.blocks {
        let outcome = match skipped(&meta, &found.marked) {
            Some(reason) => Outcome { state: State::Skipped, reason: Some(reason), ..Outcome::of(&meta) },
            None => import_block(host, source, &meta, options).await.with_context(|| format!("import block {}", meta.ulid))?,
        };
        answer.add(outcome);
    }
    if let Some(note) = retention_note(host, tenant, &answer.blocks) {
        answer.notes.push(note);
    }
    Ok(answer)
}

/// Says why a block is left out, if it is.
fn skipped(meta: &Meta, marked: &[String]) -> Option<String> {
    match meta.downsampled_ms() {
        0 if marked.contains(&meta.ulid) => Some("it is marked for deletion".to_owned()),
        0 => None,
        resolution => {
            Some(format!("it is downsampled to {} s; Lamella makes its own copies from raw samples", resolution / 1000))
        }
    }
}

/// Says which blocks the next compaction run will drop again.
fn retention_note(host: &Host, tenant: &TenantId, blocks: &[Outcome]) -> Option<String> {
    let Keep::For(kept) = host.config.retention.of(tenant, Signal::Metrics).raw else { return None };
    let oldest = host.clock.now().minus(kept);
    let old = blocks.iter().filter(|block| block.state != State::Skipped && block.from_ms < oldest.0).count();
    (old > 0).then(|| {
        let days = kept.as_secs() / (24 * 3600);
        format!("{old} blocks reach back further than raw metrics are kept ({days} days): compaction drops what is older, unless LAMELLA_RETENTION says otherwise")
    })
}

async fn import_block(host: &Host, source: &Source, meta: &Meta, options: &Options) -> Result<Outcome> {
    let staged = source.stage(&meta.ulid).await?;
    let external = external_labels(meta, &options.labels);
    let (directory, meta) = (staged.directory().to_owned(), meta.clone());
    let outcome = Outcome::of(&meta);
    let block = tokio::task::spawn_blocking(move || Block::open(&directory, meta, external, Cut::default())).await??;
    let ledger = Ledger::new(host.records.clone(), &options.tenant, &outcome.block);
    let plan = block.plan();
    let entry = ledger.entry(&block.content()?, plan.window_hours).await?;
    let outcome = Outcome { series: block.series() as u64, ..outcome };
    if entry.done {
        return Ok(Outcome { state: State::Unchanged, ..outcome });
    }
    let state = if entry.is_begun() { State::Resumed } else { State::Imported };
    let written = write(host, &options.tenant, block, &ledger, entry).await?;
    let Receipt { rows, segments, bytes, .. } = written;
    Ok(Outcome { state, samples: rows as u64, segments: segments as u64, bytes: bytes as u64, ..outcome })
}

/// Reads on one thread and writes on another, one batch ahead.
async fn write(host: &Host, tenant: &TenantId, mut block: Block, ledger: &Ledger, mut entry: Entry) -> Result<Receipt> {
    let writer = Writer::new(host.objects.clone(), host.manifest.clone(), host.clock.clone(), host.nonces.clone());
    let (series, from) = (block.series() as u64, Place { window: entry.window, series: entry.series });
    let progress = Progress::new("series and windows", block.plan().windows as u64 * series);
    let (sender, mut batches) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || {
        batches::read(&mut block, from, &mut |place, batch| sender.blocking_send((place, batch)).is_ok())
    });
    let mut sum = Receipt::default();
    while let Some((place, batch)) = batches.recv().await {
        let batch = Batch::Metrics(batch);
        writer.admit(tenant, &batch).await?;
        let receipt = writer.write(tenant, batch).await?;
        (sum.rows, sum.segments, sum.bytes) =
            (sum.rows + receipt.rows, sum.segments + receipt.segments, sum.bytes + receipt.bytes);
        (entry.window, entry.series) = (place.window, place.series);
        ledger.note(&mut entry).await?;
        progress.reach(place.window as u64 * series + place.series as u64);
    }
    reading.await??;
    entry.done = true;
    ledger.note(&mut entry).await?;
    Ok(sum)
}

/// Thanos's external labels and those of the command line, which win.
fn external_labels(meta: &Meta, given: &[(String, String)]) -> BTreeMap<String, String> {
    let mut labels = meta.thanos.as_ref().map(|thanos| thanos.labels.clone()).unwrap_or_default();
    labels.extend(given.iter().cloned());
    labels
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Read from its beginning.
    #[default]
    Imported,
    /// Read from where an earlier run stopped.
    Resumed,
    /// An earlier run had read all of it.
    Unchanged,
    /// Left out.
    Skipped,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Imported => "imported",
            State::Resumed => "resumed",
            State::Unchanged => "unchanged",
            State::Skipped => "skipped",
        }
    }
}

/// One block and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Outcome {
    /// Its id.
    pub block: String,
    /// What became of it.
    pub state: State,
    /// Why it was left out.
    pub reason: Option<String>,
    /// First instant it covers.
    pub from_ms: i64,
    /// First instant after it.
    pub to_ms: i64,
    /// Its series.
    pub series: u64,
    /// Samples written by this run.
    pub samples: u64,
    /// Segments written by this run.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Outcome {
    fn of(meta: &Meta) -> Outcome {
        Outcome { block: meta.ulid.clone(), from_ms: meta.min_time, to_ms: meta.max_time, ..Outcome::default() }
    }
}

/// The answer of `import`.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Each block, oldest first.
    pub blocks: Vec<Outcome>,
    /// What else was seen.
    pub notes: Vec<String>,
    /// Samples written by this run.
    pub samples: u64,
    /// Segments written by this run.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Imported {
    fn add(&mut self, outcome: Outcome) {
        self.samples += outcome.samples;
        self.segments += outcome.segments;
        self.bytes += outcome.bytes;
        self.blocks.push(outcome);
    }
}

impl Answer for Imported {
    fn text(&self) -> String {
        let mut table = Table::new(&["block", "from", "to", "series", "samples", "segments", "bytes", "state"]);
        for block in &self.blocks {
            let (from, to) = format::span(TimeRangeMs::new(TimestampMs(block.from_ms), TimestampMs(block.to_ms)));
            let [series, samples, segments] = [block.series, block.samples, block.segments].map(format::count);
            let state = match &block.reason {
                Some(reason) => format!("{}: {reason}", block.state.as_str()),
                None => block.state.as_str().to_owned(),
            };
            table.row([block.block.clone(), from, to, series, samples, segments, format::size(block.bytes), state]);
        }
        let [samples, segments] = [self.samples, self.segments].map(format::count);
        let notes: String = self.notes.iter().map(|note| format!("note: {note}\n")).collect();
        let size = format::size(self.bytes);
        format!("{}{samples} samples written, {segments} segments, {size}\n{notes}", table.render())
    }
}

#[cfg(test)]
mod tests;
