//! Heads of any length: pages appear, are read, and go; a reader that meets one gone reads HEAD again.

use crate::world::{HOUR, SIGNAL, World};
use manifest::{HeadSizes, Manifest, Part, Replaced, Replacement, Snapshot, Window};
use model::{Clock, Resolution};
use std::time::Duration;
use store::{Record, RecordStore, keys};

async fn take(world: &World, manifest: &Manifest) -> Snapshot {
    manifest.snapshot(&world.tenant, SIGNAL, Window::Hour(HOUR).range()).await.unwrap()
}

async fn replace(world: &World, manifest: &Manifest, inputs: Vec<Part>, outputs: Vec<Part>) {
    let window = Window::Hour(HOUR);
    let generation = take(world, manifest).await.generation(window, Resolution::Raw);
    let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs, outputs };
    assert_eq!(manifest.replace(&world.tenant, SIGNAL, replacement).await.unwrap(), Replaced::Replaced);
}

async fn pages(world: &World) -> Vec<Record> {
    let partition = keys::window_partition(&world.tenant, SIGNAL, Window::Hour(HOUR));
    world.records.query_prefix(&partition, keys::PAGE_PREFIX).await.unwrap()
}

/// 5,000 inputs: their ids and dead objects are 700 KB, twice what one record holds.
#[tokio::test]
async fn a_head_twice_the_size_of_a_record() {
    let world = World::new(0);
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    for content in 0..5_000 {
        let item = world.upload(content, false, world.clock.now());
        manifest.commit(tenant, SIGNAL, HOUR, item).await.unwrap();
    }
    let inputs = take(&world, &manifest).await.parts;
    let outputs = vec![world.merge(Window::Hour(HOUR), 1, &inputs)];
    replace(&world, &manifest, inputs.clone(), outputs.clone()).await;
    assert_eq!(take(&world, &manifest).await.parts, outputs);
    manifest.delete_inputs(tenant, SIGNAL, Window::Hour(HOUR), &inputs).await.unwrap();
    let spilt = pages(&world).await;
    assert!(spilt.len() >= 2 && spilt.iter().all(|page| page.value.len() < 350 * 1024), "{}", spilt.len());
    // One more merge reads what snapshots read, and leaves the dead where they are.
    let item = world.upload(5_000, false, world.clock.now());
    manifest.commit(tenant, SIGNAL, HOUR, item).await.unwrap();
    let snapshot = take(&world, &manifest).await;
    let visible = snapshot.requests - 4;
    assert!(visible < spilt.len() as u64, "{visible} of {} pages", spilt.len());
    let late: Vec<Part> = snapshot.parts.into_iter().filter(|part| part.level == 0).collect();
    let outputs: Vec<Part> = outputs.into_iter().chain([world.merge(Window::Hour(HOUR), 1, &late)]).collect();
    let (window, resolution, before) = (Window::Hour(HOUR), Resolution::Raw, world.records.calls());
    let generation = snapshot.heads.iter().find(|head| head.window == window).unwrap().generation;
    let replacement = Replacement { window, resolution, generation, inputs: late.clone(), outputs: outputs[1..].to_vec() };
    assert_eq!(manifest.replace(tenant, SIGNAL, replacement).await.unwrap(), Replaced::Replaced);
    assert_eq!(world.records.calls() - before, 2 + visible, "HEAD twice, and the pages of replaced ids");
    manifest.delete_inputs(tenant, SIGNAL, Window::Hour(HOUR), &late).await.unwrap();
    assert_eq!(pages(&world).await, spilt);
    // What died is collected, what was replaced is forgotten, and the pages go with it.
    let mut deleted = 0;
    for _ in 0..4 {
        world.clock.advance(Duration::from_secs(3_600));
        let dead = manifest.collect_window(tenant, SIGNAL, Window::Hour(HOUR)).await.unwrap();
        deleted += dead.len();
        let keys: Vec<String> = dead.into_iter().map(|object| object.key).collect();
        manifest.forget_dead(tenant, SIGNAL, Window::Hour(HOUR), &keys).await.unwrap();
    }
    assert_eq!((deleted, pages(&world).await.len()), (5_001, 0));
    let sorted = |mut parts: Vec<Part>| {
        parts.sort_by_key(|part| part.id);
        parts
    };
    assert_eq!(sorted(take(&world, &manifest).await.parts), sorted(outputs));
}

/// A page written by an update that never came to swap HEAD is found and deleted, and an update frozen meanwhile loses.
#[tokio::test]
async fn pages_nobody_references_are_collected() {
    let mut world = World::new(1);
    world.sizes = HeadSizes { inline_bytes_max: 0, page_bytes_max: 0 };
    let (manifest, tenant) = (world.manifest(0), &world.tenant);
    for content in [1, 2] {
        let item = world.upload(content, false, world.clock.now());
        manifest.commit(tenant, SIGNAL, HOUR, item).await.unwrap();
        let parts = take(&world, &manifest).await.parts;
        let inputs: Vec<Part> = parts.into_iter().filter(|part| part.level == 0).collect();
        let outputs = vec![world.merge(Window::Hour(HOUR), 1, &inputs)];
        replace(&world, &manifest, inputs, outputs).await;
    }
    let head = keys::head(tenant, SIGNAL, Window::Hour(HOUR), Resolution::Raw);
    let (orphan, before) = (keys::page(&head, 77), world.records.get(&head).await.unwrap().unwrap());
    world.records.put_if_absent(&orphan, pages(&world).await[0].value.clone()).await.unwrap();
    manifest.collect_window(tenant, SIGNAL, Window::Hour(HOUR)).await.unwrap();
    let frozen = world.records.cas_update(&head, before.version, before.value).await.unwrap();
    assert_eq!(frozen, store::Cas::Stale);
    assert!(world.records.get(&orphan).await.unwrap().is_some(), "a reader may still want it");
    world.clock.advance(Duration::from_secs(1_801));
    manifest.collect_window(tenant, SIGNAL, Window::Hour(HOUR)).await.unwrap();
    assert!(world.records.get(&orphan).await.unwrap().is_none());
    assert_eq!(take(&world, &manifest).await.parts.len(), 2);
}
