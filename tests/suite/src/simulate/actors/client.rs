//! A client sends batches through whichever process answers, and sends each again until it is acknowledged or it gives up;
//! some it sends again although it was acknowledged.

use super::super::mutation::{Mutation, Role};
use super::super::scenario::pick;
use super::super::world::World;
use super::traffic::{self, Request, Times};
use super::{Ended, within};
use appender::{Direct, Group, GroupOptions, WriteBuffer, Writer};
use model::{ErrorKind, Nonces, Signal, TenantId};
use rand::RngExt;
use rand::rngs::StdRng;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::simulation::Process;

/// A request and whose it is.
#[derive(Clone)]
pub struct Sent {
    tenant: TenantId,
    signal: Signal,
    request: Request,
}

/// A process that takes writes.
#[derive(Clone)]
struct Ingest {
    process: Process,
    buffer: Arc<dyn WriteBuffer>,
    /// A group, and how long it lingers, ms.
    lingering: Option<(Group, u64)>,
}

/// The processes that take writes at the moment.
#[derive(Clone, Default)]
pub struct Fleet(Arc<Mutex<Vec<Ingest>>>);

/// Processes at a time.
const FLEET_MAX: usize = 4;

/// How long a client waits for an answer, ms.
const PATIENCE_MS: u64 = 30_000;

impl Fleet {
    /// Sends a request to some process: a warm one, or a new one.
    fn route(&self, world: &World, random: &mut StdRng) -> Ingest {
        let mut fleet = self.0.lock().expect("no call panics while it holds the lock");
        fleet.retain(|ingest| !ingest.process.is_dead());
        if fleet.is_empty() || fleet.len() < FLEET_MAX && random.random_range(0..5u32) == 0 {
            fleet.push(ingest(world, random));
        }
        let place = random.random_range(0..fleet.len());
        // Now and then a process ends in good order: what its groups hold is written.
        if random.random_range(0..12u32) == 0 {
            let leaving = fleet.remove(place);
            let buffer = leaving.buffer.clone();
            tokio::spawn(async move { buffer.close().await });
            return leaving;
        }
        fleet[place].clone()
    }
}

fn ingest(world: &World, random: &mut StdRng) -> Ingest {
    let process = world.start_process();
    let nonces = match world.mutation {
        // The first number of a source made anew for each request is always the same.
        Some(Mutation::DeterministicKeys) => Arc::new(Nonces::seeded(0)),
        _ => world.nonces(&process),
    };
    let manifest = world.manifest(&process, Role::Ingest);
    let writer = Writer::new(world.objects(&process), manifest, Arc::new(process.clone()), nonces)
        .with_inline_bytes_max(world.scenario.inline_bytes_max);
    if random.random_range(0..3u32) > 0 {
        return Ingest { process, buffer: Arc::new(Direct::new(writer)), lingering: None };
    }
    process.lingers();
    // The linger is simulated time, so that it ends here and not by the clock on the wall.
    let options = GroupOptions { linger: Duration::from_secs(86_400), bytes_max: random.random_range(1..3_000) };
    let group = Group::new(writer, options);
    Ingest { process, buffer: Arc::new(group.clone()), lingering: Some((group, pick(random, &[250, 1_000, 20_000]))) }
}

impl Ingest {
    /// Ends the linger of the group that a request sent now opens or joins: at the latest a linger after its first one.
    fn linger(&self) {
        let Some((group, linger_ms)) = self.lingering.clone() else { return };
        let process = self.process.clone();
        tokio::spawn(async move {
            let lingered = process.run(process.wait(linger_ms)).await;
            lingered.into_iter().for_each(|()| group.flush());
        });
    }
}

/// Sends the client's requests.
pub async fn client(world: World, fleet: Fleet) {
    let mut random = world.random();
    for _ in 0..world.scenario.writes {
        let pause_ms = if random.random_range(0..4u32) == 0 { 600_000 } else { 20_000 };
        world.pause(random.random_range(0..pause_ms)).await;
        let sent = again(&world, &mut random).unwrap_or_else(|| fresh(&world, &mut random));
        deliver(&world, &fleet, &sent, &mut random).await;
        world.sent.lock().expect("no call panics while it holds the lock").push(sent);
    }
}

/// Chooses something that was sent before, minutes or a day ago.
fn again(world: &World, random: &mut StdRng) -> Option<Sent> {
    let sent = world.sent.lock().expect("no call panics while it holds the lock");
    sent.get(random.random_range(0..sent.len().max(1) * world.scenario.repeats_one_in)).cloned()
}

fn fresh(world: &World, random: &mut StdRng) -> Sent {
    let tenant = TenantId::parse(&format!("t{}", random.random_range(0..world.scenario.tenants))).expect("a plain name");
    let signal = if random.random_range(0..3u32) == 0 { Signal::Logs } else { Signal::Metrics };
    let times = Times { now: world.schedule.now(), late_ms_max: world.scenario.late_ms_max() };
    let (copies, replicas) = (world.scenario.copies, world.scenario.merged_after_ms());
    let request = match (signal, replicas) {
        (Signal::Metrics, Some(after_ms)) if random.random_range(0..3u32) > 0 => traffic::replicas(random, times, after_ms),
        (Signal::Metrics, _) if copies && random.random_range(0..3u32) == 0 => traffic::scrapes(random, times),
        _ => traffic::request(random, signal, times),
    };
    Sent { tenant, signal, request }
}

async fn deliver(world: &World, fleet: &Fleet, sent: &Sent, random: &mut StdRng) {
    let Sent { tenant, signal, request } = sent;
    let signal = *signal;
    for _ in 0..random.random_range(1..=5u32) {
        let mut ingest = fleet.route(world, random);
        if world.mutation == Some(Mutation::DeterministicKeys) {
            // Keys of its own for each request are what the mistake is about: none is shared with the request before.
            ingest = self::ingest(world, random);
        }
        if world.mutation == Some(Mutation::AckBeforeCommit) {
            world.acknowledge(tenant, signal, &request.rows);
        }
        ingest.linger();
        let append = ingest.buffer.append(tenant, request.batch.clone());
        match within(&ingest.process, PATIENCE_MS, append).await {
            Ended::Done(Ok(_)) => {
                world.schedule.note(ingest.process.id(), "acknowledge", [tenant.as_str(), signal.as_str()], "");
                return world.acknowledge(tenant, signal, &request.rows);
            }
            Ended::Done(Err(error)) => {
                world.schedule.note(ingest.process.id(), "refuse", [tenant.as_str(), &error.to_string()], "");
                match error.kind() {
                    ErrorKind::Unavailable | ErrorKind::Conflict => {}
                    // W4: an answer that says "never" is final.
                    ErrorKind::Invalid | ErrorKind::Limit | ErrorKind::NotFound => return,
                    kind => return world.violated(format!("W4: a write was refused as {kind:?}: {error:?}")),
                }
            }
            Ended::Crashed | Ended::TimedOut => {}
        }
        world.pause(random.random_range(0..30_000)).await;
    }
}
