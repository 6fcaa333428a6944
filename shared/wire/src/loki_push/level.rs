//! `detected_level`: what Loki writes into the structured metadata of every entry.
//!
//! First a field of the labels, then of the structured metadata, then `severity_number`, then a field of the line, then the
//! first word of it that is a level's name (upstream `pkg/distributor/field_detection.go`).

use std::borrow::Cow;

use model::limits::LogLimits;

/// Where a tenant's levels are found.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'l> {
    /// Fields that hold a level, in order of preference.
    fields: &'l [String],
    /// Objects within objects that are looked into.
    depth_max: usize,
}

impl<'l> Levels<'l> {
    /// Makes the detector; `None` where levels are not to be detected.
    pub fn of(limits: &'l LogLimits) -> Option<Levels<'l>> {
        let on = limits.levels_detected && limits.metadata_allowed;
        on.then_some(Levels { fields: &limits.level_fields, depth_max: limits.level_depth_max })
    }

    /// Returns the level that labels name, as it is normalised.
    pub fn of_labels<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<Cow<'static, str>> {
        self.fields.iter().find_map(|wanted| labels.clone().find(|(name, _)| name == wanted)).map(|(_, value)| normalised(value))
    }

    /// Returns the level of an entry whose stream labels name none; `metadata` looks up its structured metadata.
    pub(crate) fn of_entry<'a>(&self, metadata: impl Fn(&str) -> Option<&'a str>, line: &[u8]) -> Cow<'static, str> {
        if let Some(value) = self.fields.iter().find_map(|wanted| metadata(wanted)) {
            return normalised(value);
        }
        match metadata("severity_number").filter(|number| !number.is_empty()) {
            Some(number) => Cow::Borrowed(of_number(number)),
            None => self.of_line(line),
        }
    }

    fn of_line(&self, line: &[u8]) -> Cow<'static, str> {
        let trimmed = line.trim_ascii();
        let field = match (trimmed.first(), trimmed.last()) {
            (Some(b'{'), Some(b'}')) => self.json_field(trimmed),
            _ => self.logfmt_field(line),
        };
        let field = field.and_then(|value| std::str::from_utf8(value).ok()).and_then(known);
        Cow::Borrowed(field.unwrap_or_else(|| of_words(line)))
    }

    fn is_field(&self, name: &[u8]) -> bool {
        self.fields.iter().any(|field| field.as_bytes() == name)
    }

    /// Finds the most preferred field of a logfmt line; names are compared in any case. What comes after a syntax error counts
    /// for nothing.
    fn logfmt_field<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        memchr::memchr(b'=', line)?;
        let (mut best, mut found, mut rest) = (self.fields.len(), None, line);
        while best > 0 {
            let Some((key, value, tail)) = next_pair(rest) else { break };
            if let Some(index) = self.fields[..best].iter().position(|field| field.as_bytes().eq_ignore_ascii_case(key)) {
                (best, found) = (index, Some(value));
            }
            rest = tail;
        }
        found
    }

    /// Finds the first string field of a JSON line that holds a level, by scanning keys; lists are not looked into.
    fn json_field<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let (mut at, mut depth, mut lists) = (0, 0usize, 0usize);
        let mut key: Option<&[u8]> = None;
        while at < line.len() {
            match line[at] {
                b'"' => {
                    let end = at + quoted_end(&line[at..]);
                    let text = line.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                    let after = line[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                    match key.take() {
                        Some(name) if lists == 0 && depth <= self.depth_max && self.is_field(name) => return Some(text),
                        Some(_) => {}
                        None if after == Some(&b':') => key = Some(text),
                        None => {}
                    }
                    at = end;
                    continue;
                }
                b'{' => (depth, key) = (depth + 1, None),
                b'}' => depth = depth.saturating_sub(1),
                b'[' => (lists, key) = (lists + 1, None),
                b']' => lists = lists.saturating_sub(1),
                b',' => key = None,
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Normalises a level's name; an unknown one stays as it is.
pub(super) fn normalised(value: &str) -> Cow<'static, str> {
    known(value).map_or_else(|| Cow::Owned(value.to_owned()), Cow::Borrowed)
}

fn known(value: &str) -> Option<&'static str> {
    let is = |names: &[&str]| names.iter().any(|name| value.eq_ignore_ascii_case(name));
    Some(match value {
        _ if is(&["trace", "trc"]) => "trace",
        _ if is(&["debug", "dbg"]) => "debug",
        _ if is(&["info", "inf", "information"]) => "info",
        _ if is(&["warn", "wrn", "warning"]) => "warn",
        _ if is(&["error", "err"]) => "error",
        _ if is(&["critical"]) => "critical",
        _ if is(&["fatal"]) => "fatal",
        _ => return None,
    })
}

/// OpenTelemetry's severity numbers.
fn of_number(number: &str) -> &'static str {
    match number.parse::<i64>() {
        Err(_) => "info",
        Ok(0) => "unknown",
        Ok(..=4) => "trace",
        Ok(5..=8) => "debug",
        Ok(9..=12) => "info",
        Ok(13..=16) => "warn",
        Ok(17..=20) => "error",
        Ok(21..=24) => "fatal",
        Ok(_) => "unknown",
    }
}

/// Reads one pair of a logfmt line: key, value (still escaped) and what follows. `None` at the end and at a syntax error.
fn next_pair(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let start = line.iter().position(|byte| *byte > b' ')?;
    let line = &line[start..];
    let end = line.iter().position(|byte| matches!(byte, 0..=b' ' | b'=' | b'"')).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    match rest {
        [b'"', ..] => None,
        [b'=', ..] if key.is_empty() => None,
        [b'=', b'"', ..] => {
            let end = quoted_end(&rest[1..]);
            let quoted = &rest[1..1 + end];
            let value = (quoted.len() > 1).then(|| quoted[1..].strip_suffix(b"\""))??;
            Some((key, value, &rest[1 + end..]))
        }
        [b'=', value @ ..] => {
            let end = value.iter().position(|byte| matches!(byte, 0..=b' ' | b'=' | b'"')).unwrap_or(value.len());
            let (value, rest) = value.split_at(end);
            (!matches!(rest.first(), Some(b'=' | b'"'))).then_some((key, value, rest))
        }
        _ => Some((key, b"", rest)),
    }
}

/// One past the closing quote of a string that starts at the front.
fn quoted_end(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if text[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Words that tell a level. No two can begin at one place and end at a boundary both.
const WORDS: [(&str, &str); 9] = [
    ("trace", "trace"),
    ("debug", "debug"),
    ("fatal", "fatal"),
    ("critical", "critical"),
    ("error", "error"),
    ("err", "error"),
    ("warning", "warn"),
    ("warn", "warn"),
    ("info", "info"),
];

/// Finds the first word that stands on its own.
fn of_words(line: &[u8]) -> &'static str {
    let starts = |at: usize| at == 0 || may_stand_before(line[at - 1]);
    let word = |at: usize| {
        WORDS.iter().find(|(word, _)| {
            let end = at + word.len();
            line.get(at..end).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
                && line.get(end).is_none_or(|byte| may_stand_behind(*byte))
        })
    };
    let begins = |at: &usize| matches!(line[*at] | 0x20, b't' | b'd' | b'f' | b'c' | b'e' | b'w' | b'i') && starts(*at);
    (0..line.len()).filter(begins).find_map(word).map_or("unknown", |(_, level)| level)
}

fn may_stand_before(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'[' | b'(' | b'{' | b'"' | b'\'' | b'=' | b'|')
}

fn may_stand_behind(byte: u8) -> bool {
    may_stand_before(byte) || matches!(byte, b']' | b')' | b'}' | b':' | b',' | b'!')
}

#[cfg(test)]
mod tests {
    use model::labels::DETECTED_LEVEL;

    use super::*;

    #[test]
    fn levels() {
        let limits = LogLimits::default();
        let levels = Levels::of(&limits).unwrap();
        let check = |line: &'static str, level: &str| assert_eq!(levels.of_entry(|_| None, line.as_bytes()), level, "{line}");
        check("level=INFO x", "info");
        check("msg=\"a level=debug\" lvl=warn", "warn");
        check("lvl=warn level=debug", "debug");
        check("LeVeL=warn", "warn");
        check("a==b level=wrn fatal", "fatal");
        check("{\"a\":{\"level\":\"fatal\"}}", "fatal");
        check("{\"a\":{\"b\":{\"level\":\"wrn\"}}}", "unknown");
        check("{\"a\":[{\"level\":\"wrn\"}]}", "unknown");
        check("{\"level\":3}", "unknown");
        check("[WARN] x", "warn");
        check("terror", "unknown");
        check("info: then error", "info");
        check("misc:error", "unknown");
        check("an error, fatal", "error");
        check("level=foo error", "error");
        check("level=\"err\\n", "unknown");
        check("", "unknown");
        assert_eq!(levels.of_entry(|name| (name == "severity_number").then_some("17"), b"x"), "error");
        assert_eq!(levels.of_entry(|name| (name == "severity_number").then_some(""), b"warn: x"), "warn");
        assert_eq!(levels.of_labels([("lvl", "inf")].into_iter()), Some("info".into()));
        assert!(Levels::of(&LogLimits { levels_detected: false, ..LogLimits::default() }).is_none());
    }

    #[test]
    fn as_loki_where_its_cases_are_present() {
        let Ok(text) =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/logql/level_cases.json"))
        else {
            return;
        };
        let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
        let limits = LogLimits::default();
        let levels = Levels::of(&limits).unwrap();
        let mut failed = Vec::new();
        for case in cases["cases"].as_array().unwrap() {
            let pairs = |key: &str| -> Vec<(String, String)> {
                case[key]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect()
            };
            let (labels, metadata) = (pairs("labels"), pairs("metadata"));
            let text_of = |wanted: &str| metadata.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
            let level = levels
                .of_labels(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .unwrap_or_else(|| levels.of_entry(text_of, case["line"].as_str().unwrap().as_bytes()));
            let level = text_of(DETECTED_LEVEL).map_or(level, normalised);
            if level != case["detected_level"].as_str().unwrap() {
                failed.push(format!("{case}: {level}"));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}
