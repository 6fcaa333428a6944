//! Where the pages of a file lie, what their checksums are, and reading columns out of fetched bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::basic::Compression;
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::statistics::Statistics;

use super::parquet_error;
use super::unpacked::Unpacked;
use crate::cursor::Cursor;
use crate::schema;
use crate::template::{NUMBERS_MAX, TEXTS_MAX};
use crate::{Fetched, SegmentError};

/// An opened Parquet file without its data.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(super) metadata: ParquetMetaData,
    /// First row of each row group, and one past the last row.
    group_starts: Vec<u64>,
    version: u16,
    /// Checksum of each page, by its offset in the file.
    sums: Arc<Sums>,
}

type Sums = BTreeMap<u64, (u32, u32)>;

/// A page as a range of bytes and of rows in its row group.
struct PagePlace {
    bytes: Range<u64>,
    rows: Range<u64>,
}

/// Version of the format since which every page has a checksum.
const ALL_PAGES_SINCE: u16 = 2;

/// Version of the format since which lines are cut.
const CUT_LINES_SINCE: u16 = 4;

/// Reports whether our readers read the column. In version 1 only these have checksums.
fn is_read(column: &ColumnChunkMetaData) -> bool {
    let root = column.column_path().parts().first().map_or("", String::as_str);
    let ours =
        [schema::TS, schema::V_INT, schema::V_DBL, schema::ST, schema::HIST, schema::BODY, schema::LINE_LEN, schema::METADATA];
    ours.contains(&root) || root.starts_with(schema::METADATA_PREFIX)
}

fn dictionary(column: &ColumnChunkMetaData, pages: &[PageLocation]) -> Option<Range<u64>> {
    let start = column.byte_range().0;
    pages.first().map(|page| start..page.offset as u64).filter(|range| !range.is_empty())
}

fn all_pages(metadata: &ParquetMetaData, version: u16) -> impl Iterator<Item = Range<u64>> {
    (0..metadata.num_row_groups()).flat_map(move |group| {
        let columns = metadata.row_group(group).columns().iter().enumerate();
        let columns = columns.filter(move |(_, column)| version >= ALL_PAGES_SINCE || is_read(column));
        columns.flat_map(move |(index, column)| {
            let pages = locations(metadata, group, index);
            let data = pages.iter().map(|page| page.offset as u64..page.offset as u64 + page.compressed_page_size as u64);
            dictionary(column, pages).into_iter().chain(data)
        })
    })
}

pub(super) fn locations(metadata: &ParquetMetaData, group: usize, column: usize) -> &[PageLocation] {
    let index = metadata.offset_index().and_then(|index| index.get(group)).and_then(|columns| columns.get(column));
    index.map_or(&[], |index| index.page_locations())
}

/// Computes the checksums of all pages, in the order of [`all_pages`].
pub(super) fn sums(metadata: &ParquetMetaData, version: u16, file: &[u8]) -> Result<Vec<u8>, SegmentError> {
    let mut sums = Vec::new();
    for page in all_pages(metadata, version) {
        let bytes = file.get(page.start as usize..page.end as usize);
        let bytes = bytes.ok_or_else(|| SegmentError::corrupt("page lies outside the file just written"))?;
        sums.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    }
    Ok(sums)
}

impl Layout {
    /// Opens the footer of a tail whose seal was verified.
    pub(crate) fn open(tail: &Bytes, tail_offset: u64, version: u16, sums: &[u8], rows: u64) -> Result<Layout, SegmentError> {
        let file_len = tail_offset + tail.len() as u64;
        let mut reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Required);
        reader.try_parse_sized(tail, file_len).map_err(corrupt_footer)?;
        let metadata = reader.finish().map_err(corrupt_footer)?;
        let mut group_starts = vec![0u64];
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|_| SegmentError::corrupt("row group has a negative count"))?;
            group_starts.push(group_starts[group_starts.len() - 1] + rows);
        }
        if group_starts[group_starts.len() - 1] != rows {
            return Err(SegmentError::corrupt("footer has other rows than the label table"));
        }
        let mut cursor = Cursor::new(sums, "page checksums");
        let mut by_offset = BTreeMap::new();
        for page in all_pages(&metadata, version) {
            if page.end > file_len {
                return Err(SegmentError::corrupt("page lies outside the file"));
            }
            by_offset.insert(page.start, ((page.end - page.start) as u32, cursor.u32()?));
        }
        cursor.finish()?;
        Ok(Layout { metadata, group_starts, version, sums: Arc::new(by_offset) })
    }

    /// Returns each checksummed page: its place in words, its bytes, its checksum.
    pub(crate) fn checked_pages(&self) -> impl Iterator<Item = (String, Range<u64>, u32)> + '_ {
        self.sums.iter().map(|(start, (len, crc))| {
            let columns = self
                .metadata
                .row_groups()
                .iter()
                .enumerate()
                .flat_map(|(group, metadata)| metadata.columns().iter().map(move |column| (group, column)));
            let of = columns.into_iter().find(|(_, column)| {
                let (first, len) = column.byte_range();
                first <= *start && *start < first + len
            });
            let place = of.map_or(String::new(), |(group, column)| {
                format!("row group {group}, column {}, ", column.column_path().string())
            });
            (format!("{place}page at byte {start}"), *start..*start + u64::from(*len), *crc)
        })
    }

    pub(crate) fn groups_len(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Reports whether the column may be null.
    pub(crate) fn is_nullable(&self, column: usize) -> bool {
        self.metadata.file_metadata().schema_descr().column(column).max_def_level() > 0
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.metadata.memory_size() + self.sums.len() * 24
    }

    /// Returns the rows of a row group in the segment.
    pub(super) fn group_rows(&self, group: usize) -> Range<u64> {
        self.group_starts[group]..self.group_starts[group + 1]
    }

    /// Returns the row group that has a row of the segment.
    pub(super) fn group_of(&self, row: u64) -> usize {
        self.group_starts.partition_point(|start| *start <= row).saturating_sub(1)
    }

    /// Returns first and last time of a row group, where its statistics say.
    pub(crate) fn group_times(&self, group: usize) -> Option<(i64, i64)> {
        let statistics = self.metadata.row_group(group).column(self.column(schema::TS)?).statistics()?;
        match statistics {
            Statistics::Int64(values) => values.min_opt().copied().zip(values.max_opt().copied()),
            _ => None,
        }
    }

    /// Cuts rows of the segment by row group: (group, rows inside the group).
    pub(crate) fn cut(&self, rows: &Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
        let first = self.group_starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        let rows = rows.clone();
        (first..self.group_starts.len() - 1).map_while(move |group| {
            let all = self.group_rows(group);
            let part = rows.start.max(all.start)..rows.end.min(all.end);
            (part.start < part.end).then(|| (group, part.start - all.start..part.end - all.start))
        })
    }

    /// Returns the column's place in a row group, or `None` where the file does not have it.
    pub(crate) fn column(&self, path: &str) -> Option<usize> {
        let columns = self.metadata.file_metadata().schema_descr().columns();
        columns.iter().position(|column| column.path().parts().iter().map(String::as_str).eq(path.split('.')))
    }

    /// Returns `(key, column)` of the columns of structured metadata.
    pub(super) fn metadata_columns(&self) -> Vec<(String, usize)> {
        let columns = self.metadata.file_metadata().schema_descr().columns().iter().enumerate();
        columns
            .filter_map(|(index, column)| Some((column.name().strip_prefix(schema::METADATA_PREFIX)?.to_owned(), index)))
            .collect()
    }

    /// Returns the version that the file was written with.
    pub(super) fn version(&self) -> u16 {
        self.version
    }

    /// Reports whether lines are stored as templates and variables.
    pub(super) fn cuts_lines(&self) -> bool {
        self.version >= CUT_LINES_SINCE
    }

    /// Returns the columns of numbers of cut lines: they follow each other.
    pub(super) fn line_numbers(&self) -> Range<usize> {
        self.columns_from(&schema::line_number(0), NUMBERS_MAX)
    }

    /// Returns the columns of texts of cut lines.
    pub(super) fn line_texts(&self) -> Range<usize> {
        self.columns_from(&schema::line_text(0), TEXTS_MAX)
    }

    fn columns_from(&self, first: &str, len: usize) -> Range<usize> {
        let columns = self.metadata.file_metadata().schema_descr().num_columns();
        match self.column(first).filter(|first| self.cuts_lines() && first + len <= columns) {
            Some(first) => first..first + len,
            None => 0..0,
        }
    }

    /// Adds the byte ranges of the pages of a column that hold some of `rows` (inside the group, ascending).
    pub(super) fn plan(&self, group: usize, column: usize, rows: &[Range<u64>], ranges: &mut Vec<Range<u64>>) {
        if rows.is_empty() {
            return;
        }
        let chunk = self.metadata.row_group(group).column(column);
        let pages = locations(&self.metadata, group, column);
        ranges.extend(dictionary(chunk, pages));
        let mut wanted = rows.iter().peekable();
        for page in self.places(group, pages) {
            while wanted.next_if(|rows| rows.end <= page.rows.start).is_some() {}
            if wanted.peek().is_some_and(|rows| rows.start < page.rows.end) {
                ranges.push(page.bytes);
            }
        }
    }

    fn places<'a>(&self, group: usize, pages: &'a [PageLocation]) -> impl Iterator<Item = PagePlace> + use<'a> {
        let rows = self.metadata.row_group(group).num_rows() as u64;
        pages.iter().enumerate().map(move |(index, page)| PagePlace {
            bytes: page.offset as u64..page.offset as u64 + page.compressed_page_size as u64,
            rows: page.first_row_index as u64..pages.get(index + 1).map_or(rows, |next| next.first_row_index as u64),
        })
    }

    /// Opens a column of a row group for reading; pages are verified as they are read.
    pub(super) fn reader<T: DataType>(
        &self,
        group: usize,
        column: usize,
        fetched: &Fetched,
    ) -> Result<ColumnReaderImpl<T>, SegmentError> {
        self.reader_with(group, column, VerifiedPages { fetched: fetched.clone(), sums: Some(self.sums.clone()) })
    }

    /// Reports whether pages that only foreign readers use have checksums as well.
    pub(crate) fn checks_all_pages(&self) -> bool {
        self.version >= ALL_PAGES_SINCE
    }

    /// Opens a column that only foreign readers use: in version 1 its pages have no checksum.
    pub(crate) fn foreign_reader<T: DataType>(
        &self,
        group: usize,
        column: usize,
        fetched: &Fetched,
    ) -> Result<ColumnReaderImpl<T>, SegmentError> {
        self.reader_with(
            group,
            column,
            VerifiedPages { fetched: fetched.clone(), sums: self.checks_all_pages().then(|| self.sums.clone()) },
        )
    }

    fn reader_with<T: DataType>(
        &self,
        group: usize,
        column: usize,
        source: VerifiedPages,
    ) -> Result<ColumnReaderImpl<T>, SegmentError> {
        let chunk = self.metadata.row_group(group).column(column);
        let pages = self.pages_with(group, column, source)?;
        Ok(get_typed_column_reader(get_column_reader(chunk.column_descr_ptr(), Box::new(pages))))
    }

    /// Opens the pages of a column of a row group; they are verified as they are read.
    pub(super) fn page_reader(
        &self,
        group: usize,
        column: usize,
        fetched: &Fetched,
    ) -> Result<impl PageReader + use<>, SegmentError> {
        self.pages_with(group, column, VerifiedPages { fetched: fetched.clone(), sums: Some(self.sums.clone()) })
    }

    fn pages_with(
        &self,
        group: usize,
        column: usize,
        source: VerifiedPages,
    ) -> Result<Unpacked<SerializedPageReader<VerifiedPages>>, SegmentError> {
        let row_group = self.metadata.row_group(group);
        let pages = locations(&self.metadata, group, column).to_vec();
        let rows = row_group.num_rows() as usize;
        let chunk = row_group.column(column);
        if !matches!(chunk.compression(), Compression::ZSTD(_)) {
            return Err(SegmentError::corrupt("column is not compressed with zstd"));
        }
        let stored = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build().map_err(read_error)?;
        let reader = SerializedPageReader::new(Arc::new(source), &stored, rows, Some(pages)).map_err(read_error)?;
        Ok(Unpacked(reader))
    }
}

fn corrupt_footer(source: ParquetError) -> SegmentError {
    SegmentError::corrupt(format!("footer: {source}"))
}

/// Gives the error that lies inside the library's error, if it is one of ours.
pub(crate) fn read_error(error: ParquetError) -> SegmentError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<SegmentError>() {
            Ok(ours) => *ours,
            Err(other) => parquet_error("read parquet page")(ParquetError::External(other)),
        },
        other => SegmentError::corrupt(format!("page: {other}")),
    }
}

/// Fetched bytes as the library wants them: by page, each checked before anything decodes it.
struct VerifiedPages {
    fetched: Fetched,
    /// None where the column has no checksums.
    sums: Option<Arc<Sums>>,
}

impl Length for VerifiedPages {
    fn len(&self) -> u64 {
        u64::MAX
    }
}

impl ChunkReader for VerifiedPages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, _start: u64) -> parquet::errors::Result<Self::T> {
        // Only readers without page locations come here, and ours have them.
        Ok(Bytes::new().reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let external = |error: SegmentError| ParquetError::External(Box::new(error));
        let bytes = self.fetched.get(start..start.saturating_add(length as u64)).map_err(external)?;
        let Some(sums) = &self.sums else { return Ok(bytes) };
        match sums.get(&start) {
            Some((len, crc)) if *len as usize == length && *crc == crc32fast::hash(&bytes) => Ok(bytes),
            _ => Err(external(SegmentError::corrupt(format!("page at {start} has a wrong checksum")))),
        }
    }
}
