//! The manifest and the records it reads and changes.

mod catalogs;
mod clear;
mod collect;
mod commit;
mod deletions;
mod heads;
mod inspect;
mod pack;
mod pages;
mod quarantines;
mod read;
mod replace;
mod retain;
mod rings;

pub use catalogs::DayState;
pub use collect::{Burn, DeadObject};
pub use commit::Committed;
pub use deletions::Finish;
pub use inspect::{HeadRecords, WindowRecords};
pub use pack::Packed;
pub use replace::{Replaced, Replacement};

use crate::limits::{HEAD_INLINE_BYTES_MAX, PAGE_BYTES_MAX};
use crate::{Error, Result};
use commit::Known;
use model::{Clock, Nonces, TimestampMs};
use rings::KnownRings;
use std::sync::Arc;
use store::Records;

/// When heads spill, and into how large pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadSizes {
    /// Bytes of lists that lie in HEAD itself.
    pub inline_bytes_max: usize,
    /// Bytes of a page, at least one entry each.
    pub page_bytes_max: usize,
}

impl Default for HeadSizes {
    fn default() -> HeadSizes {
        HeadSizes { inline_bytes_max: HEAD_INLINE_BYTES_MAX, page_bytes_max: PAGE_BYTES_MAX }
    }
}

/// The manifest of all tenants over one record store. Cheap to clone; the copies share what is known of the catalog.
#[derive(Clone, Debug)]
pub struct Manifest {
    records: Records,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    known: Arc<Known>,
    rings: Arc<KnownRings>,
    sizes: HeadSizes,
    #[cfg(feature = "mutations")]
    pub(crate) mutation: Option<crate::mutation::Mutation>,
}

impl Manifest {
    /// Makes a manifest over a record store.
    pub fn new(records: Records, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Manifest {
        Manifest {
            records,
            clock,
            nonces,
            known: Arc::default(),
            rings: Arc::default(),
            sizes: HeadSizes::default(),
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Returns the manifest with heads that spill elsewhere than at the default sizes. Heads of any sizes are read.
    pub fn with_head_sizes(self, sizes: HeadSizes) -> Manifest {
        Manifest { sizes, ..self }
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
