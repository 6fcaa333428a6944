//! Reading the inputs of a job, and making sure that one is corrupt before saying so (S2).

use std::ops::Range;

use bytes::Bytes;
use manifest::{Location, Part};
use model::{Signal, TenantId};
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};

use crate::{CompactError, Compactor};

/// What a second look at an input found.
pub(crate) enum Confirmed {
    /// It cannot be read: quarantined.
    Corrupt,
    /// It is no longer live: the plan is void.
    Gone,
}

/// Why an input could not be read.
pub(crate) enum Unreadable {
    /// There is no such object.
    Missing,
    /// The object is not what was written.
    Corrupt(String),
}

impl Unreadable {
    /// Returns what the quarantine says of it.
    pub fn reason(&self) -> &str {
        match self {
            Unreadable::Missing => "object is missing",
            Unreadable::Corrupt(reason) => reason,
        }
    }

    fn of_size(size: u64, len: u64) -> Unreadable {
        Unreadable::Corrupt(format!("object is {size} bytes, manifest says {len}"))
    }
}

/// Returns what was read, unless an input could not be: its position, and why.
pub(crate) fn all_read<T>(read: Vec<Result<T, Unreadable>>) -> Result<Vec<T>, (usize, Unreadable)> {
    read.into_iter().enumerate().map(|(position, read)| read.map_err(|why| (position, why))).collect()
}

impl Compactor {
    /// Reads a whole input. The inner error is about this input alone.
    ///
    /// # Errors
    /// Those of the store that may pass.
    pub(crate) async fn read_input(&self, input: &Part) -> Result<Result<Bytes, Unreadable>, CompactError> {
        let (key, len) = match &input.location {
            Location::Inline(bytes) => return Ok(Ok(bytes.clone())),
            Location::Object { key, len } => (key, *len),
        };
        let error = |source| CompactError::Objects { step: "read segment", key: key.clone(), source };
        let object = match self.objects().get(&ObjectPath::from(key.as_str())).await {
            Err(ObjectError::NotFound { .. }) => return Ok(Err(Unreadable::Missing)),
            other => other.map_err(error)?,
        };
        // Never more than the manifest promised is taken into memory.
        if object.meta.size != len {
            return Ok(Err(Unreadable::of_size(object.meta.size, len)));
        }
        object.bytes().await.map(Ok).map_err(error)
    }

    /// Reads a range of an input. The inner error is about this input alone.
    ///
    /// # Errors
    /// Those of the store that may pass.
    pub(crate) async fn read_range(&self, input: &Part, range: Range<u64>) -> Result<Result<Bytes, Unreadable>, CompactError> {
        let (key, len) = match &input.location {
            Location::Inline(bytes) => return Ok(Ok(bytes.slice(range.start as usize..range.end as usize))),
            Location::Object { key, len } => (key, *len),
        };
        let path = ObjectPath::from(key.as_str());
        let read = match self.objects().get_range(&path, range.clone()).await {
            Err(ObjectError::NotFound { .. }) => return Ok(Err(Unreadable::Missing)),
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => return Ok(Ok(bytes)),
            other => other,
        };
        // Stores have no common answer where an object is too short for the range: its size tells.
        match self.objects().head(&path).await {
            Ok(object) if object.size != len => Ok(Err(Unreadable::of_size(object.size, len))),
            _ => read.map(Ok).map_err(|source| CompactError::Objects { step: "read segment", key: key.clone(), source }),
        }
    }

    /// Tells what to do about an input that twice could not be read: quarantine, if it is still live.
    pub(crate) async fn quarantine(
        &self,
        tenant: &TenantId,
        signal: Signal,
        input: &Part,
        reason: &str,
    ) -> Result<Confirmed, CompactError> {
        let error = |step| move |source| CompactError::Manifest { step, source };
        let snapshot = self.manifest().snapshot_to_merge(tenant, signal, input.window.range()).await;
        let snapshot = snapshot.map_err(error("take snapshot"))?;
        let mut live = snapshot.parts.iter().chain(&snapshot.coarse);
        if !live.any(|part| part.id == input.id && part.location == input.location) {
            return Ok(Confirmed::Gone);
        }
        tracing::error!(%tenant, %signal, segment = %input.id, reason, "corrupt segment is quarantined");
        let quarantined = self.manifest().quarantine(tenant, signal, input, reason).await;
        quarantined.map_err(error("quarantine segment"))?;
        Ok(Confirmed::Corrupt)
    }
}
