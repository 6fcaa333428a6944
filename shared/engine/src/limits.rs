//! Bounds of execution, each with its reason.

/// Bytes between two ranges of one object that are rather read than paid for as a second request.
pub const GAP_BYTES_MAX: u64 = 256 << 10;
/// Objects up to this size are read whole: one request costs more time than the bytes.
pub const WHOLE_OBJECT_BYTES_MAX: u64 = 1 << 20;
/// Samples decoded, and values made of them, at a time by one partition: about 64 MB. Each chunk reads the pages that its series lie on, of
/// which the next one may need what is left: a quarter of this read up to eight times what is stored.
pub const SAMPLES_PER_CHUNK: u64 = 1 << 22;
/// Fewer samples than this are not worth a second partition.
pub const SAMPLES_PER_PARTITION_MIN: u64 = 1 << 17;
/// Series of one batch between operators.
pub const SERIES_PER_BATCH: usize = 1024;
/// Distinct warnings kept, beside which more say nothing new.
pub const ANNOTATIONS_MAX: usize = 1000;
/// Values (series times steps) held below an aggregation, in case a histogram is met: 128 MB. More are folded as they come.
pub const VALUES_HELD_MAX: usize = 1 << 24;
/// Bytes of one group at one step while an aggregation is made.
pub const CELL_BYTES: usize = 40;
/// Samples and values above which an evaluation leaves the threads that serve requests: about a millisecond of work.
pub const EVALUATED_INLINE_MAX: usize = 1 << 16;
/// Corrupt segments one query has verified and put in quarantine: each costs reading it again.
pub const CORRUPT_REPORTED_MAX: usize = 4;
/// Bytes of label sets kept by number over all tenants.
pub const NAMES_BYTES_MAX: usize = 256 << 20;
/// Selectors that may turn out to be needed only during evaluation: `info` within `info`.
pub const LATE_FETCHES_MAX: usize = 32;
/// Snapshots that one question takes at once, of tenants: each reads up to 32 records at a time.
pub const SNAPSHOTS_IN_FLIGHT: usize = 8;
/// Pieces of a log scan that are fetched or wait decoded while others are worked on: a dozen objects' answers overlap, and memory stays
/// at some 100 MB.
pub const PIECES_IN_FLIGHT: usize = 12;
/// Pieces a time range is cut into when its patterns are mined: each gives its share of the sample.
pub const PATTERN_SLICES_MAX: i64 = 32;
/// Lines of each piece that patterns are mined from: 32,000 in all, a few tens of milliseconds of work.
pub const PATTERN_LINES_PER_SLICE: usize = 1_000;

/// Age of the oldest data of a query from which coarse copies are looked for: a day rolls at 26 h and has none before.
pub(crate) const COARSE_AGE_MIN: std::time::Duration = std::time::Duration::from_secs(26 * 60 * 60);
