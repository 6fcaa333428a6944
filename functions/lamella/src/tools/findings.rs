//! What a verification finds: one kind per way to be wrong, so that tests and scripts can ask for it by name.

use model::{Signal, TenantId};
use serde::Serialize;
use store::keys::Window;

use super::format;
use super::table::Table;

/// What is wrong. The JSON name is the kebab-case of this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The object of a live segment is not there.
    MissingObject,
    /// The object is longer or shorter than the manifest says.
    Length,
    /// The tail does not begin where the manifest says.
    TailOffset,
    /// The bytes are not what was written: a checksum or a promise of the format does not hold (S2).
    Corrupt,
    /// What the manifest says of the content is not so: rows, series, times, slots or filter. Queries prune by it.
    Statistics,
    /// The object's key says another tenant, signal, window, level or id than the record that names it.
    Key,
    /// Listed under a window or at a level where it cannot be.
    Place,
    /// One segment or one object is live twice.
    NamedTwice,
    /// An id is live and replaced in one head.
    LiveAndReplaced,
    /// A live segment's object is on a list of the dead, and will be deleted.
    LiveAndDead,
    /// A coarse segment without the raw ones it was made of, or a raw one with.
    Lineage,
    /// A record does not decode.
    Record,
    /// The records of a window are gone although its objects are there.
    LostRecords,
    /// The ring's epochs do not follow each other, or a segment names one that is not there.
    Ring,
    /// An object whose key Lamella does not write.
    ForeignObject,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// Whose data it is.
    pub tenant: Option<String>,
    /// `metrics` or `logs`.
    pub signal: Option<&'static str>,
    /// The hour or day.
    pub window: Option<String>,
    /// The segment's id, 32 hexadecimal digits.
    pub segment: Option<String>,
    /// The object.
    pub key: Option<String>,
    /// How, in words.
    pub what: String,
}

impl Finding {
    /// Makes a finding about a window.
    pub fn in_window(kind: Kind, tenant: &TenantId, signal: Signal, window: Window, what: String) -> Finding {
        let (tenant, signal, window) = (Some(tenant.to_string()), Some(signal.as_str()), Some(window.to_string()));
        Finding { kind, tenant, signal, window, segment: None, key: None, what }
    }

    /// Says which segment.
    pub fn of(self, part: &::manifest::Part) -> Finding {
        let key = match &part.location {
            ::manifest::Location::Object { key, .. } => Some(key.clone()),
            ::manifest::Location::Inline(_) => None,
        };
        Finding { segment: Some(part.id.to_string()), key, ..self }
    }
}

impl Kind {
    /// Returns the name in text and JSON.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Returns the findings as lines; empty without any.
pub fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["wrong", "tenant", "signal", "window", "segment", "what"]);
    for finding in findings {
        table.row([
            finding.kind.name(),
            finding.tenant.clone().unwrap_or_default(),
            finding.signal.unwrap_or_default().to_owned(),
            finding.window.clone().unwrap_or_default(),
            finding.segment.as_deref().map_or(String::new(), format::short),
            finding.what.clone(),
        ]);
    }
    table.render()
}
