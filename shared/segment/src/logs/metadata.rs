//! Structured metadata of rows: each distinct set once, and which of them a row has.

use crate::table::Interned;

/// Sets of structured metadata, by row. Most rows share a few sets.
#[derive(Debug, Default)]
pub struct MetadataColumn {
    sets: Interned,
    rows: Vec<u32>,
}

impl MetadataColumn {
    /// Appends a row with a set in canonical label-set encoding.
    pub fn push(&mut self, set: &[u8]) {
        // Neighbours mostly have the same.
        let id = match self.rows.last() {
            Some(last) if self.sets.get(*last) == set => *last,
            _ => self.sets.intern(set).0,
        };
        self.rows.push(id);
    }

    /// Returns the set of a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn get(&self, row: usize) -> &[u8] {
        self.sets.get(self.rows[row])
    }

    /// Returns the number of the set of a row: rows with the same set have the same number, which is below [`MetadataColumn::sets_len`].
    ///
    /// # Panics
    /// If there is no such row.
    pub fn set_of(&self, row: usize) -> u32 {
        self.rows[row]
    }

    /// Counts the distinct sets.
    pub fn sets_len(&self) -> usize {
        self.sets.len() as usize
    }

    /// Counts the rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Reports whether there is no row: metadata was not projected, or nothing is there.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes sets over, and which of them each row has.
    pub(crate) fn of(sets: Interned, rows: Vec<u32>) -> MetadataColumn {
        debug_assert!(rows.iter().all(|set| *set < sets.len()), "rows name sets that are there");
        MetadataColumn { sets, rows }
    }
}
