//! The objects that are there. Lists the store: only tools and the collector of orphans do.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use boot::Host;
use futures::TryStreamExt;
use model::{Signal, TenantId, TimestampMs};
use store::keys::{ObjectKey, Window};
use store::objects::{ObjectMeta, ObjectPath};

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

/// Returns the objects of a tenant and signal, or of one day of them, by key.
pub async fn list(host: &Host, tenant: &TenantId, signal: Signal, window: Option<Window>) -> Result<BTreeMap<String, Object>> {
    let prefix = match window {
        Some(window) => ObjectKey::day_prefix(tenant, signal, window.day()),
        None => ObjectPath::from(format!("{tenant}/{signal}")),
    };
    let listed = host.objects.list(Some(&prefix)).map_ok(entry).try_collect().await;
    listed.with_context(|| format!("list objects under {prefix}"))
}

fn entry(meta: ObjectMeta) -> (String, Object) {
    let name = meta.location.to_string();
    let object =
        Object { bytes: meta.size, written_at: TimestampMs(meta.last_modified.timestamp_millis()), key: ObjectKey::parse(&name) };
    (name, object)
}
