//! Coarse copies: what they hold, when they are old, that raw data waits for them (D1, D2), and what becomes of corrupt inputs (S2).

use compactor::Policy;
use manifest::{DeletionRequest, Window};
use model::windowed;
use model::{Clock, Matcher, Resolution, Signal, TimeRangeMs, TimestampMs};

use crate::kinds::{Kind, copied, rolled};
use crate::switch::Crash;
use crate::world::{Copies, Damage, FOREVER, HOUR, World, hours, minutes, small_policy};

/// The windows of what is visible, as [`World::copies`] writes them down.
async fn expected(world: &World, labels: &str, width_ms: i64) -> Vec<String> {
    let rows = &world.visible().await[labels];
    let timestamps: Vec<i64> = rows.iter().map(|(at, _)| *at).collect();
    let values: Vec<f64> = rows.iter().map(|(_, value)| value.parse().unwrap()).collect();
    let line = |of: &windowed::Window| {
        format!("{} {} {} {} {} {} {}", of.end, of.count, of.first, of.last, of.total(), of.lost, of.resets)
    };
    windowed::windows(width_ms, &timestamps, &values).iter().map(line).collect()
}

async fn check_copies(world: &World) {
    let copies = world.copies().await;
    for labels in [r#"{__name__="dense_total", i="a"}"#, r#"{__name__="dense_total", i="b"}"#] {
        assert_eq!(copies[&format!("5m {labels}")], expected(world, labels, 300_000).await);
        assert_eq!(copies[&format!("1h {labels}")], expected(world, labels, 3_600_000).await);
    }
    let sparse = copies.iter().find(|(series, _)| series.starts_with("5m {__name__=\"m\"")).unwrap().1;
    assert!(!sparse.is_empty() && sparse[0].starts_with('('), "few samples stay samples: {sparse:?}");
}

#[tokio::test]
async fn a_rolled_day_gets_its_copies_once() {
    let world = Kind::Coarse.world().await;
    let report = world.run().await;
    assert_eq!((report.coarse_jobs, report.coarse_lag_ms), (1, 0));
    check_copies(&world).await;
    world.clock.advance(hours(2));
    assert_eq!(world.run().await.coarse_jobs, 0);
    check_copies(&world).await;
}

#[tokio::test]
async fn memory_is_bounded_by_passes_over_slots() {
    let mut world = Kind::Coarse.world().await;
    let whole = world.fork();
    whole.run().await;
    world.policy = Policy { input_bytes_max: 600, ..world.policy };
    world.run().await;
    assert_eq!(world.copies().await, whole.copies().await);
}

#[tokio::test]
async fn late_data_makes_a_copy_old_until_it_is_built_again() {
    let mut world = Kind::Coarse.world().await;
    world.run().await;
    let before = world.copies().await;
    world.fill(HOUR, 2).await;
    // An old copy is never seen (D1).
    assert!(world.copies().await.is_empty());
    for _ in 0..12 {
        world.clock.advance(minutes(30));
        world.run().await;
    }
    let after = world.copies().await;
    assert!(after.keys().eq(before.keys()) && after != before);
    check_copies(&world).await;
}

#[tokio::test]
async fn two_compactors_make_one_copy() {
    let world = Kind::Coarse.world().await;
    let (first, second) = (world.compactor(None).0, world.compactor(None).0);
    let (first, second) = tokio::join!(first.run(FOREVER, &[]), second.run(FOREVER, &[]));
    assert_eq!(first.unwrap().coarse_jobs + second.unwrap().coarse_jobs, 1);
    check_copies(&world).await;
}

/// D2, and what a deletion means once raw data is gone.
#[tokio::test]
async fn raw_data_waits_for_its_copies() {
    let mut world = World::new();
    world.policy = small_policy();
    crate::kinds::dense(&mut world).await;
    rolled(&mut world).await;
    world.policy.retention.metrics = copied();
    // Late data is on its way: the day is not at rest, has no copies, and stays although it is old enough to go.
    let mut waiting = world.fork();
    waiting.clock.advance(hours(24 * 10));
    waiting.fill(HOUR, 1).await;
    let before = waiting.visible().await;
    let report = waiting.run().await;
    assert_eq!((waiting.visible().await, report.dropped_days), (before, 0));
    assert!(report.coarse_lag_ms > 0);
    world.run().await;
    let copies = world.copies().await;
    world.clock.advance(hours(24 * 10));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(hours(2));
    }
    assert!(!world.visible().await.keys().any(|series| series.contains("__name__")));
    assert_eq!(world.copies().await, copies);
    let start = HOUR.start();
    let request = DeletionRequest {
        range: TimeRangeMs::new(TimestampMs(start.0 + 600_001), TimestampMs(start.0 + 600_002)),
        matchers: vec![Matcher::equal("i", "a")],
        filter: None,
    };
    world.manifest().request_deletion(&world.tenant, Signal::Metrics, request).await.unwrap();
    for _ in 0..6 {
        world.run().await;
        world.clock.advance(hours(2));
    }
    let left = world.copies().await;
    let of = |copies: &Copies, series: &str| copies.get(series).map_or(0, Vec::len);
    let (a, b) = (r#"5m {__name__="dense_total", i="a"}"#, r#"5m {__name__="dense_total", i="b"}"#);
    assert_eq!((of(&left, a), of(&left, b)), (of(&copies, a) - 1, of(&copies, b)));
    assert!(world.manifest().deletions(&world.tenant, Signal::Metrics).await.unwrap().is_empty(), "the deletion came to its end");
}

/// Raw data is gone months before the last copy: looking for what is left of it costs some hundred calls a day that has copies.
#[tokio::test]
async fn raw_data_is_forgotten_once() {
    let world = Kind::Coarse.world().await;
    world.run().await;
    world.clock.advance(hours(24 * 10));
    let (compactor, process) = world.compactor(None);
    let mut calls = vec![0];
    // Dropped, forgotten, nothing to do.
    for _ in 0..3 {
        compactor.run(FOREVER, &[]).await.unwrap();
        calls.push(process.calls().records);
        world.clock.advance(hours(2));
    }
    let (forgetting, later) = (calls[2] - calls[1], calls[3] - calls[2]);
    assert!(later + 50 < forgetting, "{calls:?}");
}

/// What a copy replaced just before raw data was dropped is garbage that outlives it.
#[tokio::test]
async fn nothing_is_left_of_a_copy_that_was_replaced_late() {
    let mut world = Kind::Coarse.world().await;
    world.policy.late_parts = 1;
    world.run().await;
    let before = world.copies().await;
    let expiry = Window::Day(HOUR.day()).range().end.plus(hours(24 * 7));
    let until_late = u64::try_from(expiry.0 - world.clock.now().0).unwrap() / 60_000 - 75;
    world.clock.advance(minutes(until_late));
    world.fill(HOUR, 4).await;
    for _ in 0..8 {
        world.run().await;
        world.clock.advance(minutes(20));
    }
    let after = world.copies().await;
    assert!(after != before && !after.is_empty(), "it was built again");
    for _ in 0..4 {
        world.run().await;
        world.clock.advance(minutes(70));
    }
    let range = Window::Day(HOUR.day()).range();
    let mut live = 0;
    for signal in [Signal::Metrics, Signal::Logs] {
        let snapshot = world.manifest().snapshot_with_coarse(&world.tenant, signal, range).await.unwrap();
        assert!(signal == Signal::Logs || snapshot.parts.is_empty(), "raw data is gone");
        live += snapshot.parts.len() + snapshot.coarse.len();
    }
    assert_eq!(world.objects_stored().await, live);
}

#[tokio::test]
async fn copies_expire_by_themselves() {
    let world = Kind::Coarse.world().await;
    world.run().await;
    for (days, left) in [(10, [true, true]), (21, [false, true]), (160, [false, false])] {
        world.clock.advance(hours(24 * days));
        for _ in 0..2 {
            world.run().await;
            world.clock.advance(hours(2));
        }
        let range = Window::Day(HOUR.day()).range();
        let snapshot = world.manifest().snapshot_with_coarse(&world.tenant, Signal::Metrics, range).await.unwrap();
        let live = |resolution| snapshot.coarse.iter().any(|part| part.resolution == resolution);
        assert_eq!([live(Resolution::FiveMinutes), live(Resolution::OneHour)], left, "after {days} more days");
    }
    let days = world.manifest().days(&world.tenant, Signal::Metrics).await.unwrap();
    let day = days.iter().find(|day| day.day == HOUR.day()).unwrap();
    assert!(!day.open && !day.packed && day.hours.is_empty(), "nobody looks there any more: {day:?}");
}

const DAMAGED: &str = r#"{__name__="dense_total", i="b"}"#;

/// A day at rest, each series in a part of its own, one of them damaged; what its copies hold without that one.
async fn damaged(damage: Damage) -> (World, String, Copies) {
    let mut world = World::new();
    world.policy = Policy { output_bytes: 1, ..small_policy() };
    crate::kinds::dense(&mut world).await;
    rolled(&mut world).await;
    world.policy.retention.metrics = copied();
    let whole = world.fork();
    whole.run().await;
    let mut rest = whole.copies().await;
    rest.retain(|series, _| !series.ends_with(DAMAGED));
    let key = world.damage(DAMAGED, damage).await;
    (world, key, rest)
}

async fn named(world: &World) -> Vec<String> {
    let found = world.manifest().quarantined(&world.tenant, Signal::Metrics).await.unwrap();
    found.into_iter().map(|of| of.key).collect()
}

/// Retried for ever, it would hold the raw data of its day for ever (D2).
#[tokio::test]
async fn a_corrupt_input_is_quarantined_and_the_rest_is_copied() {
    for damage in Damage::ALL {
        let (world, key, rest) = damaged(damage).await;
        let report = world.run().await;
        assert_eq!((report.quarantined, report.coarse_jobs, report.coarse_lag_ms), (1, 1, 0), "{damage:?}");
        assert_eq!((named(&world).await, world.copies().await), (vec![key.clone()], rest.clone()), "{damage:?}");
        // Raw data may end. What it held is on record as lost for as long as there are copies that lack it.
        for (days, left) in [(10, true), (180, false)] {
            world.clock.advance(hours(24 * days));
            for _ in 0..3 {
                world.run().await;
                world.clock.advance(hours(2));
            }
            let range = Window::Day(HOUR.day()).range();
            let snapshot = world.manifest().snapshot_with_coarse(&world.tenant, Signal::Metrics, range).await.unwrap();
            let lost: Vec<String> = snapshot.lost.into_iter().map(|of| of.key).collect();
            let expected = if left { vec![key.clone()] } else { Vec::new() };
            assert!(snapshot.parts.is_empty() && snapshot.quarantined.is_empty());
            assert_eq!((named(&world).await, lost), (expected.clone(), expected), "{damage:?} after {days} more days");
            assert_eq!(world.copies().await, if left { rest.clone() } else { Copies::new() });
        }
    }
}

#[tokio::test]
async fn quarantining_an_input_survives_a_crash_at_every_call() {
    let (due, key, rest) = damaged(Damage::Flip).await;
    let world = due.fork();
    let (compactor, process) = world.compactor(None);
    compactor.run(FOREVER, &[]).await.unwrap();
    for (at, writes) in process.writes().into_iter().enumerate() {
        for takes_effect in [false, true].into_iter().filter(|takes_effect| writes || !takes_effect) {
            let (world, crash) = (due.fork(), Crash { at: at as u64, takes_effect });
            let _ = world.compactor(Some(crash)).0.run(FOREVER, &[]).await;
            for _ in 0..2 {
                world.clock.advance(minutes(3));
                world.run().await;
            }
            assert_eq!((named(&world).await, world.copies().await), (vec![key.clone()], rest.clone()), "after {crash:?}");
        }
    }
}

/// A copy that lost a part is none: raw data answers, waits, and another is made of it.
#[tokio::test]
async fn a_copy_of_which_a_part_is_corrupt_is_made_again_from_raw_data() {
    let world = Kind::Coarse.world().await;
    world.run().await;
    let copies = world.copies().await;
    let range = Window::Day(HOUR.day()).range();
    let snapshot = world.manifest().snapshot_with_coarse(&world.tenant, Signal::Metrics, range).await.unwrap();
    world.manifest().quarantine(&world.tenant, Signal::Metrics, &snapshot.coarse[0], "a test").await.unwrap();
    assert_ne!(world.copies().await, copies);
    world.clock.advance(minutes(3));
    assert_eq!(world.run().await.coarse_jobs, 1);
    assert_eq!(world.copies().await, copies);
}
