//! Decoded samples of one segment, as far as queries have asked for them; kept between queries.

use std::sync::Arc;

use segment::metrics::{SeriesColumns, SeriesSlices};

use crate::cache::Cache;

/// Samples of some series of a segment. Immutable: more series make a new value that shares the blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartSamples {
    blocks: Vec<Arc<SeriesColumns>>,
    /// By ordinal: block, and place in it.
    places: Vec<(u32, u32)>,
}

/// Samples by segment.
pub(crate) type SampleCache = Cache<Arc<PartSamples>>;

const NOWHERE: (u32, u32) = (u32::MAX, 0);

impl PartSamples {
    /// Returns these samples and those of `ordinals`, which `columns` holds in this order.
    pub(crate) fn with(&self, series: usize, ordinals: &[u32], columns: Arc<SeriesColumns>) -> PartSamples {
        let mut more = self.clone();
        more.places.resize(series, NOWHERE);
        let block = more.blocks.len() as u32;
        ordinals.iter().enumerate().for_each(|(at, ordinal)| more.places[*ordinal as usize] = (block, at as u32));
        more.blocks.push(columns);
        more
    }

    /// Returns those of `ordinals` that are not here.
    pub(crate) fn missing(&self, ordinals: &[u32]) -> Vec<u32> {
        let absent = |ordinal: &u32| self.places.get(*ordinal as usize).is_none_or(|place| *place == NOWHERE);
        ordinals.iter().copied().filter(absent).collect()
    }

    /// Returns the samples of a series, `None` where they are not here.
    pub(crate) fn series(&self, ordinal: u32) -> Option<SeriesSlices<'_>> {
        let (block, at) = *self.places.get(ordinal as usize)?;
        Some(self.blocks.get(block as usize)?.series(at as usize))
    }

    /// Estimates the bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| bytes_of(block)).sum::<usize>() + self.places.len() * 8 + 128
    }
}

/// Estimates the bytes of columns.
pub(crate) fn bytes_of(columns: &SeriesColumns) -> usize {
    let floats = (columns.timestamps.len() + columns.values.len() + columns.start_timestamps.len() + columns.ends.len()) * 8;
    let buckets = |sample: &segment::metrics::HistogramSample| {
        let histogram = &sample.histogram;
        let numbers = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
        256 + 8 * (numbers + histogram.positive_spans.len() + histogram.negative_spans.len())
    };
    floats + columns.histograms.iter().map(buckets).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up() {
        let column = |values: &[f64]| {
            let ends = (1..=values.len() as u32).map(|end| (end, 0)).collect();
            let timestamps = vec![1; values.len()];
            Arc::new(SeriesColumns { timestamps, values: values.to_vec(), ends, ..SeriesColumns::default() })
        };
        let samples = PartSamples::default().with(5, &[1, 3], column(&[10.0, 30.0])).with(5, &[0], column(&[0.5]));
        assert_eq!(samples.missing(&[0, 1, 2, 3, 4]), [2, 4]);
        let value = |ordinal| samples.series(ordinal).map(|slices| slices.values.to_vec());
        assert_eq!((value(3), value(0), value(2)), (Some(vec![30.0]), Some(vec![0.5]), None));
    }
}
