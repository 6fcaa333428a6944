//! Replicas of a closed day: what stands stands afterwards too, to the bit; what does not is gone, once; and nothing is held up by it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use compactor::{MERGED_LEVEL, Policy};
use manifest::Window;
use manifest::ring::RingChange;
use model::batch::{ExemplarRow, HistogramRow};
use model::replicas::{Replica, elect};
use model::{
    Clock, Exemplar, Histogram, Hour, LabelSet, Limits, MetricBatch, MetricKind, MetricMetadata, Resolution, STALE_NAN, Signal,
    TenantLimits, TimeRangeMs, TimestampMs, is_stale,
};
use segment::{Fetched, l0, metrics};

use crate::kinds::{Kind, copied, rolled};
use crate::switch::Crash;
use crate::world::{Damage, FOREVER, HOUR, World, hours, minutes, small_policy};

const DAY: Window = Window::Day(HOUR.0 / 24);

/// Replicas are merged two days after the end of a day.
pub fn merged() -> TenantLimits {
    TenantLimits::from(Limits { replicas_merged_after: Some(hours(48)), ..Limits::default() })
}

/// Lets the day be closed for good.
pub fn close(world: &World) {
    let closed = DAY.range().end.plus(hours(49));
    world.clock.advance(Duration::from_millis(u64::try_from(closed.0 - world.clock.now().0).unwrap()));
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn labels(name: &str, replica: &str) -> LabelSet {
    LabelSet::from_pairs([("__name__", name), ("job", "a"), ("replica", replica)])
}

/// An hour of what two replicas scraped, and of what only one did: offset, late scrapes, an outage, a restart, markers, exemplars.
pub async fn append(world: &mut World, hour: Hour, seed: u64) {
    let mut random = Random(seed);
    for replica in ["a", "b"] {
        let mut batch = MetricBatch::default();
        let offset = random.below(15_000);
        for (series, name) in ["float_total", "histogram", "only_a", "mixed"].into_iter().enumerate() {
            if name == "only_a" && replica == "b" {
                continue;
            }
            let (outage, len) = (random.below(3_600_000), random.below(900_000));
            batch.start_series_of(&labels(name, replica));
            let series = if replica == "b" && series == 3 { 2 } else { series as u32 };
            for scrape in (offset..3_600_000).step_by(15_000) {
                let at = scrape + random.below(800);
                if at >= 3_600_000 || outage <= at && at < outage + len {
                    continue;
                }
                let timestamp = hour.start().plus(Duration::from_millis(at));
                let value = if random.below(40) == 0 { STALE_NAN } else { (at / 1000 + offset) as f64 };
                if name == "histogram" || name == "mixed" && random.below(2) == 0 {
                    let histogram = Histogram { sum: value, count: at as f64, ..Histogram::default() };
                    batch.histograms.push(HistogramRow { series, timestamp, start_timestamp: TimestampMs(0), histogram });
                } else {
                    batch.push_sample(timestamp, value, TimestampMs(0));
                }
            }
            let trace = LabelSet::from_pairs([("trace_id", name)]);
            let timestamp = hour.start().plus(minutes(17));
            batch.exemplars.push(ExemplarRow { series, exemplar: Exemplar { labels: trace, value: 1.0, timestamp } });
        }
        let metric = "float_total".to_owned();
        batch.metadata.push(MetricMetadata { metric, kind: MetricKind::Counter, help: String::new(), unit: String::new() });
        world.append(Signal::Metrics, hour, l0::encode_metrics(&world.tenant, &batch).unwrap(), false).await;
    }
}

/// Samples by series and time; a marker's or a histogram's are written down.
type Samples = BTreeMap<LabelSet, BTreeMap<i64, (bool, String)>>;

async fn samples(world: &World) -> Samples {
    let mut found = Samples::new();
    for part in world.parts(Signal::Metrics).await {
        let bytes = world.bytes(&part).await;
        let report = segment::verify::verify(&bytes, None, Some(&world.tenant));
        assert!(report.is_sound(), "{:?}", report.problems);
        let index = metrics::Index::open(&bytes).unwrap();
        let all = index.all();
        let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(bytes)).unwrap();
        for (place, entry) in all.iter().enumerate() {
            let of = found.entry(entry.labels.clone()).or_default();
            let slices = columns.series(place);
            for (at, value) in slices.timestamps.iter().zip(slices.values) {
                assert!(of.insert(*at, (is_stale(*value), value.to_bits().to_string())).is_none(), "{} twice", entry.labels);
            }
            for sample in slices.histograms {
                let text = format!("{:?}", metrics::histogram_bytes(&sample.histogram));
                assert!(of.insert(sample.timestamp.0, (sample.histogram.is_stale(), text)).is_none(), "{} twice", entry.labels);
            }
        }
    }
    found
}

/// What stands of each group, by its labels without the replica's: time, whose, what.
fn standing(all: &Samples) -> BTreeMap<LabelSet, Vec<(i64, String, String)>> {
    let groups: BTreeSet<LabelSet> = all.keys().map(|labels| labels.without("replica")).collect();
    let of_group = |group: LabelSet| {
        let members: Vec<_> = all.iter().filter(|(labels, _)| labels.without("replica") == group).collect();
        let replica = |of: &BTreeMap<i64, (bool, String)>| Replica {
            times: of.keys().copied().collect(),
            stale: of.values().map(|(stale, _)| *stale).collect(),
        };
        let replicas: Vec<Replica> = members.iter().map(|(_, of)| replica(of)).collect();
        let stands = elect(&replicas).into_iter().flat_map(|piece| piece.rows.map(move |row| (piece.replica, row)));
        let stands = stands.map(|(of, row)| {
            let (labels, samples) = members[of];
            let at = replicas[of].times[row];
            (at, labels.get("replica").unwrap_or("").to_owned(), samples[&at].1.clone())
        });
        (group, stands.collect())
    };
    groups.into_iter().map(of_group).collect()
}

fn count(samples: &Samples) -> usize {
    samples.values().map(BTreeMap::len).sum()
}

async fn metadata(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in world.parts(Signal::Metrics).await {
        let index = metrics::Index::open(&world.bytes(&part).await).unwrap();
        found.extend(index.metadata().unwrap().into_iter().map(|of| of.metric));
    }
    found
}

/// A whole day of replicas, rolled and closed, as much as a seed says.
async fn day(seed: u64) -> World {
    let mut world = World::new();
    for hour in 0..24 {
        append(&mut world, Hour(DAY.range().start.hour().0 + hour), seed * 100 + hour as u64).await;
    }
    world.clock.advance(hours(32));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(hours(2));
    }
    close(&world);
    world.policy.limits = merged();
    world
}

#[tokio::test]
async fn what_stands_stays_and_the_rest_goes_once() {
    for seed in 0..3 {
        let world = day(seed).await;
        let (before, exemplars) = (samples(&world).await, world.exemplars().await);
        let report = world.run().await;
        let after = samples(&world).await;
        assert_eq!(standing(&after), standing(&before), "seed {seed}");
        let gone = count(&before) - count(&after);
        assert_eq!((report.replica_jobs, report.replica_samples), (1, gone as u64), "seed {seed}");
        assert!(gone * 10 > count(&before) * 3, "seed {seed}: {gone} of {}", count(&before));
        let only_a = labels("only_a", "a");
        assert_eq!(after[&only_a], before[&only_a], "who has no replica keeps everything");
        assert_eq!((world.exemplars().await, metadata(&world).await.len()), (exemplars, 1));
        assert_eq!(world.levels(Signal::Metrics).await, [MERGED_LEVEL]);
        // The mark: nobody looks at the samples a second time.
        world.clock.advance(hours(25));
        let report = world.run().await;
        assert_eq!((report.replica_jobs, samples(&world).await), (0, after));
    }
}

#[tokio::test]
async fn a_day_is_left_alone_until_it_is_closed_and_where_nobody_asks() {
    let mut world = day(0).await;
    let before = samples(&world).await;
    let asked = std::mem::take(&mut world.policy.limits);
    assert_eq!(world.run().await.replica_jobs, 0);
    world.policy.limits = TenantLimits::from(Limits { replicas_merged_after: Some(hours(72)), ..Limits::default() });
    let (compactor, _) = world.compactor(None);
    assert_eq!(compactor.run(FOREVER, &[]).await.unwrap().replica_jobs, 0);
    assert_eq!(samples(&world).await, before);
    // The process that looked too early comes back when it is time, though the day rests.
    world.clock.advance(hours(24) - minutes(1));
    assert_eq!(compactor.run(FOREVER, &[]).await.unwrap().replica_jobs, 0);
    world.clock.advance(minutes(2));
    assert_eq!(compactor.run(FOREVER, &[]).await.unwrap().replica_jobs, 1);
    // Raw data that has expired is not worth it.
    let mut expired = day(0).await;
    expired.policy = Policy { limits: asked, ..expired.policy };
    expired.clock.advance(hours(24 * 6));
    assert_eq!(expired.run().await.replica_jobs, 0);
}

#[tokio::test]
async fn passes_and_runs_of_slots_come_to_the_same() {
    let world = day(1).await;
    let mut cut = world.fork();
    world.run().await;
    cut.policy = Policy { input_bytes_max: 5_000, output_bytes: 1, ..cut.policy };
    cut.run().await;
    assert!(cut.parts(Signal::Metrics).await.len() > 3);
    assert_eq!((samples(&cut).await, cut.exemplars().await), (samples(&world).await, world.exemplars().await));
    // Replicas of one series lie in different groups of the ring.
    let mut world = World::new();
    world.manifest().change_ring(&world.tenant, RingChange::Grow(7)).await.unwrap().unwrap();
    world.clock.advance(hours(24));
    let next = Window::Day(HOUR.0 / 24 + 1).range().start.hour();
    for hour in 4..8 {
        append(&mut world, Hour(next.0 + hour), hour as u64).await;
    }
    world.clock.advance(hours(36));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(hours(2));
    }
    let before = samples(&world).await;
    world.policy.limits = merged();
    world.clock.advance(hours(60));
    assert_eq!(world.run().await.replica_jobs, 1);
    let after = samples(&world).await;
    assert!(count(&after) < count(&before) && standing(&after) == standing(&before));
    for part in world.parts(Signal::Metrics).await {
        assert_eq!(part.stats.slots.lo / 128, (part.stats.slots.hi - 1) / 128, "{:?}", part.stats.slots);
    }
}

/// Copies are made of what is left, once: those of all samples would say of the losers what nobody can find any more (D1).
#[tokio::test]
async fn copies_wait_for_the_merge() {
    let mut world = day(2).await;
    world.policy.retention.metrics = copied();
    let report = world.run().await;
    assert_eq!((report.replica_jobs, report.coarse_jobs, report.coarse_lag_ms), (1, 1, 0));
    let snapshot = world.manifest().snapshot_with_coarse(&world.tenant, Signal::Metrics, DAY.range()).await.unwrap();
    assert!([Resolution::FiveMinutes, Resolution::OneHour].into_iter().all(|of| snapshot.is_copied(HOUR.day(), of)));
    world.clock.advance(hours(25));
    let report = world.run().await;
    assert_eq!((report.replica_jobs, report.coarse_jobs), (0, 0));
    // Where raw data expires before its day is closed for good, nothing is merged that they could wait for.
    let mut world = day(2).await;
    world.policy.retention.metrics = copied();
    world.policy.limits = TenantLimits::from(Limits { replicas_merged_after: Some(hours(24 * 9)), ..Limits::default() });
    assert_eq!(world.run().await.coarse_jobs, 1);
}

/// A day is one job, which has to end within a run: what is too much for one is left as it is, and neither copies nor retention wait for it.
#[tokio::test]
async fn a_day_too_large_for_a_run_holds_nothing_up() {
    let mut world = day(2).await;
    world.policy.retention.metrics = copied();
    let before = samples(&world).await;
    world.policy.replica_rows_max = count(&before) as u64 - 1;
    let report = world.run().await;
    assert_eq!((report.replica_jobs, report.coarse_jobs, samples(&world).await), (0, 1, before.clone()));
    world.policy.replica_rows_max = count(&before) as u64;
    world.clock.advance(hours(25));
    let report = world.run().await;
    assert_eq!((report.replica_jobs, report.coarse_jobs), (1, 1));
    assert_eq!(standing(&samples(&world).await), standing(&before));
    // Nor where it could not be merged for days, whatever was in the way.
    let mut world = day(2).await;
    world.policy.retention.metrics = copied();
    world.clock.advance(hours(7 * 24 - 49 - 11));
    let report = world.run().await;
    assert_eq!((report.replica_jobs, report.coarse_jobs), (0, 1));
}

/// Another compactor would do the same work again.
#[tokio::test]
async fn a_job_of_several_passes_keeps_its_lease() {
    let mut world = day(1).await;
    world.policy = Policy { input_bytes_max: 5_000, output_bytes: 1, ..world.policy };
    world.put_takes = minutes(1);
    let until = world.clock.now().plus(minutes(6));
    assert!(world.compactor(None).0.run(until, &[]).await.unwrap().out_of_time);
    let other = 7;
    assert!(!world.manifest().lease(&world.tenant, Signal::Metrics, DAY, other, minutes(1)).await.unwrap());
    world.clock.advance(minutes(2));
    assert!(world.manifest().lease(&world.tenant, Signal::Metrics, DAY, other, minutes(1)).await.unwrap());
}

/// What comes late all the same, by an import, is decided with what is left.
#[tokio::test]
async fn a_day_that_gets_more_is_decided_again() {
    let mut world = day(0).await;
    world.run().await;
    append(&mut world, Hour(DAY.range().start.hour().0 + 12), 77).await;
    let all = samples(&world).await;
    let mut jobs = 0;
    for _ in 0..8 {
        world.clock.advance(hours(2));
        jobs += world.run().await.replica_jobs;
    }
    let after = samples(&world).await;
    assert!(jobs == 1 && count(&after) < count(&all) && standing(&after) == standing(&all), "{jobs} jobs");
    assert_eq!(world.levels(Signal::Metrics).await, [MERGED_LEVEL]);
}

#[tokio::test]
async fn nothing_is_decided_while_a_part_is_in_quarantine() {
    for damage in Damage::ALL {
        let mut world = World::new();
        world.policy = Policy { output_bytes: 1, ..small_policy() };
        append(&mut world, HOUR, 1).await;
        rolled(&mut world).await;
        world.policy.limits = merged();
        world.policy.retention.metrics = copied();
        close(&world);
        let parts = world.parts(Signal::Metrics).await.len();
        world.damage(&labels("float_total", "a").to_string(), damage).await;
        let report = world.run().await;
        assert_eq!((report.quarantined, report.replica_jobs, report.coarse_jobs), (1, 0, 1), "{damage:?}");
        assert_eq!(world.parts(Signal::Metrics).await.len(), parts - 1, "{damage:?}");
    }
}

#[tokio::test]
async fn a_job_whose_time_is_up_changes_nothing() {
    let mut world = day(0).await;
    let before = samples(&world).await;
    world.put_takes = minutes(10);
    let until = world.clock.now().plus(minutes(5));
    let report = world.compactor(None).0.run(until, &[]).await.unwrap();
    assert_eq!((report.replica_jobs, report.out_of_time), (0, true));
    assert_eq!(samples(&world).await, before);
}

#[tokio::test]
async fn of_two_compactors_one_merges() {
    let world = Kind::Replicas.world().await;
    let before = standing(&samples(&world).await);
    let (first, second) = (world.compactor(None).0, world.compactor(None).0);
    let (first, second) = tokio::join!(first.run(FOREVER, &[]), second.run(FOREVER, &[]));
    assert_eq!(first.unwrap().replica_jobs + second.unwrap().replica_jobs, 1);
    assert_eq!(standing(&samples(&world).await), before);
}

/// What one reads of one series is what it was, wherever the process stops.
#[tokio::test]
async fn what_stands_stands_after_a_crash_at_every_call() {
    let due = Kind::Replicas.world().await;
    let before = standing(&samples(&due).await);
    let world = due.fork();
    let (compactor, process) = world.compactor(None);
    compactor.run(FOREVER, &[]).await.unwrap();
    for (at, writes) in process.writes().into_iter().enumerate() {
        let crash = Crash { at: at as u64, takes_effect: writes };
        let world = due.fork();
        let _ = world.compactor(Some(crash)).0.run(FOREVER, &[]).await;
        assert_eq!(standing(&samples(&world).await), before, "after {crash:?}");
    }
}

/// Of a pair of which neither missed a scrape.
#[tokio::test]
async fn a_pair_takes_little_more_than_one() {
    let mut world = World::new();
    let mut random = Random(5);
    let first = DAY.range().start.hour();
    for (hour, replica) in (0..24).flat_map(|hour| ["a", "b"].map(|replica| (hour, replica))) {
        let (mut batch, hour) = (MetricBatch::default(), Hour(first.0 + hour));
        for series in 0..20u64 {
            batch.start_series_of(&labels(&format!("m{series}_total"), replica));
            for scrape in 0..240u64 {
                let at = scrape * 15_000 + if replica == "a" { 2_000 } else { 9_000 } + random.below(20);
                let seconds = hour.start().0 as u64 / 1000 % 86_400 + at / 1000;
                batch.push_sample(hour.start().plus(Duration::from_millis(at)), (seconds * (series + 1)) as f64, TimestampMs(0));
            }
        }
        world.append(Signal::Metrics, hour, l0::encode_metrics(&world.tenant, &batch).unwrap(), false).await;
    }
    world.clock.advance(hours(32));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(hours(2));
    }
    let bytes = async |world: &World| -> (u64, u64) {
        let parts = world.parts(Signal::Metrics).await;
        (parts.iter().map(|part| part.stats.rows).sum(), parts.iter().map(|part| part.location.len_bytes()).sum())
    };
    let before = bytes(&world).await;
    world.policy.limits = merged();
    close(&world);
    world.run().await;
    let after = bytes(&world).await;
    println!("rows and bytes of a pair's day: {before:?}, merged: {after:?}");
    // One of two replicas in twenty hours of twenty-four.
    assert_eq!((before.0, after.0), (20 * 2 * 5_760, 20 * 5_760 * 28 / 24));
    assert!(after.1 * 10 < before.1 * 7, "{} of {} bytes", after.1, before.1);
    let range = TimeRangeMs::new(TimestampMs(0), Hour(600_000).start());
    assert!(world.manifest().snapshot(&world.tenant, Signal::Metrics, range).await.unwrap().parts.len() == 1);
}
