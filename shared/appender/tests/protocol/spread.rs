//! A request whose rows spread over many event hours.

use appender::{Batch, Direct, Error, WriteBuffer, limits};
use model::{ErrorKind, Hour, Resolution, Signal, TimeRangeMs};
use testkit::MetricBatchBuilder;

use crate::world::{HOUR, World};

/// One sample an hour, back from the present, for two series.
fn spread(hours: i64) -> Batch {
    let rows = |value: f64| (0..hours).map(move |back| (Hour(HOUR.0 - back).start().0 + back % 7, value + back as f64));
    let builder = MetricBatchBuilder::default().series([("__name__", "a")], rows(0.5));
    Batch::Metrics(builder.series([("__name__", "b")], rows(0.0)).build())
}

#[tokio::test]
async fn what_retention_dropped_does_not_take_the_rest_along() {
    let world = World::new();
    let yesterday = Hour(HOUR.0 - 24).start().0;
    let late = Batch::Metrics(MetricBatchBuilder::default().series([("__name__", "late")], [(yesterday, 1.0)]).build());
    world.writer().write(&world.tenant, late).await.unwrap();
    world.manifest().drop_day(&world.tenant, Signal::Metrics, HOUR.day() - 1, Resolution::Raw).await.unwrap();
    let before = world.records.calls();
    let refused = Direct::new(world.writer()).append(&world.tenant, spread(20)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    // Today is announced by one update, although yesterday cannot be; each of its hours learns that by itself.
    let (ring, registry, yesterday, today, items) = (1, 1, 1 + 12, 2, 8);
    assert_eq!(world.records.calls() - before, ring + registry + yesterday + today + items);
    // Hours 0 to 7 of today are there, although nobody will send them again.
    let parts = world.parts(Signal::Metrics).await;
    assert_eq!((parts.len(), parts.iter().map(|part| part.stats.rows).sum::<u64>()), (8, 16));
}

#[tokio::test]
async fn each_day_is_announced_once_and_each_hour_is_one_item() {
    let world = World::new();
    let direct = Direct::new(world.writer());
    let receipt = direct.append(&world.tenant, spread(100)).await.unwrap();
    assert_eq!((receipt.rows, receipt.segments, receipt.inline), (200, 100, 100));
    // From hour 7 of a day 100 hours back: five days, of which each is read and written once.
    let (ring, registry, catalog, items) = (1, 2, 2 * 5, 100);
    assert_eq!(world.records.calls(), ring + registry + catalog + items);
    let range = TimeRangeMs::new(Hour(HOUR.0 - 100).start(), HOUR.end());
    let parts = world.parts_in(Signal::Metrics, range).await;
    assert_eq!((parts.len(), parts.iter().map(|part| part.stats.rows).sum::<u64>()), (100, 200));

    // A retry by a process that knows nothing changes nothing.
    let again = Direct::new(world.writer()).append(&world.tenant, spread(100)).await.unwrap();
    assert_eq!(again.rows, 200);
    assert_eq!(world.parts_in(Signal::Metrics, range).await, parts);
}

#[tokio::test]
async fn too_many_hours_are_refused_before_anything_is_written() {
    let world = World::new();
    let (direct, group) = (Direct::new(world.writer()), world.group(1));
    let limit = limits::HOURS_MAX as i64;
    for buffer in [&direct as &dyn WriteBuffer, &group] {
        let error = buffer.append(&world.tenant, spread(limit + 1)).await.unwrap_err();
        assert!(matches!(error, Error::TooManyHours { hours, .. } if hours as i64 == limit + 1), "{error:?}");
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Limit, None));
        assert_eq!((world.records.calls(), world.puts()), (0, 0));
    }
    assert_eq!(direct.append(&world.tenant, spread(limit)).await.unwrap().segments, limits::HOURS_MAX);
}
