use model::{LabelSet, MetricBatch, Nonces, TimestampMs};
use testkit::{MetricBatchBuilder, SimulatedClock};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn group(bytes_max: usize) -> Group {
    let clock = Arc::new(SimulatedClock::at(TimestampMs(0)));
    let nonces = Arc::new(Nonces::seeded(1));
    let manifest = manifest::Manifest::new(store::records::memory(), clock.clone(), nonces.clone());
    let writer = Writer::new(store::objects::memory(), manifest, clock, nonces);
    Group::new(writer, GroupOptions { linger: 3600 * SECOND, bytes_max })
}

fn healthy(name: &str) -> Batch {
    Batch::Metrics(MetricBatchBuilder::default().series([("__name__", name)], [(1, 1.0)]).build())
}

/// A batch that breaks its own invariant: a time without a value.
fn broken() -> Batch {
    let mut batch = MetricBatch::default();
    batch.start_series_of(&LabelSet::from_pairs([("__name__", "broken")]));
    batch.push_sample(TimestampMs(1), 1.0, TimestampMs(0));
    batch.values.clear();
    Batch::Metrics(batch)
}

async fn assert_released(group: &Group) {
    tokio::time::timeout(10 * SECOND, group.close()).await.expect("close waits for nothing");
    assert_eq!(group.shared.groups.load(Ordering::SeqCst), 0);
    assert_eq!(group.shared.held_bytes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_is_an_interruption_and_holds_nothing() {
    let group = group(1);
    let tenant = TenantId::anonymous();
    assert!(matches!(group.append(&tenant, broken()).await, Err(Error::Interrupted)));
    assert!(group.append(&tenant, healthy("after")).await.is_ok());
    assert_released(&group).await;
}

#[tokio::test]
async fn a_panic_is_its_own_request_only() {
    let batches = [healthy("a"), broken(), healthy("b")];
    let group = group(batches.iter().map(Batch::held_bytes).sum());
    let tenant = TenantId::anonymous();
    let [a, broken, b] = batches.map(|batch| group.append(&tenant, batch));
    let (a, broken, b) = tokio::join!(a, broken, b);
    assert!(matches!(broken, Err(Error::Interrupted)));
    assert_eq!([a, b].map(|receipt| receipt.unwrap().rows), [1, 1]);
    assert_released(&group).await;
}

#[tokio::test]
async fn a_task_that_is_never_run_holds_nothing() {
    let group = group(1);
    group.shared.groups.fetch_add(1, Ordering::SeqCst);
    group.shared.held_bytes.fetch_add(5, Ordering::SeqCst);
    drop(Held { shared: Arc::clone(&group.shared), bytes: 5 });
    assert_released(&group).await;
}

#[test]
fn errors_of_the_stores_are_everybodys() {
    let too_large = segment::SegmentError::TooLarge { what: "series of a batch", value: 2, limit: 1 };
    let dropped = manifest::Error::Dropped { hour: String::new() };
    let old = manifest::Error::AttemptTooOld { age_ms: 2, limit_ms: 1 };
    let object = object_store::Error::Generic { store: "memory", source: "gone".into() };
    let cases = [
        (Error::Segment(Arc::new(too_large)), true),
        (Error::Manifest(Arc::new(dropped)), true),
        (Error::Interrupted, true),
        (Error::Manifest(Arc::new(old)), false),
        (Error::Object(Arc::new(object)), false),
        (Error::Burnt { attempts: 1 }, false),
    ];
    for (error, expected) in cases {
        assert_eq!(may_be_one_requests_fault(&error), expected, "{error:?}");
    }
}
