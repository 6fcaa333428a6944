//! Writers, compactors, rollers, packers, collectors, deleters, retention and readers, interleaved by seed over a store that
//! fails, throttles, loses answers and freezes its callers for up to 20 minutes; M1 to M3, and that what is deleted stays
//! deleted, are checked by the readers, always. Each deliberate mistake must be caught: those made by actors here, those inside
//! the manifest under the feature `mutations` (`cargo test --release -p manifest --features mutations`).

use crate::world::{Content, HOUR, SIGNAL, TrueDeletion, World, hour_of, object_key};
use manifest::{Burn, Committed, DeletionRequest, Error, Manifest, ObjectKey, Part, Replaced, Replacement, Snapshot, Window};
use model::{Clock, Hour, Matcher, Resolution};
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
    ExpireLiveItems,
    ForgetApplied,
    #[cfg(feature = "mutations")]
    Inside(manifest::Mutation),
}

type Actor = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
struct Stage {
    world: World,
    mutation: Mutation,
}

impl Stage {
    fn manifest(&self, random: &mut StdRng) -> Manifest {
        self.skewed(random.random_range(-120_000..120_000))
    }

    fn skewed(&self, skew_ms: i64) -> Manifest {
        let manifest = self.world.manifest(skew_ms);
        #[cfg(feature = "mutations")]
        if let Mutation::Inside(mutation) = self.mutation {
            return manifest.with_mutation(mutation);
        }
        manifest
    }

    /// A client sends one batch and repeats it a few times, through whichever process answers.
    async fn write(self, content: Content, mut random: StdRng) {
        for _ in 0..random.random_range(1..4u32) {
            let manifest = self.manifest(&mut random);
            let inline = random.random_range(0..4u32) == 0;
            if self.mutation == Mutation::AckBeforeCommit {
                self.world.acknowledge(content);
            }
            let (hour, now) = (hour_of(content), self.world.clock.now());
            let item = self.world.upload_in(hour, content, inline, now);
            pause(&mut random).await;
            if let Ok(Committed::Committed | Committed::AlreadyCommitted) =
                manifest.commit(&self.world.tenant, SIGNAL, hour, item).await
            {
                self.world.acknowledge(content);
            }
            if self.mutation == Mutation::ExpireLiveItems && random.random_range(0..4u32) == 0 {
                let key = store::keys::l0_item(&self.world.tenant, SIGNAL, hour, model::SegmentId(u128::from(content)));
                let _ = self.world.records.delete_if(&key, 1).await;
            }
            pause(&mut random).await;
        }
    }

    async fn read(self, mut random: StdRng) {
        for _ in 0..4 {
            let manifest = self.manifest(&mut random);
            let expected = self.world.expectation();
            let Ok(snapshot) = manifest.snapshot(&self.world.tenant, SIGNAL, self.world.day_range()).await else { continue };
            self.world.check(&snapshot, &expected);
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
            let manifest = if hasty { self.skewed(3_600_000) } else { self.manifest(&mut random) };
            let _ = self.compact_once(&manifest, window, &mut random).await;
            pause(&mut random).await;
        }
    }

    async fn compact_once(&self, manifest: &Manifest, window: Window, random: &mut StdRng) -> Result<(), Error> {
        let (world, tenant) = (&self.world, &self.world.tenant);
        if matches!(window, Window::Day(_)) {
            for hour in HOURS {
                manifest.seal(tenant, SIGNAL, hour).await?;
            }
        }
        let snapshot = manifest.snapshot_to_merge(tenant, SIGNAL, world.day_range()).await?;
        let inputs: Vec<Part> = inputs_of(&snapshot, window).into_iter().filter(|_| random.random_range(0..4u32) > 0).collect();
        if inputs.is_empty() || inputs.iter().filter_map(object_key).any(|key| !world.all_objects().contains(key)) {
            return Ok(());
        }
        let listed_under = if matches!(window, Window::Month(_)) { Window::Day(HOUR.day()) } else { window };
        let mut output = world.compact(&snapshot, listed_under, &inputs);
        if self.mutation == Mutation::ForgetApplied {
            output.applied.clear();
        }
        pause(random).await;
        if self.mutation == Mutation::DeleteItemsBeforeReplace {
            for input in inputs.iter().filter(|input| input.level == 0) {
                let _ = world
                    .records
                    .delete_if(&store::keys::l0_item(tenant, SIGNAL, input.window.range().start.hour(), input.id), 1)
                    .await;
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
            let _ = self.collect_once(&self.skewed(skew_ms), window, &mut random).await;
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

    /// Clears hours and packs the day, whenever it may be done.
    async fn tidy(self, mut random: StdRng) {
        for _ in 0..6 {
            let manifest = self.manifest(&mut random);
            for hour in HOURS {
                let _ = manifest.clear_hour(&self.world.tenant, SIGNAL, hour).await;
            }
            let _ = manifest.pack_day(&self.world.tenant, SIGNAL, HOUR.day()).await;
            pause(&mut random).await;
        }
    }

    /// Asks for a series to be deleted, and may think better of it.
    async fn delete(self, mut random: StdRng) {
        let range = if random.random_range(0..2u32) == 0 { self.world.day_range() } else { Window::Hour(HOURS[1]).range() };
        let series = random.random_range(0..3u32);
        let manifest = self.manifest(&mut random);
        pause(&mut random).await;
        let clock = &self.world.clock;
        let index = {
            let mut truth = self.world.truth.lock().unwrap();
            let (started, ended) = (clock.now(), None);
            truth.deletions.push(TrueDeletion { series, range, started, ended, succeeded: false, cancelled: false });
            truth.deletions.len() - 1
        };
        let matchers = vec![Matcher::equal("series", &series.to_string())];
        let request = DeletionRequest { range, matchers, filter: None };
        let outcome = manifest.request_deletion(&self.world.tenant, SIGNAL, request).await;
        {
            let deletion = &mut self.world.truth.lock().unwrap().deletions[index];
            (deletion.ended, deletion.succeeded) = (Some(clock.now()), outcome.is_ok());
        }
        if let (Ok(deletion), 0) = (outcome, random.random_range(0..4u32)) {
            pause(&mut random).await;
            self.world.truth.lock().unwrap().deletions[index].cancelled = true;
            let _ = manifest.cancel_deletion(&self.world.tenant, SIGNAL, deletion.id).await;
        }
    }

    /// Brings deletions to their end.
    async fn finish(self, mut random: StdRng) {
        for _ in 0..4 {
            let manifest = self.manifest(&mut random);
            for deletion in manifest.deletions(&self.world.tenant, SIGNAL).await.unwrap_or_default() {
                let _ = manifest.finish_deletion(&self.world.tenant, SIGNAL, deletion.id).await;
            }
            pause(&mut random).await;
        }
    }

    /// Retention: the day is dropped, and deleted when no query can read it any more.
    async fn drop_day(self, mut random: StdRng) {
        for _ in 0..3 {
            let manifest = self.manifest(&mut random);
            self.world.truth.lock().unwrap().dropped = true;
            let _ = self.drop_once(&manifest).await;
            pause(&mut random).await;
        }
    }

    async fn drop_once(&self, manifest: &Manifest) -> Result<(), Error> {
        let (tenant, day) = (&self.world.tenant, HOUR.day());
        manifest.drop_day(tenant, SIGNAL, day, Resolution::Raw).await?;
        for key in manifest.dropped_objects(tenant, SIGNAL, day, Resolution::Raw).await? {
            self.world.delete_object(&key);
        }
        manifest.forget_day(tenant, SIGNAL, day, Resolution::Raw).await
    }

    fn actors(&self, seed: u64, round: u32) -> Vec<Actor> {
        let random = |actor: u64| StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ (u64::from(round) << 32) ^ actor);
        let ([hour, next], day) = (HOURS.map(Window::Hour), Window::Day(HOUR.day()));
        let mut actors: Vec<Actor> = vec![
            Box::pin(self.clone().compact(hour, random(1))),
            Box::pin(self.clone().compact(hour, random(2))),
            Box::pin(self.clone().compact(next, random(20))),
            Box::pin(self.clone().collect(hour, random(3))),
            Box::pin(self.clone().collect(next, random(21))),
            Box::pin(self.clone().collect(day, random(4))),
            Box::pin(self.clone().collect_orphans(random(5))),
            Box::pin(self.clone().read(random(6))),
            Box::pin(self.clone().read(random(7))),
            Box::pin(self.clone().finish(random(22))),
        ];
        if round >= 2 {
            actors.push(Box::pin(self.clone().compact(day, random(8))));
            actors.push(Box::pin(self.clone().compact(day, random(9))));
            actors.push(Box::pin(self.clone().tidy(random(23))));
            actors.push(Box::pin(self.clone().tidy(random(24))));
            actors.push(Box::pin(self.clone().compact(day.month(), random(25))));
            actors.push(Box::pin(self.clone().collect(day.month(), random(26))));
        }
        if round >= 1 && (seed + u64::from(round)).is_multiple_of(3) {
            actors.push(Box::pin(self.clone().delete(random(27))));
        }
        if round + 1 == ROUNDS && seed.is_multiple_of(8) {
            actors.push(Box::pin(self.clone().drop_day(random(28))));
        }
        for writer in 0..writers_of(round) {
            actors.push(Box::pin(self.clone().write(round * 10 + writer, random(10 + u64::from(writer)))));
        }
        actors
    }
}

const HOURS: [Hour; 2] = [HOUR, Hour(HOUR.0 + 1)];
const ROUNDS: u32 = 6;

/// Fewer come late.
fn writers_of(round: u32) -> u32 {
    if round < 3 { 5 } else { 2 }
}

/// What a compaction of the window may take.
fn inputs_of(snapshot: &Snapshot, window: Window) -> Vec<Part> {
    let sealed = |window| snapshot.heads.iter().any(|head| head.window == window && head.sealed);
    let takes = |part: &Part| match (window, snapshot.home(part)) {
        (Window::Day(_), Window::Hour(_)) => part.level > 0,
        (Window::Day(_), home) => home == window && !sealed(window),
        (_, home) => home == window,
    };
    snapshot.parts.iter().filter(|part| takes(part)).cloned().collect()
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
        freeze_max: Duration::from_secs(20 * 60),
        stale_get: if mutation == Mutation::StaleReads { 300 } else { 0 },
        blind_update: if mutation == Mutation::BlindUpdates { 1000 } else { 0 },
    }
}

async fn run(seed: u64, mutation: Mutation) -> Vec<String> {
    let stage = Stage { world: World::new(seed), mutation };
    let world = stage.world.clone();
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..ROUNDS {
        world.records.set_chances(chances(mutation));
        let done = Arc::new(AtomicBool::new(false));
        let ticking = tokio::spawn(tick(world.clone(), StdRng::seed_from_u64(seed ^ 77), done.clone()));
        let tasks: Vec<_> = stage.actors(seed, round).into_iter().map(tokio::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
        ticking.await.unwrap();
        // Hours, days and a week pass, so that hours are cleared and days packed while others still write to them.
        let rests = if round < 2 { [1, 31, 65, 26 * 60] } else { [31, 65, 26 * 60, 8 * 24 * 60] };
        let rest_minutes = rests[random.random_range(0..4usize)];
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
    let windows = [Window::Hour(HOURS[0]), Window::Hour(HOURS[1]), Window::Day(HOUR.day()), Window::Day(HOUR.day()).month()];
    let dropped = world.truth.lock().unwrap().dropped;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(65 * 60));
        for window in windows {
            stage.collect_once(&manifest, window, &mut random).await.unwrap();
        }
        if dropped {
            stage.drop_once(&manifest).await.unwrap();
        }
    }
    for key in world.all_objects() {
        if manifest.burn(&ObjectKey::parse(&key).unwrap()).await.unwrap() == Burn::Deletable {
            world.delete_object(&key);
        }
    }
    let expected = world.expectation();
    let snapshot = manifest.snapshot(&world.tenant, SIGNAL, world.day_range()).await.unwrap();
    world.check(&snapshot, &expected);
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

fn check_caught(mutations: impl IntoIterator<Item = Mutation>) {
    for mutation in mutations {
        let caught = (0..6000).find_map(|seed| Some((seed, violations(seed, mutation).into_iter().next()?)));
        let (seed, violation) = caught.unwrap_or_else(|| panic!("{mutation:?} was not caught"));
        println!("{mutation:?}: seed {seed}: {violation}");
    }
}

#[test]
fn every_mutation_is_caught() {
    check_caught([
        Mutation::AckBeforeCommit,
        Mutation::DeleteItemsBeforeReplace,
        Mutation::DeleteOutputsOnFailure,
        Mutation::NoGrace,
        Mutation::CollectWithoutBurning,
        Mutation::StaleReads,
        Mutation::BlindUpdates,
        Mutation::IgnoreGeneration,
        Mutation::RollWithoutRest,
        Mutation::ExpireLiveItems,
        Mutation::ForgetApplied,
    ]);
}

#[cfg(feature = "mutations")]
#[test]
fn every_mutation_inside_is_caught() {
    use manifest::Mutation::*;
    let inside = [
        HighFirst,
        IgnoreReplaced,
        OverwriteHead,
        TrimEarly,
        BurnWithoutRaising,
        BurnWithoutRecheck,
        OverwriteOnRetry,
        CatalogAfterItem,
        ClearUnderWriters,
    ];
    check_caught(inside.map(Mutation::Inside));
}
