//! Mistakes with coarse copies, and with raw data that waits for them.

use super::super::super::copies::COARSE;
use super::super::super::mutation::{Mutation, Role};
use super::super::hand::Hand;
use super::snapshot_of_copies;
use bytes::Bytes;
use manifest::{Location, Manifest, ObjectKey, Part, Replacement, Snapshot, Window};
use model::{Clock, Keep, Resolution, SegmentId, Signal, SlotRange};
use segment::merge::{CoarseOptions, CoarseSource, downsample};
use segment::{Encoded, Fetched, metrics};
use std::collections::BTreeSet;
use store::objects::{ObjectPath, ObjectStoreExt};

/// Makes a mistake with the copies of a tenant.
pub async fn make(hand: &Hand<'_>, mutation: Mutation) -> Option<()> {
    if hand.signal != Signal::Metrics {
        return None;
    }
    let manifest = hand.manifest(Role::Compact);
    match mutation {
        Mutation::DropUncopied => {
            let Keep::For(span) = hand.world.scenario.policy.retention.metrics.raw else { return None };
            for day in manifest.days(hand.tenant, hand.signal).await.ok()? {
                if Window::Day(day.day).range().end.plus(span) <= hand.process.now() {
                    manifest.drop_day(hand.tenant, hand.signal, day.day, Resolution::Raw).await.ok()?;
                }
            }
        }
        Mutation::DropCopies => {
            for day in days_without_raw(hand, &manifest).await? {
                for resolution in COARSE {
                    manifest.drop_day(hand.tenant, hand.signal, day, resolution).await.ok()?;
                }
            }
        }
        Mutation::DeleteCopies => {
            let (days, snapshot) = (days_without_raw(hand, &manifest).await?, snapshot_of_copies(hand).await?);
            let of_days = snapshot.coarse.iter().filter(|part| days.contains(&part.window.day()));
            let keys: Vec<String> = of_days.filter_map(super::object_key).cloned().collect();
            hand.delete(&keys).await;
        }
        Mutation::RelabelCopy => {
            let snapshot = snapshot_of_copies(hand).await?;
            for (day, resolution) in copies(&snapshot) {
                let sources = raw_ids(&snapshot, day);
                if !sources.is_empty() && snapshot.copy(day, resolution).is_none() {
                    let relabel = |part: Part| Part { sources: sources.clone(), ..part };
                    republish(hand, &manifest, &snapshot, (day, resolution), &relabel).await?;
                }
            }
        }
        Mutation::CopyKeepsDeleted => {
            let snapshot = snapshot_of_copies(hand).await?;
            for (day, resolution) in copies(&snapshot) {
                let mut parts = of_copy(&snapshot, day, resolution).into_iter();
                if raw_ids(&snapshot, day).is_empty() && parts.any(|part| !snapshot.deletions_for(&part).is_empty()) {
                    let forgive = |part: Part| Part { applied: snapshot.applied(), ..part };
                    republish(hand, &manifest, &snapshot, (day, resolution), &forgive).await?;
                }
            }
        }
        Mutation::CopySome => {
            let snapshot = snapshot_of_copies(hand).await?;
            let days: BTreeSet<i64> = snapshot.parts.iter().map(|part| part.window.day()).collect();
            for day in days.into_iter().filter(|day| snapshot.copied_days().iter().all(|copied| copied != day)) {
                copy_some(hand, &manifest, &snapshot, day).await?;
            }
        }
        _ => {}
    }
    Some(())
}

async fn days_without_raw(hand: &Hand<'_>, manifest: &Manifest) -> Option<Vec<i64>> {
    let days = manifest.days(hand.tenant, hand.signal).await.ok()?;
    let is_dropped = |of: &(Resolution, model::TimestampMs)| of.0 == Resolution::Raw;
    Some(days.into_iter().filter(|day| day.dropped.iter().any(is_dropped)).map(|day| day.day).collect())
}

fn copies(snapshot: &Snapshot) -> BTreeSet<(i64, Resolution)> {
    snapshot.coarse.iter().map(|part| (part.window.day(), part.resolution)).collect()
}

fn of_copy(snapshot: &Snapshot, day: i64, resolution: Resolution) -> Vec<Part> {
    let of = |part: &&Part| part.window.day() == day && part.resolution == resolution;
    snapshot.coarse.iter().filter(of).cloned().collect()
}

fn raw_ids(snapshot: &Snapshot, day: i64) -> Vec<SegmentId> {
    snapshot.parts.iter().filter(|part| part.window.day() == day).map(|part| part.id).collect()
}

/// Publishes the parts of a copy once more, each with something changed.
async fn republish(
    hand: &Hand<'_>,
    manifest: &Manifest,
    snapshot: &Snapshot,
    (day, resolution): (i64, Resolution),
    change: &(dyn Fn(Part) -> Part + Sync),
) -> Option<()> {
    let inputs = of_copy(snapshot, day, resolution);
    let window = snapshot.home(inputs.first()?);
    let minted_at = hand.process.now();
    let mut outputs = Vec::new();
    for input in &inputs {
        let location = put(hand, day, resolution, hand.read(input).await?).await?;
        let (id, input) = (hand.world.nonces(hand.process).segment_id(), input.clone());
        outputs.push(change(Part { id, location, minted_at, ..input }));
    }
    let generation = snapshot.generation(window, resolution);
    let replacement = Replacement { window, resolution, generation, inputs, outputs };
    manifest.replace(hand.tenant, hand.signal, replacement).await.ok().map(|_| ())
}

async fn put(hand: &Hand<'_>, day: i64, resolution: Resolution, bytes: Bytes) -> Option<Location> {
    let (tenant, signal, window, level) = (hand.tenant.clone(), hand.signal, Window::Day(day), 3);
    let nonces = hand.world.nonces(hand.process);
    let key = ObjectKey { tenant, signal, window, resolution, level, id: nonces.segment_id(), nonce: nonces.next() };
    let len = bytes.len() as u64;
    hand.world.objects(hand.process).put(&ObjectPath::from(key.to_string()), bytes.into()).await.ok()?;
    Some(Location::Object { key: key.to_string(), len })
}

/// Makes the hourly copy of a day that has none, of all raw parts but the newest, and names them all.
async fn copy_some(hand: &Hand<'_>, manifest: &Manifest, snapshot: &Snapshot, day: i64) -> Option<()> {
    let resolution = Resolution::OneHour;
    let mut raw: Vec<&Part> = snapshot.parts.iter().filter(|part| part.window.day() == day).collect();
    raw.sort_by_key(|part| part.minted_at);
    raw.pop()?;
    let mut sources = Vec::new();
    for part in raw {
        let bytes = hand.read(part).await?;
        sources.push(CoarseSource { index: metrics::Index::open(&bytes).ok()?, fetched: Fetched::whole(bytes) });
    }
    let options = CoarseOptions { slots: SlotRange::ALL, widths_ms: vec![resolution.width_ms()?], output_bytes_max: usize::MAX };
    let mut encoded: Vec<Encoded> = Vec::new();
    downsample(sources, &options, &mut |_, output| encoded.push(output)).ok()?;
    let mut outputs = Vec::new();
    for encoded in encoded {
        outputs.push(Part {
            id: hand.world.nonces(hand.process).segment_id(),
            level: 3,
            resolution,
            window: Window::Day(day),
            tail_offset: encoded.tail_offset,
            stats: compactor::part_stats(&encoded.stats, Window::Day(day), 0),
            location: put(hand, day, resolution, encoded.bytes).await?,
            minted_at: hand.process.now(),
            sources: raw_ids(snapshot, day),
            applied: snapshot.applied(),
        });
    }
    let (window, generation) = (Window::Day(day), snapshot.generation(Window::Day(day), resolution));
    let replacement = Replacement { window, resolution, generation, inputs: Vec::new(), outputs };
    manifest.replace(hand.tenant, hand.signal, replacement).await.ok().map(|_| ())
}
