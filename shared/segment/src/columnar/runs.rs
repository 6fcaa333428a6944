//! Columns that are constant along a series: one dictionary and one run per series, written straight as Parquet pages.
//!
//! The library would hash every row of every label; here a series costs one run.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use model::labels::put_varint;

use crate::limits::METRIC_ROWS_PER_GROUP;

/// Distinct values of a column in PLAIN encoding.
pub(crate) struct Dictionary {
    pub(crate) plain: Vec<u8>,
    pub(crate) len: u32,
    /// Smallest and largest, for text.
    pub(crate) bounds: Option<(Vec<u8>, Vec<u8>)>,
}

/// Encodes one column chunk. `runs` are (dictionary entry or null, rows).
pub(crate) fn encode(
    descr: ColumnDescPtr,
    dictionary: Dictionary,
    runs: &[(Option<u32>, u32)],
) -> Result<(Bytes, ColumnCloseResult), ParquetError> {
    let rows: u64 = runs.iter().map(|(_, len)| u64::from(*len)).sum();
    let optional = descr.max_def_level() > 0;
    let mut sink = TrackedWrite::new(Vec::new());
    let mut sizes = Sizes::default();
    let mut offsets = OffsetIndexBuilder::new();
    let mut nulls = 0;
    let mut data_offset = None;
    {
        let mut pages = SerializedPageWriter::new(&mut sink);
        let page = dictionary_page(&dictionary)?;
        sizes.add(&pages.write_page(page)?);
        for page_runs in paged(runs) {
            let page_rows: u32 = page_runs.iter().map(|(_, len)| *len).sum();
            let (page, page_nulls) = data_page(&page_runs, page_rows, dictionary.len, optional)?;
            nulls += u64::from(page_nulls);
            let spec = pages.write_page(page)?;
            data_offset.get_or_insert(spec.offset);
            offsets.append_offset_and_size(spec.offset as i64, spec.compressed_size as i32);
            offsets.append_row_count(i64::from(page_rows));
            if descr.physical_type() == Physical::BYTE_ARRAY {
                offsets.append_unencoded_byte_array_data_bytes(None);
            }
            sizes.add(&spec);
        }
    }
    let bytes = sink.into_inner()?;
    let mut metadata = ColumnChunkMetaData::builder(descr)
        .set_encodings_mask(EncodingMask::new_from_encodings([Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY].iter()))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_num_values(rows as i64)
        .set_total_compressed_size(sizes.compressed as i64)
        .set_total_uncompressed_size(sizes.uncompressed as i64)
        .set_dictionary_page_offset(Some(0))
        .set_data_page_offset(data_offset.unwrap_or(0) as i64);
    if let Some((min, max)) = dictionary.bounds {
        let (min, max) = (Some(ByteArray::from(min)), Some(ByteArray::from(max)));
        metadata = metadata.set_statistics(Statistics::byte_array(min, max, None, Some(nulls), false));
    }
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: rows,
        metadata: metadata.build()?,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(offsets.build()),
    };
    Ok((bytes.into(), close))
}

#[derive(Default)]
struct Sizes {
    compressed: u64,
    uncompressed: u64,
}

impl Sizes {
    fn add(&mut self, spec: &parquet::column::page::PageWriteSpec) {
        self.compressed += spec.compressed_size as u64;
        self.uncompressed += spec.uncompressed_size as u64;
    }
}

/// Cuts runs into pages. One page a row group: a run costs its bytes only, and a page header costs more than most columns.
/// Our readers take labels from the label table.
fn paged(runs: &[(Option<u32>, u32)]) -> Vec<Vec<(Option<u32>, u32)>> {
    let mut pages = Vec::new();
    let mut page: Vec<(Option<u32>, u32)> = Vec::new();
    let mut room = METRIC_ROWS_PER_GROUP as u32;
    for (value, len) in runs {
        let mut len = *len;
        while len > 0 {
            let part = len.min(room);
            match page.last_mut() {
                Some(last) if last.0 == *value => last.1 += part,
                _ => page.push((*value, part)),
            }
            len -= part;
            room -= part;
            if room == 0 {
                pages.push(std::mem::take(&mut page));
                room = METRIC_ROWS_PER_GROUP as u32;
            }
        }
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

fn zstd_block(raw: &[u8]) -> Result<Vec<u8>, ParquetError> {
    zstd::bulk::compress(raw, super::ZSTD_LEVEL).map_err(|error| ParquetError::External(Box::new(error)))
}

fn dictionary_page(dictionary: &Dictionary) -> Result<CompressedPage, ParquetError> {
    let page = Page::DictionaryPage {
        buf: zstd_block(&dictionary.plain)?.into(),
        num_values: dictionary.len,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    Ok(CompressedPage::new(page, dictionary.plain.len()))
}

/// Rounds up so that an index never straddles a byte: zstd finds repeats only there.
fn packed_width(bit_width: u32) -> u32 {
    if bit_width <= 8 { bit_width.next_power_of_two() } else { bit_width.next_multiple_of(8) }
}

/// Packs the index of each row that is not null: for short runs.
fn packed(runs: &[(Option<u32>, u32)], width: u32, rows: u32) -> Vec<u8> {
    let mut out = vec![width as u8];
    let groups = rows.div_ceil(8);
    put_varint(&mut out, u64::from(groups) << 1 | 1);
    let end = out.len() + (groups * width) as usize;
    let (mut bits, mut len) = (0u64, 0);
    for (value, rows) in runs {
        for _ in 0..value.map_or(0, |_| *rows) {
            bits |= u64::from(value.unwrap_or(0)) << len;
            len += width;
            while len >= 8 {
                out.push(bits as u8);
                bits >>= 8;
                len -= 8;
            }
        }
    }
    if len > 0 {
        out.push(bits as u8);
    }
    out.resize(end, 0);
    out
}

fn data_page(
    runs: &[(Option<u32>, u32)],
    rows: u32,
    dictionary: u32,
    optional: bool,
) -> Result<(CompressedPage, u32), ParquetError> {
    let bit_width = (32 - dictionary.saturating_sub(1).leading_zeros()).max(1);
    let width_bytes = bit_width.div_ceil(8) as usize;
    let mut levels = Vec::new();
    let mut values = vec![bit_width as u8];
    let mut nulls = 0;
    for (value, len) in runs {
        if optional {
            put_varint(&mut levels, u64::from(*len) << 1);
            levels.push(u8::from(value.is_some()));
        }
        match value {
            Some(value) => {
                put_varint(&mut values, u64::from(*len) << 1);
                values.extend_from_slice(&value.to_le_bytes()[..width_bytes]);
            }
            None => nulls += len,
        }
    }
    let packed_width = packed_width(bit_width);
    if values.len() > 16 + (rows - nulls) as usize * packed_width as usize / 8 {
        values = packed(runs, packed_width, rows - nulls);
    }
    let uncompressed = levels.len() + values.len();
    let packed = zstd_block(&values)?;
    let is_compressed = packed.len() < values.len();
    let def_levels_byte_len = levels.len() as u32;
    let mut buf = levels;
    buf.extend_from_slice(if is_compressed { &packed } else { &values });
    let page = Page::DataPageV2 {
        buf: buf.into(),
        num_values: rows,
        encoding: Encoding::RLE_DICTIONARY,
        num_nulls: nulls,
        num_rows: rows,
        def_levels_byte_len,
        rep_levels_byte_len: 0,
        is_compressed,
        statistics: None,
    };
    Ok((CompressedPage::new(page, uncompressed), nulls))
}
