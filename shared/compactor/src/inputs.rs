//! Reading the inputs of a merge, and making sure that one is corrupt before saying so (S2).

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
            let found = format!("object is {} bytes, manifest says {len}", object.meta.size);
            return Ok(Err(Unreadable::Corrupt(found)));
        }
        object.bytes().await.map(Ok).map_err(error)
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
        let live = snapshot.map_err(error("take snapshot"))?.parts;
        if !live.iter().any(|part| part.id == input.id && part.location == input.location) {
            return Ok(Confirmed::Gone);
        }
        tracing::error!(%tenant, %signal, segment = %input.id, reason, "corrupt segment is quarantined");
        let quarantined = self.manifest().quarantine(tenant, signal, input, reason).await;
        quarantined.map_err(error("quarantine segment"))?;
        Ok(Confirmed::Corrupt)
    }
}
