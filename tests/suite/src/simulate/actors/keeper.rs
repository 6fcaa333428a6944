//! Who changes the rings of tenants while everybody works: by command, or as the load of their hours advises.

use super::super::mutation::{Mutation, Role};
use super::super::world::{ALL_TIME, World};
use super::compactor::INVOCATION_MS_MAX;
use super::within;
use manifest::Manifest;
use manifest::ring::{Assignment, Epoch, HourLoad, RingChange, advise, loads};
use model::TenantId;
use rand::RngExt;
use rand::rngs::StdRng;
use store::{Records, keys};

/// Looks `rounds` times whether a ring is to change, and changes it now and then.
pub async fn keeper(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        let accounts = world.accounts();
        if accounts.is_empty() || random.random_range(0..3u32) > 0 {
            continue;
        }
        let (tenant, _) = &accounts[random.random_range(0..accounts.len())];
        let process = world.start_process();
        let manifest = world.manifest(&process, Role::Compact);
        let records = world.records(&process);
        let change = change(&world, &manifest, &records, tenant, &mut random);
        let _ = within(&process, INVOCATION_MS_MAX, change).await;
    }
}

async fn change(world: &World, manifest: &Manifest, records: &Records, tenant: &TenantId, random: &mut StdRng) -> Option<()> {
    let ring = manifest.ring(tenant).await.ok()?;
    let groups = ring.latest().assignment.groups();
    let change = match random.random_range(0..4u32) {
        0 if groups > 1 => RingChange::Shrink(random.random_range(1..groups)),
        0 | 1 => RingChange::Grow(random.random_range(1..4)),
        _ => advised(world, manifest, tenant, groups, random).await?,
    };
    if let Some(epoch) = mistaken(world, ring.changed(change, model::Clock::now(&world.schedule.harness()))?) {
        // The mistake is written past the manifest, which would not make it.
        records.put_if_absent(&keys::ring_epoch(tenant, epoch.number), epoch.encode()).await.ok()?;
        return Some(());
    }
    manifest.change_ring(tenant, change).await.ok().map(|_| ())
}

/// What the load of the last hours asks for, as if each row were many.
async fn advised(world: &World, manifest: &Manifest, tenant: &TenantId, groups: u16, random: &mut StdRng) -> Option<RingChange> {
    let (_, signal) = world.accounts().into_iter().find(|(of, _)| of == tenant)?;
    let snapshot = manifest.snapshot(tenant, signal, ALL_TIME).await.ok()?;
    let scale = 1 << random.random_range(16..26u32);
    let scaled = |load: HourLoad| HourLoad { rows: load.rows * scale, bytes: load.bytes * scale, ..load };
    let loads: Vec<HourLoad> = loads(&snapshot.parts).into_iter().map(scaled).collect();
    advise(&loads, groups, world.schedule.now().hour()).change
}

/// What a mistaken keeper writes in place of an epoch.
fn mistaken(world: &World, epoch: Epoch) -> Option<Epoch> {
    match world.mutation? {
        Mutation::RingBuiltAnew => {
            let assignment = Assignment::single().grow(epoch.assignment.groups().max(3) - 1)?;
            Some(Epoch { assignment, ..epoch })
        }
        Mutation::RingAtOnce => Some(Epoch { from: world.schedule.now().hour(), ..epoch }),
        _ => None,
    }
}
