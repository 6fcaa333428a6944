//! The vocabulary of Lamella: what a tenant, a label set, a series, a sample, a stream and an entry are.
//!
//! Owns: the types every other crate speaks, their parsing and their invariants.
//! Does not own: any wire or file format, any IO, any query semantics. `model` knows nobody.

pub mod batch;
pub mod entry_filter;
pub mod error;
pub mod exemplar;
pub mod go_float;
pub mod histogram;
pub mod labels;
pub mod limits;
pub mod matcher;
pub mod metadata;
pub mod otlp;
pub mod prices;
pub mod quote;
pub mod re2;
pub mod replicas;
pub mod retention;
pub mod sample;
pub mod segment_id;
pub mod series;
pub mod signal;
pub mod tenant;
pub mod text;
pub mod time;
pub mod usage;
pub mod windowed;

pub use batch::{LogBatch, MetricBatch};
pub use entry_filter::{CompileEntryFilter, EntryFilter};
pub use error::ErrorKind;
pub use exemplar::Exemplar;
pub use histogram::{CounterResetHint, Histogram, Span};
pub use labels::{LabelSet, LabelSetBuilder};
pub use limits::{Limits, TenantLimits};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{MetricKind, MetricMetadata};
pub use retention::{Keep, Retention, RetentionPolicy};
pub use sample::{STALE_NAN, STALE_NAN_BITS, is_stale};
pub use segment_id::{Nonces, SegmentId, SegmentIds};
pub use series::{SeriesId, Slot, SlotHasher, SlotRange};
pub use signal::{Resolution, Signal};
pub use tenant::TenantId;
pub use text::Text;
pub use time::{Clock, Hour, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
