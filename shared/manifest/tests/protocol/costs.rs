//! What each call costs in requests to the record store, once a process is warm.

use crate::world::{HOUR, SIGNAL, World};
use manifest::{Replaced, Replacement, Window};
use model::{Clock, Resolution};

#[tokio::test]
async fn requests_per_call() {
    let world = World::new(0);
    let manifest = world.manifest(0);
    let commit = async |content| {
        let item = world.upload(content, false, world.clock.now());
        manifest.commit(&world.tenant, SIGNAL, HOUR, item).await.unwrap();
    };
    let mut before = 0;
    let mut spent = |name: &'static str| {
        let spent = world.records.calls() - before;
        before += spent;
        (name, spent)
    };
    let mut costs = Vec::new();
    commit(1).await;
    costs.push(spent("first commit of a process and hour"));
    commit(2).await;
    costs.push(spent("commit"));
    let hour = manifest.snapshot(&world.tenant, SIGNAL, Window::Hour(HOUR).range()).await.unwrap();
    costs.push(spent("snapshot of one hour"));
    assert_eq!(hour.requests, 4);
    let window = Window::Hour(HOUR);
    let outputs = vec![world.merge(window, 1, &hour.parts)];
    let inputs = hour.parts.clone();
    let generation = hour.generation(window, Resolution::Raw);
    let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs, outputs };
    assert_eq!(manifest.replace(&world.tenant, SIGNAL, replacement).await.unwrap(), Replaced::Replaced);
    costs.push(spent("replace"));
    manifest.delete_inputs(&world.tenant, SIGNAL, window, &hour.parts).await.unwrap();
    costs.push(spent("delete two inputs"));
    manifest.collect_window(&world.tenant, SIGNAL, window).await.unwrap();
    costs.push(spent("collect a window with replaced ids"));
    assert_eq!(
        costs,
        [
            ("first commit of a process and hour", 5),
            ("commit", 1),
            ("snapshot of one hour", 4),
            ("replace", 2),
            ("delete two inputs", 3),
            ("collect a window with replaced ids", 4),
        ]
    );
}
