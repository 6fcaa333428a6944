//! The samples of a leaf's series: decoded through the cache, without what deletions leave out, of several replicas those that stand.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt, stream};
use model::{ErrorKind, TimeRangeMs};
use plan::Series;
use segment::metrics::SeriesSlices;

use super::{Leaf, LeafPart, replicas};
use crate::EngineError;
use crate::context::QueryContext;
use crate::fetch::{read_ranges, warn_corrupt};
use crate::merge::{Merged, append, merge, trim};
use crate::samples::PartSamples;

/// The samples that a chunk of series needs, decoded.
pub(crate) struct Decoded(Vec<Option<Arc<PartSamples>>>);

/// Samples of one series, sorted, one per time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) start_timestamps: &'a [i64],
    pub(crate) histograms: &'a [plan::value::HistogramSample],
}

impl Leaf {
    /// Makes the samples of some series ready, from memory or from their segments; of windows those they still have.
    pub(crate) async fn decode(&self, context: &QueryContext, series: &[u32]) -> Result<Decoded, EngineError> {
        self.decode_where(context, series, |_| true).await
    }

    /// Makes ready what of some series are samples.
    pub(crate) async fn decode_samples(&self, context: &QueryContext, series: &[u32]) -> Result<Decoded, EngineError> {
        self.decode_where(context, series, |part| part.windows.is_none()).await
    }

    async fn decode_where(
        &self,
        context: &QueryContext,
        series: &[u32],
        read: impl Fn(&LeafPart) -> bool,
    ) -> Result<Decoded, EngineError> {
        let wanted = self.ordinals(series, read);
        let reads: Vec<_> =
            wanted.into_iter().zip(&self.parts).map(|(ordinals, part)| self.decode_part(context, part, ordinals)).collect();
        Ok(Decoded(stream::iter(reads).buffered(context.fetches_in_flight.max(1)).try_collect().await?))
    }

    async fn decode_part(
        &self,
        context: &QueryContext,
        part: &LeafPart,
        mut ordinals: Vec<u32>,
    ) -> Result<Option<Arc<PartSamples>>, EngineError> {
        if ordinals.is_empty() {
            return Ok(None);
        }
        let index = &part.open.index.index;
        let key = self.cache_key(part);
        let known = self.caches.samples.get(&key);
        if index.is_block() {
            if let Some(known) = known {
                return Ok(Some(known));
            }
            let all: Vec<u32> = (0..index.series_len() as u32).collect();
            let whole = part.whole.get_or_try_init(|| self.read_ordinals(context, part, &key, &all));
            return Ok(whole.await?.clone());
        }
        if let Some(known) = known {
            ordinals = known.missing(&ordinals);
            if ordinals.is_empty() {
                return Ok(Some(known));
            }
        }
        self.read_ordinals(context, part, &key, &ordinals).await
    }

    fn cache_key(&self, part: &LeafPart) -> String {
        match self.projection.start_timestamps {
            true => format!("{}#starts", part.open.name),
            false => part.open.name.clone(),
        }
    }

    async fn read_ordinals(
        &self,
        context: &QueryContext,
        part: &LeafPart,
        key: &str,
        ordinals: &[u32],
    ) -> Result<Option<Arc<PartSamples>>, EngineError> {
        let index = &part.open.index.index;
        let reads = index.plan_ordinals(ordinals, self.projection);
        context.counters.row_groups.fetch_add(reads.row_groups, Ordering::Relaxed);
        context.counters.pages.fetch_add(reads.pages, Ordering::Relaxed);
        let fetched = read_ranges(&part.context, &part.open, reads.ranges).await?;
        match index.decode_ordinals(ordinals, self.projection, &fetched) {
            Ok(columns) => {
                let columns = Arc::new(columns);
                Ok(Some(self.caches.samples.update(key, |old| {
                    let empty = PartSamples::default();
                    let old = old.map_or(&empty, |old| old);
                    let samples = old.with(index.series_len(), ordinals, columns);
                    let bytes = samples.bytes();
                    (Arc::new(samples), bytes)
                })))
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                warn_corrupt(&part.context, &part.open.part, &error);
                Ok(None)
            }
            Err(error) => Err(EngineError::Internal(error.to_string())),
        }
    }

    /// Calls `each` with the samples of a series inside the range.
    pub(crate) fn with_samples<R>(
        &self,
        decoded: &Decoded,
        series: u32,
        scratch: &mut Merged,
        each: impl FnOnce(Samples<'_>) -> R,
    ) -> R {
        let stored = self.stored(series);
        if stored.len() > 1 {
            let of_each: Vec<Merged> = stored.map(|one| merge(self.slices(decoded, one, self.read))).collect();
            *scratch = replicas::deduplicated(&of_each, self.range);
            return each(scratch.samples());
        }
        let mut slices = self.slices(decoded, stored.start, self.range);
        if let [one] = &slices[..]
            && one.histograms.is_empty()
        {
            let (timestamps, values, start_timestamps) = (one.timestamps, one.values, one.start_timestamps);
            return each(Samples { timestamps, values, start_timestamps, histograms: &[] });
        }
        if !append(&mut slices, scratch) {
            *scratch = merge(slices);
        }
        each(scratch.samples())
    }

    /// Returns the samples of a stored series inside a range, piece by piece.
    fn slices<'d>(&self, decoded: &'d Decoded, stored: usize, range: TimeRangeMs) -> Vec<SeriesSlices<'d>> {
        let (start, end) = (range.start.0, range.end.0);
        let sources = self.sources(stored..stored + 1);
        let mut slices: Vec<SeriesSlices<'_>> = Vec::with_capacity(sources.len());
        for (part, ordinal) in sources {
            let Some(all) = decoded.0[*part as usize].as_ref().and_then(|samples| samples.series(*ordinal)) else { continue };
            let mut piece = trim(all, start, end);
            if !self.projection.start_timestamps {
                // Blocks bring them along unasked.
                piece.start_timestamps = &[];
            }
            match self.parts[*part as usize].erased_of(*ordinal) {
                [] => slices.push(piece),
                erased => slices.extend(kept(piece, start, end, erased)),
            }
        }
        slices.retain(|piece| !piece.timestamps.is_empty() || !piece.histograms.is_empty());
        slices
    }

    /// Returns samples as the reference evaluator reads them.
    pub(crate) fn to_series(&self, series: u32, samples: Samples<'_>) -> Series {
        let known = samples.start_timestamps.iter().any(|start| *start != 0);
        Series {
            labels: self.labels(series).clone(),
            timestamps: samples.timestamps.to_vec(),
            values: samples.values.to_vec(),
            start_timestamps: if known { samples.start_timestamps.to_vec() } else { Vec::new() },
            histograms: samples.histograms.to_vec(),
        }
    }
}

impl Merged {
    fn samples(&self) -> Samples<'_> {
        Samples {
            timestamps: &self.timestamps,
            values: &self.values,
            start_timestamps: &self.start_timestamps,
            histograms: &self.histograms,
        }
    }
}

/// Returns the pieces of `[start, end)` that none of the erased ranges, ascending by start, covers.
fn kept<'a>(slices: SeriesSlices<'a>, start: i64, end: i64, erased: &[(u32, TimeRangeMs)]) -> Vec<SeriesSlices<'a>> {
    let (mut pieces, mut from) = (Vec::new(), start);
    for (_, gone) in erased {
        if from < gone.start.0 {
            pieces.push(trim(slices, from, gone.start.0.min(end)));
        }
        from = from.max(gone.end.0);
    }
    if from < end {
        pieces.push(trim(slices, from, end));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use model::TimestampMs;

    use super::*;

    #[test]
    fn erased_ranges_leave_the_rest() {
        let timestamps: Vec<i64> = (0..10).collect();
        let values = vec![0.5; 10];
        let slices = SeriesSlices { timestamps: &timestamps, values: &values, start_timestamps: &[], histograms: &[] };
        let gone = |start, end| (0, TimeRangeMs::new(TimestampMs(start), TimestampMs(end)));
        let left = |erased: &[(u32, TimeRangeMs)]| -> Vec<i64> {
            kept(slices, 1, 9, erased).iter().flat_map(|piece| piece.timestamps.to_vec()).collect()
        };
        assert_eq!(left(&[gone(3, 5)]), [1, 2, 5, 6, 7, 8]);
        assert_eq!(left(&[gone(-5, 2), gone(1, 4), gone(8, 20)]), [4, 5, 6, 7]);
        assert_eq!(left(&[gone(0, 100)]), [] as [i64; 0]);
        assert_eq!(left(&[gone(50, 100)]), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
