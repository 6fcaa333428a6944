//! `lamella segments ls`: what is live. Reads records only, no object.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use boot::Host;
use clap::Args;
use manifest::Location;
use model::TimeRangeMs;
use serde::Serialize;

use crate::cli::ToolOptions;
use crate::tools::filter::PartFilter;
use crate::tools::inventory::{self, Listed};
use crate::tools::output::Answer;
use crate::tools::table::Table;
use crate::tools::{finish, format, open};

/// Which segments, and how they are listed.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which segments.
    #[command(flatten)]
    pub filter: PartFilter,
    /// One line per tenant, signal, resolution and level in place of one per segment.
    #[arg(long)]
    pub summary: bool,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Prints the list.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    if options.summary {
        finish(&summary(&host, &options.filter).await?, &options.tool)
    } else {
        finish(&list(&host, &options.filter).await?, &options.tool)
    }
}

/// Returns a line per segment.
pub async fn list(host: &Host, filter: &PartFilter) -> Result<Listing> {
    let segments: Vec<Segment> = inventory::live(host, filter).await?.iter().map(Segment::of).collect();
    Ok(Listing { total: Total::of(&segments), segments })
}

/// Returns a line per tenant, signal, resolution and level.
pub async fn summary(host: &Host, filter: &PartFilter) -> Result<Summary> {
    let listing = list(host, filter).await?;
    let mut groups: BTreeMap<(String, &'static str, &'static str, u8), Vec<Segment>> = BTreeMap::new();
    for segment in listing.segments {
        let group = (segment.tenant.clone(), segment.signal, segment.resolution, segment.level);
        groups.entry(group).or_default().push(segment);
    }
    let group = |((tenant, signal, resolution, level), segments): (_, Vec<Segment>)| Group {
        tenant,
        signal,
        resolution,
        level,
        total: Total::of(&segments),
    };
    Ok(Summary { groups: groups.into_iter().map(group).collect(), total: listing.total })
}

/// A live segment as the manifest knows it.
#[derive(Clone, Debug, Serialize)]
pub struct Segment {
    /// Whose data it is.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// The hour or day it is listed under.
    pub window: String,
    /// `raw`, `5m` or `1h`.
    pub resolution: &'static str,
    /// 0 as ingested, 1 and up merged.
    pub level: u8,
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its object; none where it lies inside the manifest's record.
    pub key: Option<String>,
    /// Size.
    pub bytes: u64,
    /// Where index and footer begin.
    pub tail_offset: u64,
    /// Samples or entries.
    pub rows: u64,
    /// Series or streams.
    pub series: u32,
    /// First instant covered, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// First instant after.
    pub to_ms: i64,
    /// First slot of the ring covered, and the first after.
    pub slots: [u16; 2],
    /// The ring's epoch it was written under.
    pub epoch: u32,
    /// When it was begun, milliseconds since the Unix epoch.
    pub minted_at_ms: i64,
    /// Of a coarse segment: ids of the raw ones it was made of.
    pub sources: Vec<String>,
    /// Whether it is left out of answers.
    pub quarantined: bool,
}

impl Segment {
    /// Makes the line of a segment.
    pub fn of(listed: &Listed) -> Segment {
        let (part, stats) = (&listed.part, &listed.part.stats);
        Segment {
            tenant: listed.tenant.to_string(),
            signal: listed.signal.as_str(),
            window: part.window.to_string(),
            resolution: part.resolution.as_str(),
            level: part.level,
            id: part.id.to_string(),
            key: match &part.location {
                Location::Object { key, .. } => Some(key.clone()),
                Location::Inline(_) => None,
            },
            bytes: part.location.len_bytes(),
            tail_offset: part.tail_offset,
            rows: stats.rows,
            series: stats.series,
            from_ms: stats.time_range.start.0,
            to_ms: stats.time_range.end.0,
            slots: [stats.slots.lo, stats.slots.hi],
            epoch: stats.epoch,
            minted_at_ms: part.minted_at.0,
            sources: part.sources.iter().map(ToString::to_string).collect(),
            quarantined: listed.quarantined,
        }
    }

    /// Returns the times it covers.
    pub fn range(&self) -> TimeRangeMs {
        TimeRangeMs { start: model::TimestampMs(self.from_ms), end: model::TimestampMs(self.to_ms) }
    }

    fn place(&self) -> &'static str {
        match (self.quarantined, &self.key) {
            (true, _) => "in quarantine",
            (false, None) => "in the record",
            (false, Some(_)) => "",
        }
    }
}

/// Sums over segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Total {
    /// Segments.
    pub segments: u64,
    /// Samples or entries.
    pub rows: u64,
    /// Sizes.
    pub bytes: u64,
    /// First instant covered, milliseconds since the Unix epoch; none without segments.
    pub from_ms: Option<i64>,
    /// First instant after.
    pub to_ms: Option<i64>,
}

impl Total {
    fn of(segments: &[Segment]) -> Total {
        Total {
            segments: segments.len() as u64,
            rows: segments.iter().map(|segment| segment.rows).sum(),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            from_ms: segments.iter().map(|segment| segment.from_ms).min(),
            to_ms: segments.iter().map(|segment| segment.to_ms).max(),
        }
    }
}

/// The answer of `segments ls`.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// By tenant, signal, window (a day after its hours), resolution, level.
    pub segments: Vec<Segment>,
    /// Their sums.
    pub total: Total,
}

impl Answer for Listing {
    fn text(&self) -> String {
        let headings = [
            "tenant", "signal", "window", "res", ">level", "segment", ">rows", ">series", ">bytes", ">B/row", "first", "last",
            "slots", "",
        ];
        let mut table = Table::new(&headings);
        for segment in &self.segments {
            let (first, last) = format::span(segment.range());
            table.row([
                segment.tenant.clone(),
                segment.signal.to_owned(),
                segment.window.clone(),
                segment.resolution.to_owned(),
                segment.level.to_string(),
                format::short(&segment.id),
                format::count(segment.rows),
                format::count(segment.series.into()),
                format::size(segment.bytes),
                format::per_row(segment.bytes, segment.rows),
                first,
                last,
                format!("{}-{}", segment.slots[0], segment.slots[1]),
                segment.place().to_owned(),
            ]);
        }
        let Total { segments, rows, bytes, .. } = self.total;
        let (segments, rows, bytes) = (format::count(segments), format::count(rows), format::size(bytes));
        format!("{}{segments} segments, {rows} rows, {bytes}\n", table.render())
    }
}

/// The segments of one kind.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Whose data it is.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// `raw`, `5m` or `1h`.
    pub resolution: &'static str,
    /// 0 as ingested, 1 and up merged.
    pub level: u8,
    /// Their sums.
    #[serde(flatten)]
    pub total: Total,
}

/// The answer of `segments ls --summary`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// By tenant, signal, resolution, level.
    pub groups: Vec<Group>,
    /// The sums of all.
    pub total: Total,
}

impl Answer for Summary {
    fn text(&self) -> String {
        let mut table =
            Table::new(&["tenant", "signal", "res", ">level", ">segments", ">rows", ">bytes", ">B/row", "first", "last"]);
        for group in &self.groups {
            let name = [group.tenant.clone(), group.signal.to_owned(), group.resolution.to_owned(), group.level.to_string()];
            table.row(name.into_iter().chain(sums(&group.total)));
        }
        let all = ["all".to_owned(), String::new(), String::new(), String::new()];
        table.row(all.into_iter().chain(sums(&self.total)));
        table.render()
    }
}

fn sums(total: &Total) -> [String; 6] {
    let instant = |ms: Option<i64>| ms.map_or(String::new(), |ms| format::instant(model::TimestampMs(ms)));
    [
        format::count(total.segments),
        format::count(total.rows),
        format::size(total.bytes),
        format::per_row(total.bytes, total.rows),
        instant(total.from_ms),
        instant(total.to_ms.map(|ms| ms - 1)),
    ]
}
