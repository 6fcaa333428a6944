//! Excerpts: lines without the fields that nobody asks for.
//!
//! Where the line is only read by one `json` or `logfmt` stage, and it is known which labels are asked for, other members and pairs need
//! not be there. Which ones those are is the same for all lines of a shape, because variables have none of the characters that
//! either syntax is made of; so it is found out once, on a sample. What stays is verbatim and in its order.
//!
//! Owns: what may be left out, so that stages see the same labels and errors. Does not own: how pieces are stored.

use std::ops::Range;

use super::compiled::Compiled;
use super::hints::Hints;
use super::json::{JsonKind, each_member};
use super::labels::{EXTRACTED_SUFFIX, push_sanitized};
use super::logfmt::LogfmtScanner;
use super::sieve::Piece;

/// Makes excerpts for one extraction.
#[derive(Debug)]
pub struct Excerpt<'p> {
    hints: &'p Hints,
    syntax: Syntax,
}

#[derive(Clone, Copy, Debug)]
enum Syntax {
    Json,
    Logfmt { keep_empty: bool },
}

/// A line of a shape: constants as they are, a byte in the place of each variable.
struct Sample<'s, 'p> {
    text: &'s [u8],
    pieces: &'p [Piece<'p>],
    /// Where each piece lies in the text.
    spans: Vec<Range<usize>>,
}

impl<'p> Excerpt<'p> {
    /// Returns what makes excerpts for `stages`, where `hints` say what of the first one is asked for; `None` where the whole line
    /// may be.
    pub(super) fn of_stages(stages: &[Compiled], hints: &'p Hints) -> Option<Excerpt<'p>> {
        let (first, rest) = stages.split_first()?;
        let syntax = match first {
            Compiled::Json => Syntax::Json,
            Compiled::Logfmt(flags) if !flags.strict => Syntax::Logfmt { keep_empty: flags.keep_empty },
            _ => return None,
        };
        let is_narrow = hints.is_narrow() && !rest.iter().any(Compiled::reads_line);
        is_narrow.then_some(Excerpt { hints, syntax })
    }

    /// Returns the pieces that the lines of a shape may be made of instead; `None` where all of the line is needed. `sample` is
    /// memory that constants lie in.
    pub fn of<'s>(&self, pieces: &[Piece<'_>], sample: &'s mut Vec<u8>) -> Option<Vec<Piece<'s>>> {
        if self.hints.nothing() {
            return Some(Vec::new());
        }
        sample.clear();
        let mut spans = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let start = sample.len();
            match piece {
                Piece::Constant(bytes) => sample.extend_from_slice(bytes),
                Piece::Number(_) => sample.push(b'1'),
                Piece::Word(_) | Piece::Hex(_) => sample.push(b'x'),
                Piece::Rest(_) => return None,
            }
            spans.push(start..sample.len());
        }
        let sample = Sample { text: sample, pieces, spans };
        match self.syntax {
            Syntax::Json => self.members(&sample),
            Syntax::Logfmt { keep_empty } => Some(self.pairs(&sample, keep_empty)),
        }
    }

    /// Reports whether a parser may be asked for a label of this name.
    fn wants(&self, name: &str) -> bool {
        self.hints.wants(name) || self.hints.wants(&format!("{name}{EXTRACTED_SUFFIX}"))
    }

    /// Leaves the members that are asked for; those inside objects go with them.
    fn members<'s>(&self, sample: &Sample<'s, '_>) -> Option<Vec<Piece<'s>>> {
        let mut out = vec![Piece::Constant(b"{")];
        let mut is_known = true;
        let read = each_member(sample.text, |key, value| {
            let mut name = String::new();
            push_sanitized(&mut name, &String::from_utf8_lossy(key));
            // A key with escapes lies elsewhere; one with variables is another in each line.
            let Some(key) = sample.place(key).filter(|key| sample.is_constant(key)) else {
                is_known = false;
                return Ok(());
            };
            let wanted = match value.kind {
                JsonKind::Object => self.hints.wants_prefix(&name),
                JsonKind::Text | JsonKind::Number | JsonKind::Boolean => self.wants(&name),
                JsonKind::Array | JsonKind::Null => false,
            };
            if let Some(value_at) = sample.place(value.raw).filter(|_| wanted) {
                let quote = usize::from(value.kind == JsonKind::Text);
                if out.len() > 1 {
                    out.push(Piece::Constant(b","));
                }
                sample.cut(key.start - 1..value_at.end + quote, &mut out);
            }
            Ok(())
        });
        out.push(Piece::Constant(b"}"));
        // Where reading fails, what was read before counts, and the error does.
        (is_known && read.is_ok()).then_some(out)
    }

    /// Leaves the pairs that are asked for, or of which that is not known.
    fn pairs<'s>(&self, sample: &Sample<'s, '_>, keep_empty: bool) -> Vec<Piece<'s>> {
        let mut out = Vec::new();
        let mut scanner = LogfmtScanner::new(sample.text);
        // Whether there was a blank since the last pair that stays.
        let mut is_apart = false;
        while !scanner.at_end() {
            let start = scanner.at();
            let pair = scanner.pair();
            let region = start..scanner.at();
            // What hangs on the value before (`a="x"b=1`) goes with it where its key is none, so that no blank may come between.
            let is_hanging = sample.text[start] > b' ';
            is_apart |= !is_hanging;
            let is_unasked = match pair {
                // A pair with a fault says nothing.
                None => sample.is_constant(&region),
                Some(pair) if pair.value.is_empty() && !keep_empty && sample.is_bare(&region) => true,
                Some(pair) => {
                    sample.place(pair.key).is_some_and(|key| sample.is_constant(&key)) && {
                        let mut name = String::new();
                        push_sanitized(&mut name, &String::from_utf8_lossy(pair.key));
                        name.is_empty() || !self.wants(&name)
                    }
                }
            };
            if !is_unasked {
                if is_apart && is_hanging && !out.is_empty() {
                    out.push(Piece::Constant(b" "));
                }
                sample.cut(region, &mut out);
                is_apart = false;
            }
        }
        out
    }
}

impl<'s> Sample<'s, '_> {
    /// Returns where a part of the sample lies in it; `None` for what lies elsewhere.
    fn place(&self, part: &[u8]) -> Option<Range<usize>> {
        let start = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let range = start..start + part.len();
        (range.end <= self.text.len()).then_some(range)
    }

    /// Reports whether no variable lies in a range.
    fn is_constant(&self, range: &Range<usize>) -> bool {
        let mut inside = self.pieces.iter().zip(&self.spans).filter(|(_, span)| span.start < range.end && range.start < span.end);
        inside.all(|(piece, _)| matches!(piece, Piece::Constant(_)))
    }

    /// Reports whether a range is a key without a value.
    fn is_bare(&self, range: &Range<usize>) -> bool {
        !self.text[range.clone()].contains(&b'=')
    }

    /// Appends the pieces in a range.
    fn cut(&self, range: Range<usize>, out: &mut Vec<Piece<'s>>) {
        for (piece, span) in self.pieces.iter().zip(&self.spans) {
            let inside = span.start.max(range.start)..span.end.min(range.end);
            if inside.start >= inside.end {
                continue;
            }
            out.push(match piece {
                Piece::Constant(_) => Piece::Constant(&self.text[inside]),
                Piece::Number(column) => Piece::Number(*column),
                Piece::Word(column) | Piece::Hex(column) | Piece::Rest(column) => Piece::Word(*column),
            });
        }
    }
}

#[cfg(test)]
mod tests;
