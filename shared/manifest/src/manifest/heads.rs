//! Reading and conditionally updating heads with their pages, and other single records, whatever the store loses on the way.

use super::{Manifest, Step, corrupt};
use crate::head::{Change, Entries, Head, HeadRecord, Layout, List, Page, PageRef, lay_out};
use crate::limits::{CAS_ATTEMPTS_MAX, PAGE_ATTEMPTS_MAX, READS_IN_FLIGHT, UNKNOWN_OUTCOME_ATTEMPTS_MAX};
use crate::mutation::Mutation;
use crate::{Error, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use store::keys;
use store::{Cas, Put, Record, RecordKey};

/// What to do with a record that was read.
pub(super) enum Decision {
    /// Write this, if the record is still as read.
    Write(Bytes),
    /// Leave it.
    Stop(Change),
}

/// What of a head is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lists {
    /// What a snapshot needs, and a replacement: parts and replaced ids.
    Visible,
    /// Everything.
    All,
}

/// A head as read.
#[derive(Clone)]
pub(super) struct Loaded {
    /// The version of HEAD; `None` where there is none.
    pub version: Option<u64>,
    /// HEAD.
    pub record: HeadRecord,
    /// Its pages, of the lists asked for.
    pub pages: Vec<Page>,
}

impl Loaded {
    /// Returns the head with what its pages hold.
    pub fn whole(self) -> Head {
        self.record.whole(self.pages)
    }
}

impl Manifest {
    /// Returns the head with the lists asked for, if any.
    pub(super) async fn head(&self, key: &RecordKey, lists: Lists) -> Result<Option<Head>> {
        let loaded = self.load(key, lists).await?;
        Ok(loaded.version.map(|_| loaded.whole()))
    }

    /// Reads HEAD and its pages; an absent one is empty.
    async fn load(&self, key: &RecordKey, lists: Lists) -> Result<Loaded> {
        let record = self.records.get(key).await.step("read head")?;
        self.load_pages(key, record, lists).await
    }

    /// Reads the pages of a HEAD that was read. A page that is gone was dropped meanwhile: HEAD is read again.
    pub(super) async fn load_pages(&self, key: &RecordKey, mut record: Option<Record>, lists: Lists) -> Result<Loaded> {
        for _ in 0..PAGE_ATTEMPTS_MAX {
            let version = record.as_ref().map(|record| record.version);
            let head = decode_head(key, record.as_ref())?;
            let wanted = head.pages.iter().filter(|page| lists == Lists::All || page.list != List::Dead);
            let reads: Vec<_> = wanted.map(|page| self.page(key, *page)).collect();
            let pages: Vec<Option<Page>> = stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await?;
            if self.makes(Mutation::DropPagesEarly) {
                return Ok(Loaded { version, record: head, pages: pages.into_iter().flatten().collect() });
            }
            if let Some(pages) = pages.into_iter().collect::<Option<Vec<Page>>>() {
                return Ok(Loaded { version, record: head, pages });
            }
            record = self.records.get(key).await.step("read head again")?;
        }
        Err(Error::PagesGone { key: key.to_string(), attempts: PAGE_ATTEMPTS_MAX })
    }

    async fn page(&self, head: &RecordKey, page: PageRef) -> Result<Option<Page>> {
        let key = keys::page(head, page.id);
        let Some(record) = self.records.get(&key).await.step("read page")? else { return Ok(None) };
        let entries = Entries::decode(&record.value).map_err(corrupt(&key))?;
        if entries.list() != page.list {
            return Err(corrupt(&key)("a page of another list"));
        }
        Ok(Some(Page { id: page.id, entries }))
    }

    /// Changes a head by `decide`, which may run several times, each time on the head as it then is. It sees the lists asked for;
    /// of another it sees what lies in HEAD, and may add to that: an hour's dead objects, of which a busy one lists tens of
    /// thousands, are read by collection and retention alone. New pages are written before HEAD is swapped to reference them. After
    /// a lost answer the head is read again: our `last_op` there means that the change was made; otherwise `decide` sees what others
    /// made of it.
    pub(super) async fn update_head(
        &self,
        key: &RecordKey,
        lists: Lists,
        decide: impl Fn(&mut Head) -> Change + Send + Sync,
    ) -> Result<Change> {
        let op = self.nonces.next();
        let mut lost = None;
        for _ in 0..CAS_ATTEMPTS_MAX {
            let loaded = self.load(key, lists).await?;
            // Kept as read too: what it is laid out over.
            let mut head = loaded.clone().whole();
            if head.last_op == op {
                return Ok(Change::Write);
            }
            match decide(&mut head) {
                Change::Write => {}
                other => return Ok(other),
            }
            head.last_op = op;
            let layout = self.lay_out(key, head, &loaded)?;
            self.put_pages(key, &layout).await?;
            if self.swap(key, "update head", loaded.version, layout.head, &mut lost).await? {
                return Ok(Change::Write);
            }
        }
        given_up(key, "update head", lost)
    }

    /// Changes what HEAD itself holds besides its lists, by `decide`, without reading pages.
    pub(super) async fn update_head_record(
        &self,
        key: &RecordKey,
        decide: impl Fn(&mut HeadRecord) -> Change + Send + Sync,
    ) -> Result<Change> {
        let op = self.nonces.next();
        let change = |record: Option<&Record>| {
            let mut record = decode_head(key, record)?;
            if record.head.last_op == op {
                return Ok(Decision::Stop(Change::Write));
            }
            match decide(&mut record) {
                Change::Write => {}
                other => return Ok(Decision::Stop(other)),
            }
            record.head.last_op = op;
            Ok(Decision::Write(record.encode()))
        };
        self.update_record(key, "update head", change).await
    }

    fn lay_out(&self, key: &RecordKey, head: Head, loaded: &Loaded) -> Result<Layout> {
        let laid = lay_out(head, &loaded.record, &loaded.pages, self.sizes, self.now(), || self.nonces.next());
        let limit_bytes = store::records::RECORD_BYTES_MAX;
        laid.map_err(|size_bytes| Error::HeadTooLarge { key: key.to_string(), size_bytes, limit_bytes })
    }

    /// Writes new pages. Their ids are fresh: a page that exists is ours.
    async fn put_pages(&self, head: &RecordKey, layout: &Layout) -> Result<()> {
        let puts: Vec<_> = layout.pages.iter().map(|(id, value)| self.put_page(head, *id, value)).collect();
        stream::iter(puts).buffer_unordered(READS_IN_FLIGHT).try_collect().await
    }

    async fn put_page(&self, head: &RecordKey, id: u128, value: &Bytes) -> Result<()> {
        let key = keys::page(head, id);
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.records.put_if_absent(&key, value.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_unknown_outcome() && attempts < UNKNOWN_OUTCOME_ATTEMPTS_MAX => {}
                Err(error) => return Err(error).step("write page"),
            }
        }
    }

    /// Changes a record by compare and swap. `decide` gets the record as it is and must recognise a change of its own that
    /// was made although its answer was lost.
    pub(super) async fn update_record(
        &self,
        key: &RecordKey,
        step: &'static str,
        decide: impl Fn(Option<&Record>) -> Result<Decision> + Send + Sync,
    ) -> Result<Change> {
        let mut lost = None;
        for _ in 0..CAS_ATTEMPTS_MAX {
            let record = self.records.get(key).await.step(step)?;
            let value = match decide(record.as_ref())? {
                Decision::Stop(change) => return Ok(change),
                Decision::Write(value) => value,
            };
            if self.swap(key, step, record.map(|record| record.version), value, &mut lost).await? {
                return Ok(Change::Write);
            }
        }
        given_up(key, step, lost)
    }

    /// Writes a record if it is still as read; `false`: it is not, or the answer was lost, which `lost` remembers.
    async fn swap(
        &self,
        key: &RecordKey,
        step: &'static str,
        version: Option<u64>,
        value: Bytes,
        lost: &mut Option<store::Error>,
    ) -> Result<bool> {
        *lost = None;
        match self.write(key, version, value).await {
            Ok(written) => Ok(written),
            Err(error) if error.is_unknown_outcome() => {
                *lost = Some(error);
                Ok(false)
            }
            Err(error) => Err(error).step(step),
        }
    }

    async fn write(&self, key: &RecordKey, version: Option<u64>, value: Bytes) -> store::Result<bool> {
        match version {
            None => Ok(self.records.put_if_absent(key, value).await? == Put::Written),
            Some(version) => Ok(self.records.cas_update(key, version, value).await? == Cas::Updated),
        }
    }
}

/// Decodes HEAD; an absent one is empty.
pub(super) fn decode_head(key: &RecordKey, record: Option<&Record>) -> Result<HeadRecord> {
    record.map_or(Ok(HeadRecord::default()), |record| HeadRecord::decode(&record.value).map_err(corrupt(key)))
}

fn given_up(key: &RecordKey, step: &'static str, lost: Option<store::Error>) -> Result<Change> {
    match lost {
        Some(error) => Err(error).step(step),
        None => Err(Error::Contended { key: key.to_string(), attempts: CAS_ATTEMPTS_MAX }),
    }
}
