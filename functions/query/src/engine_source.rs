//! The engine as the handlers' source.

use std::collections::BTreeMap;
use std::error::Error;

use async_trait::async_trait;
use engine::{Engine, EngineError, QueryStats};
use manifest::{Deletion, DeletionRequest, Manifest};
use model::{ErrorKind, Exemplar, LabelSet, Matcher, MetricMetadata, Signal, TenantId, TenantLimits, TimeRangeMs, TimeRangeNs};
use plan::patterns::Pattern;
use plan::value::{Entry, StreamEntries};
use plan::{LogicalPlan, Node, Series, Value};

use crate::source::{Cardinality, Cost, Evaluated, Found, Labels, Lookup, Source, SourceError, Stages, VolumeQuery, Volumes};

/// Evaluates on the engine of this process.
pub struct EngineSource {
    engine: Engine,
    manifest: Manifest,
    limits: TenantLimits,
}

impl EngineSource {
    /// Makes the source over an engine; a tenant's limits bound its queries.
    pub fn new(engine: Engine, manifest: Manifest, limits: TenantLimits) -> EngineSource {
        EngineSource { engine, manifest, limits }
    }
}

#[async_trait]
impl Source for EngineSource {
    async fn evaluate(&self, tenants: &[TenantId], plan: LogicalPlan, labels: Labels) -> Result<Evaluated, SourceError> {
        let newest_first = matches!(&plan.root, Node::Logs(query) if query.newest_first);
        let evaluated = self.engine.query(tenants, plan, &self.limits.of_all(tenants)).await;
        let (mut answer, stats) = evaluated.map_err(|error| failed(tenants, &error))?;
        if let (Labels::Categorized, Value::Streams(streams)) = (labels, &mut answer.value) {
            *streams = categorized(std::mem::take(streams), newest_first);
        }
        Ok(Evaluated { answer, cost: cost(&stats) })
    }

    async fn series(&self, lookup: Lookup) -> Result<Found<LabelSet>, SourceError> {
        let Lookup { tenants, signal, matcher_sets, range, limit } = lookup;
        let found = self.engine.series(&tenants, signal, &matcher_sets, range, Some(limit), &self.limits.of_all(&tenants)).await;
        found.map(Found::from).map_err(|error| failed(&tenants, &error))
    }

    async fn label_names(&self, lookup: Lookup) -> Result<Found<String>, SourceError> {
        let Lookup { tenants, signal, matcher_sets, range, limit } = lookup;
        let found =
            self.engine.label_names(&tenants, signal, &matcher_sets, range, Some(limit), &self.limits.of_all(&tenants)).await;
        found.map(Found::from).map_err(|error| failed(&tenants, &error))
    }

    async fn label_values(&self, lookup: Lookup, name: String) -> Result<Found<String>, SourceError> {
        let Lookup { tenants, signal, matcher_sets, range, limit } = lookup;
        let found = self
            .engine
            .label_values(&tenants, signal, &name, &matcher_sets, range, Some(limit), &self.limits.of_all(&tenants))
            .await;
        found.map(Found::from).map_err(|error| failed(&tenants, &error))
    }

    async fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<String>,
        range: TimeRangeMs,
    ) -> Result<Found<MetricMetadata>, SourceError> {
        let found = self.engine.metadata(tenant, metric.as_deref(), range, None, self.limits.of(tenant)).await;
        found.map(Found::from).map_err(|error| failed(tenant.as_ref(), &error))
    }

    async fn samples(&self, tenant: &TenantId, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<Found<Series>, SourceError> {
        let found = self.engine.samples(tenant, &matchers, range, self.limits.of(tenant)).await;
        found.map(Found::from).map_err(|error| failed(tenant.as_ref(), &error))
    }

    async fn cardinality(&self, tenant: &TenantId, range: TimeRangeMs, limit: usize) -> Result<Cardinality, SourceError> {
        let found = self.engine.cardinality(tenant, range, limit, self.limits.of(tenant)).await;
        found.map_err(|error| failed(tenant.as_ref(), &error))
    }

    async fn delete(&self, tenant: &TenantId, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<(), SourceError> {
        let request = DeletionRequest { range, matchers, filter: None };
        self.manifest.request_deletion(tenant, Signal::Metrics, request).await.map(drop).map_err(unrecorded)
    }

    async fn volumes(&self, tenants: &[TenantId], query: VolumeQuery) -> Result<Volumes, SourceError> {
        let found = self.engine.volumes(tenants, &query, &self.limits.of_all(tenants)).await;
        let found = found.map_err(|error| failed(tenants, &error))?;
        Ok(Volumes { sums: found.items, truncated: found.truncated })
    }

    async fn patterns(
        &self,
        tenants: &[TenantId],
        matchers: Vec<Matcher>,
        range: TimeRangeNs,
        step_ms: i64,
    ) -> Result<Found<Pattern>, SourceError> {
        let found = self.engine.patterns(tenants, &matchers, range, step_ms, &self.limits.of_all(tenants)).await;
        found.map(Found::from).map_err(|error| failed(tenants, &error))
    }

    async fn delete_entries(&self, tenant: &TenantId, request: DeletionRequest) -> Result<Deletion, SourceError> {
        self.manifest.request_deletion(tenant, Signal::Logs, request).await.map_err(unrecorded)
    }

    async fn entry_deletions(&self, tenant: &TenantId) -> Result<Vec<Deletion>, SourceError> {
        self.manifest.deletions(tenant, Signal::Logs).await.map_err(unrecorded)
    }

    async fn cancel_deletion(&self, tenant: &TenantId, id: u128) -> Result<bool, SourceError> {
        self.manifest.cancel_deletion(tenant, Signal::Logs, id).await.map_err(unrecorded)
    }

    async fn exemplars(&self, lookup: Lookup) -> Result<Found<(LabelSet, Vec<Exemplar>)>, SourceError> {
        let Lookup { tenants, matcher_sets, range, .. } = lookup;
        let [tenant] = &tenants[..] else {
            let message = "exemplars of several tenants are not supported".to_owned();
            return Err(SourceError { kind: ErrorKind::Invalid, message, timed_out: false });
        };
        let found = self.engine.exemplars(tenant, &matcher_sets, range, self.limits.of(tenant)).await;
        let found = found.map_err(|error| failed(&tenants, &error))?;
        let by_series = found.items.chunk_by(|a, b| a.0 == b.0);
        let items = by_series.map(|one| (one[0].0.clone(), one.iter().map(|(_, exemplar)| exemplar.clone()).collect()));
        Ok(Found { items: items.collect(), warnings: found.warnings, truncated: found.truncated })
    }
}

impl<T> From<engine::Lookup<T>> for Found<T> {
    fn from(lookup: engine::Lookup<T>) -> Found<T> {
        Found { items: lookup.items, warnings: lookup.warnings, truncated: lookup.truncated }
    }
}

fn cost(stats: &QueryStats) -> Cost {
    Cost {
        requests: stats.requests,
        record_requests: stats.record_requests,
        bytes: stats.bytes_read,
        rows: stats.samples.max(stats.entries),
        row_bytes: stats.line_bytes,
        segments: stats.segments_opened,
        segments_considered: stats.segments_considered,
        segments_pruned: stats.segments_pruned,
        windows: stats.windows,
        row_groups: stats.row_groups,
        row_groups_pruned: stats.row_groups_pruned,
        pages: stats.pages,
        stages: Stages {
            snapshot: stats.times.snapshot,
            plan: stats.times.plan,
            scan: stats.times.scan,
            execute: stats.times.execute,
        },
    }
}

/// Logs what is not the client's doing, once, and tells the client.
fn failed(tenants: &[TenantId], error: &EngineError) -> SourceError {
    let (kind, message) = (error.kind(), chain(error));
    if !matches!(kind, ErrorKind::Invalid | ErrorKind::Limit) {
        let tenant = tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join("|");
        tracing::warn!(tenant, error = message, "query failed");
    }
    SourceError { kind, message, timed_out: matches!(error, EngineError::Timeout { .. }) }
}

/// A deletion that could not be read or written.
fn unrecorded(error: manifest::Error) -> SourceError {
    SourceError { kind: error.kind(), message: chain(&error), timed_out: false }
}

/// Returns an error's text with those of its causes.
fn chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    message
}

/// Groups entries by the labels of their stream alone; their metadata and parsed labels stay with each entry.
fn categorized(streams: Vec<StreamEntries>, newest_first: bool) -> Vec<StreamEntries> {
    let mut by_stream: BTreeMap<String, StreamEntries> = BTreeMap::new();
    for StreamEntries { labels, entries } in streams {
        for entry in entries {
            let stream = labels.retain(|name| entry.metadata.get(name).is_none() && entry.parsed.get(name).is_none());
            let group = by_stream.entry(stream.to_string());
            group.or_insert_with(|| StreamEntries { labels: stream, entries: Vec::new() }).entries.push(entry);
        }
    }
    let sorted = |mut stream: StreamEntries| {
        let at = |entry: &Entry| if newest_first { -i128::from(entry.timestamp) } else { i128::from(entry.timestamp) };
        stream.entries.sort_by_key(at);
        stream
    };
    by_stream.into_values().map(sorted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categorized_entries_of_a_stream_meet_again() {
        let entry = |timestamp, metadata: &str| Entry {
            timestamp,
            line: Vec::new(),
            metadata: LabelSet::from_pairs([("t", metadata)]),
            parsed: LabelSet::empty(),
        };
        let labels = |t: &str| LabelSet::from_pairs([("app", "a"), ("t", t)]);
        let streams = vec![
            StreamEntries { labels: labels("1"), entries: vec![entry(1, "1"), entry(3, "1")] },
            StreamEntries { labels: labels("2"), entries: vec![entry(2, "2")] },
        ];
        let streams = categorized(streams, false);
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].labels.to_string(), r#"{app="a"}"#);
        assert_eq!(streams[0].entries.iter().map(|entry| entry.timestamp).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
