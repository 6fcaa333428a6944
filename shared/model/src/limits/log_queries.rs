//! What may be asked of a tenant's logs. In brackets: Loki's setting and default.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DAY, HOUR};
use crate::re2::Pattern;

/// How a tenant's logs are queried. A bound that is `None` is off.
#[derive(Clone, Debug, PartialEq)]
pub struct LogQueryLimits {
    /// Lines a log query may ask for (`max_entries_limit_per_query`, 5,000).
    pub lines_max: usize,
    /// Series a metric query may return (`max_query_series`, 500).
    pub series_max: usize,
    /// Longest time range of a query (`max_query_length`, 30d1h).
    pub range_max: Option<Duration>,
    /// Longest range vector (`max_query_range`, off).
    pub window_max: Option<Duration>,
    /// How far back queries reach; what is older is not there for them (`max_query_lookback`, off).
    pub lookback_max: Option<Duration>,
    /// Bytes of lines a query may read (`max_query_bytes_read`, off).
    pub bytes_max: Option<u64>,
    /// To multiples of their step, ranges of metric queries are widened where this is on (`split_queries_by_interval`, 1 h).
    pub split_interval: Option<Duration>,
    /// Labels a selector must name (`required_labels`, none).
    pub labels_required: Vec<String>,
    /// Matchers a selector must have at least (`minimum_labels_number`, 0).
    pub labels_min: usize,
    /// Queries that are refused, the first that matches decides (`blocked_queries`, none).
    pub blocked: Vec<BlockedQuery>,
    /// Whether volumes are told (`volume_enabled`, yes).
    pub volume_enabled: bool,
    /// Series of an answer about volumes (`volume_max_series`, 1,000).
    pub volume_series_max: usize,
    /// Tails at a time (`max_concurrent_tail_requests`, 10).
    pub tails_max: usize,
    /// Whether entries may be deleted (`deletion_mode`, filter-and-delete).
    pub deletion: DeletionMode,
}

impl LogQueryLimits {
    /// Returns these limits no wider than another tenant's: what either refuses is refused.
    pub(super) fn within(mut self, other: &LogQueryLimits) -> LogQueryLimits {
        self.lines_max = self.lines_max.min(other.lines_max);
        self.series_max = self.series_max.min(other.series_max);
        self.range_max = least(self.range_max, other.range_max);
        self.window_max = least(self.window_max, other.window_max);
        self.lookback_max = least(self.lookback_max, other.lookback_max);
        self.bytes_max = least(self.bytes_max, other.bytes_max);
        self.split_interval = least(self.split_interval, other.split_interval);
        self.labels_min = self.labels_min.max(other.labels_min);
        self.volume_enabled &= other.volume_enabled;
        self.volume_series_max = self.volume_series_max.min(other.volume_series_max);
        let missing = other.labels_required.iter().filter(|name| !self.labels_required.contains(name));
        let missing: Vec<String> = missing.cloned().collect();
        self.labels_required.extend(missing);
        self.blocked.extend(other.blocked.iter().cloned());
        self
    }
}

/// The narrower of two bounds that may be off.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

/// What a request to delete entries does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionMode {
    /// It is refused.
    Disabled,
    /// Queries do not see the entries any more.
    FilterOnly,
    /// And they are removed.
    FilterAndDelete,
}

impl DeletionMode {
    /// Parses Loki's spelling.
    pub fn parse(text: &str) -> Option<DeletionMode> {
        Some(match text {
            "disabled" => DeletionMode::Disabled,
            "filter-only" => DeletionMode::FilterOnly,
            "filter-and-delete" => DeletionMode::FilterAndDelete,
            _ => return None,
        })
    }

    /// Returns Loki's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            DeletionMode::Disabled => "disabled",
            DeletionMode::FilterOnly => "filter-only",
            DeletionMode::FilterAndDelete => "filter-and-delete",
        }
    }
}

/// Queries that are refused: those with the hash, or with the text, or that the regular expression finds; without any, all.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BlockedQuery {
    /// Text the whole query must be, white space around it aside.
    pub text: Option<String>,
    /// Expression to be found anywhere in the query.
    pub pattern: Option<Pattern>,
    /// FNV-1a hash of 32 bits of the query.
    pub hash: Option<u32>,
    /// Only queries of these types: `metric`, `filter`, `limited`. Empty: all.
    pub types: Vec<String>,
    /// Only queries with these tags in `X-Query-Tags`, in any case.
    pub tags: BTreeMap<String, String>,
}

impl Default for LogQueryLimits {
    fn default() -> LogQueryLimits {
        LogQueryLimits {
            lines_max: 5_000,
            series_max: 500,
            range_max: Some(Duration::from_secs(30 * DAY + HOUR)),
            window_max: None,
            lookback_max: None,
            bytes_max: None,
            split_interval: Some(Duration::from_secs(HOUR)),
            labels_required: Vec::new(),
            labels_min: 0,
            blocked: Vec::new(),
            volume_enabled: true,
            volume_series_max: 1_000,
            tails_max: 10,
            deletion: DeletionMode::FilterAndDelete,
        }
    }
}
