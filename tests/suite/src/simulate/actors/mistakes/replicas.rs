//! Mistakes with replicas of a closed day: each leaves out other samples than may go.

use super::super::super::mutation::Mutation;
use super::super::super::replicas::LABEL;
use super::super::hand::{Hand, Rewrite};
use super::{epoch_of, snapshot};
use compactor::MERGED_LEVEL;
use manifest::{Part, Replacement, Snapshot, Window};
use model::replicas::{Replica, elect, superfluous};
use model::time::HOUR_MS;
use model::{Clock, LabelSet, Resolution, Signal, SlotRange, TimeRangeMs, TimestampMs};
use segment::merge::{CoarseSource, LeftOut, MergeOptions, ThinnedSource, metrics_thinned, settled_times};
use segment::{Encoded, Fetched, metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Series of a group, each with where it lies: part and ordinal.
type Group = BTreeMap<LabelSet, Vec<(usize, u32)>>;

/// Merges the replicas of each closed day at rest.
pub async fn make(hand: &Hand<'_>, mutation: Mutation) -> Option<()> {
    if hand.signal != Signal::Metrics {
        return None;
    }
    let (snapshot, after_ms) = (snapshot(hand).await?, hand.world.scenario.merged_after_ms()?);
    let days: BTreeSet<i64> = snapshot.parts.iter().map(|part| part.window.day()).collect();
    let is_closed = |day: &i64| Window::Day(*day).range().end.0 + after_ms + HOUR_MS <= hand.process.now().0;
    for day in days.into_iter().filter(is_closed) {
        let inputs: Vec<Part> = snapshot.parts.iter().filter(|part| part.window.day() == day).cloned().collect();
        let rests = |part: &Part| part.window == Window::Day(day) && snapshot.home(part) == part.window;
        if inputs.iter().all(rests) && inputs.iter().any(|part| part.level < MERGED_LEVEL) {
            merge(hand, mutation, &snapshot, day, inputs).await?;
        }
    }
    Some(())
}

async fn merge(hand: &Hand<'_>, mutation: Mutation, snapshot: &Snapshot, day: i64, mut inputs: Vec<Part>) -> Option<()> {
    let mut sources = Vec::new();
    for part in &inputs {
        let bytes = hand.read(part).await?;
        sources.push(CoarseSource { index: metrics::Index::open(&bytes).ok()?, fetched: Fetched::whole(bytes) });
    }
    let left_out = left_out(mutation, day, &sources)?;
    if mutation == Mutation::MergePartOfDay {
        inputs.truncate(inputs.len() / 2);
    }
    let window = Window::Day(day);
    let generation = snapshot.generation(window, Resolution::Raw);
    let epoch = epoch_of(hand, window).await?;
    let rewrite = Rewrite { window, generation, inputs: inputs.clone(), level: MERGED_LEVEL, epoch };
    let mut outputs = Vec::new();
    // Each by itself, so that it stays in its group of the ring.
    for (source, left_out) in sources.into_iter().zip(left_out).take(inputs.len()) {
        let mut encoded: Vec<Encoded> = Vec::new();
        let source = ThinnedSource { source, left_out: left_out.into() };
        let emit = &mut |output| encoded.push(output);
        metrics_thinned(vec![source], SlotRange::ALL, true, &MergeOptions::default(), emit).ok()?;
        for encoded in encoded {
            outputs.push(hand.put(&rewrite, encoded).await?);
        }
    }
    if inputs.is_empty() {
        return Some(());
    }
    let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs, outputs };
    hand.manifest(super::Role::Compact).replace(hand.tenant, hand.signal, replacement).await.ok().map(|_| ())
}

/// Returns what goes of each source.
fn left_out(mutation: Mutation, day: i64, sources: &[CoarseSource]) -> Option<Vec<LeftOut>> {
    let mut groups: BTreeMap<LabelSet, Group> = BTreeMap::new();
    let mut columns = Vec::new();
    for (part, source) in sources.iter().enumerate() {
        let all = source.index.all();
        columns.push(source.index.decode(&all, metrics::Projection::ALL, &source.fetched).ok()?);
        for (ordinal, series) in all.into_iter().enumerate() {
            let group = groups.entry(series.labels.without(LABEL)).or_default();
            group.entry(series.labels).or_default().push((part, ordinal as u32));
        }
    }
    let start = Window::Day(day).range().start;
    let mut left_out = vec![LeftOut::new(); sources.len()];
    for group in groups.into_values().filter(|group| group.len() > 1) {
        let piece = |(part, ordinal): &(usize, u32)| columns[*part].series(*ordinal as usize);
        let replicas: Vec<Replica> = group.values().map(|places| settled_times(places.iter().map(piece))).collect();
        for (ranges, places) in chosen(mutation, &replicas, start).into_iter().zip(group.into_values()) {
            for (part, ordinal) in places.into_iter().filter(|_| !ranges.is_empty()) {
                left_out[part].insert(ordinal, ranges.clone());
            }
        }
    }
    Some(left_out)
}

/// Chooses what goes of each replica of a group.
fn chosen(mutation: Mutation, replicas: &[Replica], start: TimestampMs) -> Vec<Vec<TimeRangeMs>> {
    match mutation {
        Mutation::MergeDropsWinners => by_standing(replicas, start, 2..22, true),
        Mutation::MergeUntried => by_standing(replicas, start, 2..22, false),
        _ => superfluous(replicas, start),
    }
}

/// Lists the samples in some hours that stand, or those that do not.
fn by_standing(replicas: &[Replica], start: TimestampMs, hours: Range<i64>, stands: bool) -> Vec<Vec<TimeRangeMs>> {
    let mut standing: Vec<BTreeSet<i64>> = vec![BTreeSet::new(); replicas.len()];
    for piece in elect(replicas) {
        standing[piece.replica].extend(&replicas[piece.replica].times[piece.rows]);
    }
    let of_replica = |(replica, standing): (&Replica, &BTreeSet<i64>)| {
        let times = replica.times.iter().filter(|at| hours.contains(&(**at - start.0).div_euclid(HOUR_MS)));
        let goes = times.filter(|at| standing.contains(at) == stands);
        goes.map(|at| TimeRangeMs::new(TimestampMs(*at), TimestampMs(at + 1))).collect()
    };
    replicas.iter().zip(&standing).map(of_replica).collect()
}
