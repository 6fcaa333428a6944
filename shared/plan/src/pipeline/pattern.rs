//! Patterns: `<name>` captures between literals, for the `pattern` parser and the `|>` filter.
//!
//! Owns: their syntax with Loki's error texts, matching, extraction.

use memchr::memmem;

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(Vec<u8>),
    /// `<name>`; `None` for `<_>`.
    Capture(Option<String>),
}

impl Pattern {
    /// Parses the argument of the `pattern` stage: at least one named capture, none adjacent, none twice. The error is Loki's text.
    pub fn parser(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL".to_owned());
        }
        let pattern = Pattern::parse(text);
        if pattern.names().next().is_none() {
            return Err("at least one capture is required".to_owned());
        }
        pattern.refuse_adjacent()?;
        let mut seen: Vec<&str> = Vec::new();
        for name in pattern.names() {
            if seen.contains(&name) {
                return Err(format!("duplicate capture name ({name}): invalid expression"));
            }
            seen.push(name);
        }
        Ok(pattern)
    }

    /// Parses the argument of a pattern line filter: only `<_>`, none adjacent. The error is Loki's text.
    pub fn filter(text: &str) -> Result<Pattern, String> {
        let pattern = Pattern::parse(text);
        pattern.refuse_adjacent()?;
        if let Some(name) = pattern.names().next() {
            return Err(format!("named captures are not allowed: found '<{name}>'"));
        }
        Ok(pattern)
    }

    fn parse(text: &str) -> Pattern {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(name) = capture_at(rest) {
                parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
                rest = &rest[name.len() + 2..];
                continue;
            }
            let bytes = &rest.as_bytes()[..first.len_utf8()];
            match parts.last_mut() {
                Some(Part::Literal(literal)) => literal.extend_from_slice(bytes),
                _ => parts.push(Part::Literal(bytes.to_vec())),
            }
            rest = &rest[first.len_utf8()..];
        }
        Pattern { parts }
    }

    fn refuse_adjacent(&self) -> Result<(), String> {
        for pair in self.parts.windows(2) {
            if let [Part::Capture(left), Part::Capture(right)] = pair {
                let name = |capture: &Option<String>| capture.clone().unwrap_or_else(|| "_".to_owned());
                return Err(format!("found consecutive capture '<{}><{}>': invalid expression", name(left), name(right)));
            }
        }
        Ok(())
    }

    /// Iterates over the names of captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => name.as_deref(),
            Part::Literal(_) => None,
        })
    }

    /// Iterates over the literals.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_slice()),
            Part::Capture(_) => None,
        })
    }

    /// Calls `found` for each named capture of `line` in order. The leading literal must stand at the start; a capture reaches to
    /// the next literal, or to the end where that is missing, and then no further names follow.
    pub fn captures<'a, 'p>(&'p self, line: &'a [u8], mut found: impl FnMut(&'p str, &'a [u8])) {
        if line.is_empty() {
            return;
        }
        let mut rest = line;
        let mut parts = self.parts.as_slice();
        if let [Part::Literal(literal), tail @ ..] = parts {
            match rest.strip_prefix(literal.as_slice()) {
                Some(after) => rest = after,
                None => return,
            }
            parts = tail;
        }
        while let [Part::Capture(name), tail @ ..] = parts {
            let (value, after) = match tail.first() {
                Some(Part::Literal(literal)) => match memmem::find(rest, literal) {
                    Some(at) => (&rest[..at], Some(&rest[at + literal.len()..])),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Some(name) = name {
                found(name, value);
            }
            match after {
                Some(after) => rest = after,
                None => return,
            }
            parts = &tail[1..];
        }
    }

    /// Reports whether the line has the shape of the pattern. The first literal may stand anywhere; each `<_>` behind it stands for
    /// at least one byte, a literal at the end must end the line. An empty line has only the shape of the empty pattern.
    pub fn matches(&self, line: &[u8]) -> bool {
        if line.is_empty() || self.parts.is_empty() {
            return line.is_empty() && self.parts.is_empty();
        }
        let mut rest = line;
        for (index, part) in self.parts.iter().enumerate() {
            if let Part::Literal(literal) = part {
                match memmem::find(rest, literal) {
                    None => return false,
                    Some(0) if index > 0 => return false,
                    Some(at) => rest = &rest[at + literal.len()..],
                }
            }
        }
        rest.is_empty() != matches!(self.parts.last(), Some(Part::Capture(_)))
    }
}

/// Returns the name where `text` starts with `<name>`.
fn capture_at(text: &str) -> Option<&str> {
    let body = text.strip_prefix('<')?;
    let name = &body[..body.find('>')?];
    model::labels::is_legacy_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(pattern: &str, line: &str) -> Vec<(String, String)> {
        let pattern = Pattern::parser(pattern).unwrap();
        let mut out = Vec::new();
        pattern.captures(line.as_bytes(), |name, value| out.push((name.to_owned(), String::from_utf8_lossy(value).into_owned())));
        out
    }

    #[test]
    fn captures_reach_to_the_next_literal() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(extract("<ip> - <_> [<ts>]", "1.2.3.4 - x [now] rest"), [pair("ip", "1.2.3.4"), pair("ts", "now")]);
        assert_eq!(extract("a<x> b", "no"), []);
        assert_eq!(extract("<a>|<b>", "only"), [pair("a", "only")]);
        assert_eq!(extract("<1x> <a>", "<1x> v"), [pair("a", "v")]);
    }

    #[test]
    fn filters_match_shapes() {
        for (pattern, line, want) in [
            ("<_>foo<_>", "a foo b", true),
            ("foo<_>", "a foo", false),
            ("<_>foo", "a foo", true),
            ("", "", true),
            ("", "x", false),
            ("foo<_>", "a foo b", true),
            ("foo", "a foo", true),
            ("foo", "foo b", false),
            ("<_>", "", false),
            ("a<_>b<_>a", "axbxa", true),
            ("a<_>b<_>a", "aba", false),
            ("a<_>a", "a", false),
        ] {
            assert_eq!(Pattern::filter(pattern).unwrap().matches(line.as_bytes()), want, "{pattern} on {line}");
        }
    }

    #[test]
    fn faults_are_lokis() {
        assert_eq!(Pattern::parser("<_>"), Err("at least one capture is required".into()));
        assert_eq!(Pattern::parser("<a> <a>"), Err("duplicate capture name (a): invalid expression".into()));
        assert_eq!(Pattern::filter("<a><_>"), Err("found consecutive capture '<a><_>': invalid expression".into()));
        assert_eq!(Pattern::filter("<_><_>"), Err("found consecutive capture '<_><_>': invalid expression".into()));
        assert_eq!(Pattern::filter("<a>"), Err("named captures are not allowed: found '<a>'".into()));
    }
}
