//! One seed from beginning to end.

use super::actors::{Fleet, client, compactor, eraser, every_minute, keeper, orphans, reader, vandal};
use super::answers;
use super::mutation::Mutation;
use super::scenario::Scenario;
use super::world::{Seen, World};
use futures::FutureExt;
use futures::future::BoxFuture;
use model::TimestampMs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use testkit::simulation::{Chances, Faults, Schedule, Stage, Stuck, Trace};

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first violation.
    pub violation: Option<String>,
    /// Hash of every step.
    pub trace_hash: u64,
    /// Steps.
    pub steps: u64,
    /// The last steps as text, where asked for.
    pub tail: Vec<String>,
    /// Simulated time, ms.
    pub simulated_ms: u64,
    /// What went wrong on purpose.
    pub faults: Faults,
    /// Rows acknowledged.
    pub acknowledged: u64,
    /// Checks of everything visible.
    pub checks: u64,
    /// Rows compared in them.
    pub rows_checked: u64,
    /// What does not happen in every run.
    pub seen: Seen,
}

/// Runs a seed.
pub fn run(seed: u64, mutation: Option<Mutation>, verbose: bool) -> Outcome {
    let scenario = Scenario::of(seed).adapted(mutation);
    let trace = if verbose { Trace::verbose() } else { Trace::default() };
    let start = TimestampMs(scenario.start_ms);
    let schedule = Schedule::new(seed, start, trace);
    let world = World::new(schedule.clone(), scenario, mutation);
    let played = catch_unwind(AssertUnwindSafe(|| play(&world)));
    match played {
        Ok(Ok(())) => {}
        Ok(Err(Stuck)) => world.violated("stuck: somebody waits for what never comes".into()),
        Err(panic) => world.violated(format!("panic: {}", panic_text(&*panic))),
    }
    let acknowledged =
        world.accounts().iter().map(|(tenant, signal)| world.account(tenant, *signal, |of| of.acknowledged())).sum();
    let (trace_hash, steps, tail) = schedule.trace();
    let ledger = world.ledger();
    Outcome {
        seed,
        violation: ledger.violation.clone(),
        trace_hash,
        steps,
        tail,
        simulated_ms: (schedule.now().0 - start.0) as u64,
        faults: schedule.faults(|faults| *faults),
        acknowledged,
        checks: ledger.checks,
        rows_checked: ledger.rows_checked,
        seen: ledger.seen,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn play(world: &World) -> Result<(), Stuck> {
    let stage = Stage::new(world.schedule.clone()).expect("the system gives a thread");
    let chances = world.scenario.chances;
    for rest_min in world.scenario.rests_min.clone() {
        world.schedule.faults(|faults| faults.chances = chances);
        stage.play(busy(world))?;
        stage.play(resting(world, rest_min))?;
        if world.scenario.is_long || world.scenario.copies || world.scenario.replicas {
            keep_house(world, &stage)?;
        }
        world.check_all();
        if world.violation().is_some() {
            return Ok(());
        }
        answers::check_some(world, &stage);
    }
    settle(world, &stage)
}

/// Everybody at once.
fn busy(world: &World) -> Vec<BoxFuture<'static, ()>> {
    let fleet = Fleet::default();
    let mut all: Vec<BoxFuture<'static, ()>> = Vec::new();
    for _ in 0..world.scenario.clients {
        all.push(client(world.clone(), fleet.clone()).boxed());
    }
    for _ in 0..2 {
        all.push(compactor(world.clone(), 5, 300_000).boxed());
        all.push(reader(world.clone(), 8, 200_000).boxed());
    }
    all.push(keeper(world.clone(), 2, 600_000).boxed());
    all.push(orphans(world.clone(), 3, 600_000).boxed());
    if world.scenario.erases {
        all.push(eraser(world.clone(), 3, 900_000).boxed());
    }
    if world.scenario.damages {
        all.push(vandal(world.clone(), 1_800_000).boxed());
    }
    all
}

/// Nobody writes; the schedule goes on.
fn resting(world: &World, minutes: u64) -> Vec<BoxFuture<'static, ()>> {
    let pause_ms = minutes * 60_000 / 4;
    let of = world.clone();
    vec![
        async move { of.pause(minutes * 60_000).await }.boxed(),
        compactor(world.clone(), 6, pause_ms).boxed(),
        reader(world.clone(), 2, 400_000).boxed(),
        orphans(world.clone(), 3, pause_ms).boxed(),
    ]
}

/// Compaction looks again and again, as it does in weeks: hours roll, rest, are cleared; days are packed.
fn keep_house(world: &World, stage: &Stage) -> Result<(), Stuck> {
    let rounds = if world.scenario.copies || world.scenario.replicas { 4 } else { 7 };
    for _ in 0..rounds {
        rest(world, stage, 50)?;
        stage.play(vec![every_minute(world.clone(), 1).boxed()])?;
    }
    Ok(())
}

/// When nothing fails any more, everything committed is there once; in the thorough form compaction catches up and no garbage is
/// left.
fn settle(world: &World, stage: &Stage) -> Result<(), Stuck> {
    world.schedule.faults(|faults| faults.chances = Chances::default());
    rest(world, stage, 70)?;
    stage.play(vec![every_minute(world.clone(), 2).boxed()])?;
    if world.scenario.is_thorough && world.mutation.is_none() {
        tidy_up(world, stage)?;
    }
    world.check_all();
    answers::check_all(world, stage);
    Ok(())
}

fn rest(world: &World, stage: &Stage, minutes: u64) -> Result<(), Stuck> {
    let of = world.clone();
    stage.play(vec![async move { of.pause(minutes * 60_000).await }.boxed()])
}

fn tidy_up(world: &World, stage: &Stage) -> Result<(), Stuck> {
    // An inventory may have been taken just before: the next one comes a day later, and what it finds must be a day old.
    for minutes in [70, 25 * 60, 70, 25 * 60, 70] {
        rest(world, stage, minutes)?;
        stage.play(vec![every_minute(world.clone(), 6).boxed()])?;
    }
    world.check_all_copied();
    world.check_all_merged();
    world.check_garbage();
    Ok(())
}

/// Returns the command that replays a seed with its trace.
pub fn replay_command(seed: u64, mutation: Option<Mutation>) -> String {
    let mutation = mutation.map_or(String::new(), |mutation| format!(" --mutation {}", mutation.name()));
    format!("cargo run --release -p suite -- simulate --seed {seed}{mutation}")
}
