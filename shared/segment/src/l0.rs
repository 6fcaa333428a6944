//! The L0 block: one ingest batch, dense, fast to write, read with one GET. Layout: `FORMAT.md`.

mod logs;
mod metrics;

pub use logs::encode_logs;
pub use metrics::encode_metrics;

pub(crate) use logs::{EntryBlock, compare_streams, decode_entries, stats as logs_stats};
pub(crate) use metrics::{decode_samples, stats as metrics_stats};

use bytes::Bytes;

use crate::SegmentError;
use crate::cursor::Cursor;
use crate::frame::{self, Kind, Seal};

/// Level of zstd for L0: requests and CPU are its cost, not bytes.
const LEVEL: i32 = 1;

/// Where the data frame of a block lies, and its checksum. Written at the front of the index part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DataFrame {
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

impl DataFrame {
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    pub(crate) fn take(cursor: &mut Cursor<'_>) -> Result<DataFrame, SegmentError> {
        Ok(DataFrame { len: cursor.u32()?, crc: cursor.u32()? })
    }

    /// Verifies and decompresses the frame.
    pub(crate) fn open(self, frame: &[u8]) -> Result<Vec<u8>, SegmentError> {
        if crc32fast::hash(frame) != self.crc {
            return Err(SegmentError::corrupt("data frame has a wrong checksum"));
        }
        frame::decompress(frame, "data frame")
    }
}

/// Puts a block together: data frame, index frame, extras frame (may be empty), seal. Returns it and its tail offset.
fn assemble(
    kind: Kind,
    data: &[u8],
    write_index: impl FnOnce(&mut Vec<u8>),
    extras: &[u8],
) -> Result<(Bytes, u64), SegmentError> {
    let data = frame::compress(data, LEVEL)?;
    let mut index = Vec::with_capacity(4096);
    DataFrame { len: data.len() as u32, crc: crc32fast::hash(&data) }.put(&mut index);
    write_index(&mut index);
    let index = frame::compress(&index, LEVEL)?;
    let extras = if extras.is_empty() { Vec::new() } else { frame::compress(extras, LEVEL)? };
    let tail_offset = data.len() as u64;
    let seal = Seal { kind, tail_offset, index_len: index.len() as u32, extras_len: extras.len() as u32, sums_len: 0 };
    let seal = seal.encode(&[&index, &extras], &[]);
    let mut bytes = data;
    bytes.extend_from_slice(&index);
    bytes.extend_from_slice(&extras);
    bytes.extend_from_slice(&seal);
    Ok((bytes.into(), tail_offset))
}
