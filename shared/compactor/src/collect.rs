//! Deleting objects that the manifest says no snapshot can name.

use futures::StreamExt;
use futures::stream;
use manifest::Window;
use model::{Signal, TenantId};
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};

use crate::{CompactError, Compactor};

/// Deletes at a time.
const DELETES_IN_FLIGHT: usize = 16;

impl Compactor {
    /// Deletes the objects of a window that are dead for longer than the grace (C3, M3); returns how many.
    ///
    /// # Errors
    /// Those of the manifest. An object that cannot be deleted stays listed and is tried again.
    pub async fn collect(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<u64, CompactError> {
        let error = |source| CompactError::Manifest { step: "collect window", source };
        let dead = self.manifest().collect_window(tenant, signal, window).await.map_err(error)?;
        if dead.is_empty() {
            return Ok(0);
        }
        let deletes = dead.into_iter().map(|object| async move {
            match self.objects().delete(&ObjectPath::from(object.key.as_str())).await {
                Ok(()) | Err(ObjectError::NotFound { .. }) => Some(object.key),
                Err(error) => {
                    tracing::warn!(key = object.key, error = &error as &dyn std::error::Error, "dead object was not deleted");
                    None
                }
            }
        });
        let deletes: Vec<_> = deletes.collect();
        let gone: Vec<Option<String>> = stream::iter(deletes).buffer_unordered(DELETES_IN_FLIGHT).collect().await;
        let gone: Vec<String> = gone.into_iter().flatten().collect();
        self.manifest().forget_dead(tenant, signal, window, &gone).await.map_err(error)?;
        Ok(gone.len() as u64)
    }
}
