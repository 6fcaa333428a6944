//! Lines as tokens, and tokens as a pattern's text.
//!
//! Logfmt lines are their keys and values, so that a value is one token however many words it has; of JSON only the message is
//! read; other lines are cut at blanks and punctuation, except within what looks like a name, a path or a time.

use std::sync::LazyLock;

use regex::Regex;

use super::PLACEHOLDER;
use crate::pipeline::json::{JsonKind, each_member};
use crate::pipeline::logfmt::LogfmtScanner;

/// Bytes of a line that is looked at; longer ones are dumps (Loki: 3,000).
const LINE_BYTES_MAX: usize = 3_000;
/// Fewer tokens say too little.
const TOKENS_MIN: usize = 4;
/// More tokens are no sentence.
const TOKENS_MAX: usize = 80;
/// Members of a JSON line that hold the message, by preference (Loki's `pattern_ingester_tokenizable_json_fields`).
const JSON_MESSAGES: [&str; 6] = ["log", "message", "msg", "msg_", "_msg", "content"];
/// Keys of logfmt whose values differ from line to line.
const VARIABLE_KEYS: [&str; 4] = ["ts", "traceid", "time", "timestamp"];

/// How the lines of a stream are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Json,
    Logfmt,
    Text,
}

impl Format {
    pub(super) fn of(line: &str) -> Format {
        if line.len() >= 2 && line.starts_with('{') && line.ends_with('}') {
            return Format::Json;
        }
        let mut scanner = LogfmtScanner::new(line.as_bytes());
        let mut pairs = 0;
        while !scanner.at_end() {
            match scanner.pair() {
                Some(pair) if !pair.value.is_empty() => pairs += 1,
                // The end of the line after a blank.
                None if scanner.fault().is_none() => {}
                _ => return Format::Text,
            }
        }
        if pairs > 0 { Format::Logfmt } else { Format::Text }
    }
}

/// A line's tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tokens {
    pub(super) texts: Vec<String>,
    /// Per blank of the line, how many tokens stand before it.
    blanks: Vec<usize>,
}

/// Cuts a line; `None` where it is too long, too short, or not what its stream's lines are.
pub(super) fn tokenize(line: &str, format: Format) -> Option<Tokens> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let tokens = match format {
        Format::Text => words(line),
        Format::Logfmt => pairs(line)?,
        Format::Json => words(&message(line)?),
    };
    (TOKENS_MIN..=TOKENS_MAX).contains(&tokens.texts.len()).then_some(tokens)
}

/// Puts tokens together again.
pub(super) fn text(tokens: &Tokens, format: Format) -> String {
    let text = match format {
        Format::Text => joined(tokens),
        Format::Logfmt => joined_pairs(&tokens.texts),
        Format::Json => format!("{PLACEHOLDER}{}{PLACEHOLDER}", joined(tokens)),
    };
    without_repeats(&text)
}

fn words(line: &str) -> Tokens {
    let mut tokens = Tokens::default();
    let mut start = 0;
    for (at, char) in line.char_indices() {
        if !is_delimiter(char) {
            continue;
        }
        if at > start {
            tokens.texts.push(line[start..at].to_owned());
        }
        start = at + char.len_utf8();
        match char {
            ' ' => tokens.blanks.push(tokens.texts.len()),
            _ => tokens.texts.push(char.to_string()),
        }
    }
    if start < line.len() {
        tokens.texts.push(line[start..].to_owned());
    }
    tokens
}

fn is_delimiter(char: char) -> bool {
    static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\p{P}$").expect("a constant pattern"));
    match char {
        ' ' | '=' => true,
        '_' | '-' | '.' | ':' | '/' => false,
        // Symbols such as `+` and `<` are no punctuation.
        '$' | '+' | '<' | '>' | '^' | '`' | '|' | '~' => false,
        _ if char.is_ascii() => char.is_ascii_punctuation(),
        _ => PUNCTUATION.is_match(char.encode_utf8(&mut [0; 4])),
    }
}

fn joined(tokens: &Tokens) -> String {
    let mut text = String::new();
    let mut blanks = tokens.blanks.iter().peekable();
    for (index, token) in tokens.texts.iter().enumerate() {
        while blanks.next_if(|before| **before <= index).is_some() {
            text.push(' ');
        }
        text.push_str(token);
    }
    text.extend(blanks.map(|_| ' '));
    text
}

fn pairs(line: &str) -> Option<Tokens> {
    let mut texts = Vec::new();
    let mut scanner = LogfmtScanner::new(line.as_bytes());
    while !scanner.at_end() {
        let Some(pair) = scanner.pair() else {
            // The end of the line after a blank is none of the pair's faults.
            if scanner.fault().is_some() {
                return None;
            }
            continue;
        };
        let key = String::from_utf8_lossy(pair.key).into_owned();
        let varies = key == "t" || VARIABLE_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known));
        texts.push(key);
        texts.push(if varies { PLACEHOLDER.to_owned() } else { String::from_utf8_lossy(&pair.value).into_owned() });
    }
    Some(Tokens { texts, blanks: Vec::new() })
}

fn joined_pairs(texts: &[String]) -> String {
    let pair = |pair: &[String]| match pair {
        [key, value] if needs_quotes(value) => format!("{key}={}", model::quote::go_quote(value)),
        [key, value] => format!("{key}={value}"),
        _ => unreachable!("keys and values come in pairs"),
    };
    texts.chunks_exact(2).map(pair).collect::<Vec<_>>().join(" ")
}

fn needs_quotes(value: &str) -> bool {
    value.chars().any(|c| c <= ' ' || matches!(c, '=' | '"' | '\u{fffd}'))
}

fn message(line: &str) -> Option<String> {
    let mut found: [Option<String>; JSON_MESSAGES.len()] = Default::default();
    let read = each_member(line.as_bytes(), |key, value| {
        let place = JSON_MESSAGES.iter().position(|name| name.as_bytes() == key);
        if let Some(place) = place.filter(|_| value.kind == JsonKind::Text) {
            found[place].get_or_insert_with(|| value.label_text().into_owned());
        }
        Ok(())
    });
    read.ok()?;
    found.into_iter().flatten().next()
}

/// Writes runs of placeholders as one.
fn without_repeats(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PLACEHOLDER) {
        out.push_str(&rest[..at]);
        if !(at == 0 && out.ends_with(PLACEHOLDER)) {
            out.push_str(PLACEHOLDER);
        }
        rest = &rest[at + PLACEHOLDER.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str, format: Format) -> Option<Vec<String>> {
        tokenize(line, format).map(|tokens| tokens.texts)
    }

    #[test]
    fn formats() {
        assert_eq!(Format::of(r#"{"a":1}"#), Format::Json);
        assert_eq!(Format::of("level=info msg=\"a b\" n=1 "), Format::Logfmt);
        for line in ["", "a b", "level=info and words", "{", "a=\"open"] {
            assert_eq!(Format::of(line), Format::Text, "{line}");
        }
    }

    #[test]
    fn text_is_cut_and_put_together() {
        let line = "10.0.0.1 - - [t]  \"GET /a-b_c?x=1 HTTP/1.1\" 200 – end ";
        let want =
            ["10.0.0.1", "-", "-", "[", "t", "]", "\"", "GET", "/a-b_c", "?", "x", "=", "1", "HTTP/1.1", "\"", "200", "–", "end"];
        assert_eq!(texts(line, Format::Text).unwrap(), want);
        assert_eq!(text(&tokenize(line, Format::Text).unwrap(), Format::Text), line);
    }

    #[test]
    fn logfmt_is_keys_and_values() {
        let line = "ts=2026-01-01T00:00:00Z level=info msg=\"two words\" traceID=abc e=";
        let want = ["ts", "<_>", "level", "info", "msg", "two words", "traceID", "<_>", "e", ""];
        assert_eq!(texts(line, Format::Logfmt).unwrap(), want);
        let tokens = tokenize(line, Format::Logfmt).unwrap();
        assert_eq!(text(&tokens, Format::Logfmt), "ts=<_> level=info msg=\"two words\" traceID=<_> e=");
        assert_eq!(tokenize("a=1 b=2 c=\"open", Format::Logfmt), None);
    }

    #[test]
    fn of_json_the_message_is_read() {
        let line = r#"{"msg":"later","message":"user \"x\" logged in","n":1}"#;
        let tokens = tokenize(line, Format::Json).unwrap();
        assert_eq!(text(&tokens, Format::Json), "<_>user \"x\" logged in<_>");
        assert_eq!(tokenize(r#"{"n":"one two three four five"}"#, Format::Json), None);
    }

    #[test]
    fn dumps_and_stubs_are_left_out() {
        assert_eq!(tokenize("only three words", Format::Text), None);
        assert_eq!(tokenize(&"a ".repeat(81), Format::Text), None);
        assert_eq!(tokenize(&"a".repeat(3_001), Format::Text), None);
    }

    #[test]
    fn runs_of_placeholders_are_one() {
        for (text, want) in [("a<_><_><_>b<_>", "a<_>b<_>"), ("<_> <_>", "<_> <_>"), ("<_>", "<_>"), ("<_<_>>", "<_<_>>")] {
            assert_eq!(without_repeats(text), want);
        }
    }
}
