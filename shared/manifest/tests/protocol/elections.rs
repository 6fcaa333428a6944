//! Elections among replicas: what they cost, what lost answers do, and a seeded schedule of replicas, processes, outages and skew.

use manifest::election::{Candidate, Denied, Elections, Mandate, Outcome};
use model::limits::ElectionLimits;
use model::{Clock, Nonces, TenantId, TimestampMs};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use testkit::faulty_records::Chances;
use testkit::{Fault, FaultyRecords, SimulatedClock};

const START: TimestampMs = TimestampMs(1_767_225_600_000);

struct World {
    clock: SimulatedClock,
    records: FaultyRecords,
    limits: ElectionLimits,
}

impl World {
    fn new(seed: u64) -> World {
        let clock = SimulatedClock::at(START);
        let records = FaultyRecords::new(store::records::memory(), clock.clone(), seed);
        World { clock, records, limits: ElectionLimits { enabled: true, ..ElectionLimits::default() } }
    }

    fn process(&self, seed: u128, skew_ms: i64) -> Elections {
        Elections::new(Arc::new(self.records.clone()), Arc::new(self.clock.skewed(skew_ms)), &Nonces::seeded(seed))
    }

    /// A request with one sample of now; what is taken is stored at once.
    async fn send(&self, process: &Elections, cluster: &str, replica: &str) -> &'static str {
        let tenant = TenantId::anonymous();
        let now = self.clock.now();
        let candidate = Candidate { tenant: &tenant, cluster, replica, oldest: now, newest: now };
        match process.decide(&candidate, &self.limits).await {
            Ok(Outcome::Taken { mandate, .. }) => match process.stored(mandate.expect("of the one elected")).await {
                Ok(()) => "taken",
                Err(_) => "unconfirmed",
            },
            Ok(Outcome::Covered { .. }) => "covered",
            Ok(Outcome::Denied(Denied::TooManyClusters { .. })) => "too many",
            Ok(Outcome::Denied(Denied::ClusterTooLong { .. })) => "too long",
            Err(manifest::Error::Undecided { .. }) => "undecided",
            Err(_) => "failed",
        }
    }

    async fn send_for(&self, seconds: u64, process: &Elections, replicas: &[&str]) -> Vec<&'static str> {
        let mut outcomes = Vec::new();
        for _ in 0..seconds {
            for replica in replicas {
                outcomes.push(self.send(process, "c", replica).await);
            }
            self.clock.advance(Duration::from_secs(1));
        }
        outcomes
    }
}

#[tokio::test]
async fn a_warm_process_asks_once_in_an_update_timeout() {
    let mut world = World::new(1);
    world.limits.update_jitter = Duration::ZERO;
    let (one, other) = (world.process(1, 0), world.process(2, 0));
    assert_eq!(world.send(&one, "c", "a").await, "taken");
    assert_eq!(world.records.calls(), 4, "read, count, found, confirm");
    world.send_for(15, &one, &["a", "b"]).await;
    assert_eq!(world.records.calls(), 4);
    let outcomes = world.send_for(150, &one, &["a", "b"]).await;
    assert!(outcomes.chunks(2).all(|pair| pair == ["taken", "covered"]), "{outcomes:?}");
    assert_eq!(world.records.calls(), 4 + 10 * 2, "every 15 s: read, confirm");
    world.send(&one, "c", "a").await;
    let before = world.records.calls();
    assert_eq!(world.send(&other, "c", "b").await, "covered");
    assert_eq!(world.records.calls(), before + 1, "another process reads");
    let outcomes = world.send_for(10, &other, &["b"]).await;
    assert!(outcomes.iter().all(|outcome| *outcome == "covered"));
    assert_eq!(world.records.calls(), before + 1);
}

#[tokio::test]
async fn another_takes_over_after_the_failover_timeout_in_every_process() {
    let world = World::new(2);
    let (one, other) = (world.process(1, 0), world.process(2, 0));
    world.send_for(20, &one, &["a", "b"]).await;
    world.send_for(10, &other, &["b"]).await;
    let outcomes = world.send_for(40, &other, &["b"]).await;
    let taken = outcomes.iter().position(|outcome| *outcome == "taken").unwrap();
    assert!((0..=20).contains(&taken), "{taken}");
    assert!(outcomes[taken..].iter().all(|outcome| *outcome == "taken"));
    assert_eq!(world.send(&one, "c", "a").await, "covered", "what this process knew is old");
}

#[tokio::test]
async fn answers_that_are_lost_elect_nobody_twice() {
    let world = World::new(3);
    let (one, other) = (world.process(1, 0), world.process(2, 0));
    world.records.script([Fault::None, Fault::None, Fault::After]);
    assert_eq!(world.send(&one, "c", "a").await, "failed", "the claim is written, and nobody knows");
    assert_eq!(world.send(&other, "c", "b").await, "undecided", "not covered by who stored nothing");
    assert_eq!(world.send(&one, "c", "a").await, "taken");
    assert_eq!(world.send(&other, "c", "b").await, "covered");
    world.clock.advance(Duration::from_secs(16));
    world.records.script([Fault::None, Fault::After]);
    assert_eq!(world.send(&one, "c", "a").await, "taken", "it is stored, whether or not that could be noted");
    world.clock.advance(Duration::from_secs(16));
    assert_eq!(world.send(&other, "c", "b").await, "covered", "it was noted");
    world.records.script([Fault::Before]);
    world.clock.advance(Duration::from_secs(16));
    assert_eq!(world.send(&other, "c", "b").await, "failed", "what cannot be read covers nothing");
}

#[tokio::test]
async fn what_opens_a_term_is_acknowledged_with_its_confirmation() {
    let world = World::new(7);
    let (one, other) = (world.process(1, 0), world.process(2, 0));
    world.records.script([Fault::None, Fault::None, Fault::None, Fault::Before]);
    assert_eq!(world.send(&one, "c", "a").await, "unconfirmed", "it is stored, and nothing says that the term begins with it");
    assert_eq!(world.send(&other, "c", "b").await, "undecided");
    assert_eq!(world.send(&one, "c", "a").await, "taken", "sent again");
    assert_eq!(world.send(&other, "c", "b").await, "covered");
}

/// Its claim is on record, what it claimed with is lost, and it restarts without it.
#[tokio::test]
async fn a_term_begins_with_what_is_stored_of_it() {
    let mut world = World::new(8);
    world.limits.update_jitter = Duration::ZERO;
    let (one, other) = (world.process(1, 0), world.process(2, 0));
    let (tenant, lost) = (TenantId::anonymous(), world.clock.now());
    let candidate = Candidate { tenant: &tenant, cluster: "c", replica: "a", oldest: lost, newest: lost };
    assert!(matches!(one.decide(&candidate, &world.limits).await, Ok(Outcome::Taken { .. })));
    world.clock.advance(Duration::from_secs(1));
    for process in [&one, &other] {
        assert_eq!(world.send(process, "c", "a").await, "undecided", "it may not have what it claimed with");
    }
    world.clock.advance(Duration::from_secs(14));
    assert_eq!(world.send(&other, "c", "a").await, "taken", "the claim lapsed");
    let kept = Candidate { tenant: &tenant, cluster: "c", replica: "b", oldest: lost, newest: world.clock.now() };
    let Ok(Outcome::Taken { share, mandate: None }) = other.decide(&kept, &world.limits).await else { panic!("covered") };
    assert!(share.has(lost) && !share.has(world.clock.now()), "what nobody else has");
}

#[tokio::test]
async fn a_clock_that_is_wrong_keeps_no_dead_replica_elected() {
    let world = World::new(4);
    let (wrong, right) = (world.process(1, 3_600_000), world.process(2, 0));
    assert_eq!(world.send(&wrong, "c", "a").await, "taken");
    let outcomes = world.send_for(60, &right, &["b"]).await;
    let taken = outcomes.iter().position(|outcome| *outcome == "taken").unwrap();
    assert_eq!(taken, 30, "the record stood still for 30 s of this clock");
}

/// A clock that is set by hand.
#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_dead_replica_elected() {
    let world = World::new(6);
    let hand = Arc::new(Hand(AtomicI64::new(START.0)));
    let process = Elections::new(Arc::new(world.records.clone()), hand.clone(), &Nonces::seeded(1));
    assert_eq!(world.send(&process, "c", "a").await, "taken");
    let mut outcomes = Vec::new();
    for second in 0..60 {
        hand.0.store(START.0 - 3_600_000 + second * 1000, Ordering::Relaxed);
        world.clock.advance(Duration::from_secs(1));
        outcomes.push(world.send(&process, "c", "b").await);
    }
    let taken = outcomes.iter().position(|outcome| *outcome == "taken");
    assert_eq!(taken, Some(30), "as long as another replica waits anyway: {outcomes:?}");
}

#[tokio::test]
async fn clusters_are_bounded_and_silent_ones_do_not_count() {
    let mut world = World::new(5);
    world.limits.clusters_max = Some(2);
    let process = world.process(1, 0);
    let clusters = ["a", "b", "c", "a"];
    for (cluster, outcome) in clusters.iter().zip(["taken", "taken", "too many", "taken"]) {
        assert_eq!(world.send(&process, cluster, "r").await, outcome, "{cluster}");
    }
    let calls = world.records.calls();
    assert_eq!(world.send(&process, "c", "r").await, "too many");
    assert_eq!(world.records.calls(), calls, "a refusal is remembered");
    assert_eq!(world.send(&process, "d", "r").await, "too many");
    assert_eq!(world.records.calls(), calls + 1, "read, and not counted again");
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.send(&process, "c", "r").await, "taken");
    assert_eq!(world.send(&process, &"x".repeat(513), "r").await, "too long");
}

/// A Prometheus with a queue of samples, one every five seconds.
struct Replica {
    name: &'static str,
    offset_ms: i64,
    queue: VecDeque<i64>,
    /// Until when it does not run, and loses what it had.
    down_until: i64,
    /// Until when it does not reach anybody, and keeps what it has.
    cut_until: i64,
}

#[derive(Default)]
struct Ledger {
    /// Stored samples and of whom; the first to store one has it.
    stored: BTreeMap<i64, &'static str>,
    /// When something of a replica was stored last.
    heard: BTreeMap<String, i64>,
    acknowledged: Vec<(i64, &'static str)>,
}

/// Spread of clocks, milliseconds: what they may differ by is failover less update timeout and jitter.
const SKEW_MS: i64 = 4_000;
const SCRAPE_MS: i64 = 5_000;

/// One request: the oldest samples of the queue. Returns how many are acknowledged.
async fn push(
    world: &World,
    process: &Elections,
    name: &'static str,
    samples: Vec<i64>,
    fate: u32,
    ledger: &RefCell<Ledger>,
) -> usize {
    let tenant = TenantId::anonymous();
    let (oldest, newest) = (TimestampMs(samples[0]), TimestampMs(samples[samples.len() - 1]));
    let candidate = Candidate { tenant: &tenant, cluster: "c", replica: name, oldest, newest };
    match process.decide(&candidate, &world.limits).await {
        Ok(Outcome::Taken { share, mandate }) => {
            let kept: Vec<i64> = samples.iter().copied().filter(|at| share.has(TimestampMs(*at))).collect();
            let durable = store_some(world, name, &kept, mandate, process, fate, ledger).await;
            if durable && fate != 1 { acknowledge(name, &samples, ledger) } else { 0 }
        }
        Ok(Outcome::Covered { elected }) => {
            let heard = ledger.borrow().heard.get(&elected).copied().unwrap_or(i64::MIN);
            let silent = world.clock.now().0 - heard;
            let most = world.limits.failover.as_millis() as i64 + 2 * SKEW_MS;
            let is_there = ledger.borrow().stored.keys().next_back().is_some_and(|last| newest.0 <= *last);
            assert!(silent <= most || is_there, "covered by one who is silent for {silent} ms");
            acknowledge(name, &samples, ledger)
        }
        Ok(Outcome::Denied(denied)) => panic!("{denied}"),
        Err(_) => 0,
    }
}

fn acknowledge(name: &'static str, samples: &[i64], ledger: &RefCell<Ledger>) -> usize {
    ledger.borrow_mut().acknowledged.extend(samples.iter().map(|at| (*at, name)));
    samples.len()
}

/// Stores what is taken, unless the store fails (fate 0); the answer may be lost (fate 1).
async fn store_some(
    world: &World,
    name: &'static str,
    kept: &[i64],
    mandate: Option<Mandate>,
    process: &Elections,
    fate: u32,
    ledger: &RefCell<Ledger>,
) -> bool {
    for _ in 0..fate % 5 {
        tokio::task::yield_now().await;
    }
    if fate == 0 {
        return false;
    }
    for at in kept {
        ledger.borrow_mut().stored.entry(*at).or_insert(name);
    }
    if let Some(mandate) = mandate.filter(|_| !kept.is_empty()) {
        ledger.borrow_mut().heard.insert(name.to_owned(), world.clock.now().0);
        return process.stored(mandate).await.is_ok();
    }
    true
}

/// Ten minutes of trouble, then two of quiet.
async fn schedule(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new(seed);
    let skews = [random.random_range(0..=SKEW_MS), -random.random_range(0..=SKEW_MS)];
    let processes = [world.process(1, skews[0]), world.process(2, skews[1])];
    let replica = |name, offset_ms| Replica { name, offset_ms, queue: VecDeque::new(), down_until: 0, cut_until: 0 };
    let mut replicas = [replica("a", 0), replica("b", random.random_range(1..SCRAPE_MS / 1000) * 1000)];
    let ledger = RefCell::new(Ledger::default());
    // Both lose what they have only where that can be told from a mistake: not within the longest gap.
    let mut lost_until = 0;
    for second in 0..720 {
        let (now, troubled) = (world.clock.now().0, second < 600);
        let chances = Chances { before: 20, after: 20, crash: 10, ..Chances::default() };
        world.records.set_chances(if troubled { chances } else { Chances::default() });
        for replica in &mut replicas {
            if troubled && random.random_range(0..200) == 0 && now >= lost_until {
                replica.down_until = now + random.random_range(1..120) * 1000;
                lost_until = replica.down_until + 150_000;
                replica.queue.clear();
            }
            if troubled && random.random_range(0..150) == 0 {
                replica.cut_until = now + random.random_range(1..90) * 1000;
            }
            if now >= replica.down_until && (now - replica.offset_ms) % SCRAPE_MS == 0 {
                replica.queue.push_back(now);
            }
        }
        let sent: Vec<usize> = {
            let (ledger, world, processes) = (&ledger, &world, &processes);
            let requests = replicas.iter().map(|replica| {
                let ready = now >= replica.down_until.max(replica.cut_until) && !replica.queue.is_empty();
                let samples: Vec<i64> = replica.queue.iter().copied().take(10).collect();
                let fate = if troubled { random.random_range(0..40) } else { 39 };
                let process = &processes[random.random_range(0..2)];
                async move { if ready { push(world, process, replica.name, samples, fate, ledger).await } else { 0 } }
            });
            futures::future::join_all(requests).await
        };
        for (replica, sent) in replicas.iter_mut().zip(sent) {
            replica.queue.drain(..sent);
        }
        world.clock.advance(Duration::from_secs(1));
    }
    check(&world, seed, &ledger.into_inner());
}

fn check(world: &World, seed: u64, ledger: &Ledger) {
    let gap_max = world.limits.lag_max().as_millis() as i64 + 2 * SKEW_MS + SCRAPE_MS;
    for (at, name) in &ledger.acknowledged {
        let near = ledger.stored.range(at - gap_max..=*at).next_back();
        assert!(near.is_some(), "seed {seed}: {name} was told that its sample of {} is there", at - START.0);
    }
    let stored: Vec<(i64, &str)> = ledger.stored.iter().map(|(at, name)| (*at, *name)).collect();
    let switches: Vec<i64> = stored.windows(2).filter(|pair| pair[0].1 != pair[1].1).map(|pair| pair[1].0).collect();
    // Where one takes over from another, what was stored since the record was written last, which may fail, may lie between what the other
    // kept. Two that are elected at a time would go on: two switches for every scrape.
    let most = 2 * 120_000 / SCRAPE_MS as usize * 5 / 6;
    let soon = |from: &i64| switches.iter().filter(|at| (*from..from + 120_000).contains(*at)).count();
    let worst = switches.iter().map(soon).max().unwrap_or(0);
    assert!(worst <= most, "seed {seed}: {worst} switches within two minutes");
    let last = *ledger.stored.keys().next_back().unwrap();
    assert!(world.clock.now().0 - last <= 2 * SCRAPE_MS, "seed {seed}: the last sample is {} ms old", world.clock.now().0 - last);
}

/// `LAMELLA_TEST_SEEDS` says how many, `LAMELLA_TEST_SEED_FIRST` from which on.
#[tokio::test]
async fn nothing_is_dropped_of_both() {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first: u64 = number("LAMELLA_TEST_SEED_FIRST", 0);
    for seed in first..first + number("LAMELLA_TEST_SEEDS", 100) {
        schedule(seed).await;
    }
}
