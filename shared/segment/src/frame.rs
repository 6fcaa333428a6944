//! Checked parts of a file: zstd frames of known size, and the seal that ties the tail together (S2).

use std::cell::RefCell;

use crate::SegmentError;
use crate::limits::FRAME_BYTES_MAX;

/// Compresses `raw` as one frame: raw length (u32 LE), then zstd.
pub(crate) fn compress(raw: &[u8], level: i32) -> Result<Vec<u8>, SegmentError> {
    // A context costs more than a small batch, so each thread keeps one per level in use.
    thread_local!(static FAST: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) });
    if raw.len() > FRAME_BYTES_MAX {
        return Err(SegmentError::TooLarge { what: "segment part", value: raw.len() as u64, limit: FRAME_BYTES_MAX as u64 });
    }
    let bound = zstd::zstd_safe::compress_bound(raw.len());
    let mut out = vec![0u8; 4 + bound];
    out[..4].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    let written = if level == 1 {
        FAST.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = zstd::bulk::Compressor::new(1).ok();
            }
            slot.as_mut().and_then(|compressor| compressor.compress_to_buffer(raw, &mut out[4..]).ok())
        })
    } else {
        zstd::bulk::compress_to_buffer(raw, &mut out[4..], level).ok()
    };
    out.truncate(4 + written.expect("the buffer has zstd's own bound"));
    Ok(out)
}

/// Returns the raw length that a frame claims, 0 where it is too short to claim one.
pub(crate) fn raw_len(frame: &[u8]) -> usize {
    frame.first_chunk().map_or(0, |head| u32::from_le_bytes(*head) as usize)
}

/// Returns how long what `len` bytes of zstd hold may get: each 128 KiB block needs at least three, so a longer claim is a lie, and nothing
/// of ours is longer than [`FRAME_BYTES_MAX`].
pub(crate) fn raw_len_max(len: usize) -> usize {
    (len / 3 + 1).saturating_mul(128 << 10).min(FRAME_BYTES_MAX)
}

/// Decompresses one frame; never allocates more than the bound, and only for checksummed bytes.
pub(crate) fn decompress(frame: &[u8], what: &'static str) -> Result<Vec<u8>, SegmentError> {
    let (head, body) = frame.split_at_checked(4).ok_or_else(|| SegmentError::corrupt(format!("{what} is truncated")))?;
    let raw_len = u32::from_le_bytes(head.try_into().expect("four bytes were split off")) as usize;
    if raw_len > raw_len_max(body.len()) {
        return Err(SegmentError::corrupt(format!("{what} claims {raw_len} bytes in {}", body.len())));
    }
    let raw = zstd::bulk::decompress(body, raw_len).map_err(|error| SegmentError::corrupt(format!("{what}: {error}")))?;
    if raw.len() != raw_len {
        return Err(SegmentError::corrupt(format!("{what} has {} bytes instead of {raw_len}", raw.len())));
    }
    Ok(raw)
}

/// What a file holds, as written in its seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    BlockMetrics = 1,
    BlockLogs = 2,
    ParquetMetrics = 3,
    ParquetLogs = 4,
    ParquetWindows = 5,
}

impl Kind {
    /// Returns the version that is written.
    pub(crate) fn version(self) -> u16 {
        match self {
            Kind::ParquetLogs => 8,
            Kind::ParquetMetrics => 2,
            Kind::BlockMetrics | Kind::BlockLogs => 1,
            Kind::ParquetWindows => 7,
        }
    }

    fn parse(byte: u8) -> Option<Kind> {
        [Kind::BlockMetrics, Kind::BlockLogs, Kind::ParquetMetrics, Kind::ParquetLogs, Kind::ParquetWindows]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Newest version that this program reads. 2: the label table of Parquet files has the base of `v_int`,
/// and every page has a checksum. 3: compacted logs count their minutes. 4: they hold lines as templates and variables.
/// 5: their token filters hold pieces of words. 6: there are windows, the coarse copies of metrics. 7: their values count from
/// neighbours, what is never exact is rounded, and windows may be of native histograms. 8: logs count what lies on the first
/// instant of a minute, and say which texts are hexadecimal.
pub(crate) const VERSION: u16 = 8;
const MAGIC: [u8; 8] = *b"LAMELLA\x01";
/// Bytes of the seal.
pub(crate) const SEAL_BYTES: usize = 40;
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// The last thing in an L0 block, and the thing before the Parquet footer in L1 and up.
///
/// Layout: index length u32, extras length u32, sums length u32, tail offset u64, version u16, kind u8, zero u8, two zero u16,
/// crc32 of the tail without these four bytes u32, magic (8 bytes). The parts lie directly in front of it, in that order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    pub(crate) kind: Kind,
    pub(crate) tail_offset: u64,
    pub(crate) index_len: u32,
    pub(crate) extras_len: u32,
    pub(crate) sums_len: u32,
}

/// The parts of a verified tail.
pub(crate) struct Tail<'a> {
    pub(crate) seal: Seal,
    pub(crate) index: &'a [u8],
    pub(crate) extras: &'a [u8],
    pub(crate) sums: &'a [u8],
    /// Version the file was written with.
    pub(crate) version: u16,
    /// Bytes behind the seal: the Parquet footer, its length and magic.
    pub(crate) footer_len: u64,
}

const CRC_AT: usize = SEAL_BYTES - MAGIC.len() - 4;

impl Seal {
    /// Returns the seal's bytes; `before` and `after` are the tail's bytes around it.
    pub(crate) fn encode(&self, before: &[&[u8]], after: &[u8]) -> [u8; SEAL_BYTES] {
        let mut bytes = [0u8; SEAL_BYTES];
        bytes[0..4].copy_from_slice(&self.index_len.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.extras_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sums_len.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.tail_offset.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.kind.version().to_le_bytes());
        bytes[22] = self.kind as u8;
        bytes[SEAL_BYTES - MAGIC.len()..].copy_from_slice(&MAGIC);
        let mut hasher = crc32fast::Hasher::new();
        before.iter().for_each(|part| hasher.update(part));
        hasher.update(&bytes[..CRC_AT]);
        hasher.update(&bytes[CRC_AT + 4..]);
        hasher.update(after);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&hasher.finalize().to_le_bytes());
        bytes
    }
}

/// Finds and verifies the seal in `bytes`, which end where the object ends and start at or before its tail.
/// `offset` is where `bytes` start in the object.
pub(crate) fn open_tail(bytes: &[u8], offset: u64) -> Result<Tail<'_>, SegmentError> {
    let corrupt = |how: String| SegmentError::corrupt(format!("seal {how}"));
    let end = seal_end(bytes).ok_or_else(|| corrupt("is truncated".into()))?;
    let start = end.checked_sub(SEAL_BYTES).ok_or_else(|| corrupt("is truncated".into()))?;
    let seal = &bytes[start..end];
    if seal[SEAL_BYTES - MAGIC.len()..] != MAGIC {
        return Err(corrupt("has no magic".into()));
    }
    let u32_at = |at: usize| u32::from_le_bytes(seal[at..at + 4].try_into().expect("four bytes"));
    let tail_offset = u64::from_le_bytes(seal[12..20].try_into().expect("eight bytes"));
    let skip = tail_offset.checked_sub(offset).filter(|skip| *skip <= start as u64);
    let tail_start = skip.ok_or_else(|| corrupt(format!("names tail offset {tail_offset}, bytes start at {offset}")))? as usize;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[tail_start..start + CRC_AT]);
    hasher.update(&bytes[start + CRC_AT + 4..]);
    if hasher.finalize() != u32_at(CRC_AT) {
        return Err(corrupt("has a wrong checksum of the tail".into()));
    }
    let version = u16::from_le_bytes([seal[20], seal[21]]);
    if !(1..=VERSION).contains(&version) {
        return Err(SegmentError::Version { version, known: VERSION });
    }
    let kind = Kind::parse(seal[22]).ok_or_else(|| corrupt(format!("has kind {}", seal[22])))?;
    let seal = Seal { kind, tail_offset, index_len: u32_at(0), extras_len: u32_at(4), sums_len: u32_at(8) };
    let mut cut = start;
    let mut part = |len: u32| {
        let from = cut.checked_sub(len as usize).filter(|from| *from >= tail_start);
        let from = from.ok_or_else(|| SegmentError::corrupt("seal names parts longer than the tail"))?;
        let part = &bytes[from..cut];
        cut = from;
        Ok::<_, SegmentError>(part)
    };
    let sums = part(seal.sums_len)?;
    let extras = part(seal.extras_len)?;
    let index = part(seal.index_len)?;
    Ok(Tail { seal, index, extras, sums, version, footer_len: (bytes.len() - end) as u64 })
}

/// Returns where the seal ends: at the Parquet footer, or at the end of an L0 block.
fn seal_end(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(PARQUET_MAGIC) {
        return Some(bytes.len());
    }
    let len_at = bytes.len().checked_sub(8)?;
    let footer_len = u32::from_le_bytes(bytes[len_at..len_at + 4].try_into().ok()?) as usize;
    len_at.checked_sub(footer_len)
}
