//! One series out of several segments: sorted, and one sample per time (W3, the same rule as in `segment`).

use plan::value::HistogramSample;
use segment::metrics::{SeriesSlices, histogram_bytes};
use std::cmp::Reverse;
use std::sync::Arc;

/// Samples of one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    pub(crate) timestamps: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// Empty where no start is known.
    pub(crate) start_timestamps: Vec<i64>,
    pub(crate) histograms: Vec<HistogramSample>,
}

/// Cuts the slices of one source to `[start, end)`.
pub(crate) fn trim(slices: SeriesSlices<'_>, start: i64, end: i64) -> SeriesSlices<'_> {
    if let ([first, .., last], []) = (slices.timestamps, slices.histograms)
        && *first >= start
        && *last < end
    {
        return slices;
    }
    let from = slices.timestamps.partition_point(|t| *t < start);
    let to = slices.timestamps.partition_point(|t| *t < end).max(from);
    let h_from = slices.histograms.partition_point(|sample| sample.timestamp.0 < start);
    let h_to = slices.histograms.partition_point(|sample| sample.timestamp.0 < end).max(h_from);
    SeriesSlices {
        timestamps: &slices.timestamps[from..to],
        values: slices.values.get(from..to).unwrap_or(&[]),
        start_timestamps: slices.start_timestamps.get(from..to).unwrap_or(&[]),
        histograms: &slices.histograms[h_from..h_to],
    }
}

/// Lines sources up in `scratch` where that is all there is to do: floats only, and no two sources overlap. Otherwise nothing
/// is said of `scratch`.
pub(crate) fn append(sources: &mut [SeriesSlices<'_>], scratch: &mut Merged) -> bool {
    if sources.iter().any(|source| !source.histograms.is_empty() || !source.start_timestamps.is_empty()) {
        return false;
    }
    sources.sort_unstable_by_key(|source| source.timestamps.first().copied().unwrap_or(i64::MAX));
    scratch.timestamps.clear();
    scratch.values.clear();
    scratch.start_timestamps.clear();
    scratch.histograms.clear();
    for source in sources.iter() {
        let (Some(first), last) = (source.timestamps.first(), scratch.timestamps.last()) else { continue };
        if last.is_some_and(|last| last >= first) {
            return false;
        }
        scratch.timestamps.extend_from_slice(source.timestamps);
        scratch.values.extend_from_slice(source.values);
    }
    true
}

/// Merges sources that are sorted and free of duplicates each.
pub(crate) fn merge(mut sources: Vec<SeriesSlices<'_>>) -> Merged {
    sources.retain(|source| !source.timestamps.is_empty() || !source.histograms.is_empty());
    sources.sort_by_key(|source| source.timestamps.first().copied().unwrap_or(i64::MAX));
    let mut merged = Merged::default();
    let starts = sources.iter().any(|source| !source.start_timestamps.is_empty());
    for source in &sources {
        merged.timestamps.extend_from_slice(source.timestamps);
        merged.values.extend_from_slice(source.values);
        if starts {
            merged.start_timestamps.extend_from_slice(source.start_timestamps);
            merged.start_timestamps.resize(merged.timestamps.len(), 0);
        }
        merged.histograms.extend(source.histograms.iter().map(|sample| HistogramSample {
            timestamp: sample.timestamp.0,
            start_timestamp: sample.start_timestamp.0,
            histogram: Arc::new(sample.histogram.clone()),
        }));
    }
    if !merged.timestamps.windows(2).all(|pair| pair[0] < pair[1]) {
        settle_floats(&mut merged);
    }
    if !merged.histograms.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp) {
        settle_histograms(&mut merged.histograms);
    }
    if !merged.histograms.is_empty() {
        prefer_histograms(&mut merged);
    }
    merged
}

/// Of equal times the larger bit pattern wins.
fn settle_floats(merged: &mut Merged) {
    let start_of = |index: usize| merged.start_timestamps.get(index).copied().unwrap_or(0);
    let mut rows: Vec<(i64, u64, i64)> = (0..merged.timestamps.len())
        .map(|index| (merged.timestamps[index], merged.values[index].to_bits(), start_of(index)))
        .collect();
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| (b.1, b.2).cmp(&(a.1, a.2))));
    rows.dedup_by_key(|row| row.0);
    merged.timestamps = rows.iter().map(|row| row.0).collect();
    merged.values = rows.iter().map(|row| f64::from_bits(row.1)).collect();
    if !merged.start_timestamps.is_empty() {
        merged.start_timestamps = rows.iter().map(|row| row.2).collect();
    }
}

/// Of equal times the larger bytes win, as in a merge: the answer must not depend on whether one was made (Q2).
fn settle_histograms(histograms: &mut Vec<HistogramSample>) {
    histograms
        .sort_by_cached_key(|sample| (sample.timestamp, Reverse((histogram_bytes(&sample.histogram), sample.start_timestamp))));
    histograms.dedup_by_key(|sample| sample.timestamp);
}

/// A time with both a float and a histogram keeps the histogram.
fn prefer_histograms(merged: &mut Merged) {
    let taken: Vec<bool> =
        merged.timestamps.iter().map(|t| merged.histograms.binary_search_by_key(t, |sample| sample.timestamp).is_ok()).collect();
    if !taken.contains(&true) {
        return;
    }
    let keep = |column: &mut Vec<i64>| {
        let mut at = taken.iter();
        column.retain(|_| !at.next().copied().unwrap_or(false));
    };
    keep(&mut merged.timestamps);
    keep(&mut merged.start_timestamps);
    let mut at = taken.iter();
    merged.values.retain(|_| !at.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices<'a>(timestamps: &'a [i64], values: &'a [f64]) -> SeriesSlices<'a> {
        SeriesSlices { timestamps, values, start_timestamps: &[], histograms: &[] }
    }

    #[test]
    fn of_one_time_the_larger_bits_win() {
        let merged = merge(vec![slices(&[10, 20, 30], &[1.0, 2.0, 3.0]), slices(&[5, 20], &[0.5, -2.0])]);
        assert_eq!(merged.timestamps, [5, 10, 20, 30]);
        assert_eq!(merged.values, [0.5, 1.0, -2.0, 3.0]);
    }

    #[test]
    fn of_histograms_at_one_time_the_one_a_merge_keeps_wins() {
        let of = |schema, sum: f64| segment::metrics::HistogramSample {
            timestamp: model::TimestampMs(10),
            start_timestamp: model::TimestampMs(0),
            histogram: model::Histogram { schema, sum, ..Default::default() },
        };
        // Bytes put the schema before the sum, and a negative schema between the positive ones.
        for (one, other, wins) in [(of(1, 9.0), of(2, 1.0), 2), (of(-1, 9.0), of(0, 9.0), -1), (of(-2, 1.0), of(2, 9.0), 2)] {
            for pair in [[&one, &other], [&other, &one]] {
                let sources = pair.map(|sample| SeriesSlices { histograms: std::slice::from_ref(sample), ..slices(&[], &[]) });
                let merged = merge(sources.to_vec());
                assert_eq!(merged.histograms.iter().map(|sample| sample.histogram.schema).collect::<Vec<_>>(), [wins]);
            }
        }
    }

    #[test]
    fn ranges_are_half_open() {
        let trimmed = trim(slices(&[10, 20, 30], &[1.0, 2.0, 3.0]), 10, 30);
        assert_eq!(trimmed.timestamps, [10, 20]);
    }
}
