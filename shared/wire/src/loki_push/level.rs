//! `detected_level`: what Loki writes into the structured metadata of every entry.
//!
//! First a field of the labels or the structured metadata, then `severity_number`, then a field of the line, then a word of it.

use std::borrow::Cow;

use crate::canonical::Pair;

/// Names of fields that hold a level, the first one present counts.
const FIELDS: [&str; 17] = [
    "detected_level",
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
    "loglevel",
    "log_level",
];
/// Objects within objects in which a field of a JSON line is looked for.
const DEPTH_MAX: usize = 2;
/// Bytes of a line in which a level is looked for.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Returns the level that labels name, as it is normalised.
pub fn of_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<String> {
    FIELDS
        .iter()
        .find_map(|wanted| fields.clone().find(|(name, _)| name == wanted))
        .map(|(_, value)| normalised(value).into_owned())
}

/// Returns the level of an entry whose stream labels name none.
pub(crate) fn of_entry<'a>(metadata: &[Pair<'a>], line: &'a [u8]) -> Cow<'a, str> {
    let text = |wanted: &str| {
        metadata.iter().find(|(name, _)| *name == wanted.as_bytes()).and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    if let Some(value) = FIELDS.iter().find_map(|wanted| text(wanted)) {
        return normalised(value);
    }
    if let Some(number) = text("severity_number") {
        return Cow::Borrowed(of_number(number));
    }
    of_line(&line[..line.len().min(LINE_BYTES_MAX)])
}

/// Normalises a level's name; an unknown one stays as it is.
fn normalised(value: &str) -> Cow<'_, str> {
    known(value).map_or(Cow::Borrowed(value), Cow::Borrowed)
}

fn known(value: &str) -> Option<&'static str> {
    let is = |names: &[&str]| names.iter().any(|name| value.eq_ignore_ascii_case(name));
    Some(match value {
        _ if is(&["trace", "trc"]) => "trace",
        _ if is(&["debug", "dbg"]) => "debug",
        _ if is(&["info", "inf", "information", "informational"]) => "info",
        _ if is(&["warn", "wrn", "warning"]) => "warn",
        _ if is(&["error", "err"]) => "error",
        _ if is(&["critical", "crit"]) => "critical",
        _ if is(&["fatal"]) => "fatal",
        _ => return None,
    })
}

/// OpenTelemetry's severity numbers.
fn of_number(number: &str) -> &'static str {
    match number.parse::<i64>() {
        Err(_) => "info",
        Ok(1..=4) => "trace",
        Ok(5..=8) => "debug",
        Ok(9..=12) => "info",
        Ok(13..=16) => "warn",
        Ok(17..=20) => "error",
        Ok(21..=24) => "fatal",
        Ok(_) => "unknown",
    }
}

fn of_line(line: &[u8]) -> Cow<'static, str> {
    let trimmed = line.trim_ascii();
    let field = match (trimmed.first(), trimmed.last()) {
        (Some(b'{'), Some(b'}')) => json_field(trimmed),
        _ => logfmt_field(line),
    };
    let field = field.and_then(|value| std::str::from_utf8(value).ok()).and_then(known);
    Cow::Borrowed(field.unwrap_or_else(|| of_words(line)))
}

fn is_field(name: &[u8]) -> bool {
    FIELDS[1..].iter().any(|field| field.as_bytes() == name)
}

/// Finds the first field of a logfmt line that holds a level.
fn logfmt_field(line: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'=', &line[from..]).map(|at| from + at) {
        let start = memchr::memrchr2(b' ', b'\t', &line[..at]).map_or(0, |space| space + 1);
        let rest = &line[at + 1..];
        let (value, len) = match rest.first() {
            Some(b'"') => {
                let end = quoted_end(rest);
                (&rest[1..end.saturating_sub(1).max(1)], end)
            }
            _ => {
                let end = memchr::memchr2(b' ', b'\t', rest).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        if start >= from && is_field(&line[start..at]) {
            return Some(value);
        }
        from = at + 1 + len;
    }
    None
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

/// Finds the first string field of a JSON line that holds a level, by scanning keys.
fn json_field(line: &[u8]) -> Option<&[u8]> {
    let (mut at, mut depth) = (0, 0usize);
    let mut key: Option<&[u8]> = None;
    while at < line.len() {
        match line[at] {
            b'"' => {
                let end = at + quoted_end(&line[at..]);
                let text = line.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                let after = line[end..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|skip| line[end + skip]);
                match key.take() {
                    Some(name) if depth <= DEPTH_MAX && is_field(name) => return Some(text),
                    Some(_) => {}
                    None if after == Some(b':') => key = Some(text),
                    None => {}
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                key = None;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => key = None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Words that tell a level, in the order in which they are looked for.
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

/// Finds the first word of [`WORDS`] that stands on its own. Only its first occurrence counts (Loki).
fn of_words(line: &[u8]) -> &'static str {
    // One pass instead of nine: a level's word starts after a boundary, so only those places are looked at.
    let mut best = WORDS.len();
    let mut seen = [false; WORDS.len()];
    for at in 0..line.len() {
        if !matches!(line[at] | 0x20, b't' | b'd' | b'f' | b'c' | b'e' | b'w' | b'i') {
            continue;
        }
        for (index, (word, _)) in WORDS.iter().enumerate().take(best) {
            let end = at + word.len();
            if seen[index]
                || line[at] | 0x20 != word.as_bytes()[0]
                || end > line.len()
                || !line[at..end].eq_ignore_ascii_case(word.as_bytes())
            {
                continue;
            }
            seen[index] = true;
            let before = at == 0 || is_boundary(line[at - 1]);
            if before && line.get(end).is_none_or(|byte| is_boundary(*byte)) {
                best = index;
                break;
            }
        }
    }
    WORDS.get(best).map_or("unknown", |(_, level)| level)
}

fn is_boundary(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'<' | b'>' | b'-') || byte >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        let check = |line: &'static str, level: &str| assert_eq!(of_entry(&[], line.as_bytes()), level, "{line}");
        check("level=INFO x", "info");
        check("msg=\"a level=debug\" lvl=warn", "warn");
        check("{\"a\":{\"level\":\"fatal\"}}", "fatal");
        check("{\"level\":3}", "unknown");
        check("[WARN] x", "warn");
        check("terror", "unknown");
        check("level=foo error", "error");
        check("", "unknown");
        assert_eq!(of_entry(&[(b"severity_number", b"17")], b"x"), "error");
        assert_eq!(of_fields([("lvl", "inf")].into_iter()), Some("info".to_owned()));
    }

    #[test]
    fn as_loki_where_its_cases_are_present() {
        let Ok(text) =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/logql/level_cases.json"))
        else {
            return;
        };
        let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
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
            let metadata: Vec<Pair<'_>> = metadata.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let level = of_fields(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .unwrap_or_else(|| of_entry(&metadata, case["line"].as_str().unwrap().as_bytes()).into_owned());
            if level != case["detected_level"].as_str().unwrap() {
                failed.push(format!("{case}: {level}"));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }
}
