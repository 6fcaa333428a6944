//! How long data is kept, per tenant, signal and resolution. The grain is a day.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Resolution, Signal, TenantId};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long something is kept after the end of its day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// For so long.
    For(Duration),
    /// It is never dropped.
    Forever,
}

/// How long each resolution is kept; what is not named is not made. Raw data is always made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// As ingested.
    pub raw: Keep,
    /// Coarse copies, which must be live before raw data is dropped.
    pub coarse: BTreeMap<Resolution, Keep>,
}

impl Retention {
    /// Keeps raw data and makes no coarse copy.
    pub fn raw_for(days: u32) -> Retention {
        Retention { raw: Keep::For(days * DAY), coarse: BTreeMap::new() }
    }

    /// Returns how long a resolution is kept, `None` where none is made.
    pub fn of(&self, resolution: Resolution) -> Option<Keep> {
        match resolution {
            Resolution::Raw => Some(self.raw),
            coarse => self.coarse.get(&coarse).copied(),
        }
    }

    /// Returns how long anything is kept, in whatever resolution; `None`: for ever.
    pub fn longest(&self) -> Option<Duration> {
        let span = |keep: &Keep| match keep {
            Keep::For(span) => Some(*span),
            Keep::Forever => None,
        };
        self.coarse.values().map(span).fold(span(&self.raw), |longest, span| Some(longest?.max(span?)))
    }
}

/// What is kept for whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionPolicy {
    /// Metrics of tenants that are not named.
    pub metrics: Retention,
    /// Logs of tenants that are not named.
    pub logs: Retention,
    /// Tenants that are.
    pub tenants: BTreeMap<(TenantId, Signal), Retention>,
}

impl Default for RetentionPolicy {
    /// Metrics 7 days, their copies of 5m 30 days and of 1h 180 days; logs 90 days (design §7).
    fn default() -> RetentionPolicy {
        let coarse =
            BTreeMap::from([(Resolution::FiveMinutes, Keep::For(30 * DAY)), (Resolution::OneHour, Keep::For(180 * DAY))]);
        let metrics = Retention { coarse, ..Retention::raw_for(7) };
        RetentionPolicy { metrics, logs: Retention::raw_for(90), tenants: BTreeMap::new() }
    }
}

impl RetentionPolicy {
    /// Returns what holds for a tenant and signal.
    pub fn of(&self, tenant: &TenantId, signal: Signal) -> &Retention {
        let default = match signal {
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        };
        self.tenants.get(&(tenant.clone(), signal)).unwrap_or(default)
    }
}
