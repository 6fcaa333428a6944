//! Attempts that may not go on as they began, and batches without a time.

use std::time::Duration;

use appender::Batch;
use manifest::{Burn, Location, ObjectKey, Window};
use model::{ErrorKind, Hour, MetricBatch, MetricKind, MetricMetadata, Signal, TimeRangeMs};
use testkit::faulty_records::Chances;

use crate::world::{HOUR, Strategy, World, expected, large, small};

const STRATEGIES: [Strategy; 2] = [Strategy::Direct, Strategy::Group];

#[tokio::test]
async fn a_burnt_id_is_minted_again() {
    for strategy in STRATEGIES {
        let elsewhere = World::new();
        elsewhere.buffer(strategy).append(&elsewhere.tenant, large()).await.unwrap();
        let part = elsewhere.parts(Signal::Metrics).await.remove(0);
        let Location::Object { key, .. } = &part.location else { panic!("a large batch is an object") };

        let world = World::new();
        assert_eq!(world.manifest().burn(&ObjectKey::parse(key).unwrap()).await.unwrap(), Burn::Deletable);
        for _ in 0..2 {
            world.buffer(strategy).append(&world.tenant, large()).await.unwrap();
            let parts = world.parts(Signal::Metrics).await;
            assert_eq!(parts.len(), 1);
            assert_ne!(parts[0].id, part.id);
            assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &[large()]));
        }
    }
}

#[tokio::test]
async fn an_attempt_that_froze_for_too_long_is_begun_again_by_a_retry() {
    for strategy in STRATEGIES {
        for batch in [small(), large()] {
            let world = World::new();
            let buffer = world.buffer(strategy);
            world.records.set_chances(Chances { freeze: 1000, freeze_max: Duration::from_secs(3600), ..Chances::default() });
            let mut append = std::pin::pin!(buffer.append(&world.tenant, batch.clone()));
            let error = loop {
                tokio::select! {
                    biased;
                    result = &mut append => break result.unwrap_err(),
                    () = tokio::task::yield_now() => world.clock.advance(Duration::from_secs(10)),
                }
            };
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let appender::Error::Manifest(source) = &error else { panic!("{error:?}") };
            assert!(matches!(**source, manifest::Error::AttemptTooOld { .. }), "{source:?}");
            assert!(world.rows_now().await.is_empty());
            buffer.append(&world.tenant, batch.clone()).await.unwrap();
            assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &[batch]));
        }
    }
}

impl World {
    /// The rows once the stores are well again.
    async fn rows_now(&self) -> crate::world::Rows {
        self.records.set_chances(Chances::default());
        self.rows(Signal::Metrics).await
    }
}

#[tokio::test]
async fn metadata_alone_is_listed_in_the_present_hour() {
    let metadata = MetricMetadata { metric: "m".into(), kind: MetricKind::Gauge, help: "help".into(), unit: String::new() };
    let batch = Batch::Metrics(MetricBatch { metadata: vec![metadata], ..MetricBatch::default() });
    let minute = TimeRangeMs::new(HOUR.start(), HOUR.start().plus(Duration::from_secs(60)));
    for strategy in STRATEGIES {
        let world = World::new();
        for _ in 0..2 {
            world.buffer(strategy).append(&world.tenant, batch.clone()).await.unwrap();
        }
        for range in [minute, Window::Hour(HOUR).range()] {
            let parts = world.parts_in(Signal::Metrics, range).await;
            assert_eq!(parts.len(), 1);
            let Location::Inline(bytes) = &parts[0].location else { panic!("metadata is small") };
            assert_eq!(segment::metrics::Index::open(bytes).unwrap().metadata().unwrap().len(), 1);
        }
        let next = Window::Hour(Hour(HOUR.0 + 1)).range();
        assert!(world.parts_in(Signal::Metrics, next).await.is_empty());
    }
}
