//! Deleting objects that the manifest says no snapshot can name.

use futures::StreamExt;
use futures::stream;
use manifest::Window;
use model::{Signal, TenantId};
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};

use crate::limits::TRANSFERS_IN_FLIGHT;
use crate::rewrite::manifest_error;
use crate::{CompactError, Compactor};

impl Compactor {
    /// Deletes the objects of a window that are dead for longer than the grace (C3, M3); returns how many.
    ///
    /// # Errors
    /// Those of the manifest. An object that cannot be deleted stays listed and is tried again.
    pub async fn collect(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<u64, CompactError> {
        let dead = self.manifest().collect_window(tenant, signal, window).await.map_err(manifest_error("collect window"))?;
        if dead.is_empty() {
            return Ok(0);
        }
        let gone = self.delete_objects(dead.into_iter().map(|object| object.key).collect()).await;
        self.manifest().forget_dead(tenant, signal, window, &gone).await.map_err(manifest_error("forget dead objects"))?;
        Ok(gone.len() as u64)
    }

    /// Deletes objects; returns those that are gone. What cannot be deleted is logged and stays for the next time.
    pub(crate) async fn delete_objects(&self, keys: Vec<String>) -> Vec<String> {
        let deletes = keys.into_iter().map(|key| async move {
            match self.objects().delete(&ObjectPath::from(key.as_str())).await {
                Ok(()) | Err(ObjectError::NotFound { .. }) => Some(key),
                Err(error) => {
                    tracing::warn!(key, error = &error as &dyn std::error::Error, "object was not deleted");
                    None
                }
            }
        });
        let deletes: Vec<_> = deletes.collect();
        stream::iter(deletes).buffered(TRANSFERS_IN_FLIGHT).filter_map(async |gone| gone).collect().await
    }
}
