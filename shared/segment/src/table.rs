//! The label table: each series or stream of a segment once, with its labels, slot, rows and times. L0 and L1+ share it.

mod builder;
mod verdicts;

use std::ops::Range;
use std::sync::OnceLock;

use hashbrown::HashTable;
use model::labels::{METRIC_NAME, take_varint};
use model::{LabelSet, Matcher};
use xxhash_rust::xxh3::xxh3_64;

use crate::SegmentError;
use crate::cursor::{Cursor, unzigzag};
use crate::limits::SERIES_MAX;

pub(crate) use builder::TableBuilder;
use verdicts::{COUNTED, Verdicts};

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

/// Stands for the metric name of series that have none.
const NO_PAIR: u32 = u32::MAX;

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
    /// Takes a table off the cursor, verifying every invariant.
    pub(crate) fn decode(version: u16, cursor: &mut Cursor<'_>) -> Result<Table, SegmentError> {
        let names_len = cursor.count()?;
        let names = (0..names_len).map(|_| cursor.text().map(Box::from)).collect::<Result<Vec<Box<str>>, _>>()?;
        if names.iter().any(|name| name.is_empty()) {
            return Err(cursor.fail("has an empty label name"));
        }
        let pairs_len = cursor.count()?;
        let pair_names = (0..pairs_len).map(|_| cursor.u32_varint()).collect::<Result<Vec<u32>, _>>()?;
        if pair_names.iter().any(|name| *name as usize >= names.len()) {
            return Err(cursor.fail("has a pair without a name"));
        }
        let (values, value_ends) = decode_values(cursor, pairs_len)?;
        let series_len = cursor.count()?;
        if series_len > SERIES_MAX {
            return Err(cursor.fail("has too many series"));
        }
        let (series_pairs, series_ends) = decode_series_pairs(cursor, series_len, pairs_len)?;
        let rows = decode_rows(version, cursor, series_len)?;
        let (runs, by_name) = (OnceLock::new(), OnceLock::new());
        let table = Table { names, pair_names, values, value_ends, series_pairs, series_ends, rows, runs, by_name };
        table.verify_order().ok_or_else(|| cursor.fail("has labels out of order"))?;
        Ok(table)
    }

    fn verify_order(&self) -> Option<()> {
        // Ranks make the check one integer comparison per label.
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.names[*a as usize].cmp(&self.names[*b as usize]));
        let mut ranks = vec![0u32; self.names.len()];
        order.iter().enumerate().for_each(|(rank, name)| ranks[*name as usize] = rank as u32);
        let distinct = order.windows(2).all(|pair| self.names[pair[0] as usize] != self.names[pair[1] as usize]);
        let ranks: Vec<u32> = self.pair_names.iter().map(|name| ranks[*name as usize]).collect();
        let sorted = (0..self.len()).all(|series| {
            let rank = |pair: &u32| ranks[*pair as usize];
            self.pairs(series).windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1]))
        });
        (distinct && sorted).then_some(())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.slots.len()
    }

    pub(crate) fn rows_sum(&self) -> u64 {
        self.rows.ends.last().copied().unwrap_or(0)
    }

    pub(crate) fn row(&self, series: usize) -> Row {
        self.rows.get(series)
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
            + 12 * self.pair_names.len()
            + 4 * self.series_pairs.len()
            + 4 * self.len()
            + self.rows.memory_bytes()
    }

    /// Returns the series that all matchers accept, ascending.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<u32> {
        let Some(verdicts) = Verdicts::new(self, matchers) else {
            return Vec::new();
        };
        let accept = |series: &u32| verdicts.accept(self.pairs(*series as usize));
        if !verdicts.metric_required {
            return (0..self.len() as u32).filter(accept).collect();
        }
        let runs = self.runs();
        let ends = runs.iter().skip(1).map(|(_, start)| *start).chain([self.len() as u32]);
        let named = runs.iter().zip(ends).filter(|((pair, _), _)| *pair != NO_PAIR && verdicts.pairs[*pair as usize] == COUNTED);
        let named = named.flat_map(|((_, start), end)| *start..end);
        if verdicts.required == 1 && verdicts.names == 1 { named.collect() } else { named.filter(accept).collect() }
    }

    /// Returns the runs of series with the same metric name, found when first asked for.
    fn runs(&self) -> &[(u32, u32)] {
        self.runs.get_or_init(|| {
            let Some(name) = self.names.iter().position(|name| &**name == METRIC_NAME) else { return vec![(NO_PAIR, 0)] };
            let mut runs: Vec<(u32, u32)> = Vec::new();
            for series in 0..self.len() {
                let named = |pair: &&u32| self.pair_names[**pair as usize] as usize == name;
                let pair = self.pairs(series).iter().find(named).copied().unwrap_or(NO_PAIR);
                if runs.last().is_none_or(|(last, _)| *last != pair) {
                    runs.push((pair, series as u32));
                }
            }
            runs
        })
    }

    /// Returns the pairs with a label name, grouped when first asked for.
    fn pairs_named(&self, name: u32) -> &[u32] {
        let (pairs, ends) = self.by_name.get_or_init(|| {
            let mut ends = vec![0u32; self.names.len()];
            self.pair_names.iter().for_each(|name| ends[*name as usize] += 1);
            let mut next = Vec::with_capacity(ends.len());
            let mut end = 0;
            for count in &mut ends {
                next.push(end as usize);
                end += *count;
                *count = end;
            }
            let mut pairs = vec![0; self.pair_names.len()];
            for (pair, name) in self.pair_names.iter().enumerate() {
                pairs[next[*name as usize]] = pair as u32;
                next[*name as usize] += 1;
            }
            (pairs, ends)
        });
        let start = if name == 0 { 0 } else { ends[name as usize - 1] };
        &pairs[start as usize..ends[name as usize] as usize]
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

    /// Returns the distinct values of a label among some series, sorted.
    pub(crate) fn label_values(&self, name: &str, series: &[u32]) -> Vec<String> {
        let Some(name) = self.names.iter().position(|n| &**n == name) else {
            return Vec::new();
        };
        let mut seen = vec![false; self.pair_names.len()];
        let pairs = series.iter().filter_map(|series| {
            let named = |pair: &&u32| self.pair_names[**pair as usize] as usize == name;
            self.pairs(*series as usize).iter().find(named)
        });
        let fresh = pairs.filter(|pair| !std::mem::replace(&mut seen[**pair as usize], true));
        let mut values: Vec<String> = fresh.map(|pair| self.pair(*pair).1.to_owned()).collect();
        values.sort_unstable();
        values
    }
}

fn decode_values(cursor: &mut Cursor<'_>, pairs: usize) -> Result<(Box<str>, Vec<u32>), SegmentError> {
    let mut ends = Vec::with_capacity(pairs);
    let mut end = 0u32;
    for _ in 0..pairs {
        let len = cursor.u32_varint()?;
        if len == 0 {
            return Err(cursor.fail("has an empty label value"));
        }
        end = end.checked_add(len).ok_or_else(|| cursor.fail("has values past 4 GiB"))?;
        ends.push(end);
    }
    let values = std::str::from_utf8(cursor.take(end as usize)?).map_err(|_| cursor.fail("has values that are not UTF-8"))?;
    if ends.iter().any(|end| !values.is_char_boundary(*end as usize)) {
        return Err(cursor.fail("has values that are not UTF-8"));
    }
    Ok((values.into(), ends))
}

fn decode_series_pairs(cursor: &mut Cursor<'_>, series: usize, pairs: usize) -> Result<(Vec<u32>, Vec<u32>), SegmentError> {
    let mut ends = Vec::with_capacity(series);
    let (mut end, mut widest, mut narrowest) = (0u32, 0u32, u32::MAX);
    for _ in 0..series {
        let len = cursor.u32_varint()?;
        (widest, narrowest) = (widest.max(len), narrowest.min(len));
        end = end.checked_add(len).ok_or_else(|| cursor.fail("has too many labels"))?;
        ends.push(end);
    }
    cursor.expect_bytes(end as usize)?;
    let mut ids = vec![0u32; end as usize];
    let mut alive: Vec<(u32, u32)> = std::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied()).collect();
    for position in 0..widest {
        if position >= narrowest {
            alive.retain(|(start, end)| position < end - start);
        }
        let mut previous = 0i64;
        for (start, _) in &alive {
            let id = previous.wrapping_add(cursor.zigzag()?);
            if id < 0 || id >= pairs as i64 {
                return Err(cursor.fail("has a series with an unknown label pair"));
            }
            ids[(start + position) as usize] = id as u32;
            previous = id;
        }
    }
    Ok((ids, ends))
}

fn decode_rows(version: u16, cursor: &mut Cursor<'_>, series: usize) -> Result<Rows, SegmentError> {
    let slots: Vec<u16> = cursor.take(2 * series)?.chunks_exact(2).map(|slot| u16::from_le_bytes([slot[0], slot[1]])).collect();
    if slots.iter().any(|slot| *slot >= model::series::SLOT_COUNT) {
        return Err(cursor.fail("has a slot past the ring"));
    }
    let mut ends = Vec::with_capacity(series);
    let mut end = 0u64;
    for _ in 0..series {
        let rows = cursor.varint()?;
        end = end.checked_add(rows).filter(|end| *end < 1 << 40).ok_or_else(|| cursor.fail("has too many rows"))?;
        ends.push(end);
    }
    let mut first = Vec::with_capacity(series);
    let mut base = 0i64;
    for _ in 0..series {
        base = base.wrapping_add(cursor.zigzag()?);
        first.push(base);
    }
    let mut last = Vec::with_capacity(series);
    for first in &first {
        let span = i64::try_from(cursor.varint()?).ok();
        let time = span.and_then(|span| first.checked_add(span)).filter(|time| *time != i64::MAX);
        last.push(time.ok_or_else(|| cursor.fail("has a time range out of bounds"))?);
    }
    let (columns, scales) = (cursor.take(series)?.to_vec(), cursor.take(series)?.to_vec());
    let numbers = |cursor: &mut Cursor<'_>| (0..series).map(|_| cursor.varint()).collect::<Result<Vec<u64>, _>>();
    let extra = if cursor.zeros(series) { Vec::new() } else { numbers(cursor)? };
    let base = if version < BASE_SINCE || cursor.zeros(series) { Vec::new() } else { numbers(cursor)? };
    let base = base.into_iter().map(unzigzag).collect();
    Ok(Rows { slots, ends, first, last, columns, scales, extra, base })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::MatchOp;

    #[test]
    fn a_selection_has_what_every_matcher_accepts() {
        let mut builder = TableBuilder::default();
        // Names in order as in a segment, out of order, missing, and behind another label.
        let sets: Vec<LabelSet> = ["a", "a", "b", "", "c", "a", "ab", "b"]
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let odd = if at % 3 == 1 { "x" } else { "" };
                LabelSet::from_pairs([("A", odd), ("__name__", *name), ("job", ["api", "db"][at % 2])])
            })
            .collect();
        sets.iter().for_each(|set| builder.push(set.encoded(), Row::default()));
        let mut encoded = Vec::new();
        builder.encode(1, &mut encoded);
        let table = Table::decode(1, &mut Cursor::new(&encoded, "test")).unwrap();
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let all = [
            matcher("__name__", MatchOp::Equal, "a"),
            matcher("__name__", MatchOp::Regex, "a|b"),
            matcher("__name__", MatchOp::NotEqual, "a"),
            matcher("__name__", MatchOp::NotEqual, ""),
            matcher("__name__", MatchOp::Equal, ""),
            matcher("__name__", MatchOp::Regex, ".*b"),
            matcher("job", MatchOp::Equal, "db"),
            matcher("A", MatchOp::Equal, ""),
            matcher("absent", MatchOp::Equal, "x"),
        ];
        for first in &all {
            for second in &all {
                let matchers = [first.clone(), second.clone()];
                let accepted = |at: &u32| matchers.iter().all(|matcher| matcher.matches_labels(&sets[*at as usize]));
                let expected: Vec<u32> = (0..sets.len() as u32).filter(accepted).collect();
                assert_eq!(table.select(&matchers), expected, "{matchers:?}");
                assert_eq!(table.select(&matchers[..1]).len(), table.select(&[first.clone(), first.clone()]).len());
            }
        }
    }
}
