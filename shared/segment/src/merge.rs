//! Many segments into few: k-way merge by series or stream, deduplicated by W3, written as Parquet (L1 and up).
//!
//! ```text
//!  inputs ─ reduce (only where opening all at once would take too much memory: groups become one run of small segments each)
//!         ─ open: label tables, one batch of rows each ─▶ heap by (metric, slot, id) ─▶ settle ─▶ writer ─▶ emit
//! ```
//! Memory beside the encoded inputs: about [`OPEN_BYTES_MAX`], one row group, and the output in the making. Where there are two
//! steps the inputs of the second are let go of while they are read.

mod coarse;
mod logs;
mod metrics;
mod reduce;
mod thin;

pub use coarse::{CoarseOptions, CoarseSource, SAMPLES_PER_WINDOW_MIN, downsample, erase_windows, touches};
pub use logs::{logs, logs_without};
pub use metrics::{metrics, metrics_without};
pub use thin::{LeftOut, ThinnedSource, metrics_thinned, settled_times};

use model::{LabelSet, TimeRangeMs, TimestampNs};

/// Memory that open inputs may take together, in bytes; more inputs than that are merged in two steps.
pub const OPEN_BYTES_MAX: usize = 96 << 20;

/// How hard a rewrite tries to make its outputs small.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Effort {
    /// Rewritten again within minutes: L0 to L1.
    Fast,
    /// The default.
    #[default]
    Normal,
    /// Written once and kept: hours and days.
    Small,
}

/// Bounds of a rewrite.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeOptions {
    /// An output is closed once it holds about this many bytes.
    pub output_bytes_max: usize,
    /// An output is closed once it holds this many rows.
    pub output_rows_max: u64,
    /// Bytes against CPU.
    pub effort: Effort,
}

impl Default for MergeOptions {
    fn default() -> MergeOptions {
        // 128 MiB: what one query worker reads at Lambda's burst bandwidth.
        MergeOptions { output_bytes_max: 128 << 20, output_rows_max: 200_000_000, effort: Effort::default() }
    }
}

/// Which samples of an input a rewrite leaves out: asked once per series and input, by position in `inputs`; samples and
/// exemplars inside the returned ranges are gone.
pub type EraseSamples<'a> = dyn Fn(usize, &LabelSet) -> Vec<TimeRangeMs> + 'a;

/// Tells of one entry of a stream (time, line, structured metadata in canonical encoding) whether it is left out.
pub type EraseEntry<'a> = Box<dyn Fn(TimestampNs, &[u8], &[u8]) -> bool + 'a>;

/// Which entries of an input a rewrite leaves out: asked once per stream and input, by position in `inputs`; `None` keeps
/// them all.
pub type EraseEntries<'a> = dyn Fn(usize, &LabelSet) -> Option<EraseEntry<'a>> + 'a;

/// What a rewrite did (C2: `rows_in == rows_out + duplicates + conflicts + erased`).
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
    /// Rows that the caller had left out.
    pub erased: u64,
}

impl MergeReport {
    /// Checks that no row was lost or made up.
    fn verify(&self) {
        let gone = self.duplicates + self.conflicts + self.erased;
        assert_eq!(self.rows_in, self.rows_out + gone, "C2: a rewrite preserves every row");
    }

    /// Adds another rewrite, of other rows.
    pub fn add(&mut self, other: &MergeReport) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.erased += other.erased;
    }

    /// Adds the losses of an earlier step; its rows are this step's input.
    fn add_losses(&mut self, step: &MergeReport) {
        self.rows_in += step.rows_in - step.rows_out;
        self.duplicates += step.duplicates;
        self.conflicts += step.conflicts;
        self.erased += step.erased;
    }
}

#[cfg(test)]
mod tests;
