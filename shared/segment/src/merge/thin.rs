//! A rewrite that leaves out samples of single series: what the merge of replicas does to a closed day.
//!
//! ```text
//!  1. settled_times: what an election looks at ─▶ (caller) which times of which series go
//!  2. metrics_thinned: sources of some slots ─ heap, settle (as a merge) ─▶ writer ─▶ emit
//! ```
//! Exemplars and metadata stay: nobody elects among them. Memory as for a coarse copy: one batch of rows per source, a row group and an
//! output in the making.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::replicas::Replica;
use model::{SlotRange, TimeRangeMs, is_stale};

use super::coarse::{CoarseSource, rows_held};
use super::metrics::{Source, batch_rows, rewrite};
use super::{MergeOptions, MergeReport};
use crate::metrics::SeriesSlices;
use crate::rows::SeriesRows;
use crate::{Encoded, SegmentError};

/// Which times of a segment's series go, by ordinal; ascending and apart.
pub type LeftOut = BTreeMap<u32, Vec<TimeRangeMs>>;

/// A raw segment with the bytes of the slots that are read, and what goes of it.
#[derive(Clone, Debug)]
pub struct ThinnedSource {
    /// The segment.
    pub source: CoarseSource,
    /// What goes.
    pub left_out: Arc<LeftOut>,
}

/// Returns when the samples of one series were taken, as a merge of its pieces leaves them (W3), and which are staleness markers.
pub fn settled_times<'a>(pieces: impl IntoIterator<Item = SeriesSlices<'a>>) -> Replica {
    let mut rows = SeriesRows::default();
    pieces.into_iter().for_each(|piece| rows.extend_from_slices(piece));
    rows.settle(&mut MergeReport::default());
    let mut replica = Replica { times: Vec::with_capacity(rows.len()), stale: Vec::with_capacity(rows.len()) };
    rows.interleave(|at, row| {
        replica.times.push(at);
        replica.stale.push(match row {
            Ok(float) => is_stale(rows.values[float]),
            Err(histogram) => rows.histograms[histogram].histogram.is_stale(),
        });
    });
    replica
}

/// Merges the series of some slots without what goes; metadata comes along where `with_metadata` says so, since it has no slot. Rows
/// counted as erased are those left out.
///
/// # Errors
/// `Input` with the position of a source that cannot be read.
pub fn metrics_thinned(
    sources: Vec<ThinnedSource>,
    slots: SlotRange,
    with_metadata: bool,
    options: &MergeOptions,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let rows_in = sources.iter().map(|source| rows_held(&source.source.index, slots)).sum();
    let batch_rows = batch_rows(sources.len());
    let open = |(at, ThinnedSource { source, left_out }): (usize, ThinnedSource)| {
        Source::of(Some(at), source.index, source.fetched, slots, batch_rows).thinned(left_out, with_metadata)
    };
    let sources = sources.into_iter().enumerate().map(open).collect::<Result<Vec<Source>, SegmentError>>()?;
    let report = rewrite(sources, rows_in, options, &|_, _| Vec::new(), emit)?;
    report.verify();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::HistogramSample;
    use model::{Histogram, STALE_NAN, TimestampMs};

    #[test]
    fn times_are_those_of_the_settled_samples() {
        let histogram = |at, count| HistogramSample {
            timestamp: TimestampMs(at),
            start_timestamp: TimestampMs(0),
            histogram: Histogram { count, ..Histogram::default() },
        };
        let histograms = [histogram(20, 1.0), histogram(40, 1.0)];
        let first = SeriesSlices { timestamps: &[30, 50], values: &[1.0, 2.0], start_timestamps: &[], histograms: &[] };
        // Of two values at one time the larger bit pattern wins, and a marker's is large; a histogram wins against a float.
        let values = [3.0, STALE_NAN, 4.0];
        let second = SeriesSlices { timestamps: &[10, 30, 40], values: &values, start_timestamps: &[], histograms: &histograms };
        let found = settled_times([first, second]);
        assert_eq!(found.times, [10, 20, 30, 40, 50]);
        assert_eq!(found.stale, [false, false, true, false, false]);
    }
}
