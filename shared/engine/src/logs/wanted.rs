//! Which rows of a piece are decoded: those inside the range whose lines pass the filters in front, of a log query only those that
//! may be among the first.

use std::sync::Arc;

use plan::pipeline::excerpt::Excerpt;
use plan::pipeline::sieve::{self, Sifter};
use segment::logs::{EntryColumns, RowVariables, Verdict, Wanted};
use segment::template::{Part, Template};

use super::{LogScan, Piece};

/// What a walk asks for beside the filters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Need {
    pub(crate) newest_first: bool,
    /// How many entries, where every row that passes the filters is one.
    pub(crate) limit: Option<usize>,
    /// Time beyond which entries come too late.
    pub(crate) bound: Option<i64>,
}

impl Need {
    /// Returns a time as a number that is the smaller the earlier its entry comes.
    pub(crate) fn rank(&self, timestamp: i64) -> i64 {
        if self.newest_first { !timestamp } else { timestamp }
    }

    /// Reports whether an entry of this time comes too late.
    pub(crate) fn is_beyond(&self, timestamp: i64) -> bool {
        self.bound.is_some_and(|bound| self.rank(timestamp) > self.rank(bound))
    }
}

/// The rows of one piece, for its reader.
pub(crate) struct WantedRows<'s> {
    scan: &'s LogScan,
    piece: &'s Piece,
    need: Need,
    sifter: Option<Sifter>,
    excerpt: Option<Excerpt<'s>>,
}

impl<'s> WantedRows<'s> {
    /// `excerpt`: what may stand for the lines of a piece that is certain; the lines of others are compared.
    pub(crate) fn new(scan: &'s LogScan, piece: &'s Piece, need: Need, excerpt: Option<Excerpt<'s>>) -> WantedRows<'s> {
        let sifter = scan.sieve.as_ref().map(|sieve| Sifter::new(Arc::clone(sieve)));
        WantedRows { scan, piece, need, sifter, excerpt: excerpt.filter(|_| !piece.doubtful) }
    }
}

/// Returns the parts of a template as the pipeline names them.
fn pieces(template: &Template) -> Vec<sieve::Piece<'_>> {
    let piece = |part| match part {
        &Part::Number(column) => sieve::Piece::Number(column),
        &Part::Text(column) => sieve::Piece::Word(column),
        &Part::Hex(column) => sieve::Piece::Hex(column),
        &Part::Rest(column) => sieve::Piece::Rest(column),
        Part::Constant(bytes) => sieve::Piece::Constant(bytes),
    };
    template.parts().iter().map(piece).collect()
}

impl Wanted for WantedRows<'_> {
    fn by_time(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>) {
        for (_, run) in &columns.runs {
            let times = &columns.timestamps[run.start as usize..run.end as usize];
            let at = |time: i64| run.start + times.partition_point(|timestamp| *timestamp < time) as u32;
            let within = at(self.scan.range.start.0)..at(self.scan.range.end.0);
            match self.need.bound {
                Some(_) => rows.extend(within.filter(|row| !self.need.is_beyond(columns.timestamps[*row as usize]))),
                None => rows.extend(within),
            }
        }
    }

    fn asks_lines(&self) -> bool {
        self.sifter.is_some()
    }

    fn template(&mut self, template: &Template) -> Verdict {
        let Some(sifter) = &mut self.sifter else { return Verdict::Always };
        match sifter.shape(&pieces(template)) {
            sieve::Verdict::Never => Verdict::Never,
            sieve::Verdict::Always => Verdict::Always,
            sieve::Verdict::Texts => Verdict::Texts,
            sieve::Verdict::Variables => Verdict::Variables,
            sieve::Verdict::Line => Verdict::Line,
        }
    }

    fn variables(&mut self, template: usize, variables: &RowVariables<'_>) -> Option<bool> {
        self.sifter.as_mut().and_then(|sifter| sifter.accepts(template, &Row(variables)))
    }

    fn line(&mut self, line: &[u8]) -> bool {
        self.sifter.as_ref().is_none_or(|sifter| sifter.accepts_line(line))
    }

    fn lines(&mut self, lines: &model::batch::Arena, rows: std::ops::Range<usize>, out: &mut Vec<u32>) {
        match &self.sifter {
            Some(sifter) => sifter.filter_lines(lines, rows, out),
            None => out.extend(rows.map(|row| row as u32)),
        }
    }

    fn excerpt(&mut self, template: &Template) -> Option<Template> {
        let mut sample = Vec::new();
        let excerpt = self.excerpt.as_ref()?.of(&pieces(template), &mut sample)?;
        let part = |piece| match piece {
            sieve::Piece::Constant(bytes) => Part::Constant(bytes.into()),
            sieve::Piece::Number(column) => Part::Number(column),
            sieve::Piece::Word(column) => Part::Text(column),
            sieve::Piece::Hex(column) => Part::Hex(column),
            sieve::Piece::Rest(column) => Part::Rest(column),
        };
        Some(Template::of_parts(excerpt.into_iter().map(part).collect()))
    }

    fn last(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>) {
        // Only where nothing that is found later makes one of the first go: a deletion, a repeat.
        let Some(limit) = self.need.limit.filter(|limit| *limit < rows.len() && self.scan.is_certain(self.piece)) else { return };
        let Some(worst) = limit.checked_sub(1) else { return };
        let rank = |row: &u32| self.need.rank(columns.timestamps[*row as usize]);
        let mut ranks: Vec<i64> = rows.iter().map(rank).collect();
        let (_, worst, _) = ranks.select_nth_unstable(worst);
        // Those of one time are put in order later.
        rows.retain(|row| rank(row) <= *worst);
    }
}

/// The variables of a row, as the filters ask for them.
struct Row<'r>(&'r RowVariables<'r>);

impl sieve::Variables for Row<'_> {
    fn put_digits(&self, column: usize, out: &mut Vec<u8>) {
        self.0.put_digits(column, out);
    }

    fn text(&self, column: usize) -> &[u8] {
        self.0.text(column)
    }
}
