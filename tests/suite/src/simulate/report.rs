//! Many seeds: runs them, adds up, prints.

use super::mutation::Mutation;
use super::run::{Outcome, replay_command, run};
use super::world::Seen;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::simulation::FAULT_NAMES;

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    pub seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Replays this one and prints its last steps.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Makes a deliberate mistake: the run succeeds if it is caught.
    #[arg(long, value_enum)]
    pub mutation: Option<Mutation>,
    /// Makes every deliberate mistake, one after the other, and prints the seeds until each is caught.
    #[arg(long)]
    pub mutations: bool,
    /// Seeds run at a time.
    #[arg(long, default_value_t = 1)]
    pub jobs: usize,
    /// Runs every seed twice and compares the traces.
    #[arg(long)]
    pub twice: bool,
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    simulated_ms: u64,
    steps: u64,
    calls: u64,
    injected: [u64; 8],
    acknowledged: u64,
    checks: u64,
    rows_checked: u64,
    seen: Seen,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated_ms += outcome.simulated_ms;
        self.steps += outcome.steps;
        self.calls += outcome.faults.calls;
        self.injected.iter_mut().zip(outcome.faults.injected).for_each(|(total, injected)| *total += injected);
        self.acknowledged += outcome.acknowledged;
        self.checks += outcome.checks;
        self.rows_checked += outcome.rows_checked;
        self.seen.add(&outcome.seen);
    }

    fn print(&self, took: Duration) {
        let seconds = took.as_secs_f64().max(1e-9);
        println!(
            "{} seeds in {seconds:.1} s ({:.1} ms each): {:.0} simulated hours, {} steps, {} store calls",
            self.seeds,
            1e3 * seconds / self.seeds.max(1) as f64,
            self.simulated_ms as f64 / 3.6e6,
            self.steps,
            self.calls
        );
        let faults: Vec<String> =
            FAULT_NAMES.iter().zip(self.injected).map(|(name, injected)| format!("{injected} {name}")).collect();
        println!("faults injected: {} ({})", self.injected.iter().sum::<u64>(), faults.join(", "));
        println!(
            "{} rows acknowledged; {} checks compared {} rows ({:.2} M per second)",
            self.acknowledged,
            self.checks,
            self.rows_checked,
            self.rows_checked as f64 / seconds / 1e6
        );
        let Seen { hours_cleared, days_packed, epochs, deletions, answers, .. } = self.seen;
        let Seen { copies, raw_dropped, windows, finer, merges, losers, deduplicated, .. } = self.seen;
        println!(
            "{hours_cleared} hours cleared, {days_packed} days packed, {epochs} ring epochs, {deletions} deletions, {answers} answers under faults"
        );
        println!(
            "{copies} coarse copies compared, {raw_dropped} days outlived by them, {windows} windows read for answers, {finer} of finer copies alone"
        );
        println!("{merges} days with replicas merged, {losers} samples less, {deduplicated} answers of replicas as one");
    }
}

/// Runs what is asked for; `false` where an invariant broke, or a mistake was not caught.
pub fn run_all(options: &Options) -> bool {
    if let Some(seed) = options.seed {
        return replay(seed, options.mutation);
    }
    if options.mutations {
        // Every one is tried, also after one that got away.
        let all = <Mutation as clap::ValueEnum>::value_variants();
        return all.iter().filter(|mutation| !catch(**mutation, options)).count() == 0;
    }
    if let Some(mutation) = options.mutation {
        return catch(mutation, options);
    }
    let started = Instant::now();
    let (totals, failures) = run_range(options);
    totals.print(started.elapsed());
    for failure in &failures {
        report(failure, None);
    }
    println!("{} of {} seeds broke an invariant", failures.len(), totals.seeds);
    failures.is_empty()
}

/// Long runs say how far they are, so that an interrupted one has a figure too.
const SEEDS_PER_LINE: u64 = 1_000;

fn run_range(options: &Options) -> (Totals, Vec<Outcome>) {
    let next = AtomicU64::new(options.from);
    let found = Arc::new(Mutex::new((Totals::default(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.from + options.seeds {
                        break;
                    }
                    let mut outcome = run(seed, None, false);
                    if options.twice && run(seed, None, false).trace_hash != outcome.trace_hash {
                        outcome.violation.get_or_insert("the seed does not replay: two runs differ".into());
                    }
                    let mut found = found.lock().expect("no thread panics while it holds the lock");
                    found.0.add(&outcome);
                    if outcome.violation.is_some() {
                        eprintln!("seed {seed}: {}", outcome.violation.as_deref().unwrap_or_default());
                        found.1.push(outcome);
                    }
                    if found.0.seeds.is_multiple_of(SEEDS_PER_LINE) {
                        eprintln!("{} seeds held, {} broke", found.0.seeds - found.1.len() as u64, found.1.len());
                    }
                }
            });
        }
    });
    let mut found = found.lock().expect("no thread panics while it holds the lock");
    let mut failures = std::mem::take(&mut found.1);
    failures.sort_by_key(|failure| failure.seed);
    (std::mem::take(&mut found.0), failures)
}

/// Runs seeds with a mistake until one catches it.
fn catch(mutation: Mutation, options: &Options) -> bool {
    let caught = (options.from..options.from + options.seeds).find_map(|seed| {
        let outcome = run(seed, Some(mutation), false);
        outcome.violation.is_some().then_some(outcome)
    });
    match caught {
        Some(outcome) => {
            let text: String = outcome.violation.unwrap_or_default().chars().take(110).collect();
            println!("| `{}` | {} | {text} |", mutation.name(), outcome.seed - options.from + 1);
            true
        }
        None => {
            println!("| `{}` | not within {} seeds | |", mutation.name(), options.seeds);
            false
        }
    }
}

fn replay(seed: u64, mutation: Option<Mutation>) -> bool {
    let outcome = run(seed, mutation, true);
    outcome.tail.iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: trace {:016x}, {} steps", outcome.trace_hash, outcome.steps);
    match &outcome.violation {
        Some(violation) => println!("{violation}"),
        None => println!("every invariant held"),
    }
    outcome.violation.is_none()
}

/// Prints a failure: the invariant, the seed, the last steps, and the command that replays it.
fn report(failure: &Outcome, mutation: Option<Mutation>) {
    /// Steps printed before the violation.
    const STEPS_PRINTED: usize = 40;
    let again = run(failure.seed, mutation, true);
    let violated = again.tail.iter().position(|line| line.contains("VIOLATION")).unwrap_or(again.tail.len().saturating_sub(1));
    println!("\nseed {}:", failure.seed);
    again.tail.iter().take(violated + 1).skip((violated + 1).saturating_sub(STEPS_PRINTED)).for_each(|line| println!("  {line}"));
    println!("{}", failure.violation.as_deref().unwrap_or_default());
    println!("replay: {}", replay_command(failure.seed, mutation));
}
