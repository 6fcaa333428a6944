//! The columns that only foreign readers use, against the label table; and the checksums of the pages we read.

use bytes::Bytes;
use model::SeriesId;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};

use super::Check;
use crate::columnar::Layout;
use crate::scale::divisor;
use crate::table::Table;
use crate::{Fetched, SegmentError, schema};

const MAP_KEY: &str = "labels.key_value.key";
const MAP_VALUE: &str = "labels.key_value.value";

/// Compares every page with its checksum; returns how many were compared.
pub(super) fn checksums(check: &mut Check<'_>, layout: &Layout, object: &Bytes) -> u64 {
    let mut pages = 0;
    for (place, verdict) in layout.verify_pages(object) {
        pages += 1;
        if let Err(error) = verdict {
            check.error(place, &error);
        }
    }
    pages
}

/// Reads id, scale and label columns as a foreign reader would, and compares each row with the label table.
pub(super) fn labels(check: &mut Check<'_>, layout: &Layout, table: &Table, object: &Bytes, id: &str) {
    let fetched = Fetched::whole(object.clone());
    let file = File { layout, table, fetched: &fetched };
    if layout.checks_all_pages() {
        return file.compare(check, id);
    }
    // Nobody vouches for these bytes in version 1, and the library may panic on them.
    let compared = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| file.compare(check, id)));
    if compared.is_err() {
        check.problem("columns of labels", "cannot be decoded");
    }
}

struct File<'a> {
    layout: &'a Layout,
    table: &'a Table,
    fetched: &'a Fetched,
}

impl File<'_> {
    fn compare(&self, check: &mut Check<'_>, id: &str) {
        let (file, table, layout) = (self, self.table, self.layout);
        let ids: Vec<i64> = (0..table.len()).map(|series| SeriesId::of(&table.labels(series)).0 as i64).collect();
        file.column::<Int64Type>(check, id, |series| Some(ids[series]), |a, b| a == b);
        let scale = |series: usize| Some(divisor(table.row(series).scale));
        file.column::<DoubleType>(check, schema::SCALE, scale, |a, b| a.to_bits() == b.to_bits());
        file.column::<Int64Type>(check, schema::V_BASE, |series| Some(table.row(series).base), |a, b| a == b);
        let names = table.label_names(&(0..table.len() as u32).collect::<Vec<u32>>());
        let (with_column, rest): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| schema::label_column_allowed(name) && layout.column(name).is_some());
        for name in &with_column {
            let values: Vec<Option<ByteArray>> = (0..table.len())
                .map(|series| table.labels(series).get(name).map(|value| ByteArray::from(value.as_bytes().to_vec())))
                .collect();
            file.column::<ByteArrayType>(check, name, |series| values[series].clone(), |a, b| a == b);
        }
        file.map(check, &rest);
    }

    /// Compares a column that is constant along each series.
    fn column<T: DataType>(
        &self,
        check: &mut Check<'_>,
        path: &str,
        expected: impl Fn(usize) -> Option<T::T>,
        same: impl Fn(&T::T, &T::T) -> bool,
    ) {
        let Some(column) = self.layout.column(path) else { return };
        let nullable = self.layout.is_nullable(column);
        let mut read = |check: &mut Check<'_>, series: usize, group: usize, reader: &mut Reader<T>, rows: usize| {
            let (mut values, mut levels) = (Vec::new(), Vec::new());
            let counted = reader.read_records(rows, nullable.then_some(&mut levels), None, &mut values);
            let place = || format!("row group {group}, column {path}");
            let agrees = match (counted, expected(series)) {
                (Err(error), _) => {
                    check.error(place(), &crate::columnar::read_error(error));
                    return false;
                }
                (Ok((count, _, _)), Some(value)) => {
                    count == rows && values.len() == rows && values.iter().all(|found| same(found, &value))
                }
                (Ok((count, _, _)), None) => count == rows && values.is_empty(),
            };
            check.expect(agrees, &place, &|| format!("disagrees with the label table about series {series}"));
            agrees
        };
        self.each::<T>(check, column, &mut read);
    }

    /// Compares the map of labels without a column.
    fn map(&self, check: &mut Check<'_>, names: &[String]) {
        let columns = [MAP_KEY, MAP_VALUE].map(|path| self.layout.column(path));
        let [Some(keys), Some(values)] = columns else {
            check.expect(names.is_empty(), &|| "columns".into(), &|| format!("no column has the labels {names:?}"));
            return;
        };
        for (column, of_key) in [(keys, true), (values, false)] {
            let mut read =
                |check: &mut Check<'_>, series: usize, group: usize, reader: &mut Reader<ByteArrayType>, rows: usize| {
                    let labels = self.table.labels(series);
                    let rest = labels.iter().filter(|(name, _)| names.iter().any(|rest| rest == name));
                    let expected: Vec<&[u8]> =
                        rest.map(|(name, value)| if of_key { name.as_bytes() } else { value.as_bytes() }).collect();
                    let (mut found, mut levels, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
                    let counted = reader.read_records(rows, Some(&mut levels), Some(&mut repetition), &mut found);
                    let agrees = counted.is_ok_and(|(count, _, _)| count == rows)
                        && found.len() == rows * expected.len()
                        && found.iter().zip(expected.iter().cycle()).all(|(found, expected)| found.data() == *expected);
                    let place = || format!("row group {group}, column labels");
                    check.expect(agrees, &place, &|| format!("disagrees with the label table about series {series}"));
                    agrees
                };
            self.each::<ByteArrayType>(check, column, &mut read);
        }
    }

    /// Calls `read` for each run of rows of one series in one row group; a column that broke is not read on.
    fn each<T: DataType>(&self, check: &mut Check<'_>, column: usize, read: &mut ReadRun<'_, T>) {
        let mut open: Option<(usize, Reader<T>)> = None;
        for series in 0..self.table.len() {
            for (group, rows) in self.layout.cut(&self.table.row_range(series)) {
                if open.as_ref().is_none_or(|(at, _)| *at != group) {
                    match self.layout.foreign_reader::<T>(group, column, self.fetched) {
                        Ok(reader) => open = Some((group, reader)),
                        Err(error) => return check.error(format!("row group {group}, column {column}"), &error),
                    }
                }
                let Some((_, reader)) = &mut open else { return };
                if !read(check, series, group, reader, (rows.end - rows.start) as usize) {
                    return;
                }
            }
        }
    }
}

type Reader<T> = parquet::column::reader::ColumnReaderImpl<T>;
/// (check, series, row group, reader, rows) → whether to go on.
type ReadRun<'a, T> = dyn FnMut(&mut Check<'_>, usize, usize, &mut Reader<T>, usize) -> bool + 'a;

impl Layout {
    /// Compares all checksummed pages: (place, verdict).
    fn verify_pages<'a>(&'a self, object: &'a Bytes) -> impl Iterator<Item = (String, Result<(), SegmentError>)> + 'a {
        self.checked_pages().map(|(place, bytes, crc)| {
            let found = object.get(bytes.start as usize..bytes.end as usize);
            let sound = found.is_some_and(|found| crc32fast::hash(found) == crc);
            let verdict = if sound { Ok(()) } else { Err(SegmentError::corrupt("page has a wrong checksum")) };
            (place, verdict)
        })
    }
}
