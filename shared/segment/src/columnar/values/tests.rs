use std::sync::Arc;

use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, Int64Type};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};

use super::*;

fn descr(physical: Physical, nullable: bool) -> ColumnDescPtr {
    let repetition = if nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let leaf = Type::primitive_type_builder("v", physical).with_repetition(repetition).build().unwrap();
    Arc::new(ColumnDescriptor::new(Arc::new(leaf), i16::from(nullable), 0, ColumnPath::from("v")))
}

fn reader<T: DataType>(descr: ColumnDescPtr, bytes: Bytes, close: &ColumnCloseResult, rows: usize) -> ColumnReaderImpl<T> {
    let pages = SerializedPageReader::new(Arc::new(bytes), &close.metadata, rows, None).unwrap();
    get_typed_column_reader(get_column_reader(descr, Box::new(pages)))
}

/// Reads one page of raw encoded integers with the library.
pub(crate) fn read_back(raw: Vec<u8>, values: usize, encoding: Encoding) -> Vec<i64> {
    let descr = descr(Physical::INT64, false);
    let page = Page::DataPageV2 {
        buf: raw.clone().into(),
        num_values: values as u32,
        encoding,
        num_nulls: 0,
        num_rows: values as u32,
        def_levels_byte_len: 0,
        rep_levels_byte_len: 0,
        is_compressed: false,
        statistics: None,
    };
    let mut sink = TrackedWrite::new(Vec::new());
    SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, raw.len())).unwrap();
    let bytes = sink.into_inner().unwrap();
    let metadata = ColumnChunkMetaData::builder(descr.clone())
        .set_num_values(values as i64)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_total_compressed_size(bytes.len() as i64)
        .build()
        .unwrap();
    let pages = SerializedPageReader::new(Arc::new(Bytes::from(bytes)), &metadata, values, None).unwrap();
    let mut reader: ColumnReaderImpl<Int64Type> = get_typed_column_reader(get_column_reader(descr, Box::new(pages)));
    let mut out = Vec::new();
    reader.read_records(values, None, None, &mut out).unwrap();
    out
}

fn round_trip<T: DataType>(physical: Physical, chunk: Chunk<'_>, effort: Effort) -> (Vec<T::T>, Vec<i16>, usize) {
    let descr = descr(physical, chunk.levels.is_some());
    let (bytes, close) = encode(descr.clone(), chunk, (effort, ROWS_PER_PAGE), None).unwrap();
    let len = bytes.len();
    let mut reader = reader::<T>(descr, bytes, &close, chunk.rows());
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    reader.read_records(chunk.rows(), chunk.levels.is_some().then_some(&mut levels), None, &mut values).unwrap();
    (values, levels, len)
}

#[test]
fn chunks_come_back() {
    let jitter: Vec<i64> = (0..250).map(|step| step * 5_000 + (step * step * 7) % 13).collect();
    let times: Vec<i64> = (0..1_000).flat_map(|_| jitter.clone()).collect();
    let levels: Vec<i16> = (0..times.len()).map(|row| i16::from(row % 3 != 0 || row < 100_000)).collect();
    let some: Vec<i64> = times.iter().zip(&levels).filter(|(_, level)| **level > 0).map(|(time, _)| *time).collect();
    let doubles: Vec<f64> = some.iter().map(|int| *int as f64 / 7.0).collect();
    for effort in [Effort::Fast, Effort::Normal, Effort::Small] {
        let chunk = Chunk { values: Values::Ints(&times), levels: None };
        assert_eq!(round_trip::<Int64Type>(Physical::INT64, chunk, effort).0, times);
        let chunk = Chunk { values: Values::Ints(&some), levels: Some(&levels) };
        let (values, read, _) = round_trip::<Int64Type>(Physical::INT64, chunk, effort);
        assert!(values == some && read == levels);
        let chunk = Chunk { values: Values::Doubles(&doubles), levels: Some(&levels) };
        let (values, read, _) = round_trip::<DoubleType>(Physical::DOUBLE, chunk, effort);
        assert!(values == doubles && read == levels);
        let nothing = vec![0i16; 40_000];
        let chunk = Chunk { values: Values::Ints(&[]), levels: Some(&nothing) };
        let (values, read, _) = round_trip::<Int64Type>(Physical::INT64, chunk, effort);
        assert!(values.is_empty() && read == nothing);
    }
}

#[test]
fn shared_jitter_costs_little() {
    // Every series of a scrape has the same uneven times: the pages that keep them whole are chosen.
    let mut time = 0i64;
    let jitter: Vec<i64> = (0..250u64)
        .map(|step| {
            time += 5_000 + (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as i64;
            time
        })
        .collect();
    let times: Vec<i64> = (0..1_000).flat_map(|_| jitter.clone()).collect();
    let chunk = Chunk { values: Values::Ints(&times), levels: None };
    let (_, _, fast) = round_trip::<Int64Type>(Physical::INT64, chunk, Effort::Fast);
    let (_, _, normal) = round_trip::<Int64Type>(Physical::INT64, chunk, Effort::Normal);
    assert!(normal * 5 < fast, "{normal} of {fast} bytes");
}
