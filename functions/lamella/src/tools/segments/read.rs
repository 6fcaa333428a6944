//! The bytes of a segment.

use ::manifest::{Location, Part};
use anyhow::{Context, Result};
use boot::Host;
use bytes::Bytes;
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};

/// Returns the whole segment; none where its object is not there.
///
/// # Errors
/// Where the store cannot say.
pub async fn whole(host: &Host, part: &Part) -> Result<Option<Bytes>> {
    let key = match &part.location {
        Location::Inline(bytes) => return Ok(Some(bytes.clone())),
        Location::Object { key, .. } => key,
    };
    match host.objects.get(&ObjectPath::from(key.as_str())).await {
        Ok(object) => Ok(Some(object.bytes().await.with_context(|| format!("read {key}"))?)),
        Err(ObjectError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {key}")),
    }
}
