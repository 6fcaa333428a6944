//! Reading lines that are stored as templates and variables.
//!
//! ```text
//! templates ─ verdict of each ─▶ rows that are open ─ their variables ─▶ rows that are still open ─ their lines ─▶ wanted rows
//! ```
//! Owns: which columns are read for which of these, and putting lines together. Does not own: the verdicts ([`crate::logs::Wanted`]).

use model::batch::Arena;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};

use super::logs_reader::{Pick, Source, expect, expect_room};
use super::numbered::Numbered;
use crate::SegmentError;
use crate::logs::{RowVariables, Verdict, Wanted};
use crate::schema;
use crate::template::{Template, put_digits};

/// The templates of the rows that a source reads.
pub(super) struct Templates {
    distinct: Vec<Template>,
    /// By row.
    rows: Vec<u32>,
}

impl Templates {
    fn of(stored: Numbered, hex_texts: u8) -> Result<Templates, SegmentError> {
        let mut templates = Templates { distinct: Vec::new(), rows: stored.rows };
        // Of the templates of a row group few may be those of these rows.
        let mut used: Vec<Option<u32>> = vec![None; stored.values.len()];
        for number in &mut templates.rows {
            let used = used.get_mut(*number as usize).ok_or_else(|| SegmentError::corrupt("row has no template"))?;
            let id = match used {
                Some(id) => *id,
                None => {
                    let template = Template::parse(stored.values[*number as usize].data())?;
                    templates.distinct.push(template.with_hex(hex_texts));
                    *used.insert(templates.distinct.len() as u32 - 1)
                }
            };
            *number = id;
        }
        Ok(templates)
    }

    fn of_row(&self, row: usize) -> &Template {
        &self.distinct[self.rows[row] as usize]
    }

    /// Returns which columns the templates of `rows` name, as [`Template::named`]; instead of a template its excerpt counts.
    fn named(&self, rows: &[u32], excerpts: &[Option<Template>]) -> (u32, u32) {
        let mut seen = vec![false; self.distinct.len()];
        rows.iter().for_each(|row| seen[self.rows[*row as usize] as usize] = true);
        let all = self.distinct.iter().enumerate().filter(|(id, _)| seen[*id]);
        all.fold((0, 0), |(numbers, texts), (id, template)| {
            let named = excerpts.get(id).and_then(Option::as_ref).unwrap_or(template).named();
            (numbers | named.0, texts | named.1)
        })
    }
}

/// Templates, and what is known of the lines of each.
pub(super) struct Settled {
    templates: Templates,
    /// By template.
    verdicts: Vec<Verdict>,
}

impl Settled {
    fn of_row(&self, row: u32) -> Verdict {
        self.verdicts[self.templates.rows[row as usize] as usize]
    }

    /// Returns the rows that may be wanted, ascending.
    pub(super) fn open_rows(&self) -> Vec<u32> {
        let ids = &self.templates.rows;
        if self.verdicts.iter().all(|verdict| *verdict == Verdict::Never) {
            return Vec::new();
        }
        let is_open = |id: &u32| self.verdicts[*id as usize] != Verdict::Never;
        ids.iter().zip(0..).filter(|(id, _)| is_open(id)).map(|(_, row)| row).collect()
    }
}

/// Values of a column that some rows have, and which of them is the next row's.
#[derive(Debug)]
struct Column<T> {
    values: Vec<T>,
    at: usize,
}

impl<T> Column<T> {
    fn of(values: Vec<T>) -> Column<T> {
        Column { values, at: 0 }
    }

    fn is_left(&self) -> bool {
        self.at < self.values.len()
    }
}

/// The variables of rows, walked row by row.
#[derive(Debug)]
pub(crate) struct CutColumns {
    /// None where nobody names the column.
    numbers: Vec<Option<Column<i64>>>,
    texts: Vec<Option<Column<ByteArray>>>,
}

impl CutColumns {
    /// Reads the variables that templates name: `named` has (numbers, texts) as bits.
    fn read(source: &Source<'_>, named: (u32, u32)) -> Result<CutColumns, SegmentError> {
        let is_named = |bits: u32, at: usize| bits & 1 << at != 0;
        let numbers = source.layout.line_numbers().enumerate().map(|(at, column)| match is_named(named.0, at) {
            true => Ok(Some(Column::of(source.read_levels::<Int64Type>(column)?.values))),
            false => Ok(None),
        });
        let numbers = numbers.collect::<Result<_, SegmentError>>()?;
        let texts = source.layout.line_texts().enumerate().map(|(at, column)| match is_named(named.1, at) {
            true => Ok(Some(Column::of(source.read_levels::<ByteArrayType>(column)?.values))),
            false => Ok(None),
        });
        Ok(CutColumns { numbers, texts: texts.collect::<Result<_, SegmentError>>()? })
    }

    /// Fails unless the next row may be one of the template.
    fn expect(&self, template: &Template) -> Result<(), SegmentError> {
        let numbers = self.numbers.iter().take(template.numbers()).flatten().all(Column::is_left);
        let texts = self.texts.iter().take(template.texts()).flatten().all(Column::is_left);
        if numbers && texts && template.numbers() <= self.numbers.len() && template.texts() <= self.texts.len() {
            return Ok(());
        }
        Err(SegmentError::corrupt("column has fewer values than templates ask for"))
    }

    /// Moves on to the next row.
    fn advance(&mut self, template: &Template) {
        self.numbers.iter_mut().take(template.numbers()).flatten().for_each(|column| column.at += 1);
        self.texts.iter_mut().take(template.texts()).flatten().for_each(|column| column.at += 1);
    }

    /// Fails where values are left over.
    fn finish(&self) -> Result<(), SegmentError> {
        expect(!self.numbers.iter().flatten().any(Column::is_left) && !self.texts.iter().flatten().any(Column::is_left))
    }

    /// Appends the digits of the next row's number; none where the column was not read.
    pub(crate) fn put_digits(&self, column: usize, out: &mut Vec<u8>) {
        if let Some(column) = self.numbers.get(column).and_then(Option::as_ref) {
            put_digits(column.values[column.at], out);
        }
    }

    /// Returns the next row's text; an empty one where the column was not read.
    pub(crate) fn text(&self, column: usize) -> &[u8] {
        self.texts.get(column).and_then(Option::as_ref).map_or(&[], |column| column.values[column.at].data())
    }
}

impl Source<'_> {
    /// Returns what stands for the lines of each template.
    pub(super) fn excerpts(templates: &Templates, wanted: &mut dyn Wanted) -> Vec<Option<Template>> {
        templates.distinct.iter().map(|template| wanted.excerpt(template)).collect()
    }

    pub(super) fn templates(&self) -> Result<Templates, SegmentError> {
        let column = self.layout.column(schema::LINE_TEMPLATE);
        let column = column.ok_or_else(|| SegmentError::corrupt("column line_template is missing"))?;
        Templates::of(self.read_numbered(column)?, self.hex_texts)
    }

    /// Reads templates, and asks about each of them.
    pub(super) fn settle(&self, wanted: &mut dyn Wanted) -> Result<Settled, SegmentError> {
        let templates = self.templates()?;
        let verdict = |template: &Template| match wanted.template(template) {
            // A row without a template has its line whole, or an empty one.
            _ if template.parts().is_empty() => Verdict::Line,
            verdict => verdict,
        };
        let verdicts = templates.distinct.iter().map(verdict).collect();
        Ok(Settled { templates, verdicts })
    }

    /// Returns those of `rows` (of this source, ascending) whose lines are wanted.
    pub(super) fn sift(&self, settled: &Settled, rows: &[u32], wanted: &mut dyn Wanted) -> Result<Vec<u32>, SegmentError> {
        let templates = &settled.templates;
        let (mut passed, mut open, mut lines) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
        let mut has_numbers = false;
        for row in rows {
            let verdict = settled.of_row(*row);
            match verdict {
                Verdict::Never => {}
                Verdict::Always => passed.push(*row),
                Verdict::Texts | Verdict::Variables => open.push(*row),
                Verdict::Line => lines.push(*row),
            }
            has_numbers |= verdict == Verdict::Variables;
        }
        if !open.is_empty() {
            self.sift_variables((templates, &open), has_numbers, wanted, (&mut passed, &mut lines))?;
        }
        if !lines.is_empty() {
            lines.sort_unstable();
            let found = self.cut_lines(templates, &lines, &[])?;
            passed.extend(lines.iter().zip(found.iter()).filter(|(_, line)| wanted.line(line)).map(|(row, _)| *row));
        }
        passed.sort_unstable();
        Ok(passed)
    }

    /// Asks rows by their variables: adds them to those that passed, or to those whose lines have to be asked.
    fn sift_variables(
        &self,
        (templates, open): (&Templates, &[u32]),
        has_numbers: bool,
        wanted: &mut dyn Wanted,
        (passed, lines): (&mut Vec<u32>, &mut Vec<u32>),
    ) -> Result<(), SegmentError> {
        let pick = self.pick(open);
        let source = self.narrowed(&pick);
        let (numbers, texts) = templates.named(open, &[]);
        let mut columns = CutColumns::read(&source, (if has_numbers { numbers } else { 0 }, texts))?;
        let mut open = open.iter().peekable();
        for row in pick.read.iter().cloned().flatten() {
            let template = templates.of_row(row as usize);
            columns.expect(template)?;
            if open.next_if_eq(&&row).is_some() {
                match wanted.variables(templates.rows[row as usize] as usize, &RowVariables(&columns)) {
                    Some(true) => passed.push(row),
                    Some(false) => {}
                    None => lines.push(row),
                }
            }
            columns.advance(template);
        }
        columns.finish()
    }

    /// Puts the lines of `rows` together (rows of this source, ascending), or where there are some, excerpts of them by template.
    pub(super) fn cut_lines(
        &self,
        templates: &Templates,
        rows: &[u32],
        excerpts: &[Option<Template>],
    ) -> Result<Arena, SegmentError> {
        let pick: Pick = self.pick(rows);
        let source = self.narrowed(&pick);
        let len = pick.read.iter().map(|rows| rows.len()).sum::<usize>();
        let body = self.layout.column(schema::BODY).ok_or_else(|| SegmentError::corrupt("column body is missing"))?;
        let body = source.read_levels::<ByteArrayType>(body)?;
        expect(body.levels.len() == len)?;
        let mut bodies = Column::of(body.values);
        let mut columns = CutColumns::read(&source, templates.named(rows, excerpts))?;
        let mut lines = Arena::with_capacity(rows.len(), 0);
        let mut line = Vec::new();
        let mut rows = rows.iter().peekable();
        for (row, level) in pick.read.iter().cloned().flatten().zip(&body.levels) {
            let template = templates.of_row(row as usize);
            let is_asked = rows.next_if_eq(&&row).is_some();
            line.clear();
            if *level > 0 {
                expect(bodies.is_left())?;
                if is_asked {
                    line.extend_from_slice(bodies.values[bodies.at].data());
                }
                bodies.at += 1;
            } else {
                columns.expect(template)?;
                if is_asked {
                    let id = templates.rows[row as usize] as usize;
                    let template = excerpts.get(id).and_then(Option::as_ref).unwrap_or(template);
                    template.put_line(|column, out| columns.put_digits(column, out), |column| columns.text(column), &mut line);
                }
                columns.advance(template);
            }
            if is_asked {
                expect_room(lines.bytes_len() + line.len())?;
                lines.push(&line);
            }
        }
        expect(!bodies.is_left())?;
        columns.finish()?;
        Ok(lines)
    }
}
