//! The life of a deletion and of a quarantine, and what snapshots say of them.

use crate::world::{HOUR, SIGNAL, World, object_key};
use manifest::{DeletionRequest, DeletionState, Error, Finish, Manifest, Part, Replaced, Replacement, Snapshot, Window};
use model::{Clock, Matcher, Resolution, TimeRangeMs, TimestampMs};
use std::time::Duration;

async fn write(world: &World, manifest: &Manifest, content: u32, minted_at: TimestampMs) {
    let item = world.upload(content, false, minted_at);
    manifest.commit(&world.tenant, SIGNAL, HOUR, item).await.unwrap();
}

fn request(range: TimeRangeMs) -> DeletionRequest {
    DeletionRequest { range, matchers: vec![Matcher::equal("job", "a")], filter: None }
}

async fn snapshot(world: &World, manifest: &Manifest) -> Snapshot {
    manifest.snapshot_to_merge(&world.tenant, SIGNAL, Window::Hour(HOUR).range()).await.unwrap()
}

/// Merges the parts, writing down what the snapshot says is applied.
async fn merge(world: &World, manifest: &Manifest, snapshot: &Snapshot, inputs: Vec<Part>) {
    let window = Window::Hour(HOUR);
    let outputs = vec![Part { applied: snapshot.applied(), ..world.merge(window, 1, &inputs) }];
    let generation = snapshot.generation(window, Resolution::Raw);
    let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs, outputs };
    assert_eq!(manifest.replace(&world.tenant, SIGNAL, replacement).await.unwrap(), Replaced::Replaced);
}

#[tokio::test]
async fn a_deletion_from_request_to_removal() {
    let world = World::new(1);
    let (manifest, tenant, minute) = (world.manifest(0), &world.tenant, Duration::from_secs(60));
    let range = Window::Hour(HOUR).range();
    write(&world, &manifest, 1, world.clock.now()).await;
    let early = world.clock.now();
    world.clock.advance(minute);
    let deletion = manifest.request_deletion(tenant, SIGNAL, request(range)).await.unwrap();
    assert_eq!(manifest.deletions(tenant, SIGNAL).await.unwrap(), std::slice::from_ref(&deletion));
    world.clock.advance(minute);
    write(&world, &manifest, 2, world.clock.now()).await;

    // A reader leaves rows out of what was there, not of what came later.
    let seen = snapshot(&world, &manifest).await;
    let applies = |snapshot: &Snapshot| snapshot.parts.iter().map(|part| snapshot.deletions_for(part).len()).collect::<Vec<_>>();
    assert_eq!(applies(&seen), [1, 0]);
    let Finish::Pending(lacking) = manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap() else { panic!() };
    assert_eq!(lacking, seen.lacking(&deletion).into_iter().cloned().collect::<Vec<_>>());

    // Rewritten with what came later: applied.
    merge(&world, &manifest, &seen, seen.parts.clone()).await;
    let seen = snapshot(&world, &manifest).await;
    assert_eq!((applies(&seen), &seen.parts[0].applied), (vec![0], &vec![deletion.id]));
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Kept);
    assert!(!manifest.cancel_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), "it has ended");

    // A late writer's item holds the record until it is rewritten too.
    write(&world, &manifest, 3, early).await;
    world.clock.advance(61 * minute);
    assert!(matches!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Pending(of) if of.len() == 1));
    let seen = snapshot(&world, &manifest).await;
    assert_eq!(applies(&seen), [1, 0]);
    merge(&world, &manifest, &seen, seen.parts.clone()).await;
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Removed);
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Removed);

    // The next rewrite forgets the id.
    write(&world, &manifest, 4, world.clock.now()).await;
    let seen = snapshot(&world, &manifest).await;
    merge(&world, &manifest, &seen, seen.parts.clone()).await;
    assert_eq!(snapshot(&world, &manifest).await.parts[0].applied, Vec::<u128>::new());
}

#[tokio::test]
async fn a_cancelled_deletion_applies_to_nothing_and_leaves_an_hour_later() {
    let world = World::new(2);
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    write(&world, &manifest, 1, world.clock.now()).await;
    let deletion = manifest.request_deletion(tenant, SIGNAL, request(Window::Hour(HOUR).range())).await.unwrap();
    for _ in 0..2 {
        assert!(manifest.cancel_deletion(tenant, SIGNAL, deletion.id).await.unwrap());
    }
    let seen = snapshot(&world, &manifest).await;
    assert_eq!((seen.deletions.len(), seen.applied()), (0, vec![deletion.id]));
    let state = manifest.deletions(tenant, SIGNAL).await.unwrap()[0].state;
    assert_eq!(state, DeletionState::Cancelled(world.clock.now()));
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Kept);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Removed);
    assert!(!manifest.cancel_deletion(tenant, SIGNAL, deletion.id).await.unwrap());
}

#[tokio::test]
async fn deletions_are_bounded() {
    let world = World::new(3);
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    let range = Window::Hour(HOUR).range();
    let long = DeletionRequest { matchers: vec![Matcher::equal("job", &"x".repeat(5_000))], ..request(range) };
    let refused = manifest.request_deletion(tenant, SIGNAL, long).await.unwrap_err();
    assert_eq!(refused.to_string().split(" is ").next(), Some("deletion"));
    for _ in 0..manifest::limits::DELETIONS_MAX {
        manifest.request_deletion(tenant, SIGNAL, request(range)).await.unwrap();
    }
    let refused = manifest.request_deletion(tenant, SIGNAL, request(range)).await.unwrap_err();
    assert!(matches!(refused, Error::TooManyDeletions { .. }), "{refused}");
}

#[tokio::test]
async fn a_part_in_quarantine_is_listed_apart_until_lifted() {
    let world = World::new(4);
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    for content in [1, 2] {
        write(&world, &manifest, content, world.clock.now()).await;
    }
    let bad = snapshot(&world, &manifest).await.parts[0].clone();
    assert!(manifest.quarantine(tenant, SIGNAL, &bad, "checksum differs").await.unwrap());
    assert!(!manifest.quarantine(tenant, SIGNAL, &bad, "again").await.unwrap());
    let seen = snapshot(&world, &manifest).await;
    assert_eq!((seen.parts.len(), &seen.quarantined), (1, &vec![bad.clone()]));
    let entry = &manifest.quarantined(tenant, SIGNAL).await.unwrap()[0];
    assert_eq!((entry.key.as_str(), entry.reason.as_str()), (object_key(&bad).unwrap().as_str(), "checksum differs"));
    // It holds a deletion open: lifted, it must not bring rows back.
    let deletion = manifest.request_deletion(tenant, SIGNAL, request(Window::Hour(HOUR).range())).await.unwrap();
    merge(&world, &manifest, &snapshot(&world, &manifest).await, seen.parts).await;
    assert_eq!(manifest.finish_deletion(tenant, SIGNAL, deletion.id).await.unwrap(), Finish::Pending(vec![bad.clone()]));
    assert!(manifest.lift_quarantine(tenant, SIGNAL, bad.id).await.unwrap());
    assert!(!manifest.lift_quarantine(tenant, SIGNAL, bad.id).await.unwrap());
    let seen = snapshot(&world, &manifest).await;
    assert_eq!((seen.parts.len(), seen.lacking(&deletion), seen.quarantined.len()), (2, vec![&bad], 0));
}
