//! The lines of a row group as columns: templates, numbers and texts; rare lines stay whole.
//!
//! Where a line is cut is decided in [`crate::template`]; here, which lines are worth it, and the order of the columns.

use super::metrics_writer::{RowGroup, RunColumn, write_numbers, write_runs};
use super::runs::Dictionary;
use super::values::{Chunk, Values};
use crate::SegmentError;
use crate::limits::ROWS_PER_TEMPLATE_MIN;
use crate::merge::Effort;
use crate::table::Interned;
use crate::template::{Cut, NUMBERS_MAX, TEXTS_MAX};
use crate::tokens::TokenSet;

/// The columns of the lines of one row group.
pub(super) struct LineColumns<'a> {
    /// Distinct templates, first the empty one, which rows with a body have.
    templates: Interned,
    /// Template of each row.
    rows: Vec<u32>,
    bodies: Column<&'a [u8]>,
    numbers: [Column<i64>; NUMBERS_MAX],
    texts: [Column<&'a [u8]>; TEXTS_MAX],
}

/// Values of a column that may be null, and the rows that have one.
struct Column<T> {
    values: Vec<T>,
    rows: Vec<u32>,
}

impl<T> Default for Column<T> {
    fn default() -> Column<T> {
        Column { values: Vec::new(), rows: Vec::new() }
    }
}

impl<T> Column<T> {
    fn push(&mut self, row: usize, value: T) {
        self.values.push(value);
        self.rows.push(row as u32);
    }

    /// Returns definition levels: 0 null, 1 present.
    fn levels(&self, rows: usize) -> Vec<i16> {
        let mut levels = vec![0; rows];
        self.rows.iter().for_each(|row| levels[*row as usize] = 1);
        levels
    }
}

/// All lines of a row group, cut: variables back to back.
struct CutLines {
    templates: Interned,
    /// Per template: rows, numbers and texts of each.
    shapes: Vec<(usize, usize, usize)>,
    /// Template of each row, and which of its texts are hexadecimal; none where the line cannot be cut.
    rows: Vec<Option<(u32, u8)>>,
    numbers: Vec<i64>,
    texts: Vec<(u32, u32)>,
}

impl CutLines {
    fn of(lines: &[&[u8]], tokens: &mut TokenSet) -> CutLines {
        let mut all = CutLines {
            templates: Interned::default(),
            shapes: Vec::new(),
            rows: Vec::with_capacity(lines.len()),
            numbers: Vec::new(),
            texts: Vec::new(),
        };
        let mut cut = Cut::default();
        for line in lines {
            let row = cut.cut(line).then(|| all.push(&cut));
            match row {
                Some((_, false)) => tokens.add_variables(line, &cut),
                _ => tokens.add_line(line),
            }
            all.rows.push(row.map(|(template, _)| (template, cut.hex_texts)));
        }
        all
    }

    /// Returns the template, and whether it is new.
    fn push(&mut self, cut: &Cut) -> (u32, bool) {
        let (id, is_new) = self.templates.intern(&cut.template);
        if is_new {
            self.shapes.push((0, cut.numbers.len(), cut.texts.len()));
        }
        self.shapes[id as usize].0 += 1;
        self.numbers.extend_from_slice(&cut.numbers);
        self.texts.extend_from_slice(&cut.texts);
        (id, is_new)
    }
}

impl<'a> LineColumns<'a> {
    /// Cuts the lines of a row group; adds all their words to `tokens`.
    pub(super) fn of(lines: &[&'a [u8]], tokens: &mut TokenSet) -> LineColumns<'a> {
        let cut = CutLines::of(lines, tokens);
        let mut columns = LineColumns {
            templates: Interned::default(),
            rows: Vec::with_capacity(lines.len()),
            bodies: Column::default(),
            numbers: Default::default(),
            texts: Default::default(),
        };
        columns.templates.intern(&[]);
        // By template as cut: its id as written, once a row has it.
        let mut kept: Vec<Option<u32>> = vec![None; cut.shapes.len()];
        let (mut numbers, mut texts) = (&cut.numbers[..], &cut.texts[..]);
        for (row, (line, template)) in lines.iter().zip(&cut.rows).enumerate() {
            let Some((template, hex_texts)) = template else {
                columns.push_body(row, line);
                continue;
            };
            let (rows, numbers_len, texts_len) = cut.shapes[*template as usize];
            let (own_numbers, own_texts);
            (own_numbers, numbers) = numbers.split_at(numbers_len);
            (own_texts, texts) = texts.split_at(texts_len);
            if rows < ROWS_PER_TEMPLATE_MIN {
                columns.push_body(row, line);
                continue;
            }
            let id = *kept[*template as usize].get_or_insert_with(|| columns.templates.intern(cut.templates.get(*template)).0);
            columns.rows.push(id);
            tokens.add_texts(texts_len, *hex_texts);
            own_numbers.iter().zip(&mut columns.numbers).for_each(|(number, column)| column.push(row, *number));
            let own_texts = own_texts.iter().map(|(start, end)| &line[*start as usize..*end as usize]);
            own_texts.zip(&mut columns.texts).for_each(|(text, column)| column.push(row, text));
        }
        columns
    }

    fn push_body(&mut self, row: usize, line: &'a [u8]) {
        self.rows.push(0);
        self.bodies.push(row, line);
    }

    /// Writes the columns in the order of the schema.
    pub(super) fn write(self, writer: &mut RowGroup<'_>, effort: Effort) -> Result<(), SegmentError> {
        let rows = self.rows.len();
        write_runs(writer, self.template_runs())?;
        write_texts(writer, &self.bodies, rows, effort)?;
        for column in &self.numbers {
            let chunk = Chunk { values: Values::Ints(&column.values), levels: Some(&column.levels(rows)) };
            write_numbers(writer, chunk, effort, None)?;
        }
        self.texts.iter().try_for_each(|column| write_texts(writer, column, rows, effort))
    }

    fn template_runs(&self) -> RunColumn {
        let (mut plain, len) = (Vec::new(), self.templates.len());
        for id in 0..len {
            let template = self.templates.get(id);
            plain.extend_from_slice(&(template.len() as u32).to_le_bytes());
            plain.extend_from_slice(template);
        }
        let runs = self.rows.chunk_by(|a, b| a == b).map(|run| (Some(run[0]), run.len() as u32));
        RunColumn { dictionary: Dictionary { plain, len, bounds: None }, runs: runs.collect() }
    }
}

fn write_texts(writer: &mut RowGroup<'_>, column: &Column<&[u8]>, rows: usize, effort: Effort) -> Result<(), SegmentError> {
    let chunk = Chunk { values: Values::Texts(&column.values), levels: Some(&column.levels(rows)) };
    write_numbers(writer, chunk, effort, None)
}
