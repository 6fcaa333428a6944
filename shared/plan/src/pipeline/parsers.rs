//! What `json`, `logfmt` and `unpack` make of a line: labels, and an error beside those read before it.

use std::borrow::Cow;

use super::hints::Hints;
use super::json::{JsonKind, JsonValue, Stop, each_member};
use super::json_path::JsonPath;
use super::labels::{Category, ERROR, EXTRACTED_SUFFIX, Labels, PRESERVE_ERROR, clean_text, go_text, push_sanitized};
use super::logfmt::LogfmtScanner;
use super::stage::Logfmt;

const JSON_ERROR: &str = "JSONParserErr";
const LOGFMT_ERROR: &str = "LogfmtParserErr";

/// Where `regexp` and `pattern` put what they find.
pub(super) struct Parsed<'l> {
    pub labels: &'l mut Labels,
    pub hints: &'l Hints,
    /// Whether the line stays.
    pub keep: bool,
}

impl Parsed<'_> {
    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        let name = parsed_name(name, self.labels);
        if !self.keep || !self.hints.wants(&name) || self.labels.was_extracted(&name) {
            return;
        }
        self.labels.set_parsed(&name, &go_text(value));
        self.keep = self.hints.accepts(&name, self.labels);
    }
}

/// Returns the name a parsed label gets: with the suffix where stream or metadata have it.
fn parsed_name<'n>(name: &'n str, labels: &Labels) -> Cow<'n, str> {
    if labels.collides(name) { Cow::Owned(format!("{name}{EXTRACTED_SUFFIX}")) } else { Cow::Borrowed(name) }
}

fn parser_error(labels: &mut Labels, hints: &Hints, error: &'static str, details: &str) {
    labels.set_error(error, details);
    if hints.preserve_error() {
        labels.set(Category::Parsed, PRESERVE_ERROR, "true");
    }
}

pub(super) fn json(line: &[u8], labels: &mut Labels, hints: &Hints) -> bool {
    if hints.done(labels) {
        return true;
    }
    let mut prefix = String::new();
    match json_object(line, &mut prefix, 0, labels, hints) {
        Ok(()) | Err(Stop::Enough) => true,
        Err(Stop::Drop) => false,
        Err(Stop::Fault(details)) => {
            parser_error(labels, hints, JSON_ERROR, details);
            true
        }
    }
}

/// Objects in objects that are read; deeper ones are skipped. Lines come from outside and the walk is recursive.
pub(super) const JSON_DEPTH_MAX: usize = 64;

fn json_object(text: &[u8], prefix: &mut String, depth: usize, labels: &mut Labels, hints: &Hints) -> Result<(), Stop> {
    each_member(text, |key, value| {
        let len = prefix.len();
        let key = String::from_utf8_lossy(key);
        if len > 0 && !key.trim().is_empty() {
            prefix.push('_');
        }
        push_sanitized(prefix, &key);
        let result = json_member(value, prefix, depth, labels, hints);
        prefix.truncate(len);
        result
    })
}

fn json_member(value: JsonValue<'_>, name: &mut String, depth: usize, labels: &mut Labels, hints: &Hints) -> Result<(), Stop> {
    match value.kind {
        JsonKind::Object if depth < JSON_DEPTH_MAX && hints.wants_prefix(name) => {
            json_object(value.raw, name, depth + 1, labels, hints)?;
        }
        // A blank key names nothing at the top; further down the label gets the name of what holds it.
        JsonKind::Text | JsonKind::Number | JsonKind::Boolean if name.is_empty() && depth == 0 => {}
        JsonKind::Text | JsonKind::Number | JsonKind::Boolean => {
            let name = parsed_name(name, labels);
            if hints.wants(&name) && !labels.was_extracted(&name) {
                labels.set_parsed(&name, &value.label_text());
                if !hints.accepts(&name, labels) {
                    return Err(Stop::Drop);
                }
            }
        }
        JsonKind::Object | JsonKind::Array | JsonKind::Null => {}
    }
    if hints.all_found(labels) { Err(Stop::Enough) } else { Ok(()) }
}

pub(super) fn json_extract(line: &[u8], paths: &[(String, JsonPath)], labels: &mut Labels, hints: &Hints) {
    if line.is_empty() || hints.nothing() {
        return;
    }
    if !matches!(line[0], b'{' | b'[' | b'"') {
        return parser_error(labels, hints, JSON_ERROR, "");
    }
    for (name, path) in paths {
        if let Some(value) = path.find(line) {
            let name = parsed_name(name, labels);
            labels.set(Category::Parsed, &name, &value.label_text());
        }
    }
    for (name, _) in paths {
        if labels.get(name).is_none() {
            labels.set(Category::Parsed, name, "");
        }
    }
}

pub(super) fn logfmt(line: &[u8], flags: &Logfmt, labels: &mut Labels, hints: &Hints) -> bool {
    if hints.done(labels) {
        return true;
    }
    let mut scanner = LogfmtScanner::new(line);
    let mut sanitized = String::new();
    while !scanner.at_end() {
        let Some(pair) = scanner.pair() else {
            if flags.strict && scanner.fault().is_some() {
                break;
            }
            continue;
        };
        sanitized.clear();
        push_sanitized(&mut sanitized, &String::from_utf8_lossy(pair.key));
        let name = parsed_name(&sanitized, labels);
        if name.is_empty() || !hints.wants(&name) || labels.was_extracted(&name) || (pair.value.is_empty() && !flags.keep_empty) {
            continue;
        }
        labels.set_parsed(&name, &clean_text(&pair.value));
        if !hints.accepts(&name, labels) {
            return false;
        }
        if hints.all_found(labels) {
            break;
        }
    }
    match scanner.fault().filter(|_| flags.strict) {
        Some(details) => {
            parser_error(labels, hints, LOGFMT_ERROR, &details);
            hints.accepts(ERROR, labels)
        }
        None => true,
    }
}

pub(super) fn logfmt_extract(line: &[u8], flags: &Logfmt, labels: &mut Labels, hints: &Hints) {
    if hints.nothing() {
        return;
    }
    for extraction in &flags.extractions {
        if !labels.collides(&extraction.name) {
            labels.set(Category::Parsed, &extraction.name, "");
        }
    }
    let named = |name: &str| flags.extractions.iter().find(|extraction| extraction.name == name);
    let mut scanner = LogfmtScanner::new(line);
    let mut key = String::new();
    while !scanner.at_end() {
        let Some(pair) = scanner.pair() else {
            if flags.strict && scanner.fault().is_some() {
                break;
            }
            continue;
        };
        key.clear();
        push_sanitized(&mut key, &String::from_utf8_lossy(pair.key));
        // A key that a parser before has made a label of is not read again under another name.
        let skipped = named(&key).is_none() && (!hints.wants(&key) || labels.was_extracted(&key));
        if key.is_empty() || skipped {
            continue;
        }
        // One key feeds one label; a key that is called as a label is feeds that one, whatever the label's own key.
        let of_key = flags.extractions.iter().find(|extraction| extraction.expression == key);
        let Some(extraction) = of_key.or_else(|| named(&key)) else { continue };
        let name = parsed_name(&extraction.name, labels);
        if matches!(name, Cow::Owned(_)) && (!hints.wants(&name) || labels.was_extracted(&name)) {
            break;
        }
        // Unlike the parser of all keys, this one gives up a value that is no text.
        let value = std::str::from_utf8(&pair.value).ok().filter(|text| !text.contains('\u{fffd}'));
        labels.set(Category::Parsed, &name, value.unwrap_or(""));
        if hints.all_found(labels) {
            break;
        }
    }
    if let Some(details) = scanner.fault().filter(|_| flags.strict) {
        parser_error(labels, hints, LOGFMT_ERROR, &details);
    }
}

pub(super) fn unpack<'a>(line: Cow<'a, [u8]>, labels: &mut Labels, hints: &Hints) -> Option<Cow<'a, [u8]>> {
    if line.is_empty() || hints.nothing() {
        return Some(line);
    }
    if line[0] != b'{' {
        parser_error(labels, hints, JSON_ERROR, "expecting json object(6), but it is not");
        return Some(line);
    }
    let mut entry = None;
    let mut found: Vec<(String, String)> = Vec::new();
    let result = each_member(&line, |key, value| {
        if value.kind == JsonKind::Text {
            if key == b"_entry" {
                entry = Some(value.label_text().into_owned());
            } else {
                let mut name = String::new();
                push_sanitized(&mut name, &String::from_utf8_lossy(key));
                found.push((name, value.label_text().into_owned()));
            }
        }
        Ok(())
    });
    if let Err(Stop::Fault(details)) = result {
        parser_error(labels, hints, JSON_ERROR, details);
        return Some(line);
    }
    let Some(entry) = entry else { return Some(line) };
    let mut parsed = Parsed { labels, hints, keep: true };
    for (name, value) in &found {
        parsed.set(name, value.as_bytes());
    }
    parsed.keep.then(|| Cow::Owned(entry.into_bytes()))
}
