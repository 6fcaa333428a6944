//! Windows of coarse copies: the same series, decoded as windows, with the samples of other days beside them.

use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt, stream};
use model::windowed::{self, NEVER, Window};
use model::{ErrorKind, TimeRangeMs};
use plan::functions::coarse::{Gap, Needs};
use segment::merge::touches;
use segment::windows::{Projection, WindowColumns};

use super::{Leaf, LeafPart, Samples};
use crate::EngineError;
use crate::context::QueryContext;
use crate::fetch::{read_ranges, warn_corrupt};

/// What of a series' native histograms is not there.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Ascending.
    pub(crate) gaps: Vec<Gap>,
    /// Whether deletions took some of what is counted.
    pub(crate) is_cut: bool,
}

/// The windows that a chunk of series needs: per part its ordinals and their windows.
pub(crate) struct DecodedWindows(Vec<Option<(Vec<u32>, WindowColumns)>>);

impl Leaf {
    /// Reports whether some part holds windows instead of samples.
    pub(crate) fn is_coarse(&self) -> bool {
        self.parts.iter().any(|part| part.windows.is_some())
    }

    /// Returns the widths of its windows as words, the finest first; empty where all are samples.
    pub(crate) fn widths(&self) -> Vec<&'static str> {
        let of = |resolution: &model::Resolution| {
            let mut widths = self.parts.iter().filter_map(|part| part.windows.as_ref()).map(|windows| windows.width_ms());
            widths.any(|width_ms| Some(width_ms) == resolution.width_ms())
        };
        model::Resolution::ALL.iter().filter(|resolution| of(resolution)).map(|resolution| resolution.as_str()).collect()
    }

    /// Reports whether some of a series lies in windows.
    pub(crate) fn has_windows(&self, series: u32) -> bool {
        self.sources(self.stored(series)).iter().any(|(part, _)| self.parts[*part as usize].windows.is_some())
    }

    /// Reads the windows of some series.
    pub(crate) async fn decode_windows(
        &self,
        context: &QueryContext,
        series: &[u32],
        needs: Needs,
    ) -> Result<DecodedWindows, EngineError> {
        let Needs { extremes, sum, lost, changes, m2 } = needs;
        let projection = Projection { extremes, sum, lost, changes, m2 };
        let wanted = self.ordinals(series, |part| part.windows.is_some());
        let reads: Vec<_> =
            self.parts.iter().zip(wanted).map(|(part, ordinals)| read_windows(context, part, ordinals, projection)).collect();
        Ok(DecodedWindows(stream::iter(reads).buffered(context.fetches_in_flight.max(1)).try_collect().await?))
    }

    /// Returns the windows of a series, ascending: those of its copies, and its samples in windows of `width_ms`. Where two have
    /// samples of one aligned window, each begins after the last of the one before.
    pub(crate) fn windows(&self, decoded: &DecodedWindows, series: u32, samples: Samples<'_>, width_ms: i64) -> Vec<Window> {
        let mut windows = windowed::windows(width_ms, samples.timestamps, samples.values);
        for (of, erased) in self.copied(decoded, series, false) {
            windows.extend(of.iter().filter(|window| self.reaches(window) && !touches(window, &erased)).copied());
        }
        windows.sort_by_key(first_time);
        for at in 1..windows.len() {
            windows[at].start = windows[at].start.max(last_time(&windows[at - 1]));
        }
        windows
    }

    /// Returns how many native histograms of a series lie between those that are there.
    pub(crate) fn gaps(&self, decoded: &DecodedWindows, series: u32, samples: Samples<'_>) -> Gaps {
        let mut found = Gaps::default();
        for (of, erased) in self.copied(decoded, series, true) {
            for window in of.iter().filter(|window| self.reaches(window)) {
                found.gaps.push(Gap::of(window, samples.histograms));
                found.is_cut |= touches(window, &erased);
            }
        }
        found.gaps.sort_by_key(|gap| gap.first_at);
        found
    }

    /// Returns the windows of a series that its copies have, part by part, with what deletions take; of histograms or of floats.
    fn copied<'a>(
        &'a self,
        decoded: &'a DecodedWindows,
        series: u32,
        of_histograms: bool,
    ) -> impl Iterator<Item = (&'a [Window], Vec<TimeRangeMs>)> {
        self.sources(self.stored(series)).iter().filter_map(move |(part, ordinal)| {
            let (ordinals, columns) = decoded.0[*part as usize].as_ref()?;
            let at = ordinals.binary_search(ordinal).ok()?;
            let part = &self.parts[*part as usize];
            let is_wanted = part.windows.as_ref()?.is_of_histograms(*ordinal) == of_histograms;
            let erased = part.erased_of(*ordinal).iter().map(|(_, range)| *range).collect();
            is_wanted.then(|| (columns.series(at), erased))
        })
    }

    /// Reports whether a window may have samples in the leaf's range.
    fn reaches(&self, window: &Window) -> bool {
        window.start < self.range.end.0 && window.end >= self.range.start.0
    }
}

fn first_time(window: &Window) -> i64 {
    if window.count > 0 { window.first_at } else { window.stale_at }
}

fn last_time(window: &Window) -> i64 {
    match (window.count > 0, window.stale_at != NEVER) {
        (true, true) => window.last_at.max(window.stale_at),
        (true, false) => window.last_at,
        (false, _) => window.stale_at,
    }
}

async fn read_windows(
    context: &QueryContext,
    part: &LeafPart,
    ordinals: Vec<u32>,
    projection: Projection,
) -> Result<Option<(Vec<u32>, WindowColumns)>, EngineError> {
    let Some(index) = part.windows.as_ref().filter(|_| !ordinals.is_empty()) else { return Ok(None) };
    let reads = index.plan_ordinals(&ordinals, projection);
    context.counters.row_groups.fetch_add(reads.row_groups, Ordering::Relaxed);
    context.counters.pages.fetch_add(reads.pages, Ordering::Relaxed);
    let fetched = read_ranges(&part.context, &part.open, reads.ranges).await?;
    match index.decode_ordinals(&ordinals, projection, &fetched) {
        Ok(columns) => {
            context.counters.windows.fetch_add(columns.windows.len() as u64, Ordering::Relaxed);
            Ok(Some((ordinals, columns)))
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            warn_corrupt(&part.context, &part.open.part, &error);
            Ok(None)
        }
        Err(error) => Err(EngineError::Internal(error.to_string())),
    }
}
