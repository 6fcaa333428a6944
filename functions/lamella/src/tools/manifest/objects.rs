//! The objects that are there. Lists the store: only tools and the collector of orphans do.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use boot::Host;
use futures::TryStreamExt;
use model::{Signal, TenantId, TimestampMs};
use store::keys::ObjectKey;
use store::objects::{ObjectMeta, ObjectPath};

use crate::tools::filter::Filter;

/// An object as listed.
#[derive(Clone, Debug)]
pub struct Object {
    /// Size in bytes.
    pub bytes: u64,
    /// When it was written.
    pub written_at: TimestampMs,
    /// What its key says; none for a key that Lamella does not write.
    pub key: Option<ObjectKey>,
}

/// Returns the objects of a tenant and signal that lie in the windows a filter means, by key. One whose key says nothing is
/// among them only where all windows are meant.
pub async fn list(host: &Host, tenant: &TenantId, signal: Signal, filter: &Filter) -> Result<BTreeMap<String, Object>> {
    let prefix = match filter.window {
        Some(window) => ObjectKey::day_prefix(tenant, signal, window.day()),
        None => ObjectPath::from(format!("{tenant}/{signal}")),
    };
    let listed = host.objects.list(Some(&prefix)).map_ok(entry).try_collect().await;
    let mut listed: BTreeMap<String, Object> = listed.with_context(|| format!("list objects under {prefix}"))?;
    let is_meant = |key: &ObjectKey| filter.admits_window(key.window);
    listed.retain(|_, object| object.key.as_ref().map_or(filter.window.is_none(), is_meant));
    Ok(listed)
}

fn entry(meta: ObjectMeta) -> (String, Object) {
    let name = meta.location.to_string();
    let object =
        Object { bytes: meta.size, written_at: TimestampMs(meta.last_modified.timestamp_millis()), key: ObjectKey::parse(&name) };
    (name, object)
}
