//! The Parquet layout of L1 and up: pages written and read through the library's column writers and readers.
//!
//! ```text
//! PAR1 │ column chunks │ page indexes │ label table │ extras │ page sums │ seal │ footer │ length │ PAR1
//!                      └────────────────────────── tail ───────────────────────────────────────────────┘
//! ```

mod cut_lines;
mod delta;
mod describe;
mod lines;
mod log_metadata;
pub(crate) mod logs_reader;
pub(crate) mod logs_writer;
pub(crate) mod metrics_reader;
pub(crate) mod metrics_writer;
mod numbered;
mod pages;
mod runs;
mod unpacked;
mod values;
pub(crate) mod windows_reader;
mod windows_values;
pub(crate) mod windows_writer;

pub(crate) use cut_lines::CutColumns;
pub(crate) use pages::{Layout, read_error};

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

use crate::frame::{self, Kind, Seal};
use crate::limits::ROWS_PER_PAGE;
use crate::table::TableBuilder;
use crate::{SegmentError, schema};

/// Level of zstd in compacted files: written once, read often.
pub(crate) const ZSTD_LEVEL: i32 = 3;
/// Level for the label table: small, and in every tail that is ever fetched.
const INDEX_ZSTD_LEVEL: i32 = 9;

pub(crate) fn parquet_error(context: &'static str) -> impl Fn(ParquetError) -> SegmentError {
    move |source| SegmentError::Parquet { context, source }
}

fn properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("the level is one of zstd's");
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("lamella segment ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(column(schema::TS), EnabledStatistics::Chunk)
        .set_data_page_row_count_limit(ROWS_PER_PAGE)
        .set_data_page_size_limit(1 << 20)
        .set_write_batch_size(ROWS_PER_PAGE)
        .set_key_value_metadata(Some(vec![KeyValue::new("lamella.version".to_owned(), frame::VERSION.to_string())]))
}

fn column(name: &str) -> ColumnPath {
    ColumnPath::new(name.split('.').map(str::to_owned).collect())
}

fn with_encoding(builder: WriterPropertiesBuilder, name: &str, encoding: Encoding) -> WriterPropertiesBuilder {
    builder.set_column_encoding(column(name), encoding)
}

fn open_writer(schema: TypePtr, properties: WriterPropertiesBuilder) -> Result<SerializedFileWriter<Vec<u8>>, SegmentError> {
    SerializedFileWriter::new(Vec::new(), schema, properties.build().into()).map_err(parquet_error("start parquet file"))
}

/// Ends a file: our parts go between the page indexes and the footer. Returns the bytes and the tail offset.
fn seal(
    mut writer: SerializedFileWriter<Vec<u8>>,
    kind: Kind,
    table: &TableBuilder,
    extras: &[u8],
) -> Result<(Vec<u8>, u64), SegmentError> {
    let metadata = writer.finish().map_err(parquet_error("write parquet footer"))?;
    let mut bytes = std::mem::take(writer.inner_mut());
    let footer_len = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().expect("four bytes")) as usize;
    let footer = bytes.split_off(bytes.len() - 8 - footer_len);
    let tail_offset = data_end(&metadata);
    let mut index = Vec::new();
    table.encode(kind.version(), &mut index);
    let index = frame::compress(&index, INDEX_ZSTD_LEVEL)?;
    let sums = pages::sums(&metadata, kind.version(), &bytes)?;
    let seal =
        Seal { kind, tail_offset, index_len: index.len() as u32, extras_len: extras.len() as u32, sums_len: sums.len() as u32 };
    let seal = seal.encode(&[&bytes[tail_offset as usize..], &index, extras, &sums], &footer);
    for part in [&index[..], extras, &sums, &seal, &footer] {
        bytes.extend_from_slice(part);
    }
    // Whoever holds a file, such as a merge between its two steps, does not hold the room it grew in.
    bytes.shrink_to_fit();
    Ok((bytes, tail_offset))
}

/// Returns where the last column chunk ends.
fn data_end(metadata: &ParquetMetaData) -> u64 {
    let ends = metadata.row_groups().iter().flat_map(|group| group.columns()).map(|column| {
        let (start, len) = column.byte_range();
        start + len
    });
    ends.max().unwrap_or(4)
}

/// Chooses the label columns: the most frequent ones; says whether any label is left for the map.
pub(crate) fn label_columns(mut counts: Vec<(String, u64)>) -> (Vec<String>, bool) {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let len = counts.len();
    let mut names: Vec<String> =
        counts.into_iter().map(|(name, _)| name).filter(|name| schema::label_column_allowed(name)).collect();
    names.truncate(crate::limits::LABEL_COLUMNS_MAX);
    let rest = names.len() < len;
    names.sort_unstable();
    (names, rest)
}
