//! Fewer inputs before the merge, where opening all of them at once would take too much memory.
//!
//! ```text
//!  a b c d │ e f g │ …     groups of neighbours that may be open together
//!  └──▼──┘   └─▼─┘
//!  1 2 3 4   5 6 7         a run each: small segments, one after the other in segment order
//! ```
//! The merge that follows opens of each run one segment at a time, and lets go of it before it opens the next: what it has read
//! makes room for what it writes.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Effort, MergeOptions, MergeReport, OPEN_BYTES_MAX};
use crate::frame::{self, Kind};
use crate::{Encoded, SegmentError};

/// One input of a step: an object of the caller's, or a run.
pub(super) struct Input {
    /// At least one; each goes on in segment order where the one before ends.
    pub(super) segments: VecDeque<Bytes>,
    /// Its position among the caller's inputs; none for what an earlier step wrote.
    pub(super) position: Option<usize>,
}

/// Names the input in an error about its bytes; what we wrote ourselves a moment ago has no name.
pub(super) fn at_input(position: Option<usize>, error: SegmentError) -> SegmentError {
    match position {
        Some(position) => SegmentError::Input { position, source: Box::new(error) },
        None => error,
    }
}

/// A label table takes about this many times its encoded bytes when open.
const TABLE_FACTOR: usize = 4;
/// About so many bytes has a segment of a run: a few row groups of metrics, so that cutting costs nothing.
const RUN_SEGMENT_BYTES: usize = 8 << 20;
/// A decoded block takes about this many times its raw bytes: 24 bytes a row instead of 9, and the raw frame beside it.
const BLOCK_FACTOR: usize = 3;

/// Estimates the memory that an open input takes: of a run its largest segment. `batch` is what one batch of a Parquet input
/// takes.
fn open_bytes(input: &Input, batch: usize) -> Result<usize, SegmentError> {
    let open = |segment: &Bytes| {
        let tail = frame::open_tail(segment, 0).map_err(|error| at_input(input.position, error))?;
        let table = TABLE_FACTOR * frame::raw_len(tail.index);
        Ok(match tail.seal.kind {
            Kind::BlockMetrics | Kind::BlockLogs => table + BLOCK_FACTOR * frame::raw_len(segment),
            Kind::ParquetMetrics | Kind::ParquetLogs | Kind::ParquetWindows => table + batch,
        })
    };
    input.segments.iter().map(open).try_fold(0, |largest, bytes| Ok(largest.max(bytes?)))
}

/// Merges one group of inputs: (inputs, options, emit).
pub(super) type MergeGroup<'a> =
    dyn FnMut(Vec<Input>, &MergeOptions, &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> + 'a;

/// Merges neighbours into runs in memory until all inputs together may be open. The order of inputs is kept.
/// `merge` merges one group; its losses are added to `losses`.
pub(super) fn reduce(
    inputs: Vec<Bytes>,
    batch: usize,
    losses: &mut MergeReport,
    merge: &mut MergeGroup<'_>,
) -> Result<Vec<Input>, SegmentError> {
    let numbered = inputs.into_iter().enumerate();
    let mut inputs: Vec<Input> =
        numbered.map(|(position, bytes)| Input { segments: [bytes].into(), position: Some(position) }).collect();
    let options = MergeOptions { effort: Effort::Fast, output_bytes_max: RUN_SEGMENT_BYTES, ..MergeOptions::default() };
    loop {
        let groups = grouped(&inputs, batch)?;
        if groups.len() <= 1 || groups.len() == inputs.len() {
            return Ok(inputs);
        }
        let mut next = Vec::with_capacity(groups.len());
        let mut rest = inputs.into_iter();
        for len in groups {
            // A group is gone once it is a run, so that inputs and what they became are not held twice.
            let group: Vec<Input> = rest.by_ref().take(len).collect();
            if let [_] = &group[..] {
                next.extend(group);
                continue;
            }
            let mut segments = VecDeque::new();
            losses.add_losses(&merge(group, &options, &mut |output| segments.push_back(output.bytes))?);
            // Of a group that was erased as a whole nothing is left.
            next.extend((!segments.is_empty()).then_some(Input { segments, position: None }));
        }
        inputs = next;
    }
}

/// Cuts inputs into neighbouring groups of at most [`OPEN_BYTES_MAX`]; returns the length of each.
fn grouped(inputs: &[Input], batch: usize) -> Result<Vec<usize>, SegmentError> {
    let mut groups: Vec<usize> = Vec::new();
    let mut open = 0;
    for input in inputs {
        let bytes = open_bytes(input, batch)?;
        match groups.last_mut() {
            Some(len) if open + bytes <= OPEN_BYTES_MAX => *len += 1,
            _ => {
                groups.push(1);
                open = 0;
            }
        }
        open += bytes;
    }
    Ok(groups)
}
