//! Column chunks of numbers and texts: each page in whichever of Parquet's encodings comes out smallest.
//!
//! Pages are *fine* (16,384 rows, so that one series is cheap to read) unless *coarse* ones (65,536 rows) are much smaller:
//! times that jitter alike in every series of a scrape, or values that hardly move, are long matches for zstd then.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use model::labels::put_varint;

use super::delta::{self, Width};
use crate::cursor::put_planes;
use crate::limits::{ROWS_PER_COARSE_PAGE, ROWS_PER_PAGE, TEXT_BYTES_PER_PAGE};
use crate::merge::Effort;

/// Values of one column chunk, without nulls.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    Ints(&'a [i64]),
    Doubles(&'a [f64]),
    Texts(&'a [&'a [u8]]),
}

/// A way to write the values of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Delta(Width),
    Plain,
    Planes,
    /// All lengths, then all texts.
    Lengths,
}

impl Way {
    fn encoding(self) -> Encoding {
        match self {
            Way::Delta(_) => Encoding::DELTA_BINARY_PACKED,
            Way::Plain => Encoding::PLAIN,
            Way::Planes => Encoding::BYTE_STREAM_SPLIT,
            Way::Lengths => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        }
    }
}

/// How a chunk is cut and which ways compete on each page.
#[derive(Clone, Copy)]
struct Plan {
    rows_per_page: usize,
    ways: &'static [Way],
}

const INTS_FAST: Plan = Plan { rows_per_page: ROWS_PER_PAGE, ways: &[Way::Delta(Width::Exact)] };
const INTS_FINE: Plan = Plan { rows_per_page: ROWS_PER_PAGE, ways: &[Way::Delta(Width::Exact), Way::Delta(Width::Aligned)] };
const INTS_COARSE: Plan =
    Plan { rows_per_page: ROWS_PER_COARSE_PAGE, ways: &[Way::Plain, Way::Delta(Width::Exact), Way::Delta(Width::Aligned)] };
const DOUBLES_FAST: Plan = Plan { rows_per_page: ROWS_PER_PAGE, ways: &[Way::Planes] };
const DOUBLES_FINE: Plan = Plan { rows_per_page: ROWS_PER_PAGE, ways: &[Way::Planes, Way::Plain] };
const DOUBLES_COARSE: Plan = Plan { rows_per_page: ROWS_PER_COARSE_PAGE, ways: &[Way::Planes, Way::Plain] };

const TEXTS_FINE: Plan = Plan { rows_per_page: ROWS_PER_PAGE, ways: &[Way::Lengths] };
const TEXTS_COARSE: Plan = Plan { rows_per_page: ROWS_PER_COARSE_PAGE, ways: &[Way::Lengths] };

/// Coarse pages have to save at least so much: reading one series reads more of them, of windows most of all.
fn coarse_at_most(effort: Effort, rows_per_page: usize) -> f64 {
    match effort {
        _ if rows_per_page < ROWS_PER_PAGE => 0.6,
        Effort::Small => 0.95,
        Effort::Fast | Effort::Normal => 0.75,
    }
}

/// Bytes of definition levels that a page may carry uncompressed.
const LEVELS_PLAIN_MAX: usize = 128;

/// Rows of a chunk with their definition levels (0 null, 1 present); without levels all are present.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) values: Values<'a>,
    pub(super) levels: Option<&'a [i16]>,
}

impl<'a> Chunk<'a> {
    fn rows(&self) -> usize {
        self.levels.map_or(self.values.len(), <[i16]>::len)
    }

    /// Cuts into pieces of `rows` rows each, less where texts are long.
    fn pages(self, rows: usize) -> impl Iterator<Item = Chunk<'a>> {
        let (mut values, mut at, len) = (self.values, 0, self.rows());
        std::iter::from_fn(move || {
            if at >= len {
                return None;
            }
            let mut end = len.min(at + rows);
            if let Values::Texts(texts) = values {
                end = at + fitting(texts, self.levels.map(|levels| &levels[at..end]), end - at);
            }
            let levels = self.levels.map(|levels| &levels[at..end]);
            let present = levels.map_or(end - at, |levels| levels.iter().filter(|level| **level > 0).count());
            let (head, tail) = values.split_at(present);
            (values, at) = (tail, end);
            Some(Chunk { values: head, levels })
        })
    }
}

/// Returns how many of the next rows, at least one, have texts that fit into a page together.
fn fitting(texts: &[&[u8]], levels: Option<&[i16]>, rows: usize) -> usize {
    let (mut bytes, mut texts) = (0, texts.iter());
    for row in 0..rows {
        if levels.is_none_or(|levels| levels[row] > 0) {
            bytes += texts.next().map_or(0, |text| text.len());
            if bytes > TEXT_BYTES_PER_PAGE {
                return row.max(1);
            }
        }
    }
    rows
}

impl<'a> Values<'a> {
    fn len(&self) -> usize {
        match self {
            Values::Ints(ints) => ints.len(),
            Values::Doubles(doubles) => doubles.len(),
            Values::Texts(texts) => texts.len(),
        }
    }

    fn split_at(self, at: usize) -> (Values<'a>, Values<'a>) {
        match self {
            Values::Ints(ints) => {
                let (head, tail) = ints.split_at(at);
                (Values::Ints(head), Values::Ints(tail))
            }
            Values::Doubles(doubles) => {
                let (head, tail) = doubles.split_at(at);
                (Values::Doubles(head), Values::Doubles(tail))
            }
            Values::Texts(texts) => {
                let (head, tail) = texts.split_at(at);
                (Values::Texts(head), Values::Texts(tail))
            }
        }
    }

    fn encode(self, way: Way, out: &mut Vec<u8>) {
        match (self, way) {
            (Values::Ints(ints), Way::Delta(width)) => delta::encode(ints, width, out),
            (Values::Ints(ints), Way::Plain | Way::Lengths) => {
                ints.iter().for_each(|int| out.extend_from_slice(&int.to_le_bytes()))
            }
            (Values::Ints(ints), Way::Planes) => put_planes(out, ints.iter().map(|int| *int as u64)),
            (Values::Doubles(doubles), Way::Planes) => put_planes(out, doubles.iter().map(|double| double.to_bits())),
            (Values::Doubles(doubles), _) => doubles.iter().for_each(|double| out.extend_from_slice(&double.to_le_bytes())),
            (Values::Texts(texts), _) => {
                let lens: Vec<i64> = texts.iter().map(|text| text.len() as i64).collect();
                delta::encode(&lens, Width::Exact, out);
                texts.iter().for_each(|text| out.extend_from_slice(text));
            }
        }
    }
}

/// Encodes pages with one zstd context.
struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
}

/// A page ready to be written.
struct Packed {
    page: CompressedPage,
    rows: usize,
    encoding: Encoding,
}

impl Packer {
    fn new(level: i32) -> Result<Packer, ParquetError> {
        let zstd = zstd::bulk::Compressor::new(level).map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Packer { zstd })
    }

    /// Returns the smallest of the ways to write the page.
    fn pack(&mut self, chunk: Chunk<'_>, ways: &[Way]) -> Result<Packed, ParquetError> {
        let levels = chunk.levels.map_or_else(Vec::new, level_runs);
        if levels.len() > LEVELS_PLAIN_MAX {
            return self.pack_with_levels(chunk, &levels, ways);
        }
        let mut best: Option<(Vec<u8>, usize, bool, Way)> = None;
        for way in ways {
            let mut raw = Vec::with_capacity(8 * chunk.values.len() + 32);
            chunk.values.encode(*way, &mut raw);
            let packed = self.zstd.compress(&raw).map_err(|error| ParquetError::External(Box::new(error)))?;
            let raw_len = raw.len();
            let (bytes, compressed) = if packed.len() < raw_len { (packed, true) } else { (raw, false) };
            if best.as_ref().is_none_or(|best| bytes.len() < best.0.len()) {
                best = Some((bytes, raw_len, compressed, *way));
            }
        }
        let (bytes, raw_len, is_compressed, way) = best.expect("a plan has at least one way");
        let rows = chunk.rows();
        let mut buf = levels;
        let levels_len = buf.len();
        buf.extend_from_slice(&bytes);
        let page = Page::DataPageV2 {
            buf: buf.into(),
            num_values: rows as u32,
            encoding: way.encoding(),
            num_nulls: (rows - chunk.values.len()) as u32,
            num_rows: rows as u32,
            def_levels_byte_len: levels_len as u32,
            rep_levels_byte_len: 0,
            is_compressed,
            statistics: None,
        };
        Ok(Packed { page: CompressedPage::new(page, levels_len + raw_len), rows, encoding: way.encoding() })
    }

    /// As [`Packer::pack`] as a page of the first version, which compresses levels as well: gaps that all series of a scrape
    /// share are found again.
    fn pack_with_levels(&mut self, chunk: Chunk<'_>, levels: &[u8], ways: &[Way]) -> Result<Packed, ParquetError> {
        let mut best: Option<(Vec<u8>, usize, Way)> = None;
        for way in ways {
            let mut raw = Vec::with_capacity(8 * chunk.values.len() + levels.len() + 32);
            raw.extend_from_slice(&(levels.len() as u32).to_le_bytes());
            raw.extend_from_slice(levels);
            chunk.values.encode(*way, &mut raw);
            let packed = self.zstd.compress(&raw).map_err(|error| ParquetError::External(Box::new(error)))?;
            if best.as_ref().is_none_or(|best| packed.len() < best.0.len()) {
                best = Some((packed, raw.len(), *way));
            }
        }
        let (bytes, raw_len, way) = best.expect("a plan has at least one way");
        let rows = chunk.rows();
        let page = Page::DataPage {
            buf: bytes.into(),
            num_values: rows as u32,
            encoding: way.encoding(),
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        Ok(Packed { page: CompressedPage::new(page, raw_len), rows, encoding: way.encoding() })
    }

    fn pack_all(&mut self, chunk: Chunk<'_>, plan: Plan) -> Result<Vec<Packed>, ParquetError> {
        chunk.pages(plan.rows_per_page).map(|page| self.pack(page, plan.ways)).collect()
    }

    /// Returns the bytes that a plan makes of a chunk.
    fn size(&mut self, chunk: Chunk<'_>, plan: Plan) -> Result<usize, ParquetError> {
        let mut size = 0;
        for page in chunk.pages(plan.rows_per_page) {
            size += self.pack(page, plan.ways)?.page.compressed_size();
        }
        Ok(size)
    }

    /// Tries both plans on a quarter of the coarse pages.
    fn choose(&mut self, chunk: Chunk<'_>, fine: Plan, coarse: Plan, at_most: f64) -> Result<Plan, ParquetError> {
        let (mut small, mut large) = (0, 0);
        for page in chunk.pages(coarse.rows_per_page).step_by(4) {
            large += self.size(page, fine)?;
            small += self.size(page, coarse)?;
        }
        Ok(if (small as f64) < at_most * large as f64 { coarse } else { fine })
    }
}

/// Definition levels as Parquet's RLE: runs, or groups of eight bits where runs would be longer.
fn level_runs(levels: &[i16]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in levels.chunk_by(|a, b| a == b) {
        put_varint(&mut out, (run.len() as u64) << 1);
        out.push(u8::from(run[0] > 0));
    }
    if out.len() > levels.len() / 8 + 8 {
        out.clear();
        put_varint(&mut out, (levels.len().div_ceil(8) as u64) << 1 | 1);
        out.extend(
            levels
                .chunks(8)
                .map(|eight| eight.iter().enumerate().fold(0u8, |byte, (bit, level)| byte | u8::from(*level > 0) << bit)),
        );
    }
    out
}

/// Level of zstd by effort.
pub(super) fn zstd_level(effort: Effort) -> i32 {
    match effort {
        Effort::Fast => 1,
        Effort::Normal => 3,
        Effort::Small => 9,
    }
}

/// Encodes one column chunk; fine pages have `rows_per_page`.
pub(super) fn encode(
    descr: ColumnDescPtr,
    chunk: Chunk<'_>,
    (effort, rows_per_page): (Effort, usize),
    bounds: Option<(i64, i64)>,
) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
    let mut packer = Packer::new(zstd_level(effort))?;
    let (fast, fine, coarse) = match chunk.values {
        Values::Ints(_) => (INTS_FAST, INTS_FINE, INTS_COARSE),
        Values::Doubles(_) => (DOUBLES_FAST, DOUBLES_FINE, DOUBLES_COARSE),
        Values::Texts(_) => (TEXTS_FINE, TEXTS_FINE, TEXTS_COARSE),
    };
    let [fast, fine] = [fast, fine].map(|plan| Plan { rows_per_page, ..plan });
    let plan = if effort == Effort::Fast || chunk.values.len() == 0 {
        fast
    } else {
        packer.choose(chunk, fine, coarse, coarse_at_most(effort, rows_per_page))?
    };
    let packed = packer.pack_all(chunk, plan)?;
    let mut sink = TrackedWrite::new(Vec::new());
    let (mut compressed, mut uncompressed, mut first) = (0, 0, None);
    let mut offsets = OffsetIndexBuilder::new();
    let mut encodings = vec![Encoding::RLE];
    {
        let mut pages = SerializedPageWriter::new(&mut sink);
        for Packed { page, rows, encoding } in packed {
            let spec = pages.write_page(page)?;
            first.get_or_insert(spec.offset);
            offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
            offsets.append_row_count(rows as i64);
            if descr.physical_type() == Physical::BYTE_ARRAY {
                offsets.append_unencoded_byte_array_data_bytes(None);
            }
            compressed += spec.compressed_size;
            uncompressed += spec.uncompressed_size;
            encodings.push(encoding);
        }
    }
    let bytes = sink.into_inner()?;
    let mut metadata = ColumnChunkMetaData::builder(descr)
        .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_num_values(chunk.rows() as i64)
        .set_total_compressed_size(compressed as i64)
        .set_total_uncompressed_size(uncompressed as i64)
        .set_data_page_offset(first.unwrap_or(0) as i64);
    if let Some((min, max)) = bounds {
        metadata = metadata.set_statistics(Statistics::int64(Some(min), Some(max), None, Some(0), false));
    }
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: chunk.rows() as u64,
        metadata: metadata.build()?,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(offsets.build()),
    };
    Ok((bytes.into(), close))
}

#[cfg(test)]
pub(super) mod tests;
