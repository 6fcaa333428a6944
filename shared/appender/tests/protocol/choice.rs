//! How a request is written, by the measured rate.

use std::sync::Arc;
use std::time::Duration;

use appender::{Adaptive, Reason, Receipt, Strategy, WriteBuffer};
use model::Signal;

use crate::world::{World, expected, lines, single};

/// Sends requests `every` so often; returns the last receipt.
async fn send(world: &World, buffer: &Adaptive, numbers: std::ops::Range<i64>, every: Duration) -> Receipt {
    let mut last = Receipt::default();
    for number in numbers {
        world.clock.advance(every);
        last = buffer.append(&world.tenant, single(number)).await.unwrap();
    }
    last
}

#[tokio::test]
async fn few_requests_wait_for_nobody_and_many_are_grouped() {
    let world = World::new();
    let buffer = world.adaptive(world.writer());
    let slow = send(&world, &buffer, 0..20, Duration::from_secs(15)).await.choice;
    assert_eq!((slow.strategy, slow.reason, slow.requests_per_minute), (Strategy::Direct, Reason::Rate, 8));
    let fast = send(&world, &buffer, 20..400, Duration::from_millis(100)).await;
    assert_eq!((fast.choice.strategy, fast.choice.reason), (Strategy::Group, Reason::Rate));
    assert!((590..=610).contains(&fast.choice.requests_per_minute), "{fast}");
    assert_eq!(
        fast.to_string(),
        format!("group; reason=rate; requests-per-minute={}; segments=1; inline=1", fast.choice.requests_per_minute)
    );
    // Each tenant and signal by itself.
    assert_eq!(buffer.append(&world.tenant, lines()).await.unwrap().choice.strategy, Strategy::Direct);
    // Three a second lie between the bounds: as it was.
    assert_eq!(send(&world, &buffer, 400..500, Duration::from_millis(333)).await.choice.strategy, Strategy::Group);
    assert_eq!(send(&world, &buffer, 500..600, Duration::from_millis(1000)).await.choice.strategy, Strategy::Direct);
    assert_eq!(send(&world, &buffer, 600..700, Duration::from_millis(333)).await.choice.strategy, Strategy::Direct);
    let all: Vec<_> = (0..700).map(single).collect();
    assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &all));
}

#[tokio::test]
async fn a_process_that_is_frozen_after_the_answer_never_groups() {
    let world = World::new();
    let buffer = Adaptive::frozen(world.writer(), Arc::new(world.clock.clone()));
    let choice = send(&world, &buffer, 0..200, Duration::from_millis(10)).await.choice;
    assert_eq!((choice.strategy, choice.reason), (Strategy::Direct, Reason::Frozen));
    assert!(choice.requests_per_minute > 1000);
    assert_eq!(world.parts(Signal::Metrics).await.len(), 200);
}
