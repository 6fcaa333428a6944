//! Fewer inputs before the merge, where opening all of them at once would take too much memory.

use bytes::Bytes;

use super::{Effort, MergeOptions, MergeReport, OPEN_BYTES_MAX};
use crate::frame::{self, Kind};
use crate::{Encoded, SegmentError};

/// One input of a step.
pub(super) struct Input {
    pub(super) bytes: Bytes,
    /// Its position among the caller's inputs; none for what an earlier step wrote.
    pub(super) position: Option<usize>,
}

impl Input {
    /// Names the input in an error about its bytes.
    pub(super) fn error(&self, error: SegmentError) -> SegmentError {
        at_input(self.position, error)
    }
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
/// A decoded block takes about this many times its raw bytes: 24 bytes a row instead of 9, and the raw frame beside it.
const BLOCK_FACTOR: usize = 3;

/// Estimates the memory that an open input takes. `batch` is what one batch of a Parquet input takes.
fn open_bytes(input: &Input, batch: usize) -> Result<usize, SegmentError> {
    let tail = frame::open_tail(&input.bytes, 0).map_err(|error| input.error(error))?;
    let table = TABLE_FACTOR * frame::raw_len(tail.index);
    Ok(match tail.seal.kind {
        Kind::BlockMetrics | Kind::BlockLogs => table + BLOCK_FACTOR * frame::raw_len(&input.bytes),
        Kind::ParquetMetrics | Kind::ParquetLogs | Kind::ParquetWindows => table + batch,
    })
}

/// Merges one group of inputs: (inputs, options, emit).
pub(super) type MergeGroup<'a> =
    dyn FnMut(Vec<Input>, &MergeOptions, &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> + 'a;

/// Merges neighbours into segments in memory until all inputs together may be open. The order of inputs is kept.
/// `merge` merges one group; its losses are added to `losses`.
pub(super) fn reduce(
    inputs: Vec<Bytes>,
    batch: usize,
    losses: &mut MergeReport,
    merge: &mut MergeGroup<'_>,
) -> Result<Vec<Input>, SegmentError> {
    let numbered = inputs.into_iter().enumerate();
    let mut inputs: Vec<Input> = numbered.map(|(position, bytes)| Input { bytes, position: Some(position) }).collect();
    let options = MergeOptions { effort: Effort::Fast, ..MergeOptions::default() };
    loop {
        let groups = grouped(&inputs, batch)?;
        if groups.len() <= 1 || groups.len() == inputs.len() {
            return Ok(inputs);
        }
        let mut next = Vec::with_capacity(groups.len());
        let mut rest = inputs.into_iter();
        for len in groups {
            // A group is gone once it is one segment, so that inputs and what they became are not held twice.
            let group: Vec<Input> = rest.by_ref().take(len).collect();
            if let [_] = &group[..] {
                next.extend(group);
                continue;
            }
            let mut emit = |output: Encoded| next.push(Input { bytes: output.bytes, position: None });
            losses.add_losses(&merge(group, &options, &mut emit)?);
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
