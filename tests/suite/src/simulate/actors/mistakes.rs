//! Mistakes that only a compactor or a collector can make.

mod copies;
mod replicas;

use super::super::mutation::{Mutation, Role, empty, headless, overwriting_heads};
use super::super::world::{ALL_TIME, World, object_key};
use super::compactor::{INVOCATION_MS_MAX, hour_of};
use super::hand::{Hand, Rewrite};
use super::within;
use manifest::{Manifest, Part, Snapshot, Window};
use model::{Clock, Resolution, SegmentId, TimestampMs};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use store::{Records, keys};
use testkit::simulation::Process;

/// Makes a mistake everywhere.
pub async fn mistake(world: &World, process: &Process, mutation: Mutation) {
    for (tenant, signal) in world.accounts() {
        let hand = Hand { world, process, tenant: &tenant, signal };
        let _ = within(process, INVOCATION_MS_MAX, make(&hand, mutation)).await;
    }
}

async fn make(hand: &Hand<'_>, mutation: Mutation) -> Option<()> {
    match mutation {
        Mutation::DeleteBeforeSwap => {
            let rewrite = fresh_merge(hand).await?;
            delete_items(hand, &rewrite.inputs).await;
            hand.rewrite(&hand.manifest(Role::Compact), rewrite).await?.0.ok()?;
        }
        Mutation::MergeAcrossGroups | Mutation::MergeWithoutHistograms => {
            let level = if mutation == Mutation::MergeAcrossGroups { 2 } else { 1 };
            let rewrite = Rewrite { level, ..fresh_merge(hand).await? };
            hand.rewrite(&hand.manifest(Role::Compact), rewrite).await?.0.ok()?;
        }
        Mutation::ClearBlindly => {
            let blind = manifest_over(hand, empty(hand.world.records(hand.process)));
            for window in windows(hand) {
                if let Window::Hour(hour) = window {
                    blind.clear_hour(hand.tenant, hand.signal, hour).await.ok()?;
                }
            }
        }
        Mutation::CompactorIgnoresReplaced => {
            let rewrite = merge_of_replaced(hand).await?;
            hand.rewrite(&hand.manifest(Role::Compact), rewrite).await?.0.ok()?;
        }
        Mutation::HeadOverwrite => {
            let rewrite = Rewrite { generation: 0, ..fresh_merge(hand).await? };
            hand.rewrite(&manifest_over(hand, overwriting_heads(hand.world.records(hand.process))), rewrite).await?.0.ok()?;
        }
        Mutation::DeleteOwnOutputs => {
            let rewrite = fresh_merge(hand).await?;
            let (replaced, outputs) = hand.rewrite(&hand.manifest(Role::Compact), rewrite).await?;
            if replaced.is_err() {
                hand.delete(&outputs).await;
            }
        }
        Mutation::NoGrace => {
            for window in windows(hand) {
                hand.collect(&hasty(hand), window).await?;
            }
        }
        Mutation::EarlyTrim => {
            let (honest, hasty) = (hand.manifest(Role::Collect), hasty(hand));
            for window in windows(hand) {
                honest.collect_window(hand.tenant, hand.signal, window).await.ok()?;
                // What is due by the fast clock is not deleted: only the ids are forgotten too early.
                hasty.collect_window(hand.tenant, hand.signal, window).await.ok()?;
            }
        }
        Mutation::TtlOnLive => {
            const TTL_MS: i64 = 20 * 60_000;
            let now_ms = hand.process.now().0;
            let snapshot = snapshot(hand).await?;
            let old: Vec<Part> = snapshot.parts.into_iter().filter(|part| now_ms - part.minted_at.0 > TTL_MS).collect();
            delete_items(hand, &old).await;
        }
        Mutation::MergePartOfDay | Mutation::MergeDropsWinners | Mutation::MergeUntried => replicas::make(hand, mutation).await?,
        _ => copies::make(hand, mutation).await?,
    }
    Some(())
}

async fn snapshot_of_copies(hand: &Hand<'_>) -> Option<Snapshot> {
    hand.manifest(Role::Compact).snapshot_to_merge(hand.tenant, hand.signal, ALL_TIME).await.ok()
}

async fn snapshot(hand: &Hand<'_>) -> Option<Snapshot> {
    hand.manifest(Role::Compact).snapshot(hand.tenant, hand.signal, ALL_TIME).await.ok()
}

fn manifest_over(hand: &Hand<'_>, records: Records) -> Manifest {
    Manifest::new(records, Arc::new(hand.process.clone()), hand.world.nonces(hand.process))
}

/// A clock two hours fast makes every grace pass at once.
#[derive(Debug)]
struct Ahead(Process);

impl Clock for Ahead {
    fn now(&self) -> TimestampMs {
        self.0.now().plus(Duration::from_secs(7_200))
    }
}

fn hasty(hand: &Hand<'_>) -> Manifest {
    let records = hand.world.records(hand.process);
    Manifest::new(records, Arc::new(Ahead(hand.process.clone())), hand.world.nonces(hand.process))
}

fn windows(hand: &Hand<'_>) -> Vec<Window> {
    let snapshot = hand.world.look(hand.tenant, hand.signal);
    let heads: BTreeSet<Window> = snapshot.iter().flat_map(|snapshot| &snapshot.heads).map(|head| head.window).collect();
    heads.into_iter().collect()
}

/// A merge of the fresh segments of some hour.
async fn fresh_merge(hand: &Hand<'_>) -> Option<Rewrite> {
    let snapshot = snapshot(hand).await?;
    let window = snapshot.parts.iter().find(|part| part.level == 0)?.window;
    let inputs = snapshot.parts.iter().filter(|part| part.level == 0 && part.window == window).cloned().collect();
    let epoch = epoch_of(hand, window).await?;
    Some(Rewrite { window, generation: snapshot.generation(window, Resolution::Raw), inputs, level: 1, epoch })
}

async fn epoch_of(hand: &Hand<'_>, window: Window) -> Option<u32> {
    let epoch = hand.manifest(Role::Compact).epoch(hand.tenant, window.range().start.hour()).await.ok()?;
    Some(epoch.number)
}

async fn delete_items(hand: &Hand<'_>, inputs: &[Part]) {
    let records = hand.world.records(hand.process);
    for input in inputs.iter().filter(|input| input.level == 0) {
        if let Some(hour) = hour_of(input) {
            let _ = records.delete_if(&keys::l0_item(hand.tenant, hand.signal, hour, input.id), 1).await;
        }
    }
}

/// A merge of what is listed below although it was replaced, under ids that no head can know as replaced.
async fn merge_of_replaced(hand: &Hand<'_>) -> Option<Rewrite> {
    let honest = snapshot(hand).await?;
    let below = manifest_over(hand, headless(hand.world.records(hand.process)));
    let below = below.snapshot(hand.tenant, hand.signal, ALL_TIME).await.ok()?;
    let live: BTreeSet<SegmentId> = honest.parts.iter().map(|part| part.id).collect();
    let readable = |part: &&Part| object_key(part).is_none_or(|key| hand.world.shelf.bytes(key).is_some());
    let replaced: Vec<&Part> =
        below.parts.iter().filter(|part| part.level == 0 && !live.contains(&part.id)).filter(readable).collect();
    let window = replaced.first()?.window;
    let forge = |part: &Part| Part { id: SegmentId(part.id.0.wrapping_add(1)), ..part.clone() };
    let inputs = replaced.into_iter().filter(|part| part.window == window).map(forge).collect();
    let epoch = epoch_of(hand, window).await?;
    Some(Rewrite { window, generation: honest.generation(window, Resolution::Raw), inputs, level: 1, epoch })
}
