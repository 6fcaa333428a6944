//! Line filters, compiled: substring search on bytes, regular expressions, patterns, addresses.

use std::ops::Range;

use memchr::memmem;
use model::batch::Arena;
use model::re2;

use super::ip::IpRange;
use super::pattern::Pattern;
use super::stage::{LineFilter, LineOp, LineTerm};

/// One line filter ready to run.
#[derive(Debug)]
pub(super) struct CompiledLineFilter {
    negative: bool,
    any: Vec<LineTest>,
}

#[derive(Debug)]
enum LineTest {
    Everything,
    Contains(Box<memmem::Finder<'static>>),
    /// With literals of which every match has one.
    Matches(regex::bytes::Regex, Option<Vec<Vec<u8>>>),
    Shape(Pattern),
    Ip(IpRange),
}

impl CompiledLineFilter {
    /// Compiles a filter; the error is Loki's text.
    pub(super) fn new(filter: &LineFilter) -> Result<CompiledLineFilter, String> {
        let any = filter.terms.iter().map(|term| LineTest::new(filter.op, term)).collect::<Result<_, _>>()?;
        Ok(CompiledLineFilter { negative: filter.op.is_negative(), any })
    }

    /// Reports whether the line stays.
    pub(super) fn accepts(&self, line: &[u8]) -> bool {
        self.any.iter().any(|test| test.holds(line)) != self.negative
    }

    /// Returns the substring the filter asks for, where that is all it asks.
    fn substring(&self) -> Option<&memmem::Finder<'static>> {
        match self.any.as_slice() {
            [LineTest::Contains(finder)] if !self.negative => Some(finder),
            _ => None,
        }
    }

    /// Returns literals of which at least one stands in every line that stays; `None` where there is no such list.
    pub(super) fn required(&self) -> Option<Vec<Vec<u8>>> {
        if self.negative {
            return None;
        }
        let all: Option<Vec<Vec<Vec<u8>>>> = self.any.iter().map(LineTest::literals).collect();
        all.map(|all| all.concat())
    }
}

/// Appends to `out` those of `rows` whose lines all `filters` accept.
pub(super) fn filter_lines(filters: &[CompiledLineFilter], lines: &Arena, rows: Range<usize>, out: &mut Vec<u32>) {
    // One substring that every line must have is looked for first, in all lines at once; the others are asked where it is found.
    let driver = filters.iter().enumerate().find_map(|(index, filter)| Some((index, filter.substring()?)));
    let Some((index, finder)) = driver else {
        let accepted = rows.filter(|row| filters.iter().all(|filter| filter.accepts(lines.get(*row))));
        out.extend(accepted.map(|row| row as u32));
        return;
    };
    let others = |line: &[u8]| filters.iter().enumerate().all(|(other, filter)| other == index || filter.accepts(line));
    let ends = &lines.ends()[..rows.end];
    let end = ends.last().map_or(0, |end| *end as usize);
    let mut row = rows.start;
    let mut at = if row == 0 { 0 } else { ends[row - 1] as usize };
    while row < rows.end {
        let Some(found) = finder.find(&lines.bytes()[at..end]) else { break };
        at += found;
        // Lines before the hit have none; an empty line ends where the next one begins.
        row += ends[row..].partition_point(|end| *end as usize <= at);
        let line_end = ends[row] as usize;
        if at + finder.needle().len() > line_end {
            // It reaches into the next line.
            at += 1;
            continue;
        }
        if others(lines.get(row)) {
            out.push(row as u32);
        }
        at = line_end;
        row += 1;
    }
}

impl LineTest {
    fn new(op: LineOp, term: &LineTerm) -> Result<LineTest, String> {
        Ok(match (op, term) {
            (LineOp::Contains | LineOp::NotContains, LineTerm::Ip(pattern)) => LineTest::Ip(IpRange::parse(pattern)?),
            (_, LineTerm::Ip(_)) => return Err("ip: invalid operation".to_owned()),
            (LineOp::Contains | LineOp::NotContains, LineTerm::Text(text)) if text.is_empty() => LineTest::Everything,
            (LineOp::Contains | LineOp::NotContains, LineTerm::Text(text)) => {
                LineTest::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
            }
            (LineOp::Matches | LineOp::NotMatches, LineTerm::Text(text)) if text.is_empty() => LineTest::Everything,
            (LineOp::Matches | LineOp::NotMatches, LineTerm::Text(text)) => {
                LineTest::Matches(regex(text)?, re2::required_literals(&without_empty_branch(text)))
            }
            (LineOp::Pattern | LineOp::NotPattern, LineTerm::Text(text)) => LineTest::Shape(Pattern::filter(text)?),
        })
    }

    fn holds(&self, line: &[u8]) -> bool {
        match self {
            LineTest::Everything => true,
            LineTest::Contains(finder) => finder.find(line).is_some(),
            LineTest::Matches(regex, _) => matches(regex, line),
            LineTest::Shape(pattern) => pattern.matches(line),
            LineTest::Ip(range) => range.found_in(line),
        }
    }

    fn literals(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            LineTest::Contains(finder) => Some(vec![finder.needle().to_vec()]),
            LineTest::Shape(pattern) => {
                pattern.literals().max_by_key(|literal| literal.len()).map(|literal| vec![literal.to_vec()])
            }
            LineTest::Matches(_, required) => required.clone(),
            LineTest::Everything | LineTest::Ip(_) => None,
        }
    }
}

/// Go reads a byte that is no UTF-8 as U+FFFD, which `.` and negated classes match; so such a line is tried again that way.
fn matches(regex: &regex::bytes::Regex, line: &[u8]) -> bool {
    if regex.is_match(line) {
        return true;
    }
    if line.is_ascii() || std::str::from_utf8(line).is_ok() {
        return false;
    }
    let mut text = String::with_capacity(line.len() + 8);
    for chunk in line.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push('\u{fffd}'));
    }
    regex.is_match(text.as_bytes())
}

fn regex(pattern: &str) -> Result<regex::bytes::Regex, String> {
    // Loki searches a word regardless of case by ASCII's cases: `(?i)k` finds no Kelvin sign.
    let word =
        pattern.strip_prefix("(?i)").filter(|word| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ' || b == b'_'));
    if let Some(word) = word {
        return regex::bytes::Regex::new(&format!("(?i-u:{word})")).map_err(|error| error.to_string());
    }
    re2::compile_bytes(&without_empty_branch(pattern)).map_err(|error| error.to_string())
}

/// Loki turns simple alternations into substring filters and loses an empty branch: `a|` means `a`.
fn without_empty_branch(pattern: &str) -> std::borrow::Cow<'_, str> {
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '|' | ' ' | '_' | '-' | '/' | ':' | '='));
    if pattern.contains('|') && plain(pattern) && pattern.split('|').any(str::is_empty) && !pattern.trim_matches('|').is_empty() {
        let branches: Vec<&str> = pattern.split('|').filter(|branch| !branch.is_empty()).collect();
        return branches.join("|").into();
    }
    pattern.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(op: LineOp, texts: &[&str]) -> CompiledLineFilter {
        let terms = texts.iter().map(|text| LineTerm::Text((*text).to_owned())).collect();
        CompiledLineFilter::new(&LineFilter { op, terms }).unwrap()
    }

    #[test]
    fn many_lines_pass_as_each_alone() {
        let mut lines = Arena::default();
        for line in ["ab", "", "xab", "a", "b", "abab", "", "bax", "aba", ""] {
            lines.push(line.as_bytes());
        }
        let sets = [
            vec![],
            vec![compile(LineOp::Contains, &["ab"])],
            vec![compile(LineOp::Contains, &["a"]), compile(LineOp::NotContains, &["x"])],
            vec![compile(LineOp::Matches, &["^b"]), compile(LineOp::Contains, &["ba"])],
            vec![compile(LineOp::Contains, &["x", "aba"])],
            vec![compile(LineOp::Contains, &["zz"])],
        ];
        for filters in &sets {
            for start in 0..lines.len() {
                for end in start..=lines.len() {
                    let mut found = Vec::new();
                    filter_lines(filters, &lines, start..end, &mut found);
                    let each = (start..end).filter(|row| filters.iter().all(|filter| filter.accepts(lines.get(*row))));
                    assert_eq!(found, each.map(|row| row as u32).collect::<Vec<_>>(), "{filters:?} {start}..{end}");
                }
            }
        }
    }
}
