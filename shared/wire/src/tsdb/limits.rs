//! Bounds on what a block may make a reader allocate, each with its reason.

/// Bytes of a chunk. Prometheus cuts chunks at about 1 KiB of floats; ten large histograms take some hundred.
pub const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Bytes of a series' entry in the index: a year of chunks of two hours takes 50 KB.
pub const SERIES_BYTES_MAX: usize = 16 << 20;

/// Bytes of a section that is held in memory while its block is read: symbols, or the list of all series (134 M of them).
pub const SECTION_BYTES_MAX: usize = 512 << 20;

/// Bytes of `meta.json`: Thanos lists files and sources in it.
pub const META_BYTES_MAX: usize = 16 << 20;

/// Bytes of `tombstones`.
pub const TOMBSTONES_BYTES_MAX: usize = 64 << 20;
