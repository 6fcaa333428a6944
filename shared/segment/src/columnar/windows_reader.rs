//! Reading windows out of Parquet pages.

use model::windowed::{NEVER, Quantum, Window};
use parquet::data_type::{DataType, DoubleType, Int64Type};

use super::Layout;
use super::metrics_reader::{Decoder, runs};
use super::windows_values::{CHAINED_SINCE, Cell, Cells, Chain, broken};
use crate::fetched::coalesce;
use crate::metrics::{Place, Reads};
use crate::scale::divisor;
use crate::schema;
use crate::table::Table;
use crate::windows::{Projection, WindowColumns};
use crate::{Fetched, SegmentError};

/// Which of [`schema::WINDOW_VALUES`] a projection reads. First and last come along always: the others count from them.
fn values_of(projection: Projection) -> [bool; 6] {
    let Projection { extremes, sum, lost, .. } = projection;
    [true, true, extremes, extremes, sum, lost]
}

/// The leaf columns that a projection reads; a file has those of its version.
fn wanted(projection: Projection) -> Vec<String> {
    let Projection { sum, lost, changes, m2, .. } = projection;
    let mut wanted = vec![schema::TS.to_owned()];
    let values = schema::WINDOW_VALUES.iter().zip(values_of(projection)).filter(|(_, read)| *read);
    wanted.extend(values.flat_map(|(name, _)| [schema::window_int(name), schema::window_double(name)]));
    let others = [
        (schema::WINDOW_COUNT, true),
        (schema::WINDOW_FIRST_AGE, true),
        (schema::WINDOW_LAST_AGE, true),
        (schema::WINDOW_STALE_AGE, true),
        (schema::WINDOW_SUM_OFF, sum),
        (schema::WINDOW_LOST, lost),
        (schema::WINDOW_RESETS, lost),
        (schema::WINDOW_CHANGES, changes),
        (schema::WINDOW_M2, m2),
    ];
    wanted.extend(others.iter().filter(|(_, read)| *read).map(|(name, _)| schema::window(name)));
    wanted
}

pub(crate) fn plan(layout: &Layout, table: &Table, places: &[Place], projection: Projection) -> Reads {
    let mut ranges = Vec::new();
    let groups = runs(layout, table, places, 0);
    for column in wanted(projection).iter().filter_map(|path| layout.column(path)) {
        groups.iter().for_each(|(group, rows)| layout.plan(*group, column, rows, &mut ranges));
    }
    Reads { row_groups: groups.len() as u64, pages: ranges.len() as u64, ranges: coalesce(ranges, 0) }
}

pub(crate) fn decode(
    layout: &Layout,
    table: &Table,
    (places, width_ms): (&[Place], i64),
    projection: Projection,
    fetched: &Fetched,
) -> Result<WindowColumns, SegmentError> {
    let decoder = Decoder::new(layout, table, places, fetched);
    let rows = places.iter().map(|place| (place.rows.end - place.rows.start) as usize).sum();
    let ends = decoder.required(schema::TS, rows)?;
    let mut windows: Vec<Window> = ends.iter().map(|end| Window::empty(end.saturating_sub(width_ms), *end)).collect();
    let column = Columns { decoder: &decoder, rows, version: layout.version() };
    let counts = decoder.required(&schema::window(schema::WINDOW_COUNT), rows)?;
    let age = |name| column.read::<Int64Type>(name);
    let (first_age, last_age) = (age(schema::WINDOW_FIRST_AGE)?, age(schema::WINDOW_LAST_AGE)?);
    let stale_age = age(schema::WINDOW_STALE_AGE)?;
    for (row, window) in windows.iter_mut().enumerate() {
        let count = u64::try_from(counts[row]).map_err(|_| broken())?;
        window.count = count;
        window.stale_at = stale_age[row].map_or(NEVER, |age| window.end.wrapping_sub(age));
        if count > 0 {
            let at = |age: Option<i64>| age.filter(|age| (0..width_ms).contains(age)).map(|age| window.end - age);
            let (first_at, last_at) = at(first_age[row]).zip(at(last_age[row])).ok_or_else(broken)?;
            (window.first_at, window.last_at) = (first_at, last_at);
        }
        let times_fit = count == 0 || window.first_at <= window.last_at;
        let is_known = count > 0 || window.stale_at != NEVER;
        let stale_fits = window.stale_at == NEVER || (window.start < window.stale_at && window.stale_at <= window.end);
        if !times_fit || !is_known || !stale_fits {
            return Err(broken());
        }
    }
    column.rest(&mut windows, projection)?;
    column.values(&mut windows, table, places, projection)?;
    let mut end = 0;
    let ends = places.iter().map(|place| {
        end += (place.rows.end - place.rows.start) as u32;
        end
    });
    let ends = ends.collect();
    Ok(WindowColumns { windows, ends })
}

struct Columns<'a> {
    decoder: &'a Decoder<'a>,
    rows: usize,
    version: u16,
}

impl Columns<'_> {
    /// Reads a column of the window group, one value or null per row.
    fn read<T: DataType>(&self, name: &str) -> Result<Vec<Option<T::T>>, SegmentError>
    where
        T::T: Copy,
    {
        self.read_path::<T>(&schema::window(name))
    }

    fn read_path<T: DataType>(&self, path: &str) -> Result<Vec<Option<T::T>>, SegmentError>
    where
        T::T: Copy,
    {
        let mut values: Vec<Option<T::T>> = vec![None; self.rows];
        self.decoder.nullable::<T>(path, 0, |portion, levels, present| {
            let mut present = present.iter();
            let mut used = 0;
            for (out, _) in values[portion.at..].iter_mut().zip(levels).filter(|(_, level)| **level > 0) {
                *out = present.next().copied();
                used += 1;
            }
            used
        })?;
        Ok(values)
    }

    /// Reads the values; resets are there already.
    fn values(
        &self,
        windows: &mut [Window],
        table: &Table,
        places: &[Place],
        projection: Projection,
    ) -> Result<(), SegmentError> {
        let mut cells = vec![Cells::default(); self.rows];
        for (at, (name, read)) in schema::WINDOW_VALUES.iter().zip(values_of(projection)).enumerate() {
            if read {
                let ints = self.read_path::<Int64Type>(&schema::window_int(name))?;
                let doubles = self.read_path::<DoubleType>(&schema::window_double(name))?;
                let read: Vec<Option<Cell>> =
                    ints.into_iter().zip(doubles).map(|(int, double)| int.map(Ok).or(double.map(Err))).collect();
                cells.iter_mut().zip(read).for_each(|(cells, cell)| cells.values[at] = cell);
            }
        }
        if projection.sum {
            let off = self.read::<DoubleType>(schema::WINDOW_SUM_OFF)?;
            cells.iter_mut().zip(off).for_each(|(cells, off)| cells.sum_off = off);
        }
        if projection.lost && self.version < CHAINED_SINCE {
            let lost = self.read::<DoubleType>(schema::WINDOW_LOST)?;
            cells.iter_mut().zip(lost).for_each(|(cells, lost)| cells.values[schema::WINDOW_VALUES.len() - 1] = lost.map(Err));
        }
        let mut row = 0;
        for place in places {
            let of = table.row(place.ordinal as usize);
            let mut chain = Chain::new(self.version, divisor(of.scale), of.base, Quantum::from_code(of.extra));
            for _ in place.rows.clone() {
                if windows[row].count > 0 && !table.has_histograms(place.ordinal as usize) {
                    chain.decode(&cells[row], projection.sum, &mut windows[row])?;
                }
                row += 1;
            }
        }
        Ok(())
    }

    /// Reads what is null where it is 0.
    fn rest(&self, windows: &mut [Window], projection: Projection) -> Result<(), SegmentError> {
        let count = |value: Option<i64>| u32::try_from(value.unwrap_or(0)).map_err(|_| broken());
        if projection.lost {
            let resets = self.read::<Int64Type>(schema::WINDOW_RESETS)?;
            for (row, window) in windows.iter_mut().enumerate() {
                window.resets = count(resets[row])?;
            }
        }
        if projection.changes {
            let changes = self.read::<Int64Type>(schema::WINDOW_CHANGES)?;
            for (row, window) in windows.iter_mut().enumerate() {
                window.changes = count(changes[row])?;
            }
        }
        if projection.m2 {
            let m2 = self.read::<DoubleType>(schema::WINDOW_M2)?;
            windows.iter_mut().zip(m2).for_each(|(window, m2)| window.m2 = m2.unwrap_or(0.0));
        }
        Ok(())
    }
}
