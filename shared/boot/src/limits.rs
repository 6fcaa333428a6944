//! Variables that override [`model::Limits`], one per limit that an operator has a reason to change.
//!
//! `LAMELLA_LIMIT_` and: `BODY_BYTES`, `DECODED_BYTES`, `LABELS_PER_SERIES`, `LINE_BYTES`, `METRICS_AGE_SECONDS`,
//! `LOGS_AGE_SECONDS`, `QUERY_SAMPLES`, `QUERY_SERIES`, `QUERY_MEMORY_BYTES`, `QUERY_REQUESTS`, `QUERY_TIMEOUT_SECONDS`,
//! `QUERY_LINES`, `LOG_QUERY_SERIES`.

use crate::Result;
use crate::config::{Lookup, parsed};
use model::Limits;
use std::time::Duration;

/// No bound on age of its own: what retention keeps is taken in ([`model::TenantLimits::kept`]).
const AGE_ANY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Returns the default limits with the variables' values in place.
pub fn from_lookup(lookup: Lookup<'_>) -> Result<Limits> {
    let mut limits = Limits { metrics_age_max: AGE_ANY, ..Limits::default() };
    limits.logs.age_max = None;
    let counts: [(&'static str, &mut usize); 10] = [
        ("LAMELLA_LIMIT_BODY_BYTES", &mut limits.body_bytes_max),
        ("LAMELLA_LIMIT_DECODED_BYTES", &mut limits.decoded_bytes_max),
        ("LAMELLA_LIMIT_LABELS_PER_SERIES", &mut limits.labels_per_series_max),
        ("LAMELLA_LIMIT_LINE_BYTES", &mut limits.logs.line_bytes_max),
        ("LAMELLA_LIMIT_QUERY_SAMPLES", &mut limits.query_samples_max),
        ("LAMELLA_LIMIT_QUERY_SERIES", &mut limits.query_series_max),
        ("LAMELLA_LIMIT_QUERY_MEMORY_BYTES", &mut limits.query_memory_bytes_max),
        ("LAMELLA_LIMIT_QUERY_REQUESTS", &mut limits.query_requests_max),
        ("LAMELLA_LIMIT_QUERY_LINES", &mut limits.log_queries.lines_max),
        ("LAMELLA_LIMIT_LOG_QUERY_SERIES", &mut limits.log_queries.series_max),
    ];
    for (name, limit) in counts {
        *limit = parsed(lookup, name, "a count")?.unwrap_or(*limit);
    }
    if let Some(seconds) = parsed(lookup, "LAMELLA_LIMIT_LOGS_AGE_SECONDS", "seconds")? {
        limits.logs.age_max = Some(Duration::from_secs(seconds));
    }
    let spans: [(&'static str, &mut Duration); 2] = [
        ("LAMELLA_LIMIT_METRICS_AGE_SECONDS", &mut limits.metrics_age_max),
        ("LAMELLA_LIMIT_QUERY_TIMEOUT_SECONDS", &mut limits.query_timeout),
    ];
    for (name, limit) in spans {
        *limit = parsed(lookup, name, "seconds")?.map_or(*limit, Duration::from_secs);
    }
    Ok(limits)
}
