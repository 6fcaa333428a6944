//! A query: one snapshot, then its objects, at once or much later; or the real engine asked for everything.

use super::super::answers;
use super::super::mutation::{Mutation, Role, headless};
use super::super::world::{ALL_HOURS, ALL_TIME, World, object_key, part_name};
use super::{Ended, within};
use manifest::{Manifest, Part, Window};
use model::{Hour, Signal, TenantId};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::sync::Arc;
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};
use testkit::simulation::{FREEZE_MS_MAX, Process};

/// Longest query, ms.
const QUERY_MS_MAX: u64 = 15 * 60_000;

/// Reads `rounds` times, a pause of up to `pause_ms` before each.
pub async fn reader(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    let mut process = world.start_process();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        let accounts = world.accounts();
        if accounts.is_empty() {
            continue;
        }
        if process.is_dead() || random.random_range(0..4u32) == 0 {
            process = world.start_process();
        }
        let (tenant, signal) = accounts[random.random_range(0..accounts.len())].clone();
        if world.mutation == Some(Mutation::ReadByRing) {
            let _ = process.run(world.manifest(&process, Role::Read).epoch(&tenant, world.schedule.now().hour())).await;
        }
        if world.scenario.replicas && signal == Signal::Metrics && random.random_range(0..3u32) == 0 {
            answers::ask_deduplicated(&world, &process, &tenant, QUERY_MS_MAX).await;
            continue;
        }
        if random.random_range(0..3u32) == 0 {
            answers::ask(&world, &process, &tenant, signal, QUERY_MS_MAX).await;
            continue;
        }
        query(&world, &process, &tenant, signal, &mut random).await;
    }
}

async fn query(world: &World, process: &Process, tenant: &TenantId, signal: Signal, random: &mut StdRng) {
    let manifest = world.manifest(process, Role::Read);
    let (range, hours) = match random.random_range(0..3u32) {
        0 => {
            let hour = world.schedule.now().hour().0 - random.random_range(0..3);
            (Window::Hour(Hour(hour)).range(), hour..hour + 1)
        }
        _ => (ALL_TIME, ALL_HOURS),
    };
    let since = world.account(tenant, signal, |account| account.since());
    let taken = async {
        match world.scenario.copies {
            true => manifest.snapshot_with_coarse(tenant, signal, range).await,
            false => manifest.snapshot(tenant, signal, range).await,
        }
    };
    let Ended::Done(Ok(mut snapshot)) = within(process, QUERY_MS_MAX, taken).await else { return };
    if world.mutation == Some(Mutation::ReaderIgnoresReplaced) {
        snapshot.parts = with_replaced(world, process, tenant, signal, snapshot.parts).await;
    }
    let parts: Vec<Part> = snapshot.parts.iter().chain(&snapshot.coarse).cloned().collect();
    world.schedule.note(process.id(), "snapshot", [tenant.as_str(), signal.as_str()], &parts.len().to_string());
    let until_ms = world.schedule.now().0 + (QUERY_MS_MAX + FREEZE_MS_MAX) as i64;
    let hold = world.hold(&snapshot, until_ms);
    world.check_snapshot(tenant, signal, &snapshot, &since, hours);
    let open = open_all(world, process, &parts, random);
    let _ = process.run(open).await;
    world.release(hold);
}

/// Opens the objects one by one, within a query's time.
async fn open_all(world: &World, process: &Process, parts: &[Part], random: &mut StdRng) {
    let objects = world.objects(process);
    let mut left_ms = if random.random_range(0..3u32) == 0 { random.random_range(0..QUERY_MS_MAX) } else { 2_000 };
    for part in parts {
        let Some(key) = object_key(part) else { continue };
        let pause_ms = random.random_range(0..=left_ms / 2);
        left_ms -= pause_ms;
        process.wait(pause_ms).await;
        for _ in 0..4 {
            // It may be damaged while it is on its way.
            let before = world.shelf.bytes(key);
            match objects.get(&ObjectPath::from(key.as_str())).await {
                Ok(found) => {
                    let bytes = found.bytes().await.ok();
                    if bytes != before && bytes != world.shelf.bytes(key) {
                        world.violated(format!("W1: {} was read otherwise than it was written", part_name(part)));
                    }
                    break;
                }
                Err(ObjectError::NotFound { .. }) => {
                    world.violated(format!("M3: {key} is gone while a snapshot names it"));
                    break;
                }
                Err(_) => {}
            }
        }
    }
}

/// The mistake: everything below is shown, replaced or not.
async fn with_replaced(world: &World, process: &Process, tenant: &TenantId, signal: Signal, parts: Vec<Part>) -> Vec<Part> {
    let manifest = Manifest::new(headless(world.records(process)), Arc::new(process.clone()), world.nonces(process));
    let Ended::Done(Ok(below)) = within(process, QUERY_MS_MAX, manifest.snapshot(tenant, signal, ALL_TIME)).await else {
        return parts;
    };
    let known: BTreeSet<_> = parts.iter().map(|part| part.id).collect();
    let replaced = below.parts.into_iter().filter(|part| !known.contains(&part.id));
    parts.iter().cloned().chain(replaced).collect()
}
