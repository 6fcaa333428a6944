//! How long data is kept: `LAMELLA_RETENTION`, then the file `LAMELLA_RETENTION_FILE`, whose entries win.
//!
//! Entries stand one per line or separated by commas; `#` begins a comment.
//! ```text
//! metrics=7d                     raw metrics of everybody; h, d, w and y count, `forever` never drops
//! logs=90d
//! team-a/metrics=30d             of one tenant, who keeps the defaults in what is not named
//! metrics/5m=30d, metrics/1h=180d  the coarse copies; raw data waits for them; `none` makes none
//! team-a/metrics/5m=180d         of one tenant
//! ```

use std::time::Duration;

use model::{Keep, Resolution, Retention, RetentionPolicy, Signal, TenantId};

use crate::config::Lookup;
use crate::{Error, Result};

const VARIABLE: &str = "LAMELLA_RETENTION";
const FILE_VARIABLE: &str = "LAMELLA_RETENTION_FILE";
const EXPECTED: &str = "entries such as metrics=7d or tenant/logs=90d";

/// Reads the variable and the file.
pub fn from_lookup(lookup: Lookup<'_>) -> Result<RetentionPolicy> {
    let mut policy = RetentionPolicy::default();
    let mut entries = Vec::new();
    if let Some(text) = lookup(VARIABLE) {
        entries.extend(parse(VARIABLE, &text)?);
    }
    if let Some(path) = lookup(FILE_VARIABLE) {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File { name: FILE_VARIABLE, path, source })?;
        entries.extend(parse(FILE_VARIABLE, &text)?);
    }
    // Defaults first: a tenant's own entry changes only what it names.
    entries.sort_by_key(|entry: &Entry| entry.tenant.is_some());
    entries.into_iter().for_each(|entry| entry.apply(&mut policy));
    Ok(policy)
}

struct Entry {
    tenant: Option<TenantId>,
    signal: Signal,
    resolution: Resolution,
    /// `None`: no such copy is made.
    keep: Option<Keep>,
}

impl Entry {
    fn apply(self, policy: &mut RetentionPolicy) {
        let retention: &mut Retention = match (self.tenant, self.signal) {
            (None, Signal::Metrics) => &mut policy.metrics,
            (None, Signal::Logs) => &mut policy.logs,
            (Some(tenant), signal) => {
                let default = policy.of(&tenant, signal).clone();
                policy.tenants.entry((tenant, signal)).or_insert(default)
            }
        };
        match (self.resolution, self.keep) {
            (Resolution::Raw, Some(keep)) => retention.raw = keep,
            // The parser lets no such entry through.
            (Resolution::Raw, None) => {}
            (coarse, Some(keep)) => drop(retention.coarse.insert(coarse, keep)),
            (coarse, None) => drop(retention.coarse.remove(&coarse)),
        }
    }
}

fn parse(name: &'static str, text: &str) -> Result<Vec<Entry>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    let entries = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
    let parsed =
        entries.map(|text| parse_entry(text).ok_or_else(|| Error::Variable { name, value: text.to_owned(), expected: EXPECTED }));
    parsed.collect()
}

fn parse_entry(text: &str) -> Option<Entry> {
    let (what, keep) = text.split_once('=')?;
    let mut parts: Vec<&str> = what.trim().split('/').collect();
    // A signal's name first: whoever calls a tenant "logs" names the tenant's signal too, "logs/logs".
    let tenant = match (parts.len(), Signal::parse(parts[0])) {
        (1, _) => None,
        (2, Some(_)) if Resolution::parse(parts[1]).is_some() => None,
        _ => Some(TenantId::parse(parts.remove(0)).ok()?),
    };
    let (signal, resolution) = match parts[..] {
        [signal] => (signal, Resolution::Raw),
        [signal, resolution] => (signal, Resolution::parse(resolution)?),
        _ => return None,
    };
    let keep = match keep.trim() {
        "none" if resolution != Resolution::Raw => None,
        text => Some(parse_keep(text)?),
    };
    let signal = Signal::parse(signal)?;
    // Logs have no copies: raw data would wait for them without end (D2).
    (signal == Signal::Metrics || resolution == Resolution::Raw).then_some(Entry { tenant, signal, resolution, keep })
}

fn parse_keep(text: &str) -> Option<Keep> {
    const HOUR: u64 = 3600;
    if text == "forever" {
        return Some(Keep::Forever);
    }
    let unit = text.chars().last()?;
    let seconds = match unit {
        'h' => HOUR,
        'd' => 24 * HOUR,
        'w' => 7 * 24 * HOUR,
        'y' => 365 * 24 * HOUR,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    // Nothing at all would be kept: surely a mistake.
    (count > 0).then(|| Keep::For(Duration::from_secs(u64::from(count) * seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<RetentionPolicy> {
        from_lookup(&|name| (name == VARIABLE).then(|| text.to_owned()))
    }

    fn days(days: u64) -> Keep {
        Keep::For(Duration::from_secs(days * 24 * 3600))
    }

    #[test]
    fn entries_of_tenants_change_what_they_name() {
        let policy = of("a/metrics=30d, metrics=2w\nmetrics/1h=1y # coarse\nlogs=forever,b/metrics/5m=36h").unwrap();
        let (a, b) = (TenantId::parse("a").unwrap(), TenantId::parse("b").unwrap());
        assert_eq!((policy.metrics.raw, policy.logs.raw), (days(14), Keep::Forever));
        let of_a = policy.of(&a, Signal::Metrics);
        assert_eq!((of_a.raw, of_a.of(Resolution::OneHour)), (days(30), Some(days(365))));
        assert_eq!(policy.of(&b, Signal::Logs), &policy.logs);
        let half_days = Keep::For(Duration::from_secs(36 * 3600));
        let of_b = policy.of(&b, Signal::Metrics);
        assert_eq!((of_b.raw, of_b.of(Resolution::FiveMinutes)), (days(14), Some(half_days)));
        assert_eq!(of("").unwrap(), RetentionPolicy::default());
        let policy = of("metrics/5m=none").unwrap();
        assert_eq!(policy.metrics.coarse.keys().collect::<Vec<_>>(), [&Resolution::OneHour]);
    }

    #[test]
    fn mistakes_are_named() {
        for text in [
            "metrics",
            "metrics=7",
            "metrics=0d",
            "metrics=-1d",
            "spans=7d",
            "metrics=none",
            "a/b/metrics=1d",
            "metrics/2m=1d",
            "logs/5m=1d",
            "b/logs/1h=1y",
            "logs/5m=none",
            "=1d",
        ] {
            let error = of(text).unwrap_err().to_string();
            assert_eq!(error, format!("environment variable LAMELLA_RETENTION is {text:?}, expected {EXPECTED}"));
        }
    }
}
