//! Lines cut into a template and variables: what repeats is written once, what varies goes into columns of one kind.
//!
//! ```text
//!  level=info user=user-4711 took=12ms id=CSeM8q3nWJ   line
//!  level=info user=user-␁a took=␁bms id=␁A             template: ␁ and a letter stand for a variable
//!                       4711      12                   numbers a, b
//!                                        CSeM8q3nWJ    text A
//! ```
//! Owns: where a line is cut, and putting it together again, byte for byte. Does not own: columns and files.
//!
//! A *word* is a run of ASCII letters, digits and bytes past ASCII, or a UUID. Where a word is cut depends on the word alone:
//! that is what lets token filters look for the pieces of a needle ([`crate::tokens`]).

use crate::SegmentError;

/// Number columns of a file: `line_n0` and so on.
pub(crate) const NUMBERS_MAX: usize = 24;
/// Text columns of a file: `line_t0` and so on.
pub(crate) const TEXTS_MAX: usize = 8;
/// Stands in a template before the letter of a variable: `a` is the first number, `A` the first text.
pub(crate) const MARK: u8 = 1;

/// Digits of a number: all of them, behind a digit that says where leading zeros start, fit into 64 bits.
const DIGITS_MAX: usize = 18;
/// A word that changes between letters and digits more often is an identifier, kept whole.
const CHANGES_MAX: usize = 2;
/// A longer word with letters and digits is an identifier: what its letters say is not worth a template of its own.
const MIXED_BYTES_MAX: usize = 12;
/// So is one that is this long and could be hexadecimal.
const HEX_BYTES_MIN: usize = 8;
/// Length of a UUID as text, and where its hyphens are.
const UUID_BYTES: usize = 36;
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// A variable that is this long and the same as one before it in the line is written once: short ones are so by chance.
const REPEAT_BYTES_MIN: usize = 4;

/// What a word is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// No digit.
    Letters,
    /// Hexadecimal digits, some of them decimal.
    Hex,
    /// Letters and digits.
    Mixed,
    /// A UUID.
    Uuid,
}

/// A piece of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// Stays in the template.
    Constant,
    /// Digits.
    Number,
    /// An identifier.
    Text,
}

/// What a byte of a word is, as bits; 0 is no byte of a word.
const DIGIT: u8 = 1;
const HEX_LETTER: u8 = 2;
const OTHER: u8 = 4;
const UUID: u8 = 8;
const KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            b'g'..=b'z' | b'G'..=b'Z' | 0x80.. => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    kinds
}

/// A word of a line.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) bytes: &'a [u8],
    /// All kinds of its bytes.
    kinds: u8,
}

/// Cuts a line into its words.
#[inline]
pub(crate) fn words<'a>(line: &'a [u8], mut each: impl FnMut(Word<'a>)) {
    let mut at = 0;
    while at < line.len() {
        let mut kinds = KINDS[usize::from(line[at])];
        let start = at;
        at += 1;
        if kinds == 0 {
            continue;
        }
        while let Some(byte) = line.get(at) {
            let kind = KINDS[usize::from(*byte)];
            if kind == 0 {
                break;
            }
            kinds |= kind;
            at += 1;
        }
        if at - start == UUID_HYPHENS[0] && starts_uuid(&line[start..]) {
            at = start + UUID_BYTES;
            kinds = UUID;
        }
        each(Word { start, end: at, bytes: &line[start..at], kinds });
    }
}

/// Reports whether a UUID starts here, and a word ends with it.
#[inline]
fn starts_uuid(bytes: &[u8]) -> bool {
    bytes.get(UUID_HYPHENS[0]) == Some(&b'-')
        && bytes.len() >= UUID_BYTES
        && bytes.get(UUID_BYTES).is_none_or(|byte| !is_word(*byte))
        && bytes[..UUID_BYTES].iter().enumerate().all(|(at, byte)| match UUID_HYPHENS.contains(&at) {
            true => *byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

#[inline]
pub(crate) fn is_word(byte: u8) -> bool {
    KINDS[usize::from(byte)] != 0
}

impl Word<'_> {
    /// Cuts the word into pieces: calls `each` with (kind, length), in order. Returns what the word is.
    #[inline]
    pub(crate) fn pieces(self, mut each: impl FnMut(Piece, usize)) -> Class {
        let (word, len) = (self.bytes, self.bytes.len());
        if self.kinds == UUID {
            each(Piece::Text, len);
            return Class::Uuid;
        }
        if self.kinds & DIGIT == 0 {
            each(Piece::Constant, len);
            return Class::Letters;
        }
        let class = if self.kinds & OTHER == 0 { Class::Hex } else { Class::Mixed };
        if self.is_identifier(class) {
            each(Piece::Text, len);
            return class;
        }
        for run in word.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
            each(if run[0].is_ascii_digit() { Piece::Number } else { Piece::Constant }, run.len());
        }
        class
    }

    /// Reports whether it is made of hexadecimal digits, and of hyphens where it is a UUID.
    fn is_hex(self) -> bool {
        self.kinds & OTHER == 0
    }

    /// Reports whether a word with digits is one text.
    fn is_identifier(self, class: Class) -> bool {
        let word = self.bytes;
        if self.kinds == DIGIT {
            return word.len() > DIGITS_MAX;
        }
        let bytes_max = if class == Class::Hex { HEX_BYTES_MIN - 1 } else { MIXED_BYTES_MAX };
        // No run of digits is too long in a word that is this short.
        let changes = || word.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count();
        word.len() > bytes_max || word.starts_with(b"0x") || changes() > CHANGES_MAX
    }
}

/// Returns the number that digits are stored as. Leading zeros are kept: digits that have one are `-(10^len + value)`.
fn number_of(digits: &[u8]) -> i64 {
    let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    if digits.len() > 1 && digits[0] == b'0' { -(10i64.pow(digits.len() as u32) + value) } else { value }
}

/// Appends the digits that a number stands for.
#[inline]
pub(crate) fn put_digits(number: i64, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 20];
    let (mut at, mut rest) = (buffer.len(), number.unsigned_abs());
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at + usize::from(number < 0)..]);
}

/// One line, cut. Kept between lines for its room.
#[derive(Default)]
pub(crate) struct Cut {
    /// The template, as it is stored.
    pub(crate) template: Vec<u8>,
    /// Numbers in the order of their columns, and where they lie in the line.
    pub(crate) numbers: Vec<i64>,
    number_spans: Vec<(u32, u32)>,
    /// Where the texts lie in the line, in the order of their columns.
    pub(crate) texts: Vec<(u32, u32)>,
    /// Which of the texts that are words are hexadecimal, as bits; of the rest of a line that is not asked.
    pub(crate) hex_texts: u8,
    /// Pieces that are not in the template, repeats among them: where they lie in the line.
    pub(crate) variables: Vec<(Piece, u32, u32)>,
    /// Class and length of each word that is not in the template.
    pub(crate) classes: Vec<(Class, u32)>,
}

impl Cut {
    /// Cuts a line; returns false where it cannot be: it has the byte that marks variables, or is not text.
    pub(crate) fn cut(&mut self, line: &[u8]) -> bool {
        self.template.clear();
        self.numbers.clear();
        self.number_spans.clear();
        self.texts.clear();
        self.hex_texts = 0;
        self.variables.clear();
        self.classes.clear();
        if line.contains(&MARK) || std::str::from_utf8(line).is_err() {
            return false;
        }
        // Up to where the line lies in the template, and whether the columns have run out.
        let (mut done, mut full) = (0, false);
        words(line, |word| {
            let mut at = word.start;
            let class = word.pieces(|piece, len| {
                if piece != Piece::Constant || full {
                    self.variables.push((piece, at as u32, (at + len) as u32));
                }
                if piece != Piece::Constant && !full {
                    self.template.extend_from_slice(&line[done..at]);
                    full = !self.variable(line, piece, (at, at + len), word.is_hex());
                    done = if full { at } else { at + len };
                }
                at += len;
            });
            if class != Class::Letters || full {
                self.classes.push((class, word.bytes.len() as u32));
            }
        });
        if full {
            // All that is left is one text.
            self.mark(b'A', self.texts.len());
            self.hex_texts |= 1 << self.texts.len();
            self.texts.push((done as u32, line.len() as u32));
        } else {
            self.template.extend_from_slice(&line[done..]);
        }
        true
    }

    fn mark(&mut self, first: u8, column: usize) {
        self.template.extend_from_slice(&[MARK, first + column as u8]);
    }

    /// Writes a variable; returns false where there is no column left for it. The last text column is for the rest of a line.
    fn variable(&mut self, line: &[u8], piece: Piece, (start, end): (usize, usize), is_hex: bool) -> bool {
        let (spans, first, room) = match piece {
            Piece::Number => (&self.number_spans, b'a', NUMBERS_MAX),
            _ => (&self.texts, b'A', TEXTS_MAX - 1),
        };
        let value = &line[start..end];
        let same = |span: &(u32, u32)| line[span.0 as usize..span.1 as usize] == *value;
        let before = if value.len() < REPEAT_BYTES_MIN { None } else { spans.iter().position(same) };
        let column = before.unwrap_or(spans.len());
        if column == room {
            return false;
        }
        self.mark(first, column);
        if before.is_none() {
            let span = (start as u32, end as u32);
            match piece {
                Piece::Number => {
                    self.numbers.push(number_of(value));
                    self.number_spans.push(span);
                }
                _ => {
                    self.hex_texts |= u8::from(is_hex) << column;
                    self.texts.push(span);
                }
            }
        }
        true
    }
}

/// A part of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// These bytes, in every line of the template.
    Constant(Box<[u8]>),
    /// Decimal digits, at least one: the number of this column.
    Number(usize),
    /// A word: letters, digits, hyphens and bytes past ASCII, at least one; the text of this column.
    Text(usize),
    /// A word of hexadecimal digits and hyphens; the text of this column.
    Hex(usize),
    /// Anything: the text of this column, at the end of lines with more variables than there are columns.
    Rest(usize),
}

/// What lines have in common: constants, and between them variables that are numbers or texts.
///
/// # Invariants
/// As stored: columns of each kind are first named in ascending order, from 0 on without a gap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    parts: Vec<Part>,
    numbers: usize,
    texts: usize,
}

impl Template {
    /// Takes a stored template apart.
    pub(crate) fn parse(stored: &[u8]) -> Result<Template, SegmentError> {
        let corrupt = || SegmentError::corrupt("template names a variable that is not there");
        let mut template = Template { parts: Vec::new(), numbers: 0, texts: 0 };
        let mut rest = stored;
        while let Some(at) = rest.iter().position(|byte| *byte == MARK) {
            template.constant(&rest[..at]);
            let letter = *rest.get(at + 1).ok_or_else(corrupt)?;
            let (first, max, count) = match letter {
                b'a'.. => (b'a', NUMBERS_MAX, &mut template.numbers),
                _ => (b'A', TEXTS_MAX, &mut template.texts),
            };
            let column = usize::from(letter.checked_sub(first).ok_or_else(corrupt)?);
            if column >= max || column > *count {
                return Err(corrupt());
            }
            *count = (*count).max(column + 1);
            template.parts.push(if first == b'a' { Part::Number(column) } else { Part::Text(column) });
            rest = &rest[at + 2..];
        }
        template.constant(rest);
        template.name_rest();
        Ok(template)
    }

    /// Notes which texts are hexadecimal in all lines that have words there, as bits.
    pub(crate) fn with_hex(mut self, hex_texts: u8) -> Template {
        for part in &mut self.parts {
            if let Part::Text(column) = *part
                && hex_texts >> column & 1 != 0
            {
                *part = Part::Hex(column);
            }
        }
        self
    }

    /// Tells the last text from a word, where all columns for numbers or for words may have run out before it.
    fn name_rest(&mut self) {
        let is_full = self.numbers == NUMBERS_MAX || self.texts == TEXTS_MAX;
        if let Some(last) = self.parts.last_mut()
            && let Part::Text(column) = *last
            && is_full
        {
            *last = Part::Rest(column);
        }
    }

    /// Makes a template of parts of another one.
    pub fn of_parts(parts: Vec<Part>) -> Template {
        let mut template = Template { parts, numbers: 0, texts: 0 };
        for part in &template.parts {
            match part {
                Part::Constant(_) => {}
                Part::Number(column) => template.numbers = template.numbers.max(column + 1),
                Part::Text(column) | Part::Hex(column) | Part::Rest(column) => template.texts = template.texts.max(column + 1),
            }
        }
        template
    }

    fn constant(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.parts.push(Part::Constant(bytes.into()));
        }
    }

    /// Returns its parts, in the order of the line.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Counts its number columns.
    pub(crate) fn numbers(&self) -> usize {
        self.numbers
    }

    /// Counts its text columns.
    pub(crate) fn texts(&self) -> usize {
        self.texts
    }

    /// Returns which number columns it names, then which text columns, as bits.
    pub(crate) fn named(&self) -> (u32, u32) {
        self.parts.iter().fold((0, 0), |(numbers, texts), part| match part {
            Part::Constant(_) => (numbers, texts),
            Part::Number(column) => (numbers | 1 << column, texts),
            Part::Text(column) | Part::Hex(column) | Part::Rest(column) => (numbers, texts | 1 << column),
        })
    }

    /// Appends the line that has these variables.
    #[inline]
    pub(crate) fn put_line<'v>(
        &self,
        put_digits: impl Fn(usize, &mut Vec<u8>),
        text: impl Fn(usize) -> &'v [u8],
        out: &mut Vec<u8>,
    ) {
        for part in &self.parts {
            match part {
                Part::Constant(bytes) => out.extend_from_slice(bytes),
                Part::Number(column) => put_digits(*column, out),
                Part::Text(column) | Part::Hex(column) | Part::Rest(column) => out.extend_from_slice(text(*column)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
