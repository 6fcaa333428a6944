//! Compactors as the schedule starts them, two at a time; who rolls hours into days, drops days, and grows the ring.

use super::super::mutation::{Role, mutated};
use super::super::world::{ALL_TIME, World};
use super::hand::{Hand, Rewrite};
use super::mistakes::mistake;
use super::within;
use ::compactor::{Compactor, Policy, Stores};
use manifest::ring::RingChange;
use manifest::{Part, Window};
use model::{Clock, Hour, Keep, Resolution, Retention, RetentionPolicy};
use rand::RngExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use testkit::simulation::Process;

/// How long one invocation may take, ms.
pub const INVOCATION_MS_MAX: u64 = 15 * 60_000;

fn compactor_of(world: &World, process: &Process) -> Compactor {
    let clock: Arc<dyn Clock> = Arc::new(process.clone());
    let records = mutated(world.records(process), world.mutation, Role::Compact);
    let manifest = manifest::Manifest::new(records.clone(), clock.clone(), world.nonces(process));
    let stores = Stores { manifest, records, objects: world.objects(process), clock, nonces: world.nonces(process) };
    // What expires is the keeper's to drop: it tells the ledger.
    let forever = Retention { raw: Keep::Forever, ..Retention::raw_for(1) };
    let retention = RetentionPolicy { metrics: forever.clone(), logs: forever, ..RetentionPolicy::default() };
    Compactor::new(stores, Policy { retention, ..world.scenario.policy.clone() })
}

async fn invoke(world: &World, process: &Process) {
    let compactor = compactor_of(world, process);
    let deadline = process.now().plus(Duration::from_secs(300));
    let _ = within(process, INVOCATION_MS_MAX, compactor.run(deadline, &[])).await;
}

/// Runs the compactor `rounds` times, a pause of up to `pause_ms` before each.
pub async fn compactor(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    let mut process = world.start_process();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        if process.is_dead() || random.random_range(0..4u32) == 0 {
            process = world.start_process();
        }
        invoke(&world, &process).await;
        if let Some(mutation) = world.mutation {
            mistake(&world, &process, mutation).await;
        }
    }
}

/// Runs the compactor in `minutes` minutes one after the other: old hours take turns, one sixtieth each.
pub async fn every_minute(world: World, minutes: u32) {
    for _ in 0..minutes {
        invoke(&world, &world.start_process()).await;
        world.pause(60_000 - world.schedule.now().0.rem_euclid(60_000) as u64).await;
    }
}

/// Seals hours, rolls them into their day, collects the day, drops what expired; now and then the ring grows.
pub async fn keeper(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        let accounts = world.accounts();
        if accounts.is_empty() {
            continue;
        }
        let (tenant, signal) = accounts[random.random_range(0..accounts.len())].clone();
        let process = world.start_process();
        let hand = Hand { world: &world, process: &process, tenant: &tenant, signal };
        let _ = within(&process, INVOCATION_MS_MAX, roll(&hand)).await;
        let _ = within(&process, INVOCATION_MS_MAX, hand.retain()).await;
        if random.random_range(0..4u32) == 0 {
            let manifest = hand.manifest(Role::Compact);
            let grow = RingChange::Grow(random.random_range(1..4));
            let _ = within(&process, INVOCATION_MS_MAX, manifest.change_ring(&tenant, grow)).await;
        }
    }
}

/// Drops and deletes, for every tenant and signal.
pub async fn retain_all(world: World) {
    for (tenant, signal) in world.accounts() {
        let process = world.start_process();
        let hand = Hand { world: &world, process: &process, tenant: &tenant, signal };
        let _ = within(&process, INVOCATION_MS_MAX, hand.retain()).await;
    }
}

async fn roll(hand: &Hand<'_>) -> Option<()> {
    let (manifest, now) = (hand.manifest(Role::Compact), hand.process.now());
    let snapshot = manifest.snapshot(hand.tenant, hand.signal, ALL_TIME).await.ok()?;
    let hours: BTreeSet<Hour> = snapshot.parts.iter().filter_map(hour_of).collect();
    for hour in hours.iter().filter(|hour| hour.end().plus(Duration::from_secs(600)) < now) {
        manifest.seal(hand.tenant, hand.signal, *hour).await.ok()?;
    }
    let days: BTreeSet<i64> = snapshot.parts.iter().map(|part| part.window.day()).collect();
    for day in days {
        let window = Window::Day(day);
        let rested = |part: &Part| {
            let head = snapshot.heads.iter().find(|head| head.window == part.window && head.resolution == Resolution::Raw);
            part.window == window || head.is_some_and(|head| head.sealed && head.rollable_from <= now)
        };
        let of_day = |part: &&Part| part.level > 0 && part.window.day() == day && rested(part);
        let inputs: Vec<Part> = snapshot.parts.iter().filter(of_day).cloned().collect();
        if inputs.iter().any(|part| part.window != window) {
            let generation = snapshot.generation(window, Resolution::Raw);
            hand.rewrite(&manifest, Rewrite { window, generation, inputs, level: 3 }).await?.0.ok()?;
        }
        hand.collect(&manifest, window).await?;
    }
    Some(())
}

/// Returns the hour that lists a part.
pub fn hour_of(part: &Part) -> Option<Hour> {
    match part.window {
        Window::Hour(hour) => Some(hour),
        Window::Day(_) | Window::Month(_) => None,
    }
}
