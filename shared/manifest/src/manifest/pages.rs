//! Pages nobody references: those that HEAD dropped, and those whose writer died or lost before HEAD referenced them.

use super::heads::decode_head;
use super::{Manifest, Step};
use crate::Result;
use crate::head::{Change, DroppedPage, HeadRecord};
use crate::limits::PAGE_GRACE;
use crate::mutation::Mutation;
use model::TimestampMs;
use std::collections::HashSet;
use std::time::Duration;
use store::{RecordKey, keys};

impl Manifest {
    /// Deletes dropped pages whose grace has passed, and lists pages nobody references as dropped. That swap of HEAD is what
    /// makes it safe: an update that wrote such a page, and was frozen, was to swap the HEAD of before.
    pub(super) async fn collect_pages(&self, key: &RecordKey) -> Result<()> {
        let record = self.records.get(key).await.step("read head")?;
        let head = decode_head(key, record.as_ref())?;
        if head.pages.is_empty() && head.dropped.is_empty() {
            return Ok(());
        }
        let grace = if self.makes(Mutation::DropPagesEarly) { Duration::ZERO } else { PAGE_GRACE };
        let due = due(&head, self.now().minus(grace));
        for id in &due {
            self.delete_page(key, *id).await?;
        }
        let listed = self.listed_pages(key).await?;
        let settle = |record: &mut HeadRecord| settle(record, &listed, &due, self.now());
        self.update_head_record(key, settle).await.map(|_| ())
    }

    async fn listed_pages(&self, key: &RecordKey) -> Result<Vec<u128>> {
        let records = self.records.query_prefix(&key.partition, &keys::page_prefix(key)).await.step("read pages")?;
        Ok(records.iter().filter_map(|record| keys::parse_page_sort(key, &record.sort)).collect())
    }

    async fn delete_page(&self, head: &RecordKey, id: u128) -> Result<()> {
        match self.records.delete_if(&keys::page(head, id), PAGE_VERSION).await {
            // Deleted or not: it stays listed until a deletion was answered.
            Err(error) => Err(error).step("delete page"),
            Ok(_) => Ok(()),
        }
    }

    /// Deletes all pages of a head that is gone.
    pub(super) async fn delete_pages(&self, key: &RecordKey) -> Result<()> {
        for id in self.listed_pages(key).await? {
            self.delete_page(key, id).await?;
        }
        Ok(())
    }
}

/// The version of every page: it is put once and never updated.
const PAGE_VERSION: u64 = 1;

fn due(head: &HeadRecord, dropped_by: TimestampMs) -> HashSet<u128> {
    head.dropped.iter().filter(|page| page.at <= dropped_by).map(|page| page.id).collect()
}

fn settle(record: &mut HeadRecord, listed: &[u128], deleted: &HashSet<u128>, now: TimestampMs) -> Change {
    let before = record.dropped.clone();
    record.dropped.retain(|page| !deleted.contains(&page.id));
    let known: HashSet<u128> = record.pages.iter().map(|page| page.id).chain(before.iter().map(|page| page.id)).collect();
    let orphans = listed.iter().filter(|id| !known.contains(id));
    record.dropped.extend(orphans.map(|id| DroppedPage { id: *id, at: now }));
    if record.dropped == before { Change::Already } else { Change::Write }
}
