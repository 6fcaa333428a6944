//! Chunks: a run of one series' samples (upstream `tsdb/docs/format/chunks.md`, `tsdb/chunkenc`).
//!
//! Owns: the frame in the chunk file, the six encodings. Samples come one at a time, so that a chunk of large histograms takes no more
//! memory than one of them. Histograms come with absolute float counts; hints about resets are left out but for gauges, because a
//! reader may have samples of other blocks in between (upstream does the same where blocks overlap).

mod bits;
mod float;
mod histogram;
mod start;

use model::{Histogram, TimestampMs};

use super::BlockError;
use super::cursor::{CRC_BYTES, Cursor};
use super::limits::CHUNK_BYTES_MAX;

const WHAT: &str = "chunk";
const MAGIC: u32 = 0x85bd_40dd;
const VERSION: u8 = 1;

/// Bytes of magic, version and padding of a chunk file.
pub const HEAD_BYTES: usize = 8;
/// Bytes that hold the length of a chunk.
pub const LENGTH_BYTES: usize = 5;

/// What a sample holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A float, exact bits.
    Float(f64),
    /// A native histogram.
    Histogram(Histogram),
}

/// One sample.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// When it was taken.
    pub timestamp: TimestampMs,
    /// Start of its counter, 0 where unknown.
    pub start: TimestampMs,
    /// What was measured.
    pub value: Value,
}

/// Checks the first [`HEAD_BYTES`] of a chunk file.
pub fn check_head(bytes: &[u8]) -> Result<(), BlockError> {
    let mut head = Cursor::new("chunk file", bytes);
    if head.be32()? != MAGIC {
        return Err(head.corrupt("it does not begin as one"));
    }
    match head.byte()? {
        VERSION => Ok(()),
        version => Err(BlockError::Version { what: "chunk file", version }),
    }
}

/// Returns how many bytes a chunk takes in its file, from its first [`LENGTH_BYTES`] or, at the end of a file, what there is.
pub fn framed_bytes(head: &[u8]) -> Result<usize, BlockError> {
    let mut cursor = Cursor::new(WHAT, head);
    let len = cursor.length()?;
    if len > CHUNK_BYTES_MAX {
        return Err(BlockError::TooLarge { what: WHAT, bytes: len as u64, limit: CHUNK_BYTES_MAX });
    }
    Ok(head.len() - cursor.len() + 1 + len + CRC_BYTES)
}

/// Decodes a chunk in its frame, and hands its samples to `visit` in the order they are in.
pub fn decode(frame: &[u8], visit: &mut dyn FnMut(Sample)) -> Result<(), BlockError> {
    let mut head = Cursor::new(WHAT, frame);
    head.length()?;
    let mut content = Cursor::checked(WHAT, head.rest())?;
    let encoding = content.byte()?;
    decode_data(encoding, content.rest(), visit)
}

/// Decodes a chunk's data of an encoding, as Prometheus numbers them.
pub fn decode_data(encoding: u8, data: &[u8], visit: &mut dyn FnMut(Sample)) -> Result<(), BlockError> {
    match encoding {
        1 => float::xor(data, visit).ok_or_else(malformed),
        2 => histogram::integer(data, false, visit),
        3 => histogram::float(data, false, visit),
        4 => float::xor2(data, visit).ok_or_else(malformed),
        5 => histogram::integer(data, true, visit),
        6 => histogram::float(data, true, visit),
        version => Err(BlockError::Version { what: "encoding of a chunk", version }),
    }
}

fn malformed() -> BlockError {
    BlockError::corrupt(WHAT, "its samples do not fit its encoding")
}

#[cfg(test)]
pub(in crate::tsdb) mod tests;
