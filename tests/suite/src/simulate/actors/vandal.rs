//! Somebody who damages one object behind everybody's back: a bit flips, its end is missing, or nothing of it is
//! left (S2).

use super::super::world::{World, object_key};
use bytes::Bytes;
use rand::RngExt;

/// Damages one visible object, at some moment.
pub async fn vandal(world: World, pause_ms: u64) {
    let mut random = world.random();
    world.pause(random.random_range(0..=pause_ms)).await;
    let accounts = world.accounts();
    if accounts.is_empty() {
        return;
    }
    let (tenant, signal) = accounts[random.random_range(0..accounts.len())].clone();
    let Some(snapshot) = world.look(&tenant, signal) else { return };
    let shown = world.shown(&tenant, signal, &snapshot);
    let keys: Vec<&String> = snapshot.parts.iter().chain(&snapshot.coarse).filter_map(object_key).collect();
    if keys.is_empty() {
        return;
    }
    let key = keys[random.random_range(0..keys.len())];
    let Some(bytes) = world.shelf.bytes(key) else { return };
    if bytes.is_empty() {
        return;
    }
    let place = random.random_range(0..bytes.len());
    let damaged = if random.random_range(0..4u32) == 0 {
        Bytes::new()
    } else if random.random() {
        bytes.slice(..place)
    } else {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 1 << random.random_range(0..8u32);
        Bytes::from(flipped)
    };
    world.schedule.note(0, "damage", [key, ""], &place.to_string());
    world.account(&tenant, signal, |account| account.damage(key, &shown));
    world.shelf.damage(key, damaged);
}
