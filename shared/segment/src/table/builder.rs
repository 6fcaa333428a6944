//! The label table in the making.

use model::SlotRange;
use model::labels::{Iter, put_varint};

use super::{BASE_SINCE, Interned, Pairs, Row};
use crate::cursor::{put_bytes, put_zigzag};
use crate::stats::LabelFilter;

/// Collects the table while a segment is written, series by series in segment order.
#[derive(Default)]
pub(crate) struct TableBuilder {
    /// Distinct label names, back to back, and where each ends.
    names: Interned,
    /// Distinct pairs, canonically encoded.
    pairs: Interned,
    pair_names: Vec<u32>,
    series_pairs: Vec<u32>,
    series_ends: Vec<u32>,
    rows: Vec<Row>,
}

impl TableBuilder {
    /// Appends a series; `labels` is a canonical encoding.
    pub(crate) fn push(&mut self, labels: &[u8], row: Row) {
        let previous = match self.series_ends.len() {
            0 => 0..0,
            1 => 0..self.series_ends[0] as usize,
            n => self.series_ends[n - 2] as usize..self.series_ends[n - 1] as usize,
        };
        for (position, (name, _, pair)) in Pairs(labels).enumerate() {
            // Neighbours share most pairs: comparing one beats hashing it.
            let neighbour = previous.start + position;
            let id = match self.series_pairs.get(neighbour) {
                Some(id) if neighbour < previous.end && self.pairs.get(*id) == pair => *id,
                _ => self.intern(name, pair),
            };
            self.series_pairs.push(id);
        }
        self.series_ends.push(self.series_pairs.len() as u32);
        self.rows.push(row);
    }

    fn intern(&mut self, name: &[u8], pair: &[u8]) -> u32 {
        let (id, fresh) = self.pairs.intern(pair);
        if fresh {
            let (name, _) = self.names.intern(name);
            self.pair_names.push(name);
        }
        id
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn row(&self, index: usize) -> &Row {
        &self.rows[index]
    }

    /// Lets the rows of the last series grow while it is being written.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Row> {
        self.rows.last_mut()
    }

    pub(crate) fn rows_sum(&self) -> u64 {
        self.rows.iter().map(|row| row.rows).sum()
    }

    /// Returns the cover of all slots; all of them for an empty table.
    pub(crate) fn slots(&self) -> SlotRange {
        let lo = self.rows.iter().map(|row| row.slot).min();
        let hi = self.rows.iter().map(|row| row.slot).max();
        lo.zip(hi).map_or(SlotRange::ALL, |(lo, hi)| SlotRange { lo, hi: hi + 1 })
    }

    /// Returns first and last time of all rows.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let filled = || self.rows.iter().filter(|row| row.rows > 0);
        Some((filled().map(|row| row.first).min()?, filled().map(|row| row.last).max()?))
    }

    /// Returns the filter over pairs whose name `keep` accepts.
    pub(crate) fn filter(&self, keep: impl Fn(&[u8]) -> bool) -> LabelFilter {
        let kept: Vec<bool> = (0..self.names.ends.len() as u32).map(|name| keep(self.names.get(name))).collect();
        let mut hashes = Vec::new();
        for (id, name) in self.pair_names.iter().enumerate() {
            if kept[*name as usize] {
                hashes.extend(Iter::over(self.pairs.get(id as u32)).map(|(name, value)| LabelFilter::hash(name, value)));
            }
        }
        LabelFilter::build(&hashes)
    }

    /// Iterates over the labels of a series as (name, value, pair id).
    pub(crate) fn pairs_of(&self, series: usize) -> impl Iterator<Item = (&[u8], &[u8], u32)> {
        let start = if series == 0 { 0 } else { self.series_ends[series - 1] as usize };
        self.series_pairs[start..self.series_ends[series] as usize].iter().filter_map(|id| {
            let (name, value, _) = Pairs(self.pairs.get(*id)).next()?;
            Some((name, value, *id))
        })
    }

    /// Appends the table to `out`. Layout: `FORMAT.md`, "label table".
    pub(crate) fn encode(&self, version: u16, out: &mut Vec<u8>) {
        put_varint(out, self.names.ends.len() as u64);
        (0..self.names.ends.len() as u32).for_each(|name| put_bytes(out, self.names.get(name)));
        put_varint(out, self.pair_names.len() as u64);
        self.pair_names.iter().for_each(|name| put_varint(out, u64::from(*name)));
        let value = |id: usize| Pairs(self.pairs.get(id as u32)).next().map_or(&[][..], |(_, value, _)| value);
        (0..self.pair_names.len()).for_each(|id| put_varint(out, value(id).len() as u64));
        (0..self.pair_names.len()).for_each(|id| out.extend_from_slice(value(id)));
        put_varint(out, self.rows.len() as u64);
        let mut start = 0;
        for end in &self.series_ends {
            put_varint(out, u64::from(end - start));
            start = *end;
        }
        self.encode_series_pairs(out);
        for row in &self.rows {
            out.extend_from_slice(&row.slot.to_le_bytes());
        }
        self.rows.iter().for_each(|row| put_varint(out, row.rows));
        let mut base = 0;
        for row in &self.rows {
            put_zigzag(out, row.first.wrapping_sub(base));
            base = row.first;
        }
        self.rows.iter().for_each(|row| put_varint(out, row.last.wrapping_sub(row.first) as u64));
        out.extend(self.rows.iter().map(|row| row.columns));
        out.extend(self.rows.iter().map(|row| row.scale as u8));
        self.rows.iter().for_each(|row| put_varint(out, row.extra));
        if version >= BASE_SINCE {
            self.rows.iter().for_each(|row| put_zigzag(out, row.base));
        }
    }

    /// Writes pair ids position by position, each as the difference to the last series that has the position.
    fn encode_series_pairs(&self, out: &mut Vec<u8>) {
        let bounds: Vec<(u32, u32)> =
            std::iter::once(0).chain(self.series_ends.iter().copied()).zip(self.series_ends.iter().copied()).collect();
        let widest = bounds.iter().map(|(start, end)| end - start).max().unwrap_or(0);
        for position in 0..widest {
            let mut previous = 0i64;
            for (start, end) in &bounds {
                if start + position < *end {
                    let id = i64::from(self.series_pairs[(start + position) as usize]);
                    put_zigzag(out, id - previous);
                    previous = id;
                }
            }
        }
    }
}
