//! What is accepted of a tenant's logs, and what is added to them. In brackets: Loki's setting and default.

use std::time::Duration;

use super::DAY;
use crate::TimestampNs;
use crate::otlp::logs::OtlpLogOptions;

/// How a tenant's logs are taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLimits {
    /// How old an entry may be when it arrives, if there is a bound (`reject_old_samples_max_age`, 7 days; ours is retention,
    /// since old entries cost no more than new ones).
    pub age_max: Option<Duration>,
    /// How far behind the newest entry of its stream an entry may lie, if there is a bound (half of Loki's `max_chunk_age`, 1 h;
    /// ours is none, since nothing here depends on the order of arrival). Only what one process has seen is known.
    pub out_of_order_window: Option<Duration>,
    /// Bytes of a line (`max_line_size`, 256 KiB).
    pub line_bytes_max: usize,
    /// Whether a longer line is cut instead of refused (`max_line_size_truncate`, no).
    pub line_truncated: bool,
    /// What ends a line that was cut, within the bound (`max_line_size_truncate_identifier`, nothing).
    pub line_truncation_mark: String,
    /// Labels of a stream, `service_name` not counted (`max_label_names_per_series`, 15).
    pub labels_per_stream_max: usize,
    /// Labels every stream must have (`enforced_labels`, none).
    pub labels_required: Vec<String>,
    /// Labels that name the service, the first present counts; without any, no `service_name` is added
    /// (`discover_service_name`).
    pub service_labels: Vec<String>,
    /// Whether entries may have structured metadata (`allow_structured_metadata`, yes).
    pub metadata_allowed: bool,
    /// Structured metadata labels of an entry (`max_structured_metadata_entries_count`, 128).
    pub metadata_per_entry_max: usize,
    /// Structured metadata bytes of an entry (`max_structured_metadata_size`, 64 KB).
    pub metadata_bytes_max: usize,
    /// Whether `detected_level` is added (`discover_log_levels`, yes).
    pub levels_detected: bool,
    /// Fields that hold a level, the first present counts (`log_level_fields`).
    pub level_fields: Vec<String>,
    /// Objects within objects in which such a field of a JSON line is looked for (`log_level_from_json_max_depth`,
    /// 2).
    pub level_depth_max: usize,
    /// Whether an entry at the time of the one before it, with another line, is moved on by a nanosecond
    /// (`increment_duplicate_timestamp`, no).
    pub duplicates_moved: bool,
    /// Bytes a tenant may send per second, if there is a bound (`ingestion_rate_mb`, 4; ours is none: see `docs/0016`).
    pub rate_bytes_max: Option<u64>,
    /// Bytes above the rate that may come at once (`ingestion_burst_size_mb`, 6).
    pub burst_bytes_max: u64,
    /// Bytes a stream may get per second, if there is a bound (`per_stream_rate_limit`, 3 MB; ours is none).
    pub stream_rate_bytes_max: Option<u64>,
    /// Bytes above a stream's rate that may come at once (`per_stream_rate_limit_burst`, 15 MB).
    pub stream_burst_bytes_max: u64,
    /// Streams a tenant may have written to in the last half hour, if there is a bound (`max_global_streams_per_user`, 5,000;
    /// ours is none).
    pub streams_max: Option<usize>,
    /// Whether nothing is accepted for now (`block_ingestion_until`).
    pub blocked: Option<BlockedIngestion>,
    /// How OTLP attributes become labels (`otlp_config`).
    pub otlp: OtlpLogOptions,
}

/// Nothing is accepted until some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedIngestion {
    /// Until when.
    pub until: TimestampNs,
    /// HTTP status of the refusal; 200 pretends to accept (`block_ingestion_status_code`, 260).
    pub status: u16,
}

/// Labels that name a service (Loki).
const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Fields that hold a level (Loki).
const LEVEL_FIELDS: [&str; 14] = [
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
];

impl Default for LogLimits {
    fn default() -> LogLimits {
        LogLimits {
            age_max: Some(Duration::from_secs(395 * DAY)),
            out_of_order_window: None,
            line_bytes_max: 256 * 1024,
            line_truncated: false,
            line_truncation_mark: String::new(),
            labels_per_stream_max: 15,
            labels_required: Vec::new(),
            service_labels: SERVICE_LABELS.map(str::to_owned).to_vec(),
            metadata_allowed: true,
            metadata_per_entry_max: 128,
            metadata_bytes_max: 64 * 1024,
            levels_detected: true,
            level_fields: LEVEL_FIELDS.map(str::to_owned).to_vec(),
            level_depth_max: 2,
            duplicates_moved: false,
            rate_bytes_max: None,
            burst_bytes_max: 6 << 20,
            stream_rate_bytes_max: None,
            stream_burst_bytes_max: 15 << 20,
            streams_max: None,
            blocked: None,
            otlp: OtlpLogOptions::default(),
        }
    }
}
