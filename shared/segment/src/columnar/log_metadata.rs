//! Putting structured metadata together again: columns of frequent keys, and a map of the rest.
//!
//! A set grows column by column: what a row has so far and the next pair make the next set, which is remembered. So rows with few
//! distinct sets cost no more than looking that up.

use hashbrown::HashMap;
use model::labels::encode_label;
use parquet::data_type::{ByteArray, ByteArrayType};

use super::logs_reader::{Source, expect};
use super::numbered::NONE;
use crate::SegmentError;
use crate::logs::MetadataColumn;
use crate::table::Interned;

const MAP_KEY: &str = "metadata.key_value.key";
const MAP_VALUE: &str = "metadata.key_value.value";

/// Columns of the map.
pub(super) const MAP: [&str; 2] = [MAP_KEY, MAP_VALUE];

/// Sets in the making.
#[derive(Default)]
struct Growing {
    pairs: Vec<(ByteArray, ByteArray)>,
    /// By set, from 1 on: the set it was, and the pair it got.
    grown: Vec<(u32, u32)>,
    /// What the empty set becomes with each pair; 0 where that is not known yet.
    first: Vec<u32>,
    /// What other sets become.
    known: HashMap<(u32, u32), u32>,
    /// By row; 0 is the empty set.
    rows: Vec<u32>,
}

impl Growing {
    fn grow(&mut self, row: usize, pair: u32) {
        let was = self.rows[row];
        self.first.resize(self.pairs.len(), 0);
        let known = match was {
            0 => &mut self.first[pair as usize],
            _ => self.known.entry((was, pair)).or_default(),
        };
        if *known == 0 {
            self.grown.push((was, pair));
            *known = self.grown.len() as u32;
        }
        self.rows[row] = *known;
    }

    /// Encodes the sets that `rows` have.
    fn finish(self, rows: &[u32]) -> MetadataColumn {
        let mut sets = Interned::default();
        let mut encoded: Vec<Option<u32>> = vec![None; self.grown.len() + 1];
        let mut bytes = Vec::new();
        let mut encode = |set: u32| {
            let (mut pairs, mut at) = (Vec::new(), set);
            while let Some((was, pair)) = at.checked_sub(1).map(|at| self.grown[at as usize]) {
                pairs.push(&self.pairs[pair as usize]);
                at = was;
            }
            pairs.sort_by(|a, b| a.0.data().cmp(b.0.data()));
            bytes.clear();
            pairs.iter().for_each(|(key, value)| encode_label(&mut bytes, key.data(), value.data()));
            sets.intern(&bytes).0
        };
        let sets_of_rows = rows.iter().map(|row| {
            let set = self.rows[*row as usize];
            *encoded[set as usize].get_or_insert_with(|| encode(set))
        });
        let rows = sets_of_rows.collect();
        MetadataColumn::of(sets, rows)
    }
}

impl Source<'_> {
    /// Reads the metadata of `rows` (of this source).
    pub(super) fn metadata(&self, rows: &[u32]) -> Result<MetadataColumn, SegmentError> {
        let len = self.len();
        let mut growing = Growing { rows: vec![0; len], ..Growing::default() };
        for (key, column) in self.layout.metadata_columns() {
            let read = self.read_numbered(column)?;
            let key = ByteArray::from(key.into_bytes());
            let first = growing.pairs.len() as u32;
            growing.pairs.extend(read.values.into_iter().map(|value| (key.clone(), value)));
            for (row, number) in read.rows.iter().enumerate().filter(|(_, number)| **number != NONE) {
                growing.grow(row, first + number);
            }
        }
        if let (Some(keys), Some(values)) = (self.layout.column(MAP_KEY), self.layout.column(MAP_VALUE)) {
            let (keys, values) = (self.read_levels::<ByteArrayType>(keys)?, self.read_levels::<ByteArrayType>(values)?);
            expect(keys.values.len() == values.values.len())?;
            let mut entries = keys.values.into_iter().zip(values.values);
            let mut row = 0;
            for (level, repeated) in keys.levels.iter().zip(&keys.repetition) {
                row += usize::from(*repeated == 0);
                if *level > 0 {
                    let pair = entries.next().ok_or_else(|| SegmentError::corrupt("metadata map is broken"))?;
                    expect(0 < row && row <= len)?;
                    growing.pairs.push(pair);
                    growing.grow(row - 1, growing.pairs.len() as u32 - 1);
                }
            }
            expect(row == len)?;
        }
        Ok(growing.finish(rows))
    }
}
