//! One set of limits as it is written: Loki's names where Loki has the limit, ours (those of the variables) for the rest.

use model::limits::{BlockedIngestion, BlockedQuery, DeletionMode, Rate};
use model::re2::Pattern;
use model::{Limits, TimestampNs};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

use super::otlp::OtlpConfig;
use super::values::{ByteSize, Instant, Names, Span};

/// Limits that are named; the others stay what they are.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    // Ours: of requests, metrics and every query.
    body_bytes: Option<usize>,
    decoded_bytes: Option<usize>,
    labels_per_series: Option<usize>,
    metrics_age: Option<Span>,
    query_samples: Option<usize>,
    query_series: Option<usize>,
    query_memory_bytes: Option<usize>,
    query_requests: Option<usize>,
    query_text_bytes: Option<usize>,
    replica_labels: Option<Names>,
    deduplicate_replicas: Option<bool>,
    merge_replicas_after: Option<Span>,
    body_bytes_rate: Option<f64>,
    body_bytes_burst_size: Option<f64>,
    // Mimir's: which replica is taken in.
    accept_ha_samples: Option<bool>,
    ha_cluster_label: Option<String>,
    ha_replica_label: Option<String>,
    ha_max_clusters: Option<usize>,
    ha_tracker_update_timeout: Option<Span>,
    ha_tracker_update_timeout_jitter_max: Option<Span>,
    ha_tracker_failover_timeout: Option<Span>,
    // Mimir's: how fast may be sent.
    request_rate: Option<f64>,
    request_burst_size: Option<f64>,
    ingestion_rate: Option<f64>,
    ingestion_burst_size: Option<f64>,
    // Loki's, of both signals here.
    max_label_name_length: Option<usize>,
    max_label_value_length: Option<usize>,
    creation_grace_period: Option<Span>,
    query_timeout: Option<Span>,
    // What is accepted of logs.
    reject_old_samples: Option<bool>,
    reject_old_samples_max_age: Option<Span>,
    out_of_order_time_window: Option<Span>,
    max_line_size: Option<ByteSize>,
    max_line_size_truncate: Option<bool>,
    max_line_size_truncate_identifier: Option<String>,
    max_label_names_per_series: Option<usize>,
    enforced_labels: Option<Names>,
    discover_service_name: Option<Names>,
    allow_structured_metadata: Option<bool>,
    max_structured_metadata_entries_count: Option<usize>,
    max_structured_metadata_size: Option<ByteSize>,
    discover_log_levels: Option<bool>,
    log_level_fields: Option<Names>,
    log_level_from_json_max_depth: Option<i64>,
    increment_duplicate_timestamp: Option<bool>,
    ingestion_rate_mb: Option<f64>,
    ingestion_burst_size_mb: Option<f64>,
    per_stream_rate_limit: Option<ByteSize>,
    per_stream_rate_limit_burst: Option<ByteSize>,
    max_global_streams_per_user: Option<usize>,
    block_ingestion_until: Option<Instant>,
    block_ingestion_status_code: Option<u16>,
    otlp_config: Option<OtlpConfig>,
    // What may be asked of logs.
    max_entries_limit_per_query: Option<usize>,
    max_query_series: Option<usize>,
    max_query_length: Option<Span>,
    max_query_range: Option<Span>,
    max_query_lookback: Option<Span>,
    max_query_bytes_read: Option<ByteSize>,
    split_queries_by_interval: Option<Span>,
    required_labels: Option<Names>,
    minimum_labels_number: Option<usize>,
    blocked_queries: Option<Vec<Blocked>>,
    volume_enabled: Option<bool>,
    volume_max_series: Option<usize>,
    max_concurrent_tail_requests: Option<usize>,
    deletion_mode: Option<Deletion>,
}

/// Age beyond which Loki refuses entries where it is told to refuse old ones.
const LOKI_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Status of a refusal while ingestion is blocked (Loki).
const BLOCKED_STATUS: u16 = 260;

impl Settings {
    /// Puts what is named in place.
    pub(super) fn apply(&self, limits: &mut Limits) {
        self.apply_general(limits);
        self.apply_election(limits);
        self.apply_logs(limits);
        self.apply_rates(limits);
        self.apply_log_rates(limits);
        self.apply_log_queries(limits);
    }

    fn apply_general(&self, limits: &mut Limits) {
        set(&mut limits.body_bytes_max, &self.body_bytes);
        set(&mut limits.decoded_bytes_max, &self.decoded_bytes);
        set(&mut limits.labels_per_series_max, &self.labels_per_series);
        set(&mut limits.metrics_age_max, &self.metrics_age.map(Span::duration));
        set(&mut limits.query_samples_max, &self.query_samples);
        set(&mut limits.query_series_max, &self.query_series);
        set(&mut limits.query_memory_bytes_max, &self.query_memory_bytes);
        set(&mut limits.query_requests_max, &self.query_requests);
        set(&mut limits.query_text_bytes_max, &self.query_text_bytes);
        set(&mut limits.replica_labels, &self.replica_labels.as_ref().map(Names::to_vec));
        set(&mut limits.replicas_deduplicated, &self.deduplicate_replicas);
        set(&mut limits.replicas_merged_after, &self.merge_replicas_after.map(Span::positive));
        set(&mut limits.label_name_bytes_max, &self.max_label_name_length);
        set(&mut limits.label_value_bytes_max, &self.max_label_value_length);
        set(&mut limits.future_grace, &self.creation_grace_period.map(Span::duration));
        set(&mut limits.query_timeout, &self.query_timeout.map(Span::duration));
    }

    fn apply_election(&self, limits: &mut Limits) {
        let election = &mut limits.election;
        set(&mut election.enabled, &self.accept_ha_samples);
        set(&mut election.cluster_label, &self.ha_cluster_label);
        set(&mut election.replica_label, &self.ha_replica_label);
        set(&mut election.clusters_max, &self.ha_max_clusters.map(|most| Some(most).filter(|most| *most > 0)));
        set(&mut election.update, &self.ha_tracker_update_timeout.map(Span::duration));
        set(&mut election.update_jitter, &self.ha_tracker_update_timeout_jitter_max.map(Span::duration));
        set(&mut election.failover, &self.ha_tracker_failover_timeout.map(Span::duration));
    }

    fn apply_logs(&self, limits: &mut Limits) {
        let logs = &mut limits.logs;
        set(&mut logs.age_max, &self.reject_old_samples_max_age.map(Span::positive));
        match self.reject_old_samples {
            Some(false) => logs.age_max = None,
            Some(true) => logs.age_max = logs.age_max.or(Some(LOKI_AGE_MAX)),
            None => {}
        }
        set(&mut logs.out_of_order_window, &self.out_of_order_time_window.map(Span::positive));
        set(&mut logs.line_bytes_max, &self.max_line_size.map(|size| unbounded_if_zero(size.bytes())));
        set(&mut logs.line_truncated, &self.max_line_size_truncate);
        set(&mut logs.line_truncation_mark, &self.max_line_size_truncate_identifier);
        set(&mut logs.labels_per_stream_max, &self.max_label_names_per_series);
        set(&mut logs.labels_required, &self.enforced_labels.as_ref().map(Names::to_vec));
        set(&mut logs.service_labels, &self.discover_service_name.as_ref().map(Names::to_vec));
        set(&mut logs.metadata_allowed, &self.allow_structured_metadata);
        set(&mut logs.metadata_per_entry_max, &self.max_structured_metadata_entries_count);
        set(&mut logs.metadata_bytes_max, &self.max_structured_metadata_size.map(ByteSize::bytes));
        set(&mut logs.levels_detected, &self.discover_log_levels);
        set(&mut logs.level_fields, &self.log_level_fields.as_ref().map(Names::to_vec));
        let depth = self.log_level_from_json_max_depth.map(|depth| unbounded_if_zero(usize::try_from(depth).unwrap_or(0)));
        set(&mut logs.level_depth_max, &depth);
        set(&mut logs.duplicates_moved, &self.increment_duplicate_timestamp);
        set(&mut logs.otlp, &self.otlp_config.as_ref().map(OtlpConfig::options));
    }

    fn apply_rates(&self, limits: &mut Limits) {
        let rates = &mut limits.rates;
        set_rate(&mut rates.requests, self.request_rate, self.request_burst_size);
        set_rate(&mut rates.samples, self.ingestion_rate, self.ingestion_burst_size);
        set_rate(&mut rates.bytes, self.body_bytes_rate, self.body_bytes_burst_size);
    }

    fn apply_log_rates(&self, limits: &mut Limits) {
        let logs = &mut limits.logs;
        set(&mut logs.rate_bytes_max, &self.ingestion_rate_mb.map(|rate| positive(mebibytes(rate))));
        set(&mut logs.burst_bytes_max, &self.ingestion_burst_size_mb.map(mebibytes));
        set(&mut logs.stream_rate_bytes_max, &self.per_stream_rate_limit.map(|rate| positive(rate.bytes() as u64)));
        set(&mut logs.stream_burst_bytes_max, &self.per_stream_rate_limit_burst.map(|burst| burst.bytes() as u64));
        set(&mut logs.streams_max, &self.max_global_streams_per_user.map(|most| Some(most).filter(|most| *most > 0)));
        if let Some(Instant(until)) = self.block_ingestion_until {
            logs.blocked = Some(BlockedIngestion { until: TimestampNs(until), status: BLOCKED_STATUS });
        }
        if let (Some(blocked), Some(status)) = (&mut logs.blocked, self.block_ingestion_status_code) {
            blocked.status = status;
        }
    }

    fn apply_log_queries(&self, limits: &mut Limits) {
        let queries = &mut limits.log_queries;
        set(&mut queries.lines_max, &self.max_entries_limit_per_query.map(unbounded_if_zero));
        set(&mut queries.series_max, &self.max_query_series);
        set(&mut queries.range_max, &self.max_query_length.map(Span::positive));
        set(&mut queries.window_max, &self.max_query_range.map(Span::positive));
        set(&mut queries.lookback_max, &self.max_query_lookback.map(Span::positive));
        set(&mut queries.bytes_max, &self.max_query_bytes_read.map(|bytes| positive(bytes.bytes() as u64)));
        set(&mut queries.split_interval, &self.split_queries_by_interval.map(Span::positive));
        set(&mut queries.labels_required, &self.required_labels.as_ref().map(Names::to_vec));
        set(&mut queries.labels_min, &self.minimum_labels_number);
        let blocked = self.blocked_queries.as_ref().map(|blocked| blocked.iter().map(|Blocked(query)| query.clone()).collect());
        set(&mut queries.blocked, &blocked);
        set(&mut queries.volume_enabled, &self.volume_enabled);
        set(&mut queries.volume_series_max, &self.volume_max_series);
        set(&mut queries.tails_max, &self.max_concurrent_tail_requests);
        set(&mut queries.deletion, &self.deletion_mode.as_ref().map(|Deletion(mode)| *mode));
    }
}

fn set<T: Clone>(limit: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        limit.clone_from(value);
    }
}

/// A burst alone is that of the rate which holds already.
fn set_rate(limit: &mut Option<Rate>, rate: Option<f64>, burst: Option<f64>) {
    let kept = burst.and(*limit).map(|above| above.per_second);
    if let Some(per_second) = rate.or(kept) {
        *limit = Rate::new(per_second, burst);
    }
}

/// Zero switches a bound off, as Loki has it for most.
fn positive(bytes: u64) -> Option<u64> {
    Some(bytes).filter(|bytes| *bytes > 0)
}

fn unbounded_if_zero(bound: usize) -> usize {
    if bound == 0 { usize::MAX } else { bound }
}

fn mebibytes(count: f64) -> u64 {
    (count * f64::from(1 << 20)) as u64
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Deletion(DeletionMode);

impl TryFrom<String> for Deletion {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Deletion, &'static str> {
        DeletionMode::parse(&text).map(Deletion).ok_or("deletion_mode is disabled, filter-only or filter-and-delete")
    }
}

/// An entry of `blocked_queries` as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct BlockedAsWritten {
    pattern: String,
    regex: bool,
    hash: u32,
    types: Option<Names>,
    query_tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(try_from = "BlockedAsWritten")]
struct Blocked(BlockedQuery);

impl TryFrom<BlockedAsWritten> for Blocked {
    type Error = model::re2::Re2Error;

    fn try_from(written: BlockedAsWritten) -> Result<Blocked, Self::Error> {
        let BlockedAsWritten { pattern: text, regex, hash, types, query_tags: tags } = written;
        let (text, pattern) = match (text.is_empty(), regex) {
            (true, _) => (None, None),
            (false, true) => (None, Some(Pattern::new(&text)?)),
            (false, false) => (Some(text), None),
        };
        let types = types.as_ref().map(Names::to_vec).unwrap_or_default();
        Ok(Blocked(BlockedQuery { text, pattern, hash: Some(hash).filter(|hash| *hash > 0), types, tags }))
    }
}
