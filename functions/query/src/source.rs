//! What the handlers ask of storage and evaluation: the one seam between HTTP and `engine`.
//!
//! Declared here because only this crate calls it; `engine` is its implementation in production.

use std::time::Duration;

use async_trait::async_trait;
pub use engine::{Cardinality, Count, TENANT_LABEL, Volume, VolumeBy, VolumeKey, VolumeQuery, VolumeSum};
pub use manifest::{Deletion, DeletionRequest, DeletionState};
use model::{ErrorKind, Exemplar, LabelSet, Matcher, MetricMetadata, Signal, TenantId, TimeRangeMs, TimeRangeNs};
use plan::patterns::Pattern;
use plan::{Answer, LogicalPlan, Series};

/// What a query cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Requests to the object store.
    pub requests: u64,
    /// Records and record queries read.
    pub record_requests: u64,
    /// Bytes fetched from it.
    pub bytes: u64,
    /// Rows (samples or entries) read.
    pub rows: u64,
    /// Bytes of the rows read, decoded.
    pub row_bytes: u64,
    /// Segments whose index was opened, by each selector.
    pub segments: u64,
    /// Segments each selector looked at.
    pub segments_considered: u64,
    /// Of these, the ones that the manifest's statistics ruled out.
    pub segments_pruned: u64,
    /// Windows of coarse copies read.
    pub windows: u64,
    /// Row groups samples were decoded from; of logs those that have rows of the streams selected.
    pub row_groups: u64,
    /// Of these, the ones that token filters ruled out.
    pub row_groups_pruned: u64,
    /// Pages read for that.
    pub pages: u64,
    /// Where the time of an evaluation went.
    pub stages: Stages,
}

/// Time of an evaluation by stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stages {
    /// Reading the manifest.
    pub snapshot: Duration,
    /// Opening indexes and selecting series.
    pub plan: Duration,
    /// Reading samples and sliding windows over them.
    pub scan: Duration,
    /// What is above the selectors.
    pub execute: Duration,
}

/// A finished evaluation and its cost.
#[derive(Debug)]
pub struct Evaluated {
    /// The value with its notices.
    pub answer: Answer,
    /// What it cost.
    pub cost: Cost,
}

/// How the labels of log lines are returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Labels {
    /// Stream labels, structured metadata and parsed labels as one set per stream.
    Merged,
    /// Stream labels per stream, the others per line.
    Categorized,
}

/// Why an evaluation or a look-up failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What the caller should do.
    pub kind: ErrorKind,
    /// The text for the client.
    pub message: String,
    /// Whether it is the time limit that was hit.
    pub timed_out: bool,
}

/// What a look-up found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found<T> {
    /// The items, sorted and distinct.
    pub items: Vec<T>,
    /// Segments that could not be read.
    pub warnings: Vec<String>,
    /// Whether there is more than was asked for.
    pub truncated: bool,
}

/// How much streams hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Volumes {
    /// The sums, by their keys.
    pub sums: Vec<VolumeSum>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
}

/// Which series a look-up is about: those that match any of the sets; no set is every series.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Whose; of several tenants, each says so in a label.
    pub tenants: Vec<TenantId>,
    /// Metrics or logs.
    pub signal: Signal,
    /// Sets of matchers.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// When.
    pub range: TimeRangeMs,
    /// Results at most.
    pub limit: usize,
}

/// Evaluates plans and looks up labels.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Evaluates a plan over the data of one or several tenants. Dropping the future cancels it.
    async fn evaluate(&self, tenants: &[TenantId], plan: LogicalPlan, labels: Labels) -> Result<Evaluated, SourceError>;
    /// Returns the label sets, sorted.
    async fn series(&self, lookup: Lookup) -> Result<Found<LabelSet>, SourceError>;
    /// Returns the label names, sorted.
    async fn label_names(&self, lookup: Lookup) -> Result<Found<String>, SourceError>;
    /// Returns the values of a label, sorted.
    async fn label_values(&self, lookup: Lookup, name: String) -> Result<Found<String>, SourceError>;
    /// Returns metadata, ordered by metric; of one metric where it is named.
    async fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<String>,
        range: TimeRangeMs,
    ) -> Result<Found<MetricMetadata>, SourceError>;
    /// Returns the samples of the series that all matchers accept, staleness markers included, ordered by labels.
    async fn samples(&self, tenant: &TenantId, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<Found<Series>, SourceError>;
    /// Counts names and labels; lists have at most `limit` items.
    async fn cardinality(&self, tenant: &TenantId, range: TimeRangeMs, limit: usize) -> Result<Cardinality, SourceError>;
    /// Hides the samples of the series that all matchers accept, from the next query on.
    async fn delete(&self, tenant: &TenantId, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<(), SourceError>;
    /// Sums how much streams of one or several tenants hold.
    async fn volumes(&self, tenants: &[TenantId], query: VolumeQuery) -> Result<Volumes, SourceError>;
    /// Returns what the lines of the streams of one or several tenants that all matchers accept have in common, most frequent first.
    async fn patterns(
        &self,
        tenants: &[TenantId],
        matchers: Vec<Matcher>,
        range: TimeRangeNs,
        step_ms: i64,
    ) -> Result<Found<Pattern>, SourceError>;
    /// Hides log entries, from the next query on.
    async fn delete_entries(&self, tenant: &TenantId, request: DeletionRequest) -> Result<Deletion, SourceError>;
    /// Returns the deletions of log entries on record, oldest first.
    async fn entry_deletions(&self, tenant: &TenantId) -> Result<Vec<Deletion>, SourceError>;
    /// Withdraws a deletion of log entries; `false` where it has ended.
    async fn cancel_deletion(&self, tenant: &TenantId, id: u128) -> Result<bool, SourceError>;
    /// Returns the exemplars of the series of one tenant.
    async fn exemplars(&self, lookup: Lookup) -> Result<Found<(LabelSet, Vec<Exemplar>)>, SourceError>;
}
