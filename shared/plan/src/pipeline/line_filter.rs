//! Line filters, compiled: substring search on bytes, regular expressions, patterns, addresses. Label filters by regular expression
//! take the same tests.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use model::batch::Arena;
use model::re2;

use super::ip::IpRange;
use super::labels::go_text;
use super::pattern::Pattern;
use super::reduce::{Reduced, reduce};
use super::stage::{LineFilter, LineOp, LineTerm};

/// One line filter ready to run.
#[derive(Clone, Debug)]
pub(super) struct CompiledLineFilter {
    negative: bool,
    any: Vec<LineTest>,
}

/// What a text is asked.
#[derive(Clone, Debug)]
pub(super) enum LineTest {
    Everything,
    NotEmpty,
    Contains(Box<memmem::Finder<'static>>),
    Equals(Box<[u8]>),
    /// With literals of which every match has one.
    Matches(regex::bytes::Regex, Option<Vec<Vec<u8>>>),
    Shape(Pattern),
    Ip(IpRange),
    /// One of these.
    Any(Vec<LineTest>),
}

impl CompiledLineFilter {
    /// Compiles filters that follow each other; the error is Loki's text for the last of the bad ones, as Loki builds them from the
    /// end. It prints NOT (a OR b) as two filters, and builds it so.
    pub(super) fn all(filters: &[LineFilter]) -> Result<Vec<CompiledLineFilter>, String> {
        let mut compiled = filters.iter().rev().map(CompiledLineFilter::new).collect::<Result<Vec<_>, _>>()?;
        compiled.reverse();
        Ok(compiled)
    }

    fn new(filter: &LineFilter) -> Result<CompiledLineFilter, String> {
        let (op, negative) = (filter.op, filter.op.is_negative());
        let test = |term| LineTest::new(op, term);
        let mut any: Vec<LineTest> = match negative {
            true => filter.terms.iter().rev().map(test).collect::<Result<_, _>>()?,
            false => filter.terms.iter().map(test).collect::<Result<_, _>>()?,
        };
        // Loki leaves alternatives out that accept everything, unless there are no others.
        if !negative && any.iter().any(|test| !matches!(test, LineTest::Everything)) {
            any.retain(|test| !matches!(test, LineTest::Everything));
        }
        Ok(CompiledLineFilter { negative, any })
    }

    /// Reports whether lines stay that no test accepts.
    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }

    /// Returns its tests, of which one has to accept, each for one thing.
    pub(super) fn tests(&self) -> Vec<&LineTest> {
        fn add<'t>(test: &'t LineTest, out: &mut Vec<&'t LineTest>) {
            match test {
                LineTest::Any(tests) => tests.iter().for_each(|test| add(test, out)),
                one => out.push(one),
            }
        }
        let mut tests = Vec::new();
        self.any.iter().for_each(|test| add(test, &mut tests));
        tests
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
            (LineOp::Contains | LineOp::NotContains, LineTerm::Text(text)) => LineTest::contains(text),
            (LineOp::Matches | LineOp::NotMatches, LineTerm::Text(text)) => LineTest::pattern(text)?,
            (LineOp::Pattern | LineOp::NotPattern, LineTerm::Text(text)) => LineTest::Shape(Pattern::filter(text)?),
        })
    }

    fn contains(text: &str) -> LineTest {
        match text.is_empty() {
            true => LineTest::Everything,
            false => LineTest::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned())),
        }
    }

    /// Compiles a regular expression that is looked for anywhere.
    fn pattern(text: &str) -> Result<LineTest, String> {
        match reduce(text, false) {
            Some(reduced) => LineTest::reduced(reduced),
            None => {
                Ok(LineTest::Matches(re2::compile_bytes(text).map_err(|error| error.to_string())?, re2::required_literals(text)))
            }
        }
    }

    /// Compiles the regular expression of a label filter; `None` where the value must match it as a whole.
    pub(super) fn of_value(text: &str) -> Option<Result<LineTest, String>> {
        reduce(text, true).map(LineTest::reduced)
    }

    fn reduced(reduced: Reduced) -> Result<LineTest, String> {
        Ok(match reduced {
            Reduced::Everything => LineTest::Everything,
            Reduced::NotEmpty => LineTest::NotEmpty,
            Reduced::Contains { text, fold: false } => LineTest::contains(&text),
            Reduced::Equals { text, fold: false } => LineTest::Equals(text.into_bytes().into()),
            Reduced::Contains { text, .. } => LineTest::Matches(any_case(&text, false)?, None),
            Reduced::Equals { text, .. } => LineTest::Matches(any_case(&text, true)?, None),
            Reduced::Any(all) => LineTest::Any(all.into_iter().map(LineTest::reduced).collect::<Result<_, _>>()?),
        })
    }

    /// Reports whether a text passes.
    pub(super) fn holds(&self, line: &[u8]) -> bool {
        match self {
            LineTest::Everything => true,
            LineTest::NotEmpty => !line.is_empty(),
            LineTest::Contains(finder) => finder.find(line).is_some(),
            LineTest::Equals(text) => **text == *line,
            LineTest::Matches(regex, _) => matches(regex, line),
            LineTest::Shape(pattern) => pattern.matches(line),
            LineTest::Ip(range) => range.found_in(line),
            LineTest::Any(tests) => tests.iter().any(|test| test.holds(line)),
        }
    }

    fn literals(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            LineTest::Contains(finder) => Some(vec![finder.needle().to_vec()]),
            LineTest::Equals(text) => Some(vec![text.to_vec()]),
            LineTest::Shape(pattern) => {
                pattern.literals().max_by_key(|literal| literal.len()).map(|literal| vec![literal.to_vec()])
            }
            LineTest::Matches(_, required) => required.clone(),
            LineTest::Any(tests) => tests.iter().map(LineTest::literals).collect::<Option<Vec<_>>>().map(|all| all.concat()),
            LineTest::Everything | LineTest::NotEmpty | LineTest::Ip(_) => None,
        }
    }
}

/// Go reads a byte that is no UTF-8 as U+FFFD, which `.` and negated classes match; so such a line is tried again that way.
fn matches(regex: &regex::bytes::Regex, line: &[u8]) -> bool {
    if regex.is_match(line) {
        return true;
    }
    match go_text(line) {
        Cow::Borrowed(_) => false,
        Cow::Owned(text) => regex.is_match(text.as_bytes()),
    }
}

/// Compiles a text that is looked for regardless of case: of ASCII's cases where it is ASCII, so that `(?i)k` finds no Kelvin sign.
fn any_case(text: &str, whole: bool) -> Result<regex::bytes::Regex, String> {
    let flags = if text.is_ascii() { "i-u" } else { "i" };
    let (start, end) = if whole { ("\\A", "\\z") } else { ("", "") };
    let pattern = format!("{start}(?{flags}:{}){end}", regex::escape(text));
    regex::bytes::Regex::new(&pattern).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(op: LineOp, texts: &[&str]) -> LineFilter {
        LineFilter { op, terms: texts.iter().map(|text| LineTerm::Text((*text).to_owned())).collect() }
    }

    fn compile(op: LineOp, texts: &[&str]) -> CompiledLineFilter {
        CompiledLineFilter::new(&filter(op, texts)).unwrap()
    }

    #[test]
    fn the_last_fault_is_told() {
        let fault = |filters: &[LineFilter]| CompiledLineFilter::all(filters).unwrap_err();
        let adjacent = "found consecutive capture '<_><_>': invalid expression";
        assert_eq!(fault(&[filter(LineOp::Pattern, &["<_><_>"]), filter(LineOp::Contains, &["x"])]), adjacent);
        let both = [filter(LineOp::Pattern, &["<a>"]), filter(LineOp::NotPattern, &["<b>", "<_><_>", "x"])];
        assert_eq!(fault(&both), adjacent);
        assert_eq!(fault(&[filter(LineOp::Pattern, &["<a>", "<_><_>"])]), "named captures are not allowed: found '<a>'");
    }

    #[test]
    fn what_accepts_everything_is_no_alternative() {
        assert!(!compile(LineOp::Contains, &["x", ""]).accepts(b"y"));
        assert!(!compile(LineOp::Matches, &[".*", "x"]).accepts(b"y"));
        assert!(compile(LineOp::Contains, &["", ""]).accepts(b"y"));
        assert!(!compile(LineOp::NotContains, &["x", ""]).accepts(b"y"));
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
