//! Which rows of a chunk a reader wants: asked before their lines are put together.

use std::ops::Range;

use model::batch::Arena;

use super::EntryColumns;
use crate::columnar::CutColumns;
use crate::template::Template;

/// What is known of the lines of a template; the more has to be read the later it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// None is wanted.
    Never,
    /// All are wanted.
    Always,
    /// The texts of a line tell.
    Texts,
    /// The texts and numbers of a line tell.
    Variables,
    /// Only the line tells.
    Line,
}

/// Says which rows are wanted. All answers about one chunk have to agree with each other.
pub trait Wanted {
    /// Appends the places in `columns` to `rows` that are wanted by their times, ascending. Where lines are cut and asked about, templates
    /// were asked first, and `columns` has only the rows that these leave open.
    fn by_time(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>);

    /// Reports whether some line may be unwanted; where not, none of the following is asked but the last two.
    fn asks_lines(&self) -> bool;

    /// Returns what is known of the lines of a template, which are UTF-8. Templates are numbered from 0 on as they are asked.
    fn template(&mut self, template: &Template) -> Verdict;

    /// Reports whether the line of a template with these variables is wanted, `None` where only the line tells. Numbers may be
    /// looked at where the verdict was to ask variables.
    fn variables(&mut self, template: usize, variables: &RowVariables<'_>) -> Option<bool>;

    /// Reports whether a line is wanted.
    fn line(&mut self, line: &[u8]) -> bool;

    /// Appends those of `rows` to `out` whose lines are wanted, ascending.
    fn lines(&mut self, lines: &Arena, rows: Range<usize>, out: &mut Vec<u32>);

    /// Returns what may stand for the lines of a template, made of the same variables; `None` for the lines themselves. Lines that are
    /// stored whole have none.
    fn excerpt(&mut self, template: &Template) -> Option<Template>;

    /// Leaves out rows that are not needed because of others, of those that are wanted so far.
    fn last(&mut self, columns: &EntryColumns, rows: &mut Vec<u32>);
}

/// The variables of one line.
#[derive(Clone, Copy, Debug)]
pub struct RowVariables<'a>(pub(crate) &'a CutColumns);

impl RowVariables<'_> {
    /// Appends the digits of a number; none where numbers were not to be asked.
    pub fn put_digits(&self, column: usize, out: &mut Vec<u8>) {
        self.0.put_digits(column, out);
    }

    /// Returns a text.
    pub fn text(&self, column: usize) -> &[u8] {
        self.0.text(column)
    }
}
