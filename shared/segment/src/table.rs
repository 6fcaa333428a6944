//! The label table: each series or stream of a segment once, with its labels, slot, rows and times. L0 and L1+ share it.

mod builder;
mod decode;
mod select;
mod verdicts;

use std::ops::Range;
use std::sync::OnceLock;

use hashbrown::HashTable;
use model::LabelSet;
use model::labels::take_varint;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use builder::TableBuilder;
use select::Postings;

/// What the table says of one series beside its labels. Times are in the signal's unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Row {
    pub(crate) slot: u16,
    /// Rows in the segment.
    pub(crate) rows: u64,
    /// First and last time; equal and 0 where `rows` is 0.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Which columns hold something: bits of [`columns`].
    pub(crate) columns: u8,
    /// Scale of `v_int`: see [`crate::scale`].
    pub(crate) scale: i8,
    /// Histogram rows (metrics) or bytes of lines (logs).
    pub(crate) extra: u64,
    /// What is added to `v_int` before it is scaled (Parquet metrics since version 2).
    pub(crate) base: i64,
}

/// Version of the format that has [`Row::base`].
const BASE_SINCE: u16 = 2;

/// Bits of [`Row::columns`].
pub(crate) mod columns {
    pub(crate) const INT: u8 = 1;
    pub(crate) const DOUBLE: u8 = 2;
    pub(crate) const HISTOGRAM: u8 = 4;
    pub(crate) const START: u8 = 8;
}

/// Cuts a canonical encoding into `(name, value, whole pair)`; stops at the first breach.
pub(crate) struct Pairs<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0;
        let name = take_item(&mut self.0)?;
        let value = take_item(&mut self.0)?;
        Some((name, value, &start[..start.len() - self.0.len()]))
    }
}

#[inline]
fn take_item<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = match bytes.first() {
        Some(byte) if *byte < 0x80 => {
            *bytes = &bytes[1..];
            usize::from(*byte)
        }
        _ => usize::try_from(take_varint(bytes)?).ok()?,
    };
    let (head, tail) = bytes.split_at_checked(len)?;
    *bytes = tail;
    Some(head)
}

/// Byte strings numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub struct Interned {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    ids: HashTable<u32>,
}

impl Interned {
    pub(crate) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Returns an item by its number.
    ///
    /// # Panics
    /// If there is no such number.
    pub fn get(&self, id: u32) -> &[u8] {
        slice_of(&self.bytes, &self.ends, id)
    }

    /// Returns the number of the item, and whether it is new.
    pub fn intern(&mut self, item: &[u8]) -> (u32, bool) {
        let hash = xxh3_64(item);
        let (bytes, ends) = (&self.bytes, &self.ends);
        if let Some(id) = self.ids.find(hash, |id| slice_of(bytes, ends, *id) == item) {
            return (*id, false);
        }
        let id = self.ends.len() as u32;
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len());
        let (bytes, ends) = (&self.bytes, &self.ends);
        self.ids.insert_unique(hash, id, |id| xxh3_64(slice_of(bytes, ends, *id)));
        (id, true)
    }
}

#[inline]
fn slice_of<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let start = if id == 0 { 0 } else { ends[id as usize - 1] };
    &bytes[start..ends[id as usize]]
}

/// The table of an opened segment.
///
/// # Invariants
/// Pair ids name pairs, pairs name names; labels of a series ascend by name; ends of rows ascend.
#[derive(Debug, Default)]
pub(crate) struct Table {
    names: Vec<Box<str>>,
    pair_names: Vec<u32>,
    values: Box<str>,
    value_ends: Vec<u32>,
    series_pairs: Vec<u32>,
    series_ends: Vec<u32>,
    rows: Rows,
    /// Pairs of the metric name, and where the run of series that have it starts: few, as series are ordered by it.
    runs: OnceLock<Vec<(u32, u32)>>,
    /// Pairs name by name, and where each name's end: a label may have as many values as there are series, most have few.
    by_name: OnceLock<(Vec<u32>, Vec<u32>)>,
    /// Per name, whether its values ascend pair by pair, where a selection has asked for one of them.
    ascending: Box<[OnceLock<bool>]>,
    /// Per name, the series of each of its pairs, where a selection has asked for them.
    postings: Box<[OnceLock<Postings>]>,
}

/// [`Row`]s of an opened table, column by column: a fresh segment has many series and is opened by every query of its hour.
#[derive(Debug, Default)]
struct Rows {
    slots: Vec<u16>,
    /// Per series, one past its last row in the segment.
    ends: Vec<u64>,
    first: Vec<i64>,
    last: Vec<i64>,
    columns: Vec<u8>,
    scales: Vec<u8>,
    /// Empty where all are 0.
    extra: Vec<u64>,
    /// Empty where all are 0.
    base: Vec<i64>,
}

impl Rows {
    fn start(&self, series: usize) -> u64 {
        if series == 0 { 0 } else { self.ends[series - 1] }
    }

    fn get(&self, series: usize) -> Row {
        Row {
            slot: self.slots[series],
            rows: self.ends[series] - self.start(series),
            first: self.first[series],
            last: self.last[series],
            columns: self.columns[series],
            scale: self.scales[series] as i8,
            extra: self.extra.get(series).copied().unwrap_or(0),
            base: self.base.get(series).copied().unwrap_or(0),
        }
    }

    fn memory_bytes(&self) -> usize {
        self.slots.len() * 28 + 8 * (self.extra.len() + self.base.len())
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.rows.slots.len()
    }

    pub(crate) fn rows_sum(&self) -> u64 {
        self.rows.ends.last().copied().unwrap_or(0)
    }

    pub(crate) fn row(&self, series: usize) -> Row {
        self.rows.get(series)
    }

    /// Counts the rows of a series.
    pub(crate) fn rows_of(&self, series: usize) -> u64 {
        self.rows.ends[series] - self.rows.start(series)
    }

    /// Returns [`Row::extra`] of a series.
    pub(crate) fn extra_of(&self, series: usize) -> u64 {
        self.rows.extra.get(series).copied().unwrap_or(0)
    }

    /// Reports whether a series has rows and its times, first to last, overlap `[start, end)`.
    pub(crate) fn overlaps(&self, series: usize, start: i64, end: i64) -> bool {
        self.rows.first[series] < end && self.rows.last[series] >= start && self.rows_of(series) > 0
    }

    /// Reports whether a series has native histograms.
    pub(crate) fn has_histograms(&self, series: usize) -> bool {
        self.rows.columns[series] & columns::HISTOGRAM != 0
    }

    /// Returns first and last time of all rows.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let filled = || (0..self.len()).map(|series| self.row(series)).filter(|row| row.rows > 0);
        Some((filled().map(|row| row.first).min()?, filled().map(|row| row.last).max()?))
    }

    /// Returns the rows of a series in the segment.
    pub(crate) fn row_range(&self, series: usize) -> Range<u64> {
        self.rows.start(series)..self.rows.ends[series]
    }

    pub(crate) fn pairs_len(&self) -> usize {
        self.pair_names.len()
    }

    pub(crate) fn pairs(&self, series: usize) -> &[u32] {
        let start = if series == 0 { 0 } else { self.series_ends[series - 1] as usize };
        &self.series_pairs[start..self.series_ends[series] as usize]
    }

    pub(crate) fn pair(&self, id: u32) -> (&str, &str) {
        let start = if id == 0 { 0 } else { self.value_ends[id as usize - 1] as usize };
        (&self.names[self.pair_names[id as usize] as usize], &self.values[start..self.value_ends[id as usize] as usize])
    }

    /// Builds the label set of a series.
    pub(crate) fn labels(&self, series: usize) -> LabelSet {
        let mut encoded = Vec::with_capacity(128);
        self.encode_labels(series, &mut encoded);
        LabelSet::from_encoded(&encoded).expect("decode verified order, text and emptiness")
    }

    /// Appends the canonical encoding of a series' labels.
    pub(crate) fn encode_labels(&self, series: usize, out: &mut Vec<u8>) {
        for id in self.pairs(series) {
            let (name, value) = self.pair(*id);
            model::labels::encode_label(out, name.as_bytes(), value.as_bytes());
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.values.len()
            + self.names.iter().map(|name| name.len() + 16).sum::<usize>()
            + 16 * self.pair_names.len()
            // The pairs, and the series of each once all names' have been asked for.
            + 8 * self.series_pairs.len()
            + 4 * self.len()
            + self.rows.memory_bytes()
    }

    /// Returns how many series have each label name.
    pub(crate) fn name_counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut counts = vec![0u64; self.names.len()];
        self.series_pairs.iter().for_each(|pair| counts[self.pair_names[*pair as usize] as usize] += 1);
        self.names.iter().map(|name| &**name).zip(counts)
    }

    /// Returns all bits of [`Row::columns`] that some series has.
    pub(crate) fn columns(&self) -> u8 {
        self.rows.columns.iter().fold(0, |all, columns| all | columns)
    }

    /// Returns the distinct label names of some series, sorted.
    pub(crate) fn label_names(&self, series: &[u32]) -> Vec<String> {
        let mut seen = vec![false; self.names.len()];
        for series in series {
            self.pairs(*series as usize).iter().for_each(|pair| seen[self.pair_names[*pair as usize] as usize] = true);
        }
        let mut names: Vec<String> =
            self.names.iter().zip(seen).filter(|(_, seen)| *seen).map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Returns the distinct pairs with a label name among some series.
    pub(crate) fn pairs_of(&self, name: &str, series: &[u32]) -> Vec<u32> {
        let Some(name) = self.names.iter().position(|n| &**n == name) else {
            return Vec::new();
        };
        let (mut seen, mut found, mut place) = (vec![false; self.pair_names.len()], Vec::new(), 0);
        for series in series {
            let pairs = self.pairs(*series as usize);
            let is_named = |pair: &u32| self.pair_names[*pair as usize] as usize == name;
            // Most series have a label where the one before has it.
            if !pairs.get(place).is_some_and(is_named) {
                let Some(at) = pairs.iter().position(is_named) else { continue };
                place = at;
            }
            if !std::mem::replace(&mut seen[pairs[place] as usize], true) {
                found.push(pairs[place]);
            }
        }
        found
    }

    /// Returns the distinct values of a label among some series, sorted.
    pub(crate) fn label_values(&self, name: &str, series: &[u32]) -> Vec<String> {
        let mut values: Vec<String> = self.pairs_of(name, series).into_iter().map(|pair| self.pair(pair).1.to_owned()).collect();
        values.sort_unstable();
        values
    }
}
