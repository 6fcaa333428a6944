//! `lamella segments inspect`: what one segment is and holds.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use boot::Host;
use bytes::Bytes;
use clap::Args;
use model::{LabelSet, Signal};
use segment::inspect::Inspection;
use serde::Serialize;

use super::ls::Segment;
use super::read;
use crate::cli::ToolOptions;
use crate::tools::filter::PartFilter;
use crate::tools::inventory::{self, Listed};
use crate::tools::output::Answer;
use crate::tools::table::Table;
use crate::tools::{finish, format, open};

/// Which segment.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The beginning of its id, as `segments ls` shows it.
    pub id: String,
    /// Labels shown, those of most values first.
    #[arg(long, default_value_t = 12)]
    pub labels: usize,
    /// Where to look for it.
    #[command(flatten)]
    pub filter: PartFilter,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Reads and prints.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    let listed = inventory::live(&host, &options.filter).await?;
    finish(&inspect(&host, inventory::one(&listed, &options.id)?, options.labels).await?, &options.tool)
}

/// Reads a segment and describes it; at most `labels` labels.
///
/// # Errors
/// Where its object is gone, or its tail does not open: `segments verify` names what is wrong.
pub async fn inspect(host: &Host, listed: &Listed, labels: usize) -> Result<Inspected> {
    let Some(object) = read::whole(host, &listed.part).await? else {
        bail!("the object of segment {} is not there", listed.part.id);
    };
    let inside = segment::inspect::inspect(&object, 0).context("open the segment's tail")?;
    let mut labels_of = label_counts(listed.signal, &object)?;
    labels_of.truncate(labels);
    Ok(Inspected { segment: Segment::of(listed), inside, labels: labels_of })
}

/// A label of the segment's series or streams.
#[derive(Debug, Serialize)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Series or streams that have it.
    pub series: u64,
    /// Distinct values.
    pub values: u64,
    /// The value of most series, the smallest of several.
    pub top_value: String,
    /// How many series have that value.
    pub top_series: u64,
}

fn label_counts(signal: Signal, object: &Bytes) -> Result<Vec<Label>> {
    let sets: Vec<LabelSet> = match signal {
        Signal::Metrics => {
            let index = segment::metrics::Index::open(object).context("open the segment's index")?;
            index.all().into_iter().map(|entry| entry.labels).collect()
        }
        Signal::Logs => {
            let index = segment::logs::Index::open(object).context("open the segment's index")?;
            index.all().into_iter().map(|entry| entry.labels).collect()
        }
    };
    let mut names: HashMap<&str, HashMap<&str, u64>> = HashMap::new();
    for (name, value) in sets.iter().flat_map(|labels| labels.iter()) {
        *names.entry(name).or_default().entry(value).or_default() += 1;
    }
    let mut labels: Vec<Label> = names.into_iter().map(|(name, values)| label(name, &values)).collect();
    labels.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.name.cmp(&b.name)));
    Ok(labels)
}

fn label(name: &str, values: &HashMap<&str, u64>) -> Label {
    let top = values.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    let (top_value, top_series) = top.map_or(("", 0), |(value, series)| (*value, *series));
    Label {
        name: name.to_owned(),
        series: values.values().sum(),
        values: values.len() as u64,
        top_value: top_value.to_owned(),
        top_series,
    }
}

/// The answer of `segments inspect`.
#[derive(Debug, Serialize)]
pub struct Inspected {
    /// What the manifest says.
    pub segment: Segment,
    /// What the file consists of.
    pub inside: Inspection,
    /// Its labels, those of most values first.
    pub labels: Vec<Label>,
}

impl Answer for Inspected {
    fn text(&self) -> String {
        let mut text = self.facts();
        let mut section = |table: Table| {
            text.push('\n');
            text.push_str(&table.render());
        };
        section(self.parts());
        if !self.inside.columns.is_empty() {
            section(self.columns());
        }
        section(self.labels());
        text
    }
}

impl Inspected {
    fn facts(&self) -> String {
        let (segment, inside) = (&self.segment, &self.inside);
        let (first, last) = format::span(segment.range());
        let things = if segment.signal == "logs" { "streams" } else { "series" };
        let state = if segment.quarantined { ", in quarantine: answers leave it out" } else { "" };
        let per_row = format::per_row(segment.bytes, segment.rows);
        let facts = [
            ("segment", format!("{}{state}", segment.id)),
            (
                "of",
                format!(
                    "{} {}, {}, level {}, {}",
                    segment.tenant, segment.signal, segment.resolution, segment.level, segment.window
                ),
            ),
            ("object", segment.key.clone().unwrap_or_else(|| "none: it lies inside the manifest's record".to_owned())),
            ("size", format!("{} ({} bytes), {per_row} bytes a row", format::size(segment.bytes), segment.bytes)),
            ("holds", format!("{} rows of {} {things}", format::count(inside.rows), format::count(inside.series))),
            ("times", format!("{first} to {last}")),
            ("slots", format!("{} to {}, ring epoch {}", segment.slots[0], segment.slots[1].saturating_sub(1), segment.epoch)),
            ("format", format!("{} version {}, {} row groups", form(inside), inside.version, inside.row_groups.len())),
            ("begun", format::instant(model::TimestampMs(segment.minted_at_ms))),
        ];
        let extras = [("exemplars", inside.exemplars), ("metadata of", inside.metadata)];
        let extras = extras.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, format::count(count)));
        facts.into_iter().chain(extras).map(|(name, fact)| format!("{name:<12}{fact}\n")).collect()
    }

    fn parts(&self) -> Table {
        let mut table = Table::new(&["part", ">bytes"]);
        table.row(["data".to_owned(), format::count(self.inside.tail_offset)]);
        for (name, bytes) in &self.inside.tail {
            table.row([(*name).to_owned(), format::count(*bytes)]);
        }
        table
    }

    fn columns(&self) -> Table {
        let mut table = Table::new(&["column", "type", "encodings", ">pages", ">bytes", ">of", ">B/row"]);
        for column in &self.inside.columns {
            table.row([
                column.path.clone(),
                column.physical.clone(),
                column.encodings.join(" "),
                format::count(column.pages),
                format::count(column.bytes),
                format::count(column.uncompressed_bytes),
                format::per_row(column.bytes, self.inside.rows),
            ]);
        }
        table
    }

    fn labels(&self) -> Table {
        let mut table = Table::new(&["label", ">series", ">values", "most frequent", ">series"]);
        for label in &self.labels {
            let (series, values) = (format::count(label.series), format::count(label.values));
            table.row([label.name.clone(), series, values, shown(&label.top_value), format::count(label.top_series)]);
        }
        table
    }
}

fn form(inside: &Inspection) -> &'static str {
    match inside.form {
        segment::inspect::Form::Block => "L0 block",
        segment::inspect::Form::Parquet => "Parquet",
        segment::inspect::Form::Windows => "Parquet windows",
    }
}

/// Characters of a value in a table.
const VALUE_CHARS: usize = 40;

fn shown(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARS {
        return value.to_owned();
    }
    value.chars().take(VALUE_CHARS - 1).chain(['…']).collect()
}
