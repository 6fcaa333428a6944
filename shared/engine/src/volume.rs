//! How much streams hold, by intervals of time, from label tables: no entry is read.
//!
//! A segment knows each stream's rows, bytes and time range, and where it was compacted those of each minute. What lies in an
//! interval is exact where the interval covers that range, and otherwise its share of the time, as Loki scales what its index
//! knows of a chunk. An entry that two segments hold counts twice until they are merged.
//!
//! What several tenants hold is added up, as Loki's `MultiTenantQuerier` does; whose it is is told only where that label is named.

use std::borrow::Cow;

use futures::future::try_join_all;
use hashbrown::{HashMap, HashSet};
use model::{LabelSet, Limits, Matcher, Signal, TenantId, TimeRangeNs, TimestampNs};
use plan::EvalOptions;
use segment::logs::{Index, StreamEntry};
use segment::minutes::{MINUTE_NS, MinuteCount};

use crate::context::QueryContext;
use crate::lookup::{first, lookup};
use crate::{Engine, EngineError, Lookup};

/// By what volumes are summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeBy {
    /// Everything in one sum.
    Nothing,
    /// By the values of some labels; `None` is all labels, and so each stream for itself.
    Series(Option<Vec<String>>),
    /// By label name, each stream counted under every label it has; of some labels, or of all.
    Labels(Option<Vec<String>>),
}

/// What a sum is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeKey {
    /// Streams with these labels.
    Series(LabelSet),
    /// Streams that have this label.
    Label(String),
}

/// A sum per interval.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeSum {
    /// Of what.
    pub key: VolumeKey,
    /// One per interval asked for.
    pub volumes: Vec<Volume>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Volume {
    /// Distinct streams; with [`VolumeBy::Nothing`] only.
    pub streams: u64,
    /// Runs of one stream in one segment: what a chunk is to Loki.
    pub chunks: u64,
    /// Entries.
    pub entries: f64,
    /// Bytes of their lines.
    pub bytes: f64,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct VolumeQuery {
    /// Streams.
    pub matchers: Vec<Matcher>,
    /// When: ascending, without overlaps.
    pub intervals: Vec<TimeRangeNs>,
    /// How it is summed.
    pub by: VolumeBy,
    /// Sums at most; beyond it the answer is truncated.
    pub sums_max: usize,
}

impl Engine {
    /// Sums how much the matching streams of one or several tenants hold, by interval. Sums of nothing are left out.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn volumes(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        query: &VolumeQuery,
        limits: &Limits,
    ) -> Result<Lookup<VolumeSum>, EngineError> {
        let contexts = self.began(EvalOptions::default(), limits).about(tenants.as_ref());
        let mut sums = Sums::new(query);
        let (Some(earliest), Some(latest)) = (query.intervals.first(), query.intervals.last()) else {
            return Ok(lookup(first(&contexts)?, Vec::new(), None));
        };
        let range = TimeRangeNs::new(earliest.start, latest.end);
        let asked: Vec<_> = contexts.iter().filter_map(|context| Some((context, [context.own(&query.matchers)?]))).collect();
        let opening =
            asked.iter().map(|(context, set)| self.opened(context, &self.log_tails, Signal::Logs, set, range.cover_ms()));
        let opened = try_join_all(opening.collect::<Vec<_>>()).await?;
        for ((context, _), tails) in asked.iter().zip(opened) {
            sums.next_tenant();
            for (part, matchers) in &tails {
                for entry in part.index.select(matchers, range) {
                    context.count_series(1)?;
                    // What a filter accepts nobody can say without reading lines.
                    let erasures = part.erasures(context, &entry.labels).into_iter().filter(|erasure| erasure.filter.is_none());
                    let erased: Vec<TimeRangeNs> =
                        erasures.map(|gone| TimeRangeNs::new(gone.range.start.to_ns(), gone.range.end.to_ns())).collect();
                    sums.add(&shown(context, &query.by, &entry.labels), entry.range, &pieces(&part.index, &entry), &erased);
                }
            }
        }
        let truncated = sums.truncated;
        let mut found = lookup(first(&contexts)?, sums.finish(), None);
        found.truncated = truncated;
        Ok(found)
    }
}

/// Returns the labels a stream is summed by: whose it is is among them where labels are named, of which it may be one.
fn shown<'l>(context: &QueryContext, by: &VolumeBy, labels: &'l LabelSet) -> Cow<'l, LabelSet> {
    match by {
        VolumeBy::Series(Some(_)) | VolumeBy::Labels(Some(_)) if context.is_federated() => Cow::Owned(context.labelled(labels)),
        _ => Cow::Borrowed(labels),
    }
}

/// What a stream holds of a segment in some time.
struct Piece {
    range: TimeRangeNs,
    rows: u64,
    bytes: u64,
}

/// Returns what a segment knows of a stream: minute by minute, or all in one.
fn pieces(index: &Index, entry: &StreamEntry) -> Vec<Piece> {
    let Some(minutes) = index.minutes(entry) else {
        return vec![Piece { range: entry.range, rows: entry.rows.end - entry.rows.start, bytes: entry.line_bytes }];
    };
    let piece = |minute: MinuteCount<'_>| {
        let end = TimestampNs(minute.start.0.saturating_add(MINUTE_NS));
        let range = overlap(TimeRangeNs::new(minute.start, end), entry.range)?;
        Some(Piece { range, rows: minute.rows, bytes: minute.line_bytes })
    };
    minutes.into_iter().filter_map(piece).collect()
}

impl Piece {
    /// Returns the share of its time that lies in an interval and is not deleted.
    fn share(&self, interval: TimeRangeNs, erased: &[TimeRangeNs]) -> f64 {
        let Some(inside) = overlap(self.range, interval) else { return 0.0 };
        let gone: f64 = erased.iter().filter_map(|gone| overlap(inside, *gone)).map(length).sum();
        ((length(inside) - gone) / length(self.range)).max(0.0)
    }
}

fn overlap(a: TimeRangeNs, b: TimeRangeNs) -> Option<TimeRangeNs> {
    let (start, end) = (a.start.max(b.start), a.end.min(b.end));
    (start < end).then(|| TimeRangeNs::new(start, end))
}

fn length(range: TimeRangeNs) -> f64 {
    let TimeRangeNs { start: TimestampNs(start), end: TimestampNs(end) } = range;
    end.saturating_sub(start).max(1) as f64
}

struct Sums<'q> {
    query: &'q VolumeQuery,
    by_key: HashMap<VolumeKey, Vec<Volume>>,
    /// Streams of one tenant seen per interval, where they are counted.
    streams: HashSet<(usize, LabelSet)>,
    truncated: bool,
}

impl<'q> Sums<'q> {
    fn new(query: &'q VolumeQuery) -> Sums<'q> {
        Sums { query, by_key: HashMap::new(), streams: HashSet::new(), truncated: false }
    }

    /// Begins with the streams of another tenant: none of them is one that was counted.
    fn next_tenant(&mut self) {
        self.streams.clear();
    }

    fn add(&mut self, labels: &LabelSet, range: TimeRangeNs, pieces: &[Piece], erased: &[TimeRangeNs]) {
        let held = self.held(range, pieces, erased);
        if held.is_empty() {
            return;
        }
        for key in keys(&self.query.by, labels) {
            if !self.by_key.contains_key(&key) && self.by_key.len() >= self.query.sums_max {
                self.truncated = true;
                continue;
            }
            let intervals = self.query.intervals.len();
            let volumes = self.by_key.entry(key).or_insert_with(|| vec![Volume::default(); intervals]);
            for (index, held) in &held {
                let volume = &mut volumes[*index];
                volume.chunks += 1;
                volume.entries += held.entries;
                volume.bytes += held.bytes;
                if self.query.by == VolumeBy::Nothing && self.streams.insert((*index, labels.clone())) {
                    volume.streams += 1;
                }
            }
        }
    }

    /// Returns what a stream in one segment holds of each interval it lies in.
    fn held(&self, range: TimeRangeNs, pieces: &[Piece], erased: &[TimeRangeNs]) -> Vec<(usize, Volume)> {
        let intervals = &self.query.intervals;
        let first = intervals.partition_point(|interval| interval.end <= range.start);
        let within = (first..intervals.len()).take_while(|index| intervals[*index].start < range.end);
        let held = within.map(|index| {
            let mut volume = Volume::default();
            for piece in pieces {
                let share = piece.share(intervals[index], erased);
                volume.entries += piece.rows as f64 * share;
                volume.bytes += piece.bytes as f64 * share;
            }
            (index, volume)
        });
        held.filter(|(_, volume)| volume.entries > 0.0).collect()
    }

    fn finish(self) -> Vec<VolumeSum> {
        let mut sums: Vec<VolumeSum> = self.by_key.into_iter().map(|(key, volumes)| VolumeSum { key, volumes }).collect();
        sums.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        sums
    }
}

fn keys(by: &VolumeBy, labels: &LabelSet) -> Vec<VolumeKey> {
    let is_among =
        |names: &Option<Vec<String>>, name: &str| names.as_ref().is_none_or(|names| names.iter().any(|one| one == name));
    match by {
        VolumeBy::Nothing => vec![VolumeKey::Series(LabelSet::empty())],
        VolumeBy::Series(names) => vec![VolumeKey::Series(labels.retain(|name| is_among(names, name)))],
        VolumeBy::Labels(names) => {
            let names = labels.iter().map(|(name, _)| name).filter(|name| is_among(names, name));
            names.map(|name| VolumeKey::Label(name.to_owned())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> TimeRangeNs {
        TimeRangeNs::new(TimestampNs(start), TimestampNs(end))
    }

    fn sums(by: VolumeBy, sums_max: usize) -> (Vec<VolumeSum>, bool) {
        let query = VolumeQuery { matchers: Vec::new(), intervals: vec![range(0, 10), range(10, 20)], by, sums_max };
        let mut sums = Sums::new(&query);
        let streams = [[("app", "a"), ("pod", "1")], [("app", "a"), ("pod", "2")], [("app", "b"), ("pod", "3")]];
        for (index, pairs) in streams.into_iter().enumerate() {
            let piece = Piece { range: range(5, 15), rows: 10 * (index as u64 + 1), bytes: 1000 };
            let cover = piece.range;
            sums.add(&LabelSet::from_pairs(pairs), cover, &[piece], &[]);
        }
        let truncated = sums.truncated;
        (sums.finish(), truncated)
    }

    #[test]
    fn intervals_get_their_share() {
        let (sums, _) = sums(VolumeBy::Nothing, 1);
        let half = Volume { streams: 3, chunks: 3, entries: 30.0, bytes: 1500.0 };
        assert_eq!(sums, [VolumeSum { key: VolumeKey::Series(LabelSet::empty()), volumes: vec![half, half] }]);
        let piece = Piece { range: range(0, 100), rows: 1, bytes: 1 };
        assert_eq!(piece.share(range(0, 50), &[range(0, 10), range(40, 60)]), 0.3);
        assert_eq!(piece.share(range(100, 200), &[]), 0.0);
    }

    #[test]
    fn sums_are_by_labels_or_by_their_names() {
        let app = || Some(vec!["app".to_owned()]);
        let of = |by| sums(by, 10).0.into_iter().map(|sum| (sum.key, sum.volumes[0].bytes)).collect::<Vec<_>>();
        let series = |app| VolumeKey::Series(LabelSet::from_pairs([("app", app)]));
        assert_eq!(of(VolumeBy::Series(app())), [(series("a"), 1000.0), (series("b"), 500.0)]);
        assert_eq!(of(VolumeBy::Series(None)).len(), 3);
        let label = |name: &str| VolumeKey::Label(name.to_owned());
        assert_eq!(of(VolumeBy::Labels(None)), [(label("app"), 1500.0), (label("pod"), 1500.0)]);
        assert_eq!(of(VolumeBy::Labels(app())), [(label("app"), 1500.0)]);
    }

    #[test]
    fn too_many_sums_are_told() {
        let (sums, truncated) = sums(VolumeBy::Series(None), 2);
        assert_eq!((sums.len(), truncated), (2, true));
    }
}
