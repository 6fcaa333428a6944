//! Many segments into few: k-way merge by series or stream, deduplicated by W3, written as Parquet (L1 and up).

mod logs;
mod metrics;

pub use logs::logs;
pub use metrics::metrics;

/// Bounds of a rewrite.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeOptions {
    /// An output is closed once it holds about this many bytes.
    pub output_bytes_max: usize,
    /// An output is closed once it holds this many rows.
    pub output_rows_max: u64,
}

impl Default for MergeOptions {
    fn default() -> MergeOptions {
        // 128 MiB: what one query worker reads at Lambda's burst bandwidth.
        MergeOptions { output_bytes_max: 128 << 20, output_rows_max: 200_000_000 }
    }
}

/// What a rewrite did (C2: `rows_in == rows_out + duplicates + conflicts`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MergeReport {
    /// Rows read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Rows that were exact repeats.
    pub duplicates: u64,
    /// Rows that lost against another value of the same series and time.
    pub conflicts: u64,
}

impl MergeReport {
    /// Checks that no row was lost or made up.
    fn verify(&self) {
        assert_eq!(self.rows_in, self.rows_out + self.duplicates + self.conflicts, "C2: a rewrite preserves every row");
    }
}
