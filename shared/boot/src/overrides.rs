//! Limits of single tenants, and of all, in the spelling of Loki's `limits_config` and `overrides`.
//!
//! `LAMELLA_LIMITS` holds the text, `LAMELLA_LIMITS_FILE` names a file of it, which wins. YAML, and so JSON too:
//! ```yaml
//! limits_config:                     # of everybody
//!   reject_old_samples_max_age: 30d
//!   ingestion_rate_mb: 8
//! overrides:                         # of one tenant, who keeps the above in what is not named
//!   team-a:
//!     max_line_size: 64KB
//!     max_line_size_truncate: true
//! ```
//! A name Lamella has no use for is refused: a limit that silently does nothing protects nobody.

mod otlp;
mod settings;
mod values;

use std::collections::BTreeMap;

use model::{Limits, TenantId, TenantLimits};
use serde::Deserialize;

use self::settings::Settings;
use crate::config::Lookup;
use crate::{Error, Result};

const VARIABLE: &str = "LAMELLA_LIMITS";
const FILE_VARIABLE: &str = "LAMELLA_LIMITS_FILE";

/// Returns the limits of every tenant: `default` with what the variable and the file say in place.
pub fn from_lookup(lookup: Lookup<'_>, default: Limits) -> Result<TenantLimits> {
    let mut documents = Vec::new();
    if let Some(text) = lookup(VARIABLE) {
        documents.push(Document::parse(VARIABLE, &text)?);
    }
    if let Some(path) = lookup(FILE_VARIABLE) {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File { name: FILE_VARIABLE, path, source })?;
        documents.push(Document::parse(FILE_VARIABLE, &text)?);
    }
    limits_of(&documents, default)
}

/// Returns the limits that a text describes.
pub fn parse(text: &str, default: Limits) -> Result<TenantLimits> {
    limits_of(&[Document::parse(VARIABLE, text)?], default)
}

/// What a text says.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Document {
    limits_config: Settings,
    overrides: BTreeMap<Tenant, Settings>,
}

impl Document {
    fn parse(name: &'static str, text: &str) -> Result<Document> {
        let read: std::result::Result<Option<Document>, _> = serde_yaml_ng::from_str(text);
        read.map(Option::unwrap_or_default).map_err(|source| Error::Limits { name, source })
    }
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Tenant(TenantId);

impl TryFrom<String> for Tenant {
    type Error = model::tenant::TenantError;

    fn try_from(text: String) -> std::result::Result<Tenant, Self::Error> {
        TenantId::parse(&text).map(Tenant)
    }
}

fn limits_of(documents: &[Document], mut default: Limits) -> Result<TenantLimits> {
    documents.iter().for_each(|document| document.limits_config.apply(&mut default));
    let mut tenants: BTreeMap<TenantId, Limits> = BTreeMap::new();
    for (Tenant(tenant), settings) in documents.iter().flat_map(|document| &document.overrides) {
        settings.apply(tenants.entry(tenant.clone()).or_insert_with(|| default.clone()));
    }
    let named = tenants.iter().map(|(tenant, limits)| (tenant.as_str(), limits));
    for (whose, limits) in named.chain([("everybody", &default)]) {
        limits.election.check().map_err(|reason| Error::Contradiction { whose: whose.to_owned(), reason })?;
    }
    Ok(TenantLimits::new(default, tenants))
}

#[cfg(test)]
mod tests;
