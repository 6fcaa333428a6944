//! How far an import is with a block: one record per tenant and block.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use model::TenantId;
use serde::{Deserialize, Serialize};
use store::{Cas, Put, RecordKey, Records, keys};

const VERSION: u32 = 1;

/// The record of one block.
#[derive(Debug)]
pub struct Ledger {
    records: Records,
    key: RecordKey,
}

/// How far it is. What was made of other content, or cut into other windows, is not gone on with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    version: u32,
    content: String,
    window_hours: i64,
    /// The window to go on with.
    pub window: usize,
    /// The series in it to go on with.
    pub series: usize,
    /// Whether nothing is left.
    pub done: bool,
    /// The record's version in the store; none where there is no record yet.
    #[serde(skip)]
    stored: Option<u64>,
}

impl Entry {
    /// Reports whether anything was written.
    pub fn is_begun(&self) -> bool {
        (self.window, self.series) != (0, 0)
    }
}

impl Ledger {
    /// Makes the ledger of a block.
    pub fn new(records: Records, tenant: &TenantId, block: &str) -> Ledger {
        Ledger { records, key: keys::imported_block(tenant, block) }
    }

    /// Returns how far an import of this content is.
    pub async fn entry(&self, content: &str, window_hours: i64) -> Result<Entry> {
        let record = self.records.get(&self.key).await.context("read how far the import is")?;
        let stored = record.as_ref().map(|record| record.version);
        let read = record.and_then(|record| serde_json::from_slice::<Entry>(&record.value).ok());
        let same = |entry: &Entry| entry.version == VERSION && entry.content == content && entry.window_hours == window_hours;
        let begun =
            Entry { version: VERSION, content: content.to_owned(), window_hours, window: 0, series: 0, done: false, stored };
        Ok(Entry { stored, ..read.filter(same).unwrap_or(begun) })
    }

    /// Notes how far it is.
    ///
    /// # Errors
    /// Where somebody else noted something meanwhile: two imports of one block would only do each other's work.
    pub async fn note(&self, entry: &mut Entry) -> Result<()> {
        let value = Bytes::from(serde_json::to_vec(entry).context("write how far the import is")?);
        let noted = match entry.stored {
            None => self.records.put_if_absent(&self.key, value).await.map(|put| put == Put::Written),
            Some(version) => self.records.cas_update(&self.key, version, value).await.map(|cas| cas == Cas::Updated),
        };
        if !noted.context("note how far the import is")? {
            bail!("another import of this block is running");
        }
        entry.stored = Some(entry.stored.unwrap_or(0) + 1);
        Ok(())
    }
}
