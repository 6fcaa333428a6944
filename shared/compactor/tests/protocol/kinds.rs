//! Every kind of job, each brought to the point where it alone is due.

use std::collections::BTreeMap;

use manifest::{DeletionRequest, Window};
use model::{Hour, Keep, Matcher, Resolution, Retention, Signal};

use crate::world::{HOUR, World, hours, minutes};

/// A kind of job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// L0 of an open hour.
    OpenL0,
    /// L1 of an open hour.
    OpenL1,
    /// Everything of a closed hour.
    Close,
    /// Late data of a closed hour.
    Late,
    /// Sealing the hours of a day and rolling them.
    Roll,
    /// Late data of a rolled hour.
    LateRoll,
    /// Dead objects and replaced ids.
    Collect,
    /// An expired day.
    Drop,
    /// A dropped day after the grace.
    Forget,
    /// Objects that nothing references.
    Orphans,
    /// Rows of series and lines that somebody wants to be gone.
    Delete,
    /// Coarse copies of a rolled day.
    Coarse,
    /// Replicas of a closed day.
    Replicas,
}

impl Kind {
    pub const ALL: [Kind; 13] = [
        Kind::OpenL0,
        Kind::OpenL1,
        Kind::Close,
        Kind::Late,
        Kind::Roll,
        Kind::LateRoll,
        Kind::Collect,
        Kind::Drop,
        Kind::Forget,
        Kind::Orphans,
        Kind::Delete,
        Kind::Coarse,
        Kind::Replicas,
    ];

    /// Whether what is visible stays as it is.
    pub fn preserves(self) -> bool {
        !matches!(self, Kind::Drop | Kind::Delete | Kind::Replicas)
    }

    /// Makes a world in which this kind is due.
    pub async fn world(self) -> World {
        let mut world = World::new();
        match self {
            Kind::OpenL0 => world.fill(HOUR, 4).await,
            Kind::OpenL1 => {
                for _ in 0..2 {
                    world.fill(HOUR, 4).await;
                    world.policy.l1_files = 10;
                    world.run().await;
                }
                world.policy.l1_files = 2;
            }
            Kind::Close => {
                world.fill(HOUR, 6).await;
                world.clock.advance(minutes(66));
            }
            Kind::Late => {
                closed(&mut world).await;
                world.fill(HOUR, 2).await;
                world.clock.advance(minutes(6));
            }
            Kind::Roll => {
                closed(&mut world).await;
                world.clock.advance(hours(30));
            }
            Kind::LateRoll => {
                rolled(&mut world).await;
                world.fill(HOUR, 2).await;
                world.clock.advance(minutes(20));
                world.run().await;
                world.clock.advance(hours(4));
            }
            Kind::Collect => {
                closed(&mut world).await;
                world.clock.advance(hours(2));
            }
            Kind::Drop => {
                rolled(&mut world).await;
                world.clock.advance(hours(24 * 100));
            }
            Kind::Forget => {
                rolled(&mut world).await;
                world.clock.advance(hours(24 * 100));
                world.run().await;
                world.clock.advance(hours(2));
            }
            Kind::Orphans => {
                rolled(&mut world).await;
                for (level, window) in [(0, Window::Hour(HOUR)), (2, Window::Hour(HOUR)), (3, Window::Day(HOUR.day()))] {
                    let key = world.key(Signal::Metrics, window, level);
                    world.put(&key, world.metrics(HOUR, 1).bytes).await;
                }
                world.clock.advance(hours(25));
            }
            Kind::Coarse => {
                dense(&mut world).await;
                rolled(&mut world).await;
                world.policy.retention.metrics = copied();
            }
            Kind::Replicas => {
                crate::replicas::append(&mut world, HOUR, 1).await;
                crate::replicas::append(&mut world, Hour(HOUR.0 + 1), 2).await;
                rolled(&mut world).await;
                world.policy.limits = crate::replicas::merged();
                crate::replicas::close(&world);
            }
            Kind::Delete => {
                rolled(&mut world).await;
                world.fill(HOUR, 2).await;
                world.clock.advance(minutes(1));
                let range = Window::Hour(HOUR).range();
                let (manifest, tenant) = (world.manifest(), &world.tenant);
                let request =
                    |name, value, filter| DeletionRequest { range, matchers: vec![Matcher::equal(name, value)], filter };
                manifest.request_deletion(tenant, Signal::Metrics, request("i", "2", None)).await.unwrap();
                let lines = request("app", "1", Some("line 1".to_owned()));
                manifest.request_deletion(tenant, Signal::Logs, lines).await.unwrap();
            }
        }
        world
    }
}

/// Raw data for 7 days, both copies for longer.
pub fn copied() -> Retention {
    let days = |days: u64| Keep::For(hours(24 * days));
    let coarse = BTreeMap::from([(Resolution::FiveMinutes, days(30)), (Resolution::OneHour, days(180))]);
    Retention { raw: days(7), coarse }
}

/// Series of which windows are smaller than their samples.
pub async fn dense(world: &mut World) {
    for hour in [HOUR, Hour(HOUR.0 + 1)] {
        world.append(Signal::Metrics, hour, world.dense(hour), false).await;
    }
}

/// Two hours of data, closed and merged.
async fn closed(world: &mut World) {
    for hour in [HOUR, Hour(HOUR.0 + 1)] {
        world.fill(hour, 3).await;
        world.clock.advance(minutes(60));
    }
    world.clock.advance(minutes(6));
    world.run().await;
}

/// The same, rolled into their day, with nothing left to collect.
pub async fn rolled(world: &mut World) {
    closed(world).await;
    world.clock.advance(hours(30));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(hours(2));
    }
}
