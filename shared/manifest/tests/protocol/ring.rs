//! Epochs over the record store: written once, whatever answers are lost; read about once an hour.

use crate::world::{HOUR, World};
use manifest::Manifest;
use manifest::ring::RingChange;
use model::{Clock, Hour};
use std::time::Duration;
use testkit::Fault;

#[tokio::test]
async fn an_epoch_is_written_once_and_read_once_an_hour() {
    let world = World::new(0);
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    world.records.script([Fault::None, Fault::After]);
    let grown = manifest.change_ring(tenant, RingChange::Grow(3)).await.unwrap().expect("a lost answer is no other writer");
    assert_eq!((grown.number, grown.from, grown.assignment.groups()), (1, Hour(HOUR.0 + 1), 4));
    let shrunk = manifest.change_ring(tenant, RingChange::Shrink(1)).await.unwrap().unwrap();
    assert_eq!((shrunk.number, shrunk.from, shrunk.assignment.groups()), (2, Hour(HOUR.0 + 2), 3));
    assert_eq!(manifest.ring(tenant).await.unwrap().epochs().len(), 3);
    assert_eq!(manifest.change_ring(tenant, RingChange::Shrink(3)).await.unwrap_err().kind(), model::ErrorKind::Invalid);

    let before = world.records.calls();
    for (ahead, groups) in [(0, 1), (0, 1), (-1, 1), (-100, 1)] {
        assert_eq!(manifest.epoch(tenant, Hour(HOUR.0 + ahead)).await.unwrap().assignment.groups(), groups);
    }
    assert_eq!(world.records.calls() - before, 1, "hours begun are known for good");
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.clock.now().hour(), Hour(HOUR.0 + 1));
    for (ahead, groups) in [(1, 4), (1, 4), (0, 1)] {
        assert_eq!(manifest.epoch(tenant, Hour(HOUR.0 + ahead)).await.unwrap().assignment.groups(), groups);
    }
    assert_eq!(world.records.calls() - before, 2);
}

#[tokio::test]
async fn of_two_changes_at_once_each_epoch_is_one_of_them() {
    let mut collided = 0;
    for seed in 0..20 {
        let world = World::new(seed);
        let grow = |manifest: Manifest| {
            let tenant = world.tenant.clone();
            async move { manifest.change_ring(&tenant, RingChange::Grow(1)).await.unwrap() }
        };
        let outcomes = tokio::join!(grow(world.manifest(0)), grow(world.manifest(0)));
        let made = usize::from(outcomes.0.is_some()) + usize::from(outcomes.1.is_some());
        let written = world.manifest(0).ring(&world.tenant).await.unwrap().epochs().len() - 1;
        // Two that plan the very same epoch have both made it.
        assert!(written == made || outcomes.0 == outcomes.1, "{written} epochs, {made} changes reported");
        collided += usize::from(written == 1);
    }
    assert!(collided > 0, "no two ever met");
}
