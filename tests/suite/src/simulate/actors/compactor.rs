//! Compactors as the schedule starts them, two at a time.

use super::super::mutation::{Mutation, Role};
use super::super::world::World;
use super::mistakes::mistake;
use super::within;
use ::compactor::{Compactor, Stores};
use manifest::{Part, Window};
use model::{Clock, Hour, Limits, TenantLimits};
use rand::RngExt;
use std::sync::Arc;
use std::time::Duration;
use testkit::simulation::Process;

/// How long one invocation may take, ms.
pub const INVOCATION_MS_MAX: u64 = 15 * 60_000;

fn compactor_of(world: &World, process: &Process) -> Compactor {
    let clock: Arc<dyn Clock> = Arc::new(process.clone());
    let manifest = world.manifest(process, Role::Compact);
    let (records, objects) = (world.records_for(process, Role::Compact), world.objects(process));
    let stores = Stores { manifest, records, objects, clock, nonces: world.nonces(process) };
    let mut policy = world.scenario.policy.clone();
    if world.mutation == Some(Mutation::MergeOpenDay) {
        policy.limits = TenantLimits::from(Limits { replicas_merged_after: Some(Duration::ZERO), ..Limits::default() });
    }
    Compactor::new(stores, policy).with_entry_filters(logql::entry_filter)
}

async fn invoke(process: &Process, compactor: &Compactor) {
    let deadline = process.now().plus(Duration::from_secs(300));
    let _ = within(process, INVOCATION_MS_MAX, compactor.run(deadline, &[])).await;
}

/// Runs the compactor `rounds` times, a pause of up to `pause_ms` before each. A process that is used again remembers.
pub async fn compactor(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    let mut process = world.start_process();
    let mut compactor = compactor_of(&world, &process);
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        if process.is_dead() || random.random_range(0..4u32) == 0 {
            process = world.start_process();
            compactor = compactor_of(&world, &process);
        }
        if let Some(mutation) = world.mutation {
            mistake(&world, &process, mutation).await;
        }
        if random.random_range(0..3u32) == 0 {
            // The same invocation twice, as a schedule may deliver it.
            let twin = world.start_process();
            let twins = compactor_of(&world, &twin);
            futures::join!(invoke(&process, &compactor), invoke(&twin, &twins));
        } else {
            invoke(&process, &compactor).await;
        }
    }
}

/// Runs the compactor in `minutes` minutes one after the other, each time in a new process.
pub async fn every_minute(world: World, minutes: u32) {
    for _ in 0..minutes {
        let process = world.start_process();
        invoke(&process, &compactor_of(&world, &process)).await;
        world.pause(60_000 - world.schedule.now().0.rem_euclid(60_000) as u64).await;
    }
}

/// Returns the hour that lists a part.
pub fn hour_of(part: &Part) -> Option<Hour> {
    match part.window {
        Window::Hour(hour) => Some(hour),
        Window::Day(_) | Window::Month(_) => None,
    }
}
