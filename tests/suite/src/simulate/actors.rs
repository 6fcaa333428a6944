//! Who acts: clients, ingest processes, compactors, collectors, readers.

mod client;
mod collector;
mod compactor;
mod eraser;
mod hand;
mod keeper;
mod mistakes;
mod reader;
mod traffic;
mod vandal;

pub use client::{Fleet, Sent, client};
pub use collector::orphans;
pub use compactor::{compactor, every_minute};
pub use eraser::eraser;
pub use keeper::keeper;
pub use reader::reader;
pub use vandal::vandal;

use super::mutation::Role;
use super::world::World;
use futures::future::{Either, select};
use manifest::Manifest;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use testkit::simulation::Process;

/// How an operation in a process ended.
pub enum Ended<T> {
    /// It came to its end.
    Done(T),
    /// Its process crashed.
    Crashed,
    /// It took too long and was dropped where it stood.
    TimedOut,
}

/// Carries out an operation in a process, for `limit_ms` at most.
pub async fn within<T>(process: &Process, limit_ms: u64, operation: impl Future<Output = T>) -> Ended<T> {
    let harness = process.schedule().harness();
    let operation = std::pin::pin!(process.run(operation));
    match select(operation, harness.wait(limit_ms)).await {
        Either::Left((Ok(value), _)) => Ended::Done(value),
        Either::Left((Err(_), _)) => Ended::Crashed,
        Either::Right(_) => Ended::TimedOut,
    }
}

impl World {
    /// Makes the manifest of a process.
    pub fn manifest(&self, process: &Process, role: Role) -> Manifest {
        Manifest::new(self.records_for(process, role), Arc::new(process.clone()), self.nonces(process))
    }

    /// Makes an actor's own source of chance.
    pub fn random(&self) -> StdRng {
        StdRng::seed_from_u64(self.schedule.draw(0..u64::MAX))
    }

    /// Lets simulated time pass for an actor.
    pub async fn pause(&self, ms: u64) {
        self.schedule.harness().wait(ms).await;
    }
}
