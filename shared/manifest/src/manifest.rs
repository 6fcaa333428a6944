//! The manifest and the records it reads and changes.

mod catalogs;
mod collect;
mod commit;
mod deletions;
mod heads;
mod quarantines;
mod read;
mod replace;
mod retain;
mod rings;

pub use collect::{Burn, DeadObject};
pub use commit::Committed;
pub use deletions::Finish;
pub use replace::{Replaced, Replacement};

use crate::{Error, Result};
use commit::Known;
use model::{Clock, Nonces, TimestampMs};
use std::sync::Arc;
use store::Records;

/// The manifest of all tenants over one record store. Cheap to clone; the copies share what is known of the catalog.
#[derive(Clone, Debug)]
pub struct Manifest {
    records: Records,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    known: Arc<Known>,
}

impl Manifest {
    /// Makes a manifest over a record store.
    pub fn new(records: Records, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Manifest {
        Manifest { records, clock, nonces, known: Arc::default() }
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }
}

/// Names the step in which a call to the record store failed.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T>;
}

impl<T> Step<T> for store::Result<T> {
    fn step(self, step: &'static str) -> Result<T> {
        self.map_err(|source| Error::Store { step, source })
    }
}

fn corrupt(key: impl std::fmt::Display) -> impl FnOnce(&'static str) -> Error {
    move |reason| Error::Corrupt { key: key.to_string(), reason }
}
