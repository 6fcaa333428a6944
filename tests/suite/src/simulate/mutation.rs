//! Deliberate mistakes in the protocol, each made from outside: by a port that lies to one actor, by a clock that is wrong, or by
//! an actor that does things in the wrong order. No product code knows of them.

use async_trait::async_trait;
use bytes::Bytes;
use clap::ValueEnum;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use store::keys::{HEAD_PREFIX, L0_PREFIX};
use store::{Cas, Delete, Put, Record, RecordKey, RecordStore, Records, Result};

/// A mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mutation {
    /// The reader asks heads before items.
    HighFirst,
    /// The client is answered before the commit.
    AckBeforeCommit,
    /// The compactor deletes its inputs' items before it publishes.
    DeleteBeforeSwap,
    /// Dead objects are deleted at once.
    NoGrace,
    /// Items expire by themselves.
    TtlOnLive,
    /// The reader shows items that heads list as replaced.
    ReaderIgnoresReplaced,
    /// The compactor merges items that heads list as replaced.
    CompactorIgnoresReplaced,
    /// A head is updated whatever its version.
    NoCas,
    /// A head is written anew, without what it held.
    HeadOverwrite,
    /// Replaced ids are forgotten at once.
    EarlyTrim,
    /// A compactor that got no answer deletes its outputs.
    DeleteOwnOutputs,
    /// Orphans are deleted without burning their ids.
    CollectWithoutBurn,
    /// Orphaned outputs are deleted without a new generation of their head.
    CollectWithoutBump,
    /// After burning nobody looks again.
    CollectWithoutRecheck,
    /// A retry overwrites the item.
    OverwriteOnRetry,
    /// Object keys follow from the content.
    DeterministicKeys,
    /// Reads are eventually consistent.
    StaleReads,
    /// A query leaves nothing out that a deletion with a filter names.
    EngineIgnoresFilters,
    /// A ring of more groups is built anew, not grown.
    RingBuiltAnew,
    /// A new epoch holds for the hour that has begun.
    RingAtOnce,
    /// Reads ask for the ring.
    ReadByRing,
    /// A merge of a ring with several groups writes one part for all of them.
    MergeAcrossGroups,
    /// A merge forgets native histograms.
    MergeWithoutHistograms,
    /// An hour is cleared although there is data in it.
    ClearBlindly,
    /// A day lets go of its parts although its month has not taken them over.
    PackWithoutMonth,
    /// Raw data is dropped by its age alone.
    DropUncopied,
    /// A day's copies are dropped with its raw data.
    DropCopies,
    /// The objects of a day's copies are deleted with those of its raw data.
    DeleteCopies,
    /// An old copy is published as one of what there is now.
    RelabelCopy,
    /// A copy is made without the newest part of its day.
    CopySome,
    /// A copy is said to lack what was deleted, as it is.
    CopyKeepsDeleted,
    /// A day's replicas are merged as soon as it has ended.
    MergeOpenDay,
    /// Of a day whose replicas are merged one part is published.
    MergePartOfDay,
    /// What goes of replicas is what stands.
    MergeDropsWinners,
    /// All that loses an election goes, whatever elections come of what is left.
    MergeUntried,
}

impl Mutation {
    /// Reports whether it is about orphans, whose age otherwise hides it: they are collected at any age then.
    pub fn is_about_orphans(self) -> bool {
        matches!(
            self,
            Mutation::CollectWithoutBurn
                | Mutation::CollectWithoutBump
                | Mutation::CollectWithoutRecheck
                | Mutation::OverwriteOnRetry
                | Mutation::DeterministicKeys
        )
    }

    /// Reports whether it is about requests that come again long after they were merged.
    pub fn is_about_repeats(self) -> bool {
        self == Mutation::DeterministicKeys
    }

    /// Reports whether it is about deletions.
    pub fn is_about_deletions(self) -> bool {
        matches!(self, Mutation::EngineIgnoresFilters | Mutation::CopyKeepsDeleted)
    }

    /// Reports whether it is about coarse copies.
    pub fn is_about_copies(self) -> bool {
        matches!(
            self,
            Mutation::DropUncopied
                | Mutation::DropCopies
                | Mutation::DeleteCopies
                | Mutation::RelabelCopy
                | Mutation::CopySome
                | Mutation::CopyKeepsDeleted
        )
    }

    /// Reports whether it is about merges of replicas.
    pub fn is_about_replicas(self) -> bool {
        matches!(self, Mutation::MergeOpenDay | Mutation::MergePartOfDay | Mutation::MergeDropsWinners | Mutation::MergeUntried)
    }

    /// Reports whether it is about what happens in weeks only.
    pub fn is_about_weeks(self) -> bool {
        matches!(self, Mutation::ClearBlindly | Mutation::PackWithoutMonth)
    }

    /// Returns its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }
}

/// Who uses a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Writes batches.
    Ingest,
    /// Merges.
    Compact,
    /// Deletes what is dead or orphaned.
    Collect,
    /// Queries.
    Read,
}

/// Lies to an actor as the mistake has it.
pub fn mutated(records: Records, mutation: Mutation, role: Role) -> Records {
    match (mutation, role) {
        (Mutation::HighFirst, Role::Read) => lying(records, Lie::HeadsFirst),
        (Mutation::PackWithoutMonth, Role::Compact) => lying(records, Lie::NoMonths),
        (Mutation::NoCas, Role::Compact) => lying(records, Lie::NoCas),
        (Mutation::OverwriteOnRetry, Role::Ingest) => lying(records, Lie::OverwriteItems),
        (Mutation::CollectWithoutRecheck, Role::Collect) => lying(records, Lie::BlindOnceWritten),
        (Mutation::StaleReads, Role::Compact | Role::Read) => lying(records, Lie::Stale),
        _ => records,
    }
}

/// Hides all heads.
pub fn headless(records: Records) -> Records {
    lying(records, Lie::Headless)
}

/// Hides all heads and items.
pub fn empty(records: Records) -> Records {
    lying(records, Lie::Empty)
}

/// Writes heads as if there had been none.
pub fn overwriting_heads(records: Records) -> Records {
    lying(records, Lie::OverwriteHeads)
}

fn lying(inner: Records, lie: Lie) -> Records {
    Arc::new(Liar { inner, lie, seen: Mutex::default() })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    /// A head is read before the items of its window, and shown after them.
    HeadsFirst,
    /// An update is made whatever the version.
    NoCas,
    /// An item is put whatever stands there.
    OverwriteItems,
    /// Once something was written no head is seen any more.
    BlindOnceWritten,
    /// Every other read of a record answers as the read before it did.
    Stale,
    /// No head is seen.
    Headless,
    /// No head and no item is seen.
    Empty,
    /// A month's head is not written, whatever is answered.
    NoMonths,
    /// No head is seen, and what is put in its place replaces it.
    OverwriteHeads,
}

/// A record store that does not do what it promises.
#[derive(Debug)]
struct Liar {
    inner: Records,
    lie: Lie,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    records: HashMap<RecordKey, Option<Record>>,
    has_written: bool,
}

/// Months are written without a day.
fn is_head_of_month(key: &RecordKey) -> bool {
    is_head(key) && key.partition.rsplit('#').next().is_some_and(|window| window.len() == "2026-11".len())
}

fn is_head(key: &RecordKey) -> bool {
    key.sort.starts_with(HEAD_PREFIX)
}

impl Liar {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no call panics while it holds the lock")
    }

    async fn overwrite(&self, key: &RecordKey, value: Bytes) -> Result<Cas> {
        let version = self.inner.get(key).await?.map_or(0, |record| record.version);
        self.inner.cas_update(key, version, value).await
    }
}

#[async_trait]
impl RecordStore for Liar {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        if self.lie == Lie::NoMonths && is_head_of_month(key) {
            return Ok(Put::Written);
        }
        let put = self.inner.put_if_absent(key, value.clone()).await?;
        self.seen().has_written |= put == Put::Written;
        let insists = match self.lie {
            Lie::OverwriteItems => key.sort.starts_with(L0_PREFIX),
            Lie::OverwriteHeads => is_head(key),
            _ => false,
        };
        if put == Put::Exists && insists && self.overwrite(key, value).await? == Cas::Updated {
            return Ok(Put::Written);
        }
        Ok(put)
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let hidden = match self.lie {
            Lie::Headless | Lie::OverwriteHeads | Lie::Empty => is_head(key),
            Lie::BlindOnceWritten => is_head(key) && self.seen().has_written,
            _ => false,
        };
        if hidden {
            return Ok(None);
        }
        if matches!(self.lie, Lie::HeadsFirst | Lie::Stale) {
            let before = self.seen().records.remove(key);
            if let Some(record) = before {
                return Ok(record);
            }
        }
        let record = self.inner.get(key).await?;
        if self.lie == Lie::Stale {
            self.seen().records.insert(key.clone(), record.clone());
        }
        Ok(record)
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        if self.lie == Lie::HeadsFirst && sort_prefix == L0_PREFIX {
            let key = RecordKey { partition: partition.to_owned(), sort: HEAD_PREFIX.to_owned() };
            let record = self.inner.get(&key).await?;
            self.seen().records.insert(key, record);
        }
        let hidden = match self.lie {
            Lie::Empty => sort_prefix == L0_PREFIX || sort_prefix == HEAD_PREFIX,
            _ => false,
        };
        if hidden { Ok(Vec::new()) } else { self.inner.query_prefix(partition, sort_prefix).await }
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        if self.lie == Lie::NoMonths && is_head_of_month(key) {
            return Ok(Cas::Updated);
        }
        if self.lie == Lie::NoCas {
            return self.overwrite(key, value).await;
        }
        let cas = self.inner.cas_update(key, version, value).await?;
        self.seen().has_written |= cas == Cas::Updated;
        Ok(cas)
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        self.inner.delete_if(key, version).await
    }
}
