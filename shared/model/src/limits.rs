//! Bounds on what a tenant may send and ask. The values are set in `boot`; these are the defaults with their reasons.

use std::time::Duration;

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
    /// How far in the future a sample may lie (Prometheus: 10 min).
    pub future_grace: Duration,
    /// How old a sample may be when it arrives: the retention.
    pub metrics_age_max: Duration,
    /// How old an entry may be when it arrives (Loki `reject_old_samples_max_age` is 168 h; ours is the retention).
    pub logs_age_max: Duration,
    /// Bytes of a log line (Loki: 256 KiB).
    pub line_bytes_max: usize,
    /// Labels of a stream, `service_name` not counted (Loki: 15).
    pub labels_per_stream_max: usize,
    /// Structured metadata labels per entry (Loki: 128).
    pub metadata_per_entry_max: usize,
    /// Structured metadata bytes per entry (Loki: 64 KiB).
    pub metadata_bytes_max: usize,
    /// Samples a query may load (Prometheus: 50 million).
    pub query_samples_max: usize,
    /// Series a query may select.
    pub query_series_max: usize,
    /// Bytes of memory one query may hold.
    pub query_memory_bytes_max: usize,
    /// Object requests one query may make.
    pub query_requests_max: usize,
    /// Time one query may take (Prometheus: 2 min).
    pub query_timeout: Duration,
    /// Lines a log query may ask for (Loki: 5,000).
    pub query_lines_max: usize,
    /// Series a LogQL metric query may return (Loki: 500).
    pub log_query_series_max: usize,
    /// Bytes of a query text (Loki: 131,072).
    pub query_text_bytes_max: usize,
    /// Longest time range of a LogQL query (Loki: 30d1h).
    pub log_query_range_max: Duration,
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
            logs_age_max: Duration::from_secs(395 * DAY),
            line_bytes_max: 256 * 1024,
            labels_per_stream_max: 15,
            metadata_per_entry_max: 128,
            metadata_bytes_max: 64 * 1024,
            query_samples_max: 50_000_000,
            query_series_max: 1_000_000,
            query_memory_bytes_max: 2048 * MIB,
            query_requests_max: 5_000,
            query_timeout: Duration::from_secs(120),
            query_lines_max: 5_000,
            log_query_series_max: 500,
            query_text_bytes_max: 131_072,
            log_query_range_max: Duration::from_secs(30 * DAY + HOUR),
        }
    }
}
