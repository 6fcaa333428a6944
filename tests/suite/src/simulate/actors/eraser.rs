//! Somebody who has rows deleted.

use super::super::mutation::Role;
use super::super::scenario::pick;
use super::super::world::World;
use super::within;
use manifest::DeletionRequest;
use model::{Matcher, Signal, TenantId, TimeRangeMs, TimestampMs};
use rand::RngExt;
use rand::rngs::StdRng;

/// Longest an answer is waited for, ms.
const PATIENCE_MS: u64 = 30_000;

/// Requests `rounds` deletions.
pub async fn eraser(world: World, rounds: u32, pause_ms: u64) {
    let mut random = world.random();
    for _ in 0..rounds {
        world.pause(random.random_range(0..=pause_ms)).await;
        let accounts = world.accounts();
        if accounts.is_empty() {
            continue;
        }
        let (tenant, signal) = accounts[random.random_range(0..accounts.len())].clone();
        let matcher = match signal {
            Signal::Metrics => Matcher::equal("i", pick(&mut random, &["a", "b", "c", "d"])),
            Signal::Logs => Matcher::equal("app", pick(&mut random, &["api", "web", "db"])),
        };
        let by_replica = world.scenario.replicas && signal == Signal::Metrics && random.random();
        let matcher = if by_replica { Matcher::equal("replica", pick(&mut random, &["a", "b"])) } else { matcher };
        let lately = world.schedule.now().0 + 3_600_000 - random.random_range(0..7_200_000);
        let end = copied(&world, &tenant, signal, &mut random).unwrap_or(lately);
        let range = TimeRangeMs::new(TimestampMs(end - random.random_range(1..14_400_000)), TimestampMs(end));
        let process = world.start_process();
        let manifest = world.manifest(&process, Role::Ingest);
        let needle = pick(&mut random, &["404", "500", "GET /1"]);
        let filter = (signal == Signal::Logs && random.random()).then(|| format!("|= \"{needle}\""));
        let request = DeletionRequest { range, matchers: vec![matcher], filter };
        let _ = within(&process, PATIENCE_MS, manifest.request_deletion(&tenant, signal, request)).await;
    }
}

/// Draws a time at which some coarse copy has something, in half of the cases where there is one: its samples may be gone.
fn copied(world: &World, tenant: &TenantId, signal: Signal, random: &mut StdRng) -> Option<i64> {
    if !world.scenario.copies || random.random() {
        return None;
    }
    let coarse = world.look(tenant, signal)?.coarse;
    let range = coarse.get(random.random_range(0..coarse.len().max(1)))?.stats.time_range;
    Some(random.random_range(range.start.0..range.end.0.max(range.start.0 + 1)) + 1)
}
