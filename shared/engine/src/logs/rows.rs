//! The rows of a decoded piece that are inside the query's range and not deleted, run by run. Their lines have passed the filters in
//! front ([`super::wanted`]).

use std::ops::Range;

use model::LabelSet;
use segment::logs::EntryColumns;

use super::{Decoded, LogScan, LogStream, Piece};
use crate::EngineError;

/// Consecutive rows of one stream, time ascending.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) stream: u32,
    pub(crate) rows: Range<usize>,
}

impl LogScan {
    pub(crate) fn piece_of(&self, decoded: &Decoded) -> &Piece {
        &self.pieces[decoded.piece]
    }

    /// Returns the runs of a piece inside the range, without what deletions leave out.
    pub(crate) fn runs(&self, decoded: &Decoded) -> Result<Vec<Run>, EngineError> {
        let part = &self.parts[self.piece_of(decoded).part as usize];
        let mut sets = MetadataSets::default();
        let mut runs = Vec::new();
        for (of, rows) in &decoded.columns.runs {
            let LogStream { number: stream, erasures, .. } = &part.streams[*of as usize];
            let first = rows.start as usize;
            let times = &decoded.columns.timestamps[first..rows.end as usize];
            let at = |time: i64| first + times.partition_point(|timestamp| *timestamp < time);
            let within = at(self.range.start.0)..at(self.range.end.0);
            let mut kept = vec![within];
            for erasure in erasures {
                let reached = at(erasure.range.start.to_ns().0)..at(erasure.range.end.to_ns().0);
                kept = match &erasure.filter {
                    Some(filter) => rejected(kept, reached, |row| {
                        let metadata = sets.get(&decoded.columns, row)?;
                        Ok(filter.accepts(self.labels(*stream), decoded.columns.lines.get(row), &metadata))
                    })?,
                    None => without(kept, reached),
                };
            }
            runs.extend(kept.into_iter().filter(|rows| rows.start < rows.end).map(|rows| Run { stream: *stream, rows }));
        }
        Ok(runs)
    }

    /// Returns what tells the content of an entry from others of its stream and time, where another part may have it too.
    pub(crate) fn content(&self, decoded: &Decoded, run: &Run, row: usize) -> Option<(u64, u64)> {
        use std::hash::BuildHasher;
        let columns = &decoded.columns;
        self.is_shared(self.piece_of(decoded), run.stream, columns.timestamps[row]).then(|| {
            let (line, metadata) = (columns.lines.get(row), columns.metadata.get(row));
            (self.hashers.0.hash_one((line, metadata)), self.hashers.1.hash_one((metadata, line)))
        })
    }
}

/// Returns ranges of rows without one of them.
fn without(kept: Vec<Range<usize>>, gone: Range<usize>) -> Vec<Range<usize>> {
    let around = |rows: Range<usize>| [rows.start..gone.start.min(rows.end), gone.end.max(rows.start)..rows.end];
    kept.into_iter().flat_map(around).filter(|rows| rows.start < rows.end).collect()
}

/// Returns ranges of rows without those within `reached` that a filter accepts.
fn rejected(
    kept: Vec<Range<usize>>,
    reached: Range<usize>,
    mut accepts: impl FnMut(usize) -> Result<bool, EngineError>,
) -> Result<Vec<Range<usize>>, EngineError> {
    let mut rejected = Vec::new();
    for rows in kept {
        let mut start = rows.start;
        for row in rows.start.max(reached.start)..rows.end.min(reached.end) {
            if accepts(row)? {
                rejected.push(start..row);
                start = row + 1;
            }
        }
        rejected.push(start..rows.end);
    }
    rejected.retain(|rows| rows.start < rows.end);
    Ok(rejected)
}

/// Structured metadata of the rows of one piece, decoded once per distinct set.
#[derive(Default)]
pub(crate) struct MetadataSets {
    known: Vec<Option<LabelSet>>,
}

impl MetadataSets {
    pub(crate) fn get(&mut self, columns: &EntryColumns, row: usize) -> Result<LabelSet, EngineError> {
        if columns.metadata.is_empty() {
            return Ok(LabelSet::empty());
        }
        self.known.resize(columns.metadata.sets_len(), None);
        let known = &mut self.known[columns.metadata.set_of(row) as usize];
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let set = crate::batch::label_set(columns.metadata.get(row))?;
        Ok(known.insert(set).clone())
    }
}
