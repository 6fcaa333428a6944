//! The immutable file: its schema, writers, readers, merge and statistics.
//!
//! Owns: the L0 block, the Parquet layout of L1 and up with its label index, "may this segment match?" ([`stats`]),
//! merge and deduplication (W3). Layout: `FORMAT.md`. Foreign dependency at home here: Parquet.
//! Does not own: any IO (the caller fetches the byte ranges it is told), object keys, which segments are live.
//!
//! ```text
//!  batch ─ l0::encode_* ──▶ Encoded ─┐                        ┌─ select(matchers, range) ─▶ entries
//!                                    ├─ object ─ open_tail ─▶ Index ─ plan_ranges(entries) ─▶ byte ranges
//!  segments ─ merge::* ───▶ Encoded ─┘                        └─ decode(entries, Fetched) ─▶ columns
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod columnar;
mod cursor;
pub mod error;
mod extras;
pub mod fetched;
mod frame;
mod histogram;
pub mod inspect;
pub mod l0;
mod limits;
pub mod logs;
pub mod merge;
pub mod metrics;
pub mod minutes;
mod rows;
mod scale;
mod schema;
pub mod stats;
mod table;
pub mod template;
mod tokens;
pub mod verify;
pub mod windows;

pub use error::SegmentError;
pub use fetched::Fetched;
pub use stats::SegmentStats;
pub use table::Interned;

use bytes::Bytes;

/// A finished segment, ready to be put as one object.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The whole object.
    pub bytes: Bytes,
    /// What the manifest should know of it.
    pub stats: SegmentStats,
    /// Where the tail (index, checksums, footer) starts: one ranged GET `tail_offset..` brings all that `open_tail` needs.
    pub tail_offset: u64,
}
