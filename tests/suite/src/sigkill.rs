//! Kills the real binary under load, again and again: what it acknowledged is there, each thing once.
//!
//! ```text
//! writers   request n ─▶ attempted = n ─▶ send, and send again, across kills ─▶ 2xx ─▶ acknowledged = n ─▶ request n + 1
//! rounds    load ─▶ SIGKILL at a random moment ─▶ start ─▶ check while the load goes on
//! readers   queries all the time; an answer that misses something acknowledged before it was asked fails the run
//! ```
//! A request says all that it holds by its writer and its number, so that the checker needs no list: of writer w everything up to
//! `acknowledged` must be there, nothing past `attempted`, each once, with its value. After the last round on a store the
//! writers finish, and everything is checked exactly, twice, with one more kill in between.
//!
//! Owns: the rounds and the verdict. Does not own: the requests' encoding (`load`).

mod check;
mod logs;
mod metrics;
mod server;
mod timeline;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use boot::SystemClock;
use clap::{Args, ValueEnum};
use model::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use check::Checker;
use server::{Server, Setup};
use timeline::Timeline;
use writer::{Kind, Writer, Writers};

/// What to kill, how often, and on which storage.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The `lamella` binary; by default the one beside this program.
    #[arg(long)]
    pub binary: Option<PathBuf>,
    /// How often the server is killed.
    #[arg(long, default_value_t = 20)]
    pub rounds: u32,
    /// Where the server keeps its data; aws needs LAMELLA_TEST_S3_ENDPOINT and LAMELLA_TEST_DYNAMODB_ENDPOINT.
    #[arg(long, value_enum, default_value_t)]
    pub storage: Storage,
    /// Where the moments of the kills come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Asks the server to stop (SIGTERM) instead of killing it: it must end by itself and lose nothing either.
    #[arg(long)]
    pub terminate: bool,
    /// Writers of metrics, and as many of logs.
    #[arg(long, default_value_t = 4)]
    pub writers: usize,
    /// Longest time between a start and its kill, milliseconds.
    #[arg(long, default_value_t = 2_500)]
    pub round_ms_max: u64,
    /// Folder for the data and the server's log, kept where something is wrong; made if missing. By default one in the system's.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Storage of the server under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Storage {
    /// A directory.
    #[default]
    Local,
    /// S3 and DynamoDB API servers.
    Aws,
}

/// Shortest time between a start and its kill.
const ROUND_MS_MIN: u64 = 150;
/// One kill in this many hits a server that has only just begun to start.
const EARLY_KILL_ONE_IN: u32 = 8;
/// How long after its start such a server is killed, at most.
const EARLY_KILL_MS_MAX: u64 = 60;

/// Rounds on one store: each checks every row written so far, so that one store for all would make a run's time grow with the
/// square of its rounds.
const ROUNDS_PER_STORE: u32 = 50;

/// Counts of a whole run.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    /// Kills that hit a server before it was ready.
    early: u32,
    stores: u32,
    /// Per kind: requests acknowledged, sent again without an answer, sent again after a refusal.
    requests: [(u64, u64, u64); 2],
    /// Answers of readers held against what was acknowledged before.
    answers: AtomicU64,
    /// Readers' questions that a kill left without an answer.
    unanswered: AtomicU64,
}

/// Runs the rounds, on a fresh store every fifty.
///
/// # Errors
/// Names what is missing, doubled or wrong, and where the server's data and log are kept.
pub fn run(options: &Options) -> Result<()> {
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut tally = Tally::default();
    while tally.kills < options.rounds {
        let setup = Setup::new(options, tally.stores)?;
        let rounds = (options.rounds - tally.kills).min(ROUNDS_PER_STORE);
        let outcome = one_store(options, &setup, rounds, &mut random, &mut tally);
        if outcome.is_err() {
            eprintln!("kept: {}", setup.dir.display());
        }
        outcome.with_context(|| format!("seed {}, store {}", options.seed, tally.stores))?;
        setup.remove()?;
        tally.stores += 1;
    }
    report(options, &tally, began.elapsed());
    Ok(())
}

fn one_store(options: &Options, setup: &Setup, rounds: u32, random: &mut StdRng, tally: &mut Tally) -> Result<()> {
    let writers = Writers::new(options.writers, Timeline::before(SystemClock.now()));
    let checker = Checker::new(setup.url(), &writers);
    let mut server = Server::start(setup)?;
    server.ready()?;
    let (answers, unanswered) = (&tally.answers, &tally.unanswered);
    let killed = std::thread::scope(|scope| {
        writers.all.iter().for_each(|writer| drop(scope.spawn(|| writer.write(&writers, &setup.url()))));
        scope.spawn(|| checker.read_on(answers, unanswered));
        let killed = kill_on(options, setup, rounds, random, &mut server, &checker, &writers);
        writers.stop();
        killed
    });
    let (kills, early) = killed?;
    writers.verdict()?;
    checker.exact().context("after the last round")?;
    server.end(options.terminate)?;
    server = Server::start(setup)?;
    server.ready()?;
    checker.exact().context("after one more kill")?;
    server.end(true)?;
    tally.add(kills + 1, early, &writers);
    Ok(())
}

impl Tally {
    fn add(&mut self, kills: u32, early: u32, writers: &Writers) {
        self.kills += kills;
        self.early += early;
        for (sums, kind) in self.requests.iter_mut().zip([Kind::Metrics, Kind::Logs]) {
            for writer in writers.of(kind) {
                sums.0 += writer.acknowledged_count();
                sums.1 += writer.unknown_count();
                sums.2 += writer.refused_count();
            }
        }
    }
}

/// The rounds themselves; returns the kills, and how many of them hit a server before it was ready.
fn kill_on(
    options: &Options,
    setup: &Setup,
    rounds: u32,
    random: &mut StdRng,
    server: &mut Server,
    checker: &Checker<'_>,
    writers: &Writers,
) -> Result<(u32, u32)> {
    let (mut kills, mut early) = (0, 0);
    while kills < rounds {
        let life = random.random_range(ROUND_MS_MIN..options.round_ms_max.max(ROUND_MS_MIN + 1));
        std::thread::sleep(Duration::from_millis(life));
        server.end(options.terminate)?;
        kills += 1;
        *server = Server::start(setup)?;
        if kills < rounds && random.random_range(0..EARLY_KILL_ONE_IN) == 0 {
            std::thread::sleep(Duration::from_millis(random.random_range(0..EARLY_KILL_MS_MAX)));
            server.end(options.terminate)?;
            kills += 1;
            early += 1;
            *server = Server::start(setup)?;
        }
        server.ready()?;
        let found = checker.at_least().with_context(|| format!("after kill {kills}"))?;
        writers.verdict()?;
        println!("kill {kills:4}: {} samples and {} lines acknowledged, all there, each once", found.samples, found.lines);
    }
    Ok((kills, early))
}

fn report(options: &Options, tally: &Tally, took: Duration) {
    let Tally { kills, early, stores, .. } = tally;
    let how = if options.terminate { "requests to stop" } else { "kills" };
    let (storage, seconds, seed) = (options.storage, took.as_secs(), options.seed);
    println!("{kills} {how} on {stores} stores ({storage:?}), {early} before the server was ready, in {seconds} s (seed {seed})");
    let kinds = [("remote-write requests", metrics::SERIES), ("Loki pushes", logs::LINES)];
    for ((name, rows), (acknowledged, unknown, refused)) in kinds.into_iter().zip(tally.requests) {
        println!(
            "{acknowledged} {name} of {rows} rows acknowledged, {unknown} sent again without an answer, {refused} after a refusal: all there, each once"
        );
    }
    let [answers, unanswered] = [&tally.answers, &tally.unanswered].map(|count| count.load(Ordering::SeqCst));
    println!("{answers} queries beside held, {unanswered} were cut off by a kill");
}

/// Bails with what does not hold.
fn breach<T>(what: impl std::fmt::Display) -> Result<T> {
    bail!("{what}")
}
