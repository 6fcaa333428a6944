//! Reading logs out of Parquet pages.

use std::ops::Range;

use model::TimeRangeNs;

use super::Layout;
use crate::logs::{Chunk, EntryColumns, Projection, StreamEntry};
use crate::tokens::TokenFilters;
use crate::{Fetched, SegmentError};

pub(crate) fn chunks(
    _layout: &Layout,
    _filters: &TokenFilters,
    _entries: &[StreamEntry],
    _range: TimeRangeNs,
    _needles: &[&[u8]],
) -> Vec<Chunk> {
    todo!("body follows")
}

pub(crate) fn plan(_layout: &Layout, _chunk: &Chunk, _projection: Projection) -> Vec<Range<u64>> {
    todo!("body follows")
}

pub(crate) fn decode(
    _layout: &Layout,
    _chunk: &Chunk,
    _projection: Projection,
    _fetched: &Fetched,
) -> Result<EntryColumns, SegmentError> {
    todo!("body follows")
}
