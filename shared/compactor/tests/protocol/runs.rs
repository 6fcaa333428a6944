//! Runs over tenants: what a run without work costs, who is served first, hints.

use compactor::{Hint, Policy};
use manifest::ring::RingChange;
use manifest::{DeletionRequest, Location, Window};
use model::batch::ExemplarRow;
use model::{Clock, Exemplar, Hour, LabelSet, Matcher, MetricBatch, Signal, TenantId};
use segment::l0;
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::kinds::{Kind, rolled};
use crate::switch::Calls;
use crate::world::{FOREVER, HOUR, World, default_policy, hours, minutes, small_policy};

#[tokio::test]
async fn late_data_of_any_age_ends_in_few_parts() {
    let mut world = World::new();
    world.policy = default_policy();
    for hour in 0..6 {
        world.fill(Hour(HOUR.0 + hour), 3).await;
        world.clock.advance(minutes(60));
        world.run().await;
    }
    world.fill(HOUR, 2).await;
    world.clock.advance(hours(30));
    world.fill(Hour(HOUR.0 + 2), 1).await;
    let expected = world.visible().await;
    for _ in 0..40 {
        world.clock.advance(minutes(30));
        world.run().await;
        assert_eq!(world.visible().await, expected);
    }
    assert_eq!(world.levels(Signal::Metrics).await, [3]);
    assert_eq!(world.levels(Signal::Logs).await, [3]);
    world.fill(Hour(HOUR.0 + 1), 1).await;
    let expected = world.visible().await;
    for _ in 0..20 {
        world.clock.advance(minutes(30));
        world.run().await;
        assert_eq!(world.visible().await, expected);
    }
    // What comes late is not worth rewriting the whole day: it stays beside it until there is as much of it.
    assert_eq!(world.levels(Signal::Metrics).await, [3, 3]);
}

#[tokio::test]
async fn time_is_up_for_one_tenant_after_the_other() {
    let mut world = World::new();
    world.policy = Policy { inputs_max: 4, ..small_policy() };
    let mut tenants = Vec::new();
    for name in ["a", "b", "c"] {
        world.tenant = TenantId::parse(name).unwrap();
        tenants.push(world.tenant.clone());
        world.fill(HOUR, 12).await;
    }
    // Every job takes as long as a run may begin jobs: one job a run.
    world.put_takes = minutes(2);
    let mut progress = Vec::new();
    for _ in 0..6 {
        let (compactor, _) = world.compactor(None);
        let until = world.clock.now().plus(minutes(3));
        let report = compactor.run(until, &[]).await.unwrap();
        assert_eq!((report.jobs, report.out_of_time), (1, true));
        let mut jobs = Vec::new();
        for tenant in &tenants {
            world.tenant = tenant.clone();
            let parts = [world.levels(Signal::Metrics).await, world.levels(Signal::Logs).await].concat();
            jobs.push(parts.into_iter().filter(|level| *level == 1).count());
        }
        progress.push(jobs);
    }
    // The first job of each tenant and signal comes before anybody's second.
    assert_eq!(progress.last().unwrap(), &[2, 2, 2], "{progress:?}");
}

#[tokio::test]
async fn a_job_whose_time_is_up_leaves_nothing_but_garbage() {
    let mut world = World::new();
    // As many outputs as series.
    world.policy.output_bytes = 1;
    world.fill(HOUR, 4).await;
    let (expected, objects) = (world.visible().await, world.objects_stored().await);
    world.put_takes = minutes(2);
    let until = world.clock.now().plus(minutes(2));
    let report = world.compactor(None).0.run(until, &[]).await.unwrap();
    assert_eq!((report.jobs, report.failed, report.out_of_time), (0, 0, true));
    assert_eq!(world.objects_stored().await, objects + 1, "one output was put");
    assert_eq!((world.visible().await, world.levels(Signal::Metrics).await), (expected.clone(), vec![0; 4]));
    // Another process takes over once the lease has ended.
    world.put_takes = minutes(0);
    world.clock.advance(minutes(1));
    assert_eq!(world.run().await.jobs, 2);
    assert_eq!(world.visible().await, expected);
    assert!(world.levels(Signal::Metrics).await.iter().all(|level| *level == 1));
}

#[tokio::test]
async fn an_hour_that_fills_does_not_wait_for_a_backlog() {
    let mut world = World::new();
    world.policy = Policy { inputs_max: 4, ..small_policy() };
    world.fill(HOUR, 40).await;
    world.clock.advance(hours(2));
    let now = Hour(HOUR.0 + 2);
    world.fill(now, 4).await;
    // Ten jobs of a signal wait in the old hour, each as long as the open hour needs to fill again.
    world.put_takes = minutes(1);
    let until = world.clock.now().plus(minutes(8));
    let report = world.compactor(None).0.run(until, &[]).await.unwrap();
    assert!(report.out_of_time);
    let open = |parts: &[manifest::Part]| parts.iter().filter(|part| part.window == Window::Hour(now) && part.level == 0).count();
    assert_eq!(open(&world.parts(Signal::Metrics).await), 0);
    world.fill(now, 4).await;
    let until = world.clock.now().plus(minutes(5));
    world.compactor(None).0.run(until, &[]).await.unwrap();
    assert_eq!(open(&world.parts(Signal::Metrics).await), 0);
}

/// The look after the last merge of a turn sees nothing of what comes in; the one before it did.
#[tokio::test]
async fn an_hour_that_fills_is_looked_at_as_often_whatever_was_merged() {
    let mut world = World::new();
    world.policy = Policy { l0_files: 8, l1_files: 3, l2_every: minutes(1), ..default_policy() };
    let (compactor, _) = world.compactor(None);
    let mut next = world.clock.now();
    let mut jobs = Vec::new();
    for _ in 0..90 {
        world.fill(HOUR, 4).await;
        world.clock.advance(minutes(1) / 60);
        if world.clock.now() < next {
            continue;
        }
        let report = compactor.run(FOREVER, &[]).await.unwrap();
        jobs.push(report.jobs);
        next = report.next.unwrap();
        assert!(
            jobs.len() == 1 || next <= world.clock.now().plus(minutes(1) / 20),
            "{jobs:?}: {:?}",
            world.levels(Signal::Metrics).await
        );
    }
    assert!(jobs.iter().any(|jobs| *jobs > 2), "L1 of both signals were merged beside L0: {jobs:?}");
}

#[tokio::test]
async fn a_closed_hour_that_is_written_to_is_merged_within_a_minute() {
    let mut world = World::new();
    world.policy = Policy::default();
    world.fill(HOUR, 3).await;
    world.clock.advance(hours(5));
    let (compactor, _) = world.compactor(None);
    let mut next = compactor.run(FOREVER, &[]).await.unwrap().next.unwrap();
    assert_eq!(world.levels(Signal::Metrics).await, [2]);
    // It comes for two minutes, after the hour was found at rest.
    for _ in 0..120 {
        world.fill(HOUR, 2).await;
        world.clock.advance(minutes(1) / 60);
        if world.clock.now() >= next {
            next = compactor.run(FOREVER, &[]).await.unwrap().next.unwrap();
        }
    }
    world.clock.advance(minutes(1));
    compactor.run(FOREVER, &[]).await.unwrap();
    assert!(world.levels(Signal::Metrics).await.len() < 40, "{:?}", world.levels(Signal::Metrics).await);
}

#[tokio::test]
async fn what_rests_costs_nothing() {
    let mut world = World::new();
    for hour in 0..3 {
        world.fill(Hour(HOUR.0 + hour), 3).await;
        world.clock.advance(minutes(60));
    }
    let (compactor, process) = world.compactor(None);
    for _ in 0..60 {
        world.clock.advance(hours(1));
        compactor.run(FOREVER, &[]).await.unwrap();
    }
    let days = world.manifest().days(&world.tenant, Signal::Metrics).await.unwrap();
    assert!(days[0].hours.is_empty(), "the hours are cleared");
    let before = process.calls();
    world.clock.advance(minutes(10));
    compactor.run(FOREVER, &[]).await.unwrap();
    // The registry, the cursor, and per signal the catalog's days and its deletions.
    let after = process.calls();
    assert_eq!(after, Calls { records: before.records + 6, ..before });
    // Nothing at all a minute later, but for the registry and the cursor.
    world.clock.advance(minutes(1));
    compactor.run(FOREVER, &[]).await.unwrap();
    assert_eq!(process.calls(), Calls { records: after.records + 2, ..after });
}

/// Runs every two hours.
async fn run_for_hours(world: &World, count: u64) {
    for _ in 0..count / 2 {
        world.clock.advance(hours(2));
        world.run().await;
    }
}

async fn live(world: &World) -> usize {
    world.parts(Signal::Metrics).await.len() + world.parts(Signal::Logs).await.len()
}

async fn deletions(world: &World) -> usize {
    world.manifest().deletions(&world.tenant, Signal::Logs).await.unwrap().len()
}

/// A day is looked into because of its hours: the last one stays until what the roll killed is deleted (seed 700791 of the simulation
/// led here).
#[tokio::test]
async fn a_day_rests_once_its_garbage_is_deleted() {
    let mut world = Kind::Roll.world().await;
    world.run().await;
    world.deletes_fail = true;
    run_for_hours(&world, 4).await;
    assert_eq!((live(&world).await, world.objects_stored().await), (2, 6), "the parts of two hours are dead and there");
    world.deletes_fail = false;
    run_for_hours(&world, 4).await;
    assert_eq!((live(&world).await, world.objects_stored().await), (2, 2));
    for signal in [Signal::Metrics, Signal::Logs] {
        let days = world.manifest().days(&world.tenant, signal).await.unwrap();
        assert!(days[0].hours.is_empty(), "the hours of {signal} are cleared");
    }
}

/// What a deletion kills in a day at rest, nobody looks for but whoever brings the deletion to its end.
#[tokio::test]
async fn a_deletion_stays_until_its_garbage_is_deleted() {
    let mut world = World::new();
    rolled(&mut world).await;
    let (range, matchers) = (Window::Hour(HOUR).range(), vec![Matcher::equal("app", "1")]);
    let request = DeletionRequest { range, matchers, filter: None };
    world.manifest().request_deletion(&world.tenant, Signal::Logs, request).await.unwrap();
    world.run().await;
    world.deletes_fail = true;
    run_for_hours(&world, 4).await;
    assert_eq!((live(&world).await, world.objects_stored().await, deletions(&world).await), (2, 3, 1));
    world.deletes_fail = false;
    run_for_hours(&world, 4).await;
    assert_eq!((live(&world).await, world.objects_stored().await, deletions(&world).await), (2, 2, 0));
}

#[tokio::test]
async fn corrupt_and_missing_inputs_are_quarantined_and_the_rest_goes_on() {
    let mut world = World::new();
    world.fill(HOUR, 4).await;
    let parts = world.parts(Signal::Metrics).await;
    let keys: Vec<String> = parts
        .iter()
        .filter_map(|part| match &part.location {
            Location::Object { key, .. } => Some(key.clone()),
            Location::Inline(_) => None,
        })
        .collect();
    let objects = world.objects();
    let path = ObjectPath::from(keys[0].as_str());
    let mut bytes = objects.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    objects.put(&path, bytes.into()).await.unwrap();
    objects.delete(&ObjectPath::from(keys[1].as_str())).await.unwrap();
    let report = world.run().await;
    assert_eq!((report.quarantined, report.jobs), (2, 2));
    let quarantined = world.manifest().quarantined(&world.tenant, Signal::Metrics).await.unwrap();
    let mut named: Vec<&str> = quarantined.iter().map(|part| part.key.as_str()).collect();
    named.sort_unstable();
    let mut expected: Vec<&str> = keys.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert_eq!(world.levels(Signal::Metrics).await, [1]);
    let visible = world.visible().await;
    let of_metrics = visible.iter().filter(|(labels, _)| labels.contains("i="));
    assert_eq!(of_metrics.map(|(_, rows)| rows.len()).sum::<usize>(), 2 * 5);
}

#[tokio::test]
async fn a_ring_of_two_groups_cuts_outputs_and_keeps_rows() {
    let mut world = World::new();
    world.manifest().change_ring(&world.tenant, RingChange::Grow(1)).await.unwrap().unwrap();
    world.clock.advance(hours(3));
    let hour = Hour(HOUR.0 + 3);
    world.fill(hour, 6).await;
    let expected = world.visible().await;
    world.clock.advance(hours(2));
    world.run().await;
    assert_eq!(world.visible().await, expected);
    for part in world.parts(Signal::Metrics).await {
        assert!(part.stats.slots.hi <= 512 || part.stats.slots.lo >= 512, "{:?}", part.stats.slots);
        assert_eq!((part.level, part.stats.epoch), (2, 1));
    }
}

#[tokio::test]
async fn exemplars_without_samples_are_kept_in_every_group() {
    let mut world = World::new();
    // As many outputs as series.
    world.policy.output_bytes = 1;
    world.manifest().change_ring(&world.tenant, RingChange::Grow(7)).await.unwrap().unwrap();
    world.clock.advance(hours(3));
    let hour = Hour(HOUR.0 + 3);
    for file in 0..2 {
        let mut batch = MetricBatch::default();
        for series in 0..20 {
            batch.start_series_of(&LabelSet::from_pairs([("__name__", &*format!("m{series}"))]));
            let timestamp = hour.start().plus(minutes(file));
            let exemplar = Exemplar { labels: LabelSet::from_pairs([("trace_id", "t")]), value: 1.0, timestamp };
            batch.exemplars.push(ExemplarRow { series, exemplar });
        }
        let encoded = l0::encode_metrics(&world.tenant, &batch).unwrap();
        world.append(Signal::Metrics, hour, encoded, false).await;
    }
    assert_eq!(world.exemplars().await, 40);
    world.clock.advance(hours(2));
    world.run().await;
    assert_eq!(world.exemplars().await, 40);
    for part in world.parts(Signal::Metrics).await {
        assert_eq!((part.level, part.stats.slots.lo / 128), (2, (part.stats.slots.hi - 1) / 128), "{:?}", part.stats.slots);
        assert!(part.stats.series > 0, "a part holds nothing");
    }
}

#[tokio::test]
async fn a_hint_comes_first() {
    let mut world = World::new();
    world.fill(HOUR, 4).await;
    let (compactor, _) = world.compactor(None);
    let hint = Hint { tenant: world.tenant.clone(), signal: Signal::Logs, window: Window::Hour(HOUR) };
    assert_eq!(compactor.run(FOREVER, &[]).await.unwrap().jobs, 2);
    world.fill(HOUR, 4).await;
    // It was looked at a moment ago: only the hint makes it look again.
    assert_eq!(compactor.run(FOREVER, &[]).await.unwrap().jobs, 0);
    assert_eq!(compactor.run(FOREVER, &[hint]).await.unwrap().jobs, 1);
    assert_eq!(world.levels(Signal::Logs).await, [1, 1]);
}

/// An hour that has a job at each look is collected all the same: what was replaced 40 minutes ago is forgotten.
#[tokio::test]
async fn an_hour_that_fills_is_collected() {
    let mut world = World::new();
    let (compactor, _) = world.compactor(None);
    // Of clocks that are ahead, so that it is open for longer.
    let (hour, looks, files) = (Hour(HOUR.0 + 1), 100, 4);
    for _ in 0..looks {
        world.fill(hour, files).await;
        world.clock.advance(minutes(1));
        assert!(compactor.run(FOREVER, &[]).await.unwrap().jobs > 0);
    }
    for signal in [Signal::Metrics, Signal::Logs] {
        let records = world.manifest().window_records(&world.tenant, signal, Window::Hour(hour)).await.unwrap();
        let remembered = records.heads[0].replaced.len() as u64;
        assert!(0 < remembered && remembered < looks * files, "{remembered} ids of {signal}");
    }
}
