//! The collector of orphans: lists objects, burns what nobody references, deletes it.

use super::super::mutation::{Mutation, Role};
use super::super::world::{World, object_key};
use super::{Ended, within};
use futures::TryStreamExt;
use manifest::{Burn, Manifest, ObjectKey};
use model::TimestampMs;
use rand::RngExt;
use store::objects::{ObjectMeta, ObjectStoreExt};
use testkit::simulation::Process;

/// How long one invocation may take, ms.
const INVOCATION_MS_MAX: u64 = 15 * 60_000;

/// Looks for orphans `rounds` times.
pub async fn orphans(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        let process = world.start_process();
        let _: Ended<()> = within(&process, INVOCATION_MS_MAX, collect(&world, &process)).await;
    }
}

async fn collect(world: &World, process: &Process) {
    let objects = world.objects(process);
    let listed: Result<Vec<ObjectMeta>, _> = objects.list(None).try_collect().await;
    let now = model::Clock::now(process);
    for meta in listed.unwrap_or_default() {
        let put_at = TimestampMs(meta.last_modified.timestamp_millis());
        let Some(object) = ObjectKey::parse(meta.location.as_ref()) else { continue };
        let at_any_age = world.mutation.is_some_and(Mutation::is_about_orphans);
        if !at_any_age && now.0 - put_at.0 < world.scenario.orphan_age_ms {
            continue;
        }
        let manifest = world.manifest(process, Role::Collect);
        if may_delete(world, &manifest, &object).await {
            let _ = objects.delete(&meta.location).await;
        }
    }
}

async fn may_delete(world: &World, manifest: &Manifest, object: &ObjectKey) -> bool {
    match world.mutation {
        Some(Mutation::CollectWithoutBurn) => is_unreferenced(manifest, object).await,
        Some(Mutation::CollectWithoutBump) if object.level > 0 => is_unreferenced(manifest, object).await,
        _ => matches!(manifest.burn(object).await, Ok(Burn::Deletable)),
    }
}

/// The mistake: to look is not enough.
async fn is_unreferenced(manifest: &Manifest, object: &ObjectKey) -> bool {
    let key = object.to_string();
    let snapshot = manifest.snapshot(&object.tenant, object.signal, object.window.range()).await;
    snapshot.is_ok_and(|snapshot| !snapshot.parts.iter().filter_map(object_key).any(|live| *live == key))
}
