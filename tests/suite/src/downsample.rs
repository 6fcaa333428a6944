//! `suite downsample`: coarse copies answer as samples do (D1), raw data waits for them (D2).
//!
//! ```text
//! generated series ─▶ segments ─▶ the real compactor in simulated time ─▶ copies ─▶ the engine ─▶ equal to the reference over samples
//!                        └─ late data before the roll, or after the copies were built        └─ after raw data expired: equal, or said not to be
//! ```
//! Each seed is a world of its own: some hours around midnight, series of every temper, expressions over every function, ranges, steps
//! and offsets that are aligned or not. A failure prints its seed.

mod data;
mod queries;
mod world;

use std::time::Instant;

use clap::Args;
use model::{Keep, Resolution};
use plan::LogicalPlan;

use crate::said::Said;
use data::Data;
use world::World;

/// How much is compared.
#[derive(Args)]
pub struct Options {
    /// Seeds.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Expressions of each seed and stage.
    #[arg(long, default_value_t = 60)]
    expressions: usize,
}

/// SplitMix64: small, seedable, good enough for test data.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What was compared.
#[derive(Clone, Copy, Default, Debug)]
struct Tally {
    answers: u64,
    /// Answers that read windows while raw data was there: silently, so exactly.
    from_windows: u64,
    /// After raw data expired: answers that say that they are not exact.
    inexact: u64,
    /// After raw data expired: answers that are exact.
    expired_exact: u64,
    /// Likewise: queries of replicas as one, which windows cannot answer.
    refused: u64,
}

/// Runs all seeds; returns whether all hold.
pub fn run_all(options: &Options) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread starts");
    let (mut tally, started, mut broken) = (Tally::default(), Instant::now(), 0);
    for seed in options.first..options.first + options.seeds {
        if let Err(why) = runtime.block_on(run(seed, options.expressions, &mut tally)) {
            println!("seed {seed} is broken: {why}");
            broken += 1;
        }
    }
    let Tally { answers, from_windows, inexact, expired_exact, refused } = tally;
    println!(
        "{} seeds, {answers} answers compared, {from_windows} of windows beside raw data, after it expired {expired_exact} exact and \
         {inexact} said not to be, {refused} of replicas refused; {broken} seeds broken; {} s",
        options.seeds,
        started.elapsed().as_secs()
    );
    // Comparing answers that read no windows would say nothing.
    let tells = from_windows * 20 > answers && expired_exact > 0 && inexact > 0 && refused > 0;
    if !tells {
        println!("too few answers read windows for this to tell anything");
    }
    broken == 0 && tells
}

async fn run(seed: u64, expressions: usize, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    let data = Data::generate(&mut random);
    let mut world = World::new(seed);
    let late_first = random.below(2) == 0;
    world.write(&data, |_, index| late_first || !index.is_multiple_of(17)).await;
    world.roll().await;
    let whole = if late_first { data.clone() } else { data.without(|_, index| index.is_multiple_of(17)) };
    compare(&world, &whole, &mut random, expressions, true, tally).await?;
    if !late_first {
        world.write(&data, |_, index| index.is_multiple_of(17)).await;
        // The copies are old now, and nobody may see it.
        compare(&world, &data, &mut random, expressions / 2, true, tally).await?;
        world.roll().await;
        compare(&world, &data, &mut random, expressions, true, tally).await?;
    }
    world.expire_raw().await?;
    compare(&world, &data, &mut random, expressions, false, tally).await?;
    for _ in 0..5 {
        replicas_stay_apart(&world, &mut random, tally).await?;
    }
    Ok(())
}

/// Of windows nobody can tell which replica's samples stand: asked for one series, the query is refused, and says why (docs/0021).
async fn replicas_stay_apart(world: &World, random: &mut Random, tally: &mut Tally) -> Result<(), String> {
    let (text, plan) = queries::generate(random);
    let options = plan::EvalOptions { replica_labels: vec!["replica".into()], ..plan.options.clone() };
    let (said, windows) = world.ask(&LogicalPlan { options, ..plan.clone() }).await;
    let (plain, _) = world.ask(&plan).await;
    let refused = said.error().is_some_and(|why| why.contains("replicas over days whose raw samples have expired"));
    tally.refused += u64::from(refused);
    // What a copy keeps as samples can be told apart: the answer is that of the series, which is a replica of its own.
    let holds = windows == 0 && (refused || said == plain || plain.is_called_inexact());
    if holds { Ok(()) } else { Err(format!("{text} of replicas as one: {}", said.text())) }
}

/// Compares answers over the world's copies with the reference over the samples.
async fn compare(
    world: &World,
    data: &Data,
    random: &mut Random,
    expressions: usize,
    has_raw: bool,
    tally: &mut Tally,
) -> Result<(), String> {
    for _ in 0..expressions {
        let (text, plan) = queries::generate(random);
        let expected = Said::of(plan::reference::evaluate(&plan, data).map_err(|error| error.to_string()));
        let (found, windows) = world.ask(&plan).await;
        tally.answers += 1;
        let describe = |found: &Said| format!("{text} {:?}: {}\n  expected {}", plan.grid, found.text(), expected.text());
        if found.is_called_inexact() {
            tally.inexact += 1;
            if has_raw {
                return Err(format!("not exact although samples are there: {}", describe(&found)));
            }
            continue;
        }
        if found != expected {
            return Err(format!("{} windows read: {}", windows, describe(&found)));
        }
        tally.from_windows += u64::from(has_raw && windows > 0);
        tally.expired_exact += u64::from(!has_raw);
        if has_raw {
            bounded(world, &plan, &expected).await.map_err(|found| describe(&found))?;
        }
    }
    Ok(())
}

/// With `max_source_resolution` the answer is the same, and no coarser copy is read.
async fn bounded(world: &World, plan: &LogicalPlan, expected: &Said) -> Result<(), Said> {
    let options = plan::EvalOptions { resolution_max: Resolution::Raw, ..plan.options.clone() };
    let (found, windows) = world.ask(&LogicalPlan { options, ..plan.clone() }).await;
    if found == *expected && windows == 0 { Ok(()) } else { Err(found) }
}

/// How long copies are kept.
fn kept(days: u64) -> Keep {
    Keep::For(std::time::Duration::from_secs(days * 86_400))
}
