//! The ring's epoch in force is recorded with each segment, and known without a request per write.

use std::time::Duration;

use appender::{Direct, WriteBuffer};
use manifest::ring::RingChange;
use model::{Hour, Signal};
use testkit::{Fault, MetricBatchBuilder};

use crate::world::{HOUR, World, single};

fn in_hour(hour: Hour, number: i64) -> appender::Batch {
    let name = format!("n_{number}");
    appender::Batch::Metrics(MetricBatchBuilder::default().series([("__name__", name.as_str())], [(hour.start().0, 1.0)]).build())
}

#[tokio::test]
async fn an_hour_has_the_epoch_it_began_with() {
    let world = World::new();
    let direct = Direct::new(world.writer());
    direct.append(&world.tenant, in_hour(HOUR, 0)).await.unwrap();
    // Grown by another process; active from the next full hour on.
    let grown = world.manifest().change_ring(&world.tenant, RingChange::Grow(3)).await.unwrap().unwrap();
    assert_eq!((grown.number, grown.from), (1, Hour(HOUR.0 + 1)));
    direct.append(&world.tenant, in_hour(HOUR, 1)).await.unwrap();
    world.clock.advance(Duration::from_secs(3600));
    direct.append(&world.tenant, in_hour(Hour(HOUR.0 + 1), 2)).await.unwrap();
    // Late data is of its hour's epoch.
    direct.append(&world.tenant, in_hour(HOUR, 3)).await.unwrap();
    let epochs: Vec<(Hour, u32)> =
        world.parts(Signal::Metrics).await.iter().map(|part| (part.stats.time_range.start.hour(), part.stats.epoch)).collect();
    assert_eq!(epochs, [(HOUR, 0), (HOUR, 0), (HOUR, 0), (Hour(HOUR.0 + 1), 1)]);
}

#[tokio::test]
async fn the_ring_is_read_once_an_hour() {
    let world = World::new();
    let direct = Direct::new(world.writer());
    direct.append(&world.tenant, single(0)).await.unwrap();
    let calls = world.records.calls();
    for number in 1..20 {
        direct.append(&world.tenant, single(number)).await.unwrap();
    }
    assert_eq!(world.records.calls() - calls, 19);
    world.clock.advance(Duration::from_secs(3600));
    let calls = world.records.calls();
    direct.append(&world.tenant, in_hour(Hour(HOUR.0 + 1), 20)).await.unwrap();
    // Ring, catalog read and written, item; then the item alone.
    assert_eq!(world.records.calls() - calls, 4);
    direct.append(&world.tenant, in_hour(Hour(HOUR.0 + 1), 21)).await.unwrap();
    direct.append(&world.tenant, in_hour(HOUR, 22)).await.unwrap();
    assert_eq!(world.records.calls() - calls, 6);
}

#[tokio::test]
async fn a_ring_that_cannot_be_read_is_the_stores_fault() {
    let world = World::new();
    let direct = Direct::new(world.writer());
    world.records.script([Fault::Before]);
    assert_eq!(direct.append(&world.tenant, single(0)).await.unwrap_err().kind(), model::ErrorKind::Unavailable);
    direct.append(&world.tenant, single(0)).await.unwrap();
}
