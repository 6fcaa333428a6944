//! Every call, with every kind of fault at every step: afterwards nothing is lost, nothing is doubled, and repeating the
//! call brings it to its end.

use crate::world::{HOUR, SIGNAL, World};
use manifest::{Error, Manifest, Replacement, Window};
use model::{Clock, Resolution};
use std::time::Duration;
use testkit::Fault;

#[derive(Clone, Copy, Debug)]
enum Call {
    Commit,
    Replace,
    DeleteInputs,
    Collect,
    Roll,
    Burn,
}

/// Two batches are committed; for calls further on, merged, and their inputs deleted.
async fn prepare(world: &World, manifest: &Manifest, call: Call) -> Result<(), Error> {
    for content in [1, 2] {
        perform_commit(world, manifest, content).await?;
    }
    let merged = matches!(call, Call::DeleteInputs | Call::Collect | Call::Roll);
    if merged {
        replace(world, manifest, Window::Hour(HOUR)).await?;
    }
    if matches!(call, Call::Collect | Call::Roll) {
        world.clock.advance(Duration::from_secs(2 * 3600));
    }
    Ok(())
}

async fn perform_commit(world: &World, manifest: &Manifest, content: u32) -> Result<(), Error> {
    let item = world.upload(content, false, world.clock.now());
    manifest.commit(&world.tenant, SIGNAL, HOUR, item).await?;
    world.acknowledge(content);
    Ok(())
}

async fn replace(world: &World, manifest: &Manifest, window: Window) -> Result<(), Error> {
    let snapshot = manifest.snapshot(&world.tenant, SIGNAL, world.day_range()).await?;
    let inputs = snapshot.parts.clone();
    if inputs.is_empty() || inputs.iter().all(|input| input.window == window && input.level > 0) {
        return Ok(());
    }
    let outputs = vec![world.merge(window, 1, &inputs)];
    let generation = snapshot.generation(window, Resolution::Raw);
    manifest
        .replace(&world.tenant, SIGNAL, Replacement { window, resolution: Resolution::Raw, generation, inputs, outputs })
        .await?;
    Ok(())
}

async fn perform(world: &World, manifest: &Manifest, call: Call) -> Result<(), Error> {
    let (tenant, hour, day) = (&world.tenant, Window::Hour(HOUR), Window::Day(HOUR.day()));
    match call {
        Call::Commit => perform_commit(world, manifest, 3).await,
        Call::Replace => replace(world, manifest, hour).await,
        Call::DeleteInputs => {
            let inputs: Vec<_> = [1, 2].map(|content| world.upload(content, true, world.clock.now()).into_part(HOUR)).into();
            manifest.delete_inputs(tenant, SIGNAL, hour, &inputs).await
        }
        Call::Collect => {
            let dead = manifest.collect_window(tenant, SIGNAL, hour).await?;
            let keys: Vec<String> = dead.into_iter().map(|object| object.key).collect();
            keys.iter().for_each(|key| world.delete_object(key));
            manifest.forget_dead(tenant, SIGNAL, hour, &keys).await
        }
        Call::Roll => {
            manifest.seal(tenant, SIGNAL, HOUR).await?;
            replace(world, manifest, day).await?;
            manifest.collect_window(tenant, SIGNAL, day).await.map(|_| ())
        }
        Call::Burn => {
            for key in world.all_objects() {
                let object = manifest::ObjectKey::parse(&key).unwrap();
                assert_eq!(manifest.burn(&object).await?, manifest::Burn::Referenced);
            }
            Ok(())
        }
    }
}

/// Runs `call` with `fault` at step `step`; reports whether there was such a step.
async fn check(call: Call, fault: Fault, step: u64, spills: bool) -> bool {
    let world = World::new(2 * step + u64::from(spills));
    let manifest = world.manifest(0);
    prepare(&world, &manifest, call).await.unwrap();
    let (before, fresh) = (world.records.calls(), world.manifest(0));
    world.records.script((0..step).map(|_| Fault::None).chain([fault]));
    let _ = perform(&world, &fresh, call).await;
    let reached = world.records.calls() - before > step;
    world.records.script([]);
    for _ in 0..2 {
        verify(&world, &manifest).await;
        perform(&world, &fresh, call).await.unwrap();
    }
    verify(&world, &manifest).await;
    let violations = world.violations.lock().unwrap();
    assert!(violations.is_empty(), "{call:?} {fault:?} at step {step}: {violations:?}");
    reached
}

async fn verify(world: &World, manifest: &Manifest) {
    let snapshot = manifest.snapshot(&world.tenant, SIGNAL, world.day_range()).await.unwrap();
    world.check_visible(&snapshot, &world.acknowledged());
    world.check_objects(&snapshot);
}

#[tokio::test]
async fn every_step_may_fail() {
    let mut checked = 0;
    for call in [Call::Commit, Call::Replace, Call::DeleteInputs, Call::Collect, Call::Roll, Call::Burn] {
        for fault in [Fault::Before, Fault::After, Fault::CrashBefore, Fault::CrashAfter] {
            for spills in [false, true] {
                let mut step = 0;
                while check(call, fault, step, spills).await {
                    step += 1;
                }
                checked += step;
            }
        }
    }
    assert!(checked > 250, "only {checked} faults were tried");
}
