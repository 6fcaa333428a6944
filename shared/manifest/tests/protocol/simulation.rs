//! Writers, compactors, a roller, collectors and readers, interleaved by seed over a store that fails, loses answers and
//! freezes its callers; M1 to M3 are checked by the readers, always. Each mutation of the protocol must be caught.

use crate::world::{Content, HOUR, SIGNAL, World, object_key};
use manifest::{Burn, Committed, Error, Manifest, ObjectKey, Part, Replaced, Replacement, Window};
use model::{Clock, Resolution};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::RecordStore;
use testkit::faulty_records::Chances;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mutation {
    None,
    AckBeforeCommit,
    DeleteItemsBeforeReplace,
    DeleteOutputsOnFailure,
    NoGrace,
    CollectWithoutBurning,
    StaleReads,
    BlindUpdates,
    IgnoreGeneration,
    RollWithoutRest,
}

type Actor = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
struct Stage {
    world: World,
    mutation: Mutation,
}

impl Stage {
    fn manifest(&self, random: &mut StdRng) -> Manifest {
        self.world.manifest(random.random_range(-120_000..120_000))
    }

    /// A client sends one batch and repeats it a few times, through whichever process answers.
    async fn write(self, content: Content, mut random: StdRng) {
        for _ in 0..random.random_range(1..4u32) {
            let manifest = self.manifest(&mut random);
            let inline = random.random_range(0..4u32) == 0;
            if self.mutation == Mutation::AckBeforeCommit {
                self.world.acknowledge(content);
            }
            let item = self.world.upload(content, inline, self.world.clock.now());
            pause(&mut random).await;
            if let Ok(Committed::Committed | Committed::AlreadyCommitted) =
                manifest.commit(&self.world.tenant, SIGNAL, HOUR, item).await
            {
                self.world.acknowledge(content);
            }
            pause(&mut random).await;
        }
    }

    async fn read(self, mut random: StdRng) {
        for _ in 0..4 {
            let manifest = self.manifest(&mut random);
            let acknowledged = self.world.acknowledged();
            let Ok(snapshot) = manifest.snapshot(&self.world.tenant, SIGNAL, self.world.day_range()).await else { continue };
            self.world.check_visible(&snapshot, &acknowledged);
            // A query of up to 15 minutes: its objects stay.
            let until = self.world.clock.now().plus(Duration::from_secs(random.random_range(0..900)));
            loop {
                self.world.check_objects(&snapshot);
                if self.world.clock.now() >= until {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    async fn compact(self, window: Window, mut random: StdRng) {
        for _ in 0..3 {
            let hasty = self.mutation == Mutation::RollWithoutRest && matches!(window, Window::Day(_));
            let manifest = if hasty { self.world.manifest(3_600_000) } else { self.manifest(&mut random) };
            let _ = self.compact_once(&manifest, window, &mut random).await;
            pause(&mut random).await;
        }
    }

    async fn compact_once(&self, manifest: &Manifest, window: Window, random: &mut StdRng) -> Result<(), Error> {
        let (world, tenant) = (&self.world, &self.world.tenant);
        if matches!(window, Window::Day(_)) {
            manifest.seal(tenant, SIGNAL, HOUR).await?;
        }
        let snapshot = manifest.snapshot(tenant, SIGNAL, world.day_range()).await?;
        let takes = |part: &Part| match window {
            Window::Hour(_) => part.window == window,
            Window::Day(_) | Window::Month(_) => part.level > 0,
        };
        let inputs: Vec<Part> =
            snapshot.parts.iter().filter(|part| takes(part) && random.random_range(0..4u32) > 0).cloned().collect();
        if inputs.is_empty() || inputs.iter().filter_map(object_key).any(|key| !world.all_objects().contains(key)) {
            return Ok(());
        }
        let output = world.merge(window, 1, &inputs);
        pause(random).await;
        if self.mutation == Mutation::DeleteItemsBeforeReplace {
            for input in inputs.iter().filter(|input| input.level == 0) {
                let _ = world.records.delete_if(&store::keys::l0_item(tenant, SIGNAL, HOUR, input.id), 1).await;
            }
        }
        let mut generation = snapshot.generation(window, Resolution::Raw);
        if self.mutation == Mutation::IgnoreGeneration {
            let fresh = manifest.snapshot(tenant, SIGNAL, world.day_range()).await?;
            generation = fresh.generation(window, Resolution::Raw);
        }
        let key = object_key(&output).cloned();
        let replacement =
            Replacement { window, resolution: Resolution::Raw, generation, inputs: inputs.clone(), outputs: vec![output] };
        let outcome = manifest.replace(tenant, SIGNAL, replacement).await;
        if self.mutation == Mutation::DeleteOutputsOnFailure && !matches!(outcome, Ok(Replaced::Replaced)) {
            key.iter().for_each(|key| world.delete_object(key));
        }
        if outcome? == Replaced::Replaced {
            pause(random).await;
            manifest.delete_inputs(tenant, SIGNAL, window, &inputs).await?;
        }
        Ok(())
    }

    async fn collect(self, window: Window, mut random: StdRng) {
        for _ in 0..4 {
            // A clock two hours fast makes every grace pass at once.
            let skew_ms = if self.mutation == Mutation::NoGrace { 7_200_000 } else { random.random_range(-120_000..120_000) };
            let _ = self.collect_once(&self.world.manifest(skew_ms), window, &mut random).await;
            pause(&mut random).await;
        }
    }

    async fn collect_once(&self, manifest: &Manifest, window: Window, random: &mut StdRng) -> Result<(), Error> {
        let dead = manifest.collect_window(&self.world.tenant, SIGNAL, window).await?;
        for object in &dead {
            self.world.delete_object(&object.key);
            pause(random).await;
        }
        let keys: Vec<String> = dead.into_iter().map(|object| object.key).collect();
        manifest.forget_dead(&self.world.tenant, SIGNAL, window, &keys).await
    }

    /// Orphans of any age: burning alone must be enough.
    async fn collect_orphans(self, mut random: StdRng) {
        for _ in 0..12 {
            let manifest = self.manifest(&mut random);
            let objects: Vec<String> = self.world.all_objects().into_iter().collect();
            pause(&mut random).await;
            if objects.is_empty() {
                continue;
            }
            let key = objects[random.random_range(0..objects.len())].clone();
            let object = ObjectKey::parse(&key).unwrap();
            let deletable = match self.mutation {
                Mutation::CollectWithoutBurning => self.unreferenced(&manifest, &key).await,
                _ => matches!(manifest.burn(&object).await, Ok(Burn::Deletable)),
            };
            pause(&mut random).await;
            if deletable {
                self.world.delete_object(&key);
            }
        }
    }

    async fn unreferenced(&self, manifest: &Manifest, key: &String) -> bool {
        let snapshot = manifest.snapshot(&self.world.tenant, SIGNAL, self.world.day_range()).await;
        snapshot.is_ok_and(|snapshot| !snapshot.parts.iter().filter_map(object_key).any(|live| live == key))
    }

    fn actors(&self, seed: u64, round: u32) -> Vec<Actor> {
        let random = |actor: u64| StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ (u64::from(round) << 32) ^ actor);
        let (hour, day) = (Window::Hour(HOUR), Window::Day(HOUR.day()));
        let mut actors: Vec<Actor> = vec![
            Box::pin(self.clone().compact(hour, random(1))),
            Box::pin(self.clone().compact(hour, random(2))),
            Box::pin(self.clone().collect(hour, random(3))),
            Box::pin(self.clone().collect(day, random(4))),
            Box::pin(self.clone().collect_orphans(random(5))),
            Box::pin(self.clone().read(random(6))),
            Box::pin(self.clone().read(random(7))),
        ];
        if round >= 2 {
            actors.push(Box::pin(self.clone().compact(day, random(8))));
            actors.push(Box::pin(self.clone().compact(day, random(9))));
        }
        for writer in 0..5 {
            actors.push(Box::pin(self.clone().write(round * 10 + writer, random(10 + u64::from(writer)))));
        }
        actors
    }
}

async fn pause(random: &mut StdRng) {
    for _ in 0..random.random_range(0..6u32) {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock while the others run, mostly a little, now and then by minutes.
async fn tick(world: World, mut random: StdRng, done: Arc<AtomicBool>) {
    while !done.load(Ordering::Relaxed) {
        let jump = random.random_range(0..100u32) == 0;
        let by_ms = if jump { random.random_range(0..240_000) } else { random.random_range(0..1_500) };
        world.clock.advance(Duration::from_millis(by_ms));
        tokio::task::yield_now().await;
    }
}

fn chances(mutation: Mutation) -> Chances {
    Chances {
        before: 15,
        after: 30,
        crash: 15,
        freeze: 10,
        freeze_max: Duration::from_secs(14 * 60),
        stale_get: if mutation == Mutation::StaleReads { 300 } else { 0 },
        blind_update: if mutation == Mutation::BlindUpdates { 1000 } else { 0 },
    }
}

async fn run(seed: u64, mutation: Mutation) -> Vec<String> {
    let stage = Stage { world: World::new(seed), mutation };
    let world = stage.world.clone();
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..5 {
        world.records.set_chances(chances(mutation));
        let done = Arc::new(AtomicBool::new(false));
        let ticking = tokio::spawn(tick(world.clone(), StdRng::seed_from_u64(seed ^ 77), done.clone()));
        let tasks: Vec<_> = stage.actors(seed, round).into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
        ticking.await.unwrap();
        let rest_minutes = [1, 31, 65, 25 * 60][random.random_range(0..4usize)];
        world.clock.advance(Duration::from_secs(60 * rest_minutes));
    }
    settle(&stage).await;
    let violations = world.violations.lock().unwrap();
    violations.clone()
}

/// When nothing fails any more, everything acknowledged is there once, and no garbage is left.
async fn settle(stage: &Stage) {
    let (world, manifest) = (&stage.world, stage.world.manifest(0));
    world.records.set_chances(Chances::default());
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(65 * 60));
        for window in [Window::Hour(HOUR), Window::Day(HOUR.day())] {
            stage.collect_once(&manifest, window, &mut random).await.unwrap();
        }
    }
    for key in world.all_objects() {
        if manifest.burn(&ObjectKey::parse(&key).unwrap()).await.unwrap() == Burn::Deletable {
            world.delete_object(&key);
        }
    }
    let snapshot = manifest.snapshot(&world.tenant, SIGNAL, world.day_range()).await.unwrap();
    world.check_visible(&snapshot, &world.acknowledged());
    world.check_objects(&snapshot);
    let live = snapshot.parts.iter().filter_map(object_key).count();
    if world.all_objects().len() > live {
        world.violated(format!("garbage: {} objects, {live} live", world.all_objects().len()));
    }
}

fn violations(seed: u64, mutation: Mutation) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(run(seed, mutation))
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("LAMELLA_TEST_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let first = std::env::var("LAMELLA_TEST_SEED_FIRST").ok().and_then(|first| first.parse().ok()).unwrap_or(0);
    first..first + count
}

#[test]
fn the_invariants_hold() {
    for seed in seeds() {
        let found = violations(seed, Mutation::None);
        assert!(found.is_empty(), "seed {seed}: {found:?}");
    }
}

#[test]
fn every_mutation_is_caught() {
    let mutations = [
        Mutation::AckBeforeCommit,
        Mutation::DeleteItemsBeforeReplace,
        Mutation::DeleteOutputsOnFailure,
        Mutation::NoGrace,
        Mutation::CollectWithoutBurning,
        Mutation::StaleReads,
        Mutation::BlindUpdates,
        Mutation::IgnoreGeneration,
        Mutation::RollWithoutRest,
    ];
    for mutation in mutations {
        let caught = (0..6000).find_map(|seed| Some((seed, violations(seed, mutation).into_iter().next()?)));
        let (seed, violation) = caught.unwrap_or_else(|| panic!("{mutation:?} was not caught"));
        println!("{mutation:?}: seed {seed}: {violation}");
    }
}
