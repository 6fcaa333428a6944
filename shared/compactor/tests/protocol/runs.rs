//! Runs over tenants: what a run without work costs, who is served first, hints.

use compactor::{Hint, Policy};
use manifest::Window;
use model::{Hour, Signal, TenantId};

use crate::world::{FOREVER, HOUR, World, hours, minutes};

#[tokio::test]
async fn late_data_of_any_age_ends_in_few_parts() {
    let mut world = World::new();
    world.policy = Policy::default();
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
    let mut tenants = Vec::new();
    for name in ["a", "b", "c"] {
        world.tenant = TenantId::parse(name).unwrap();
        tenants.push(world.tenant.clone());
        world.fill(HOUR, 4).await;
    }
    // Each run has time for its first turn only: the clock jumps to the end with the first put.
    let mut served = Vec::new();
    for _ in 0..6 {
        let (compactor, _) = world.compactor(None);
        let report = compactor.run(FOREVER, &[]).await.unwrap();
        served.push(report.jobs);
        assert!(!report.out_of_time);
    }
    assert_eq!(served, [6, 0, 0, 0, 0, 0]);
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
