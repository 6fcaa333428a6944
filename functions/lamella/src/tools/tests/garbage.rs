//! What may be deleted is what nothing can need, and only once nothing can need it.

use std::time::Duration;

use model::{Resolution, Signal};

use super::world::{OPEN, World, anonymous};
use crate::tools::gc::{self, Reason};
use crate::tools::{compact, manifest};

async fn sums(world: &World, dry_run: bool) -> Vec<(Reason, bool, bool)> {
    let collected = gc::collect(&world.host, &Default::default(), dry_run).await.expect("memory does not fail");
    collected.garbage.iter().map(|garbage| (garbage.reason, garbage.due, garbage.deleted)).collect()
}

#[tokio::test]
async fn merged_objects_wait_for_the_grace() {
    let world = World::small().await;
    let waiting = [(Reason::Merged, false, false); 3];
    assert_eq!(sums(&world, false).await, waiting, "queries under way may need them");
    world.clock.advance(Duration::from_secs(59 * 60));
    assert_eq!(sums(&world, false).await, waiting);
    world.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(sums(&world, true).await, [(Reason::Merged, true, false); 3], "a dry run deletes nothing");
    assert_eq!(sums(&world, false).await, [(Reason::Merged, true, true); 3]);
    assert_eq!(sums(&world, false).await, []);
    let verified = manifest::verify::verify(&world.host, &Default::default(), true).await.expect("memory does not fail");
    assert_eq!(verified.findings, []);
}

#[tokio::test]
async fn a_dropped_day_goes_after_the_grace_and_the_other_signal_stays() {
    let world = World::small().await;
    let day = OPEN.div_euclid(24);
    world.host.manifest.drop_day(&anonymous(), Signal::Metrics, day, Resolution::Raw).await.expect("memory does not fail");
    assert!(sums(&world, false).await.iter().all(|(_, due, deleted)| !due && !deleted));
    world.clock.advance(Duration::from_secs(61 * 60));
    let collected = sums(&world, false).await;
    assert!(collected.len() == 5 && collected.iter().all(|(_, due, deleted)| *due && *deleted), "{collected:?}");
    let verified = manifest::verify::verify(&world.host, &Default::default(), true).await.expect("memory does not fail");
    assert_eq!(verified.findings, []);
    assert_eq!(verified.tenants.iter().map(|of| (of.signal, of.counts.live)).collect::<Vec<_>>(), [("metrics", 0), ("logs", 1)]);
}

#[tokio::test]
async fn compacting_by_hand_merges_what_is_due() {
    let world = World::small().await;
    world.clock.advance(Duration::from_secs(3600));
    let compacted =
        compact::compact(&world.host, &Default::default(), false, Duration::from_secs(60)).await.expect("memory does not fail");
    assert!(compacted.failed == 0 && compacted.inputs >= 2 && compacted.rows >= 42, "{compacted:?}");
    assert!(compacted.runs > 1, "the last run found nothing to merge: {compacted:?}");
}
