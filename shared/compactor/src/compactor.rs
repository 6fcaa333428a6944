//! The compactor and what it needs.

use std::sync::Arc;

use manifest::Manifest;
use model::{Clock, CompileEntryFilter, EntryFilter, Nonces, TimestampMs};
use store::{Objects, Records};

use crate::Policy;
use crate::diary::Diary;
use crate::journal::Journal;

/// What a compactor works on.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Which segments are live.
    pub manifest: Manifest,
    /// Small items, for the journal.
    pub records: Records,
    /// The segments.
    pub objects: Objects,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub nonces: Arc<Nonces>,
}

/// Merges segments and collects garbage. Cheap to clone; holds no state that correctness needs: what it remembers of its last
/// looks only saves requests.
#[derive(Clone, Debug)]
pub struct Compactor {
    stores: Stores,
    policy: Arc<Policy>,
    entry_filters: CompileEntryFilter,
    diary: Arc<Diary>,
    owner: u64,
}

impl Compactor {
    /// Makes a compactor over the given stores. Deletions with a filter wait until it is told what they mean.
    pub fn new(stores: Stores, policy: Policy) -> Compactor {
        let owner = stores.nonces.next() as u64;
        let policy = Arc::new(policy);
        Compactor { stores, policy, entry_filters: EntryFilter::of_no_language, diary: Arc::default(), owner }
    }

    /// Tells what the filters of deletions mean.
    pub fn with_entry_filters(self, entry_filters: CompileEntryFilter) -> Compactor {
        Compactor { entry_filters, ..self }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.stores.manifest
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.stores.objects
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.stores.nonces
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::new(self.stores.records.clone())
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn entry_filters(&self) -> CompileEntryFilter {
        self.entry_filters
    }

    pub(crate) fn diary(&self) -> &Diary {
        &self.diary
    }

    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.stores.clock.now()
    }
}
