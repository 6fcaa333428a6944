//! Bounds on what a tenant may send and ask. The values are set in `boot`; these are the defaults with their reasons.

mod election;
mod log_queries;
mod logs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{Retention, RetentionPolicy, Signal, TenantId};

pub use election::ElectionLimits;
pub use log_queries::{BlockedQuery, DeletionMode, LogQueryLimits};
pub use logs::{BlockedIngestion, LogLimits};

/// Limits of one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a request body as received; 32 MiB is Prometheus's remote-write bound.
    pub body_bytes_max: usize,
    /// Bytes of a request body once decompressed.
    pub decoded_bytes_max: usize,
    /// Labels per series (Mimir's default is 30; senders with Kubernetes labels exceed it).
    pub labels_per_series_max: usize,
    /// Bytes of a label name (Mimir, Loki: 1,024).
    pub label_name_bytes_max: usize,
    /// Bytes of a label value (Mimir, Loki: 2,048).
    pub label_value_bytes_max: usize,
    /// How far in the future a sample or an entry may lie (Prometheus, Loki `creation_grace_period`: 10 min).
    pub future_grace: Duration,
    /// How old a sample may be when it arrives: what retention keeps ([`TenantLimits::kept`]), and no more than this.
    pub metrics_age_max: Duration,
    /// Samples a query may load (Prometheus: 50 million).
    pub query_samples_max: usize,
    /// Series a query may select.
    pub query_series_max: usize,
    /// Bytes of memory one query may hold.
    pub query_memory_bytes_max: usize,
    /// Object requests one query may make.
    pub query_requests_max: usize,
    /// Time one query may take (Prometheus: 2 min; Loki `query_timeout`).
    pub query_timeout: Duration,
    /// Bytes of a query text (Loki: 131,072).
    pub query_text_bytes_max: usize,
    /// How fast may be sent.
    pub rates: IngestRates,
    /// Labels that tell replicas of one Prometheus apart.
    pub replica_labels: Vec<String>,
    /// Whether replicas are deduplicated where a query does not say (docs/0021).
    pub replicas_deduplicated: bool,
    /// How old a sample may be when it arrives, and how long after its end a day is left with one replica's samples; `None`: never
    /// (docs/0021).
    pub replicas_merged_after: Option<Duration>,
    /// Whose samples are taken where replicas send the same.
    pub election: ElectionLimits,
    /// What is accepted of logs, and how.
    pub logs: LogLimits,
    /// What may be asked of logs.
    pub log_queries: LogQueryLimits,
}

/// How fast a tenant may send to one process; each is unbounded where there is none.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct IngestRates {
    /// Requests, of any protocol.
    pub requests: Option<Rate>,
    /// Samples and histograms.
    pub samples: Option<Rate>,
    /// Bytes of bodies as received.
    pub bytes: Option<Rate>,
}

impl IngestRates {
    /// Reports whether anything goes.
    pub fn is_unbounded(&self) -> bool {
        self.requests.is_none() && self.samples.is_none() && self.bytes.is_none()
    }
}

/// A rate, and how much may come at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// In the long run.
    pub per_second: f64,
    /// After a pause.
    pub burst: f64,
}

impl Rate {
    /// Seconds of the rate that may come at once where nobody says: senders that were cut off for a moment catch up.
    const BURST_S: f64 = 10.0;

    /// Makes a rate; zero is none.
    pub fn new(per_second: f64, burst: Option<f64>) -> Option<Rate> {
        let burst = burst.unwrap_or(per_second * Rate::BURST_S).max(1.0);
        (per_second > 0.0).then_some(Rate { per_second, burst })
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const MIB: usize = 1 << 20;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 32 * MIB,
            decoded_bytes_max: 32 * MIB,
            labels_per_series_max: 128,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 2048,
            future_grace: Duration::from_secs(600),
            metrics_age_max: Duration::from_secs(395 * DAY),
            query_samples_max: 50_000_000,
            query_series_max: 1_000_000,
            query_memory_bytes_max: 2048 * MIB,
            query_requests_max: 5_000,
            query_timeout: Duration::from_secs(120),
            query_text_bytes_max: 131_072,
            rates: IngestRates::default(),
            replica_labels: ["replica", "__replica__", "prometheus_replica"].map(str::to_owned).to_vec(),
            replicas_deduplicated: false,
            replicas_merged_after: None,
            election: ElectionLimits::default(),
            logs: LogLimits::default(),
            log_queries: LogQueryLimits::default(),
        }
    }
}

impl Limits {
    /// Returns how old a sample may be when it arrives: nothing may come late to a day whose replicas are merged.
    pub fn sample_age_max(&self) -> Duration {
        self.replicas_merged_after.map_or(self.metrics_age_max, |after| after.min(self.metrics_age_max))
    }

    /// Returns these limits with those on queries no wider than another tenant's: what reads of several must not exceed any's.
    #[must_use]
    pub fn within(mut self, other: &Limits) -> Limits {
        let least = |own: &mut usize, others: usize| *own = (*own).min(others);
        least(&mut self.query_samples_max, other.query_samples_max);
        least(&mut self.query_series_max, other.query_series_max);
        least(&mut self.query_memory_bytes_max, other.query_memory_bytes_max);
        least(&mut self.query_requests_max, other.query_requests_max);
        least(&mut self.query_text_bytes_max, other.query_text_bytes_max);
        self.query_timeout = self.query_timeout.min(other.query_timeout);
        self.log_queries = self.log_queries.within(&other.log_queries);
        self
    }

    fn kept(&self, metrics: &Retention, logs: &Retention) -> Limits {
        let mut limits = self.clone();
        limits.metrics_age_max = metrics.longest().map_or(self.metrics_age_max, |kept| kept.min(self.metrics_age_max));
        limits.logs.age_max = [logs.longest(), self.logs.age_max].into_iter().flatten().min();
        limits
    }
}

/// Limits of every tenant: those of all, and those of tenants with limits of their own. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantLimits {
    default: Arc<Limits>,
    tenants: Arc<BTreeMap<TenantId, Arc<Limits>>>,
}

impl TenantLimits {
    /// Makes the limits; tenants that are not listed get the default.
    pub fn new(default: Limits, tenants: BTreeMap<TenantId, Limits>) -> TenantLimits {
        let tenants = tenants.into_iter().map(|(tenant, limits)| (tenant, Arc::new(limits))).collect();
        TenantLimits { default: Arc::new(default), tenants: Arc::new(tenants) }
    }

    /// Returns a tenant's limits.
    pub fn of(&self, tenant: &TenantId) -> &Arc<Limits> {
        self.tenants.get(tenant).unwrap_or(&self.default)
    }

    /// Returns what a question about several tenants is bounded by: each one's limits at once.
    pub fn of_all(&self, tenants: &[TenantId]) -> Arc<Limits> {
        let mut all = tenants.iter().map(|tenant| self.of(tenant));
        let first = Arc::clone(all.next().unwrap_or(&self.default));
        all.fold(first, |limits, other| match Arc::ptr_eq(&limits, other) {
            true => limits,
            false => Arc::new(Limits::clone(&limits).within(other)),
        })
    }

    /// Returns the limits with ages within what is kept for each tenant: what is older would be acknowledged and dropped.
    pub fn kept(&self, retention: &RetentionPolicy) -> TenantLimits {
        let of_tenant = |tenant: &TenantId| {
            let of = |signal| retention.of(tenant, signal);
            (tenant.clone(), Arc::new(self.of(tenant).kept(of(Signal::Metrics), of(Signal::Logs))))
        };
        let named = self.tenants.keys().chain(retention.tenants.keys().map(|(tenant, _)| tenant));
        let tenants = Arc::new(named.map(of_tenant).collect());
        TenantLimits { default: Arc::new(self.default.kept(&retention.metrics, &retention.logs)), tenants }
    }

    /// Returns the limits of tenants that have none of their own.
    pub fn default_limits(&self) -> &Limits {
        &self.default
    }
}

impl From<Limits> for TenantLimits {
    fn from(default: Limits) -> TenantLimits {
        TenantLimits::new(default, BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_own_limits_or_the_default() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let own = Limits { query_series_max: 7, ..Limits::default() };
        let limits = TenantLimits::new(Limits::default(), BTreeMap::from([(tenant("a"), own)]));
        assert_eq!(limits.of(&tenant("a")).query_series_max, 7);
        assert_eq!(**limits.of(&tenant("b")), *limits.default_limits());
    }

    #[test]
    fn of_several_tenants_the_narrowest_limits_count() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let mut own = Limits { query_series_max: 7, query_samples_max: usize::MAX, ..Limits::default() };
        own.log_queries.labels_required = vec!["app".to_owned()];
        own.log_queries.lookback_max = Some(Duration::from_secs(HOUR));
        own.log_queries.volume_enabled = false;
        let limits = TenantLimits::new(Limits::default(), BTreeMap::from([(tenant("a"), own)]));
        let both = limits.of_all(&[tenant("b"), tenant("a")]);
        assert_eq!((both.query_series_max, both.query_samples_max), (7, Limits::default().query_samples_max));
        assert_eq!(both.log_queries.labels_required, ["app"]);
        assert_eq!(both.log_queries.lookback_max, Some(Duration::from_secs(HOUR)));
        assert!(!both.log_queries.volume_enabled);
        assert!(Arc::ptr_eq(&limits.of_all(&[tenant("a")]), limits.of(&tenant("a"))));
    }

    #[test]
    fn what_is_kept_is_taken_in() {
        let days = |days: u64| Duration::from_secs(days * DAY);
        let tenant = |name| TenantId::parse(name).unwrap();
        let mut retention = RetentionPolicy::default();
        let coarse = BTreeMap::from([(crate::Resolution::OneHour, crate::Keep::For(days(180)))]);
        retention.tenants.insert((tenant("a"), Signal::Metrics), Retention { coarse, ..Retention::raw_for(30) });
        retention.tenants.insert((tenant("b"), Signal::Logs), Retention { raw: crate::Keep::Forever, ..Retention::raw_for(1) });
        let own =
            Limits { metrics_age_max: days(2), logs: LogLimits { age_max: None, ..LogLimits::default() }, ..Limits::default() };
        let limits = TenantLimits::new(Limits::default(), BTreeMap::from([(tenant("b"), own.clone()), (tenant("c"), own)]));
        let kept = limits.kept(&retention);
        let ages = |name| (kept.of(&tenant(name)).metrics_age_max, kept.of(&tenant(name)).logs.age_max);
        let default = RetentionPolicy::default().logs.longest();
        assert_eq!(ages("a"), (days(180), default), "its longest resolution; the default of logs");
        assert_eq!(ages("b"), (days(2), None), "its own limit, and for ever");
        assert_eq!(ages("c"), (days(2), default));
        assert_eq!(Some(ages("other").0), RetentionPolicy::default().metrics.longest());
    }
}
