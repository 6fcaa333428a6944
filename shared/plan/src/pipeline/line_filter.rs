//! Line filters, compiled: substring search on bytes, regular expressions, patterns, addresses.

use memchr::memmem;
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
    Matches(regex::bytes::Regex),
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

    /// Returns literals of which at least one stands in every line that stays; `None` where there is no such list.
    pub(super) fn required(&self) -> Option<Vec<&[u8]>> {
        if self.negative {
            return None;
        }
        self.any.iter().map(LineTest::literal).collect()
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
            (LineOp::Matches | LineOp::NotMatches, LineTerm::Text(text)) => LineTest::Matches(regex(text)?),
            (LineOp::Pattern | LineOp::NotPattern, LineTerm::Text(text)) => LineTest::Shape(Pattern::filter(text)?),
        })
    }

    fn holds(&self, line: &[u8]) -> bool {
        match self {
            LineTest::Everything => true,
            LineTest::Contains(finder) => finder.find(line).is_some(),
            LineTest::Matches(regex) => matches(regex, line),
            LineTest::Shape(pattern) => pattern.matches(line),
            LineTest::Ip(range) => range.found_in(line),
        }
    }

    fn literal(&self) -> Option<&[u8]> {
        match self {
            LineTest::Contains(finder) => Some(finder.needle()),
            LineTest::Shape(pattern) => pattern.literals().max_by_key(|literal| literal.len()),
            LineTest::Everything | LineTest::Matches(_) | LineTest::Ip(_) => None,
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
