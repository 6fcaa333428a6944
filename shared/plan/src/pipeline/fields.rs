//! Which fields lines have: what a client may offer as filters, found by reading a sample of lines as JSON, else as logfmt.
//!
//! The rules are those of Loki's `detected_fields` (query frontend, August 2026): metadata counts without a parser; what the
//! query's own stages parsed counts with the parser of the line; the type is that of the value seen last.

use hashbrown::{HashMap, HashSet};
use model::{LabelSet, go_float};

use super::hints::Hints;
use super::json::{JsonKind, JsonValue, each_member};
use super::labels::{Category, ERROR, ERROR_DETAILS, EXTRACTED_SUFFIX, Labels, PRESERVE_ERROR, push_sanitized};
use super::parsers::{JSON_DEPTH_MAX, json, logfmt};
use super::stage::Logfmt;
use super::units::{format_bytes, parse_bytes, parse_go_duration};
use crate::value::{Entry, StreamEntries};

/// What a field's values look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true`, `false` and their short forms.
    Boolean,
    /// `1m30s`
    Duration,
    /// `20kB`
    Bytes,
    /// Anything else.
    String,
}

impl FieldKind {
    /// Returns the API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldKind::Int => "int",
            FieldKind::Float => "float",
            FieldKind::Boolean => "boolean",
            FieldKind::Duration => "duration",
            FieldKind::Bytes => "bytes",
            FieldKind::String => "string",
        }
    }

    fn of(value: &str) -> FieldKind {
        const BOOLEANS: [&str; 12] = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
        if value.parse::<i64>().is_ok() {
            FieldKind::Int
        } else if go_float::parse(value).is_ok() {
            FieldKind::Float
        } else if BOOLEANS.contains(&value) {
            FieldKind::Boolean
        } else if parse_go_duration(value).is_ok() {
            FieldKind::Duration
        } else if parse_bytes(value).is_ok() {
            FieldKind::Bytes
        } else {
            FieldKind::String
        }
    }
}

/// A field found in lines or metadata.
#[derive(Clone, PartialEq, Debug)]
pub struct Field {
    /// Its label.
    pub name: String,
    /// What its values look like.
    pub kind: FieldKind,
    /// Parsers that find it: `json`, `logfmt`; none for metadata.
    pub parsers: Vec<&'static str>,
    /// Keys from the object's root, where it is JSON's.
    pub json_path: Vec<String>,
    /// Distinct values in the sample.
    pub cardinality: u64,
}

/// Finds the fields of entries whose labels are categorised, at most `limit`, in the order they are met.
pub fn fields(streams: &[StreamEntries], limit: usize) -> Vec<Field> {
    let mut found = Found { limit, ..Found::default() };
    let mut reader = Reader::default();
    for (stream, entry) in entries(streams) {
        for (name, value) in entry.metadata.iter() {
            found.add(name, value, None, &[]);
        }
        let parser = reader.read(stream, entry);
        let paths = if parser == Some(JSON) { json_paths(&entry.line, stream, &reader.pairs) } else { HashMap::new() };
        for (name, value) in &reader.pairs {
            found.add(name, value, parser, paths.get(name).map_or(&[], Vec::as_slice));
        }
    }
    found.fields
}

/// Finds the values of one field, in the order they are met, until there are `limit`; byte sizes in a form that a query can hold.
pub fn field_values(streams: &[StreamEntries], name: &str, limit: usize) -> Vec<String> {
    let mut values = Vec::new();
    let mut known = HashSet::new();
    let mut reader = Reader::default();
    for (stream, entry) in entries(streams) {
        if values.len() >= limit {
            break;
        }
        let mut add = |value: String| {
            if known.insert(value.clone()) {
                values.push(value);
            }
        };
        if let Some(value) = entry.metadata.get(name) {
            add(value.to_owned());
        }
        reader.read(stream, entry);
        for (_, value) in reader.pairs.iter().filter(|(known, _)| known == name) {
            add(queryable_bytes(value).unwrap_or_else(|| value.clone()));
        }
    }
    values
}

/// Returns a byte size as LogQL reads it, without the blank of `2 kB`; `None` for what is no size, or has no unit.
fn queryable_bytes(value: &str) -> Option<String> {
    let bytes = parse_bytes(value).ok()?;
    value.ends_with(|c: char| c.is_ascii_alphabetic()).then(|| format_bytes(bytes))
}

fn entries(streams: &[StreamEntries]) -> impl Iterator<Item = (&LabelSet, &Entry)> {
    streams.iter().flat_map(|stream| stream.entries.iter().map(|entry| (&stream.labels, entry)))
}

const JSON: &str = "json";
const LOGFMT: &str = "logfmt";

/// Reads lines one after the other into the same memory.
#[derive(Default)]
struct Reader {
    labels: Labels,
    hints: Hints,
    flags: Logfmt,
    /// What the entry's fields are: those the query's stages parsed, then those of the line. A name may occur twice.
    pairs: Vec<(String, String)>,
}

impl Reader {
    fn read(&mut self, stream: &LabelSet, entry: &Entry) -> Option<&'static str> {
        let errors = [ERROR, ERROR_DETAILS, PRESERVE_ERROR];
        let parsed = entry.parsed.iter().filter(|(name, _)| !errors.contains(name));
        self.pairs = parsed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let parser = self.parse(stream, entry)?;
        let pairs = &mut self.pairs;
        self.labels.for_each(|name, value, category| {
            let known = category != Category::Parsed || value.is_empty() || errors.contains(&name);
            if !known && !pairs.iter().any(|(n, v)| n == name && v == value) {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        });
        Some(parser)
    }

    /// Parses a line as a query that begins with a parser would. Names that the query's stages have set are free again.
    fn parse(&mut self, stream: &LabelSet, entry: &Entry) -> Option<&'static str> {
        let stream = stream.retain(|name| entry.parsed.get(name).is_none());
        self.labels.start(&stream, &LabelSet::empty());
        if json(&entry.line, &mut self.labels, &self.hints) && !self.labels.has_error() {
            return Some(JSON);
        }
        self.labels.start(&stream, &LabelSet::empty());
        let read = logfmt(&entry.line, &self.flags, &mut self.labels, &self.hints) && !self.labels.has_error();
        read.then_some(LOGFMT)
    }
}

#[derive(Default)]
struct Found {
    fields: Vec<Field>,
    places: HashMap<String, usize>,
    /// Values seen, by the field's place.
    values: HashSet<(usize, String)>,
    limit: usize,
}

impl Found {
    fn add(&mut self, name: &str, value: &str, parser: Option<&'static str>, path: &[String]) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None if self.fields.len() >= self.limit => return,
            None => {
                let (kind, parsers, json_path) = (FieldKind::String, Vec::new(), Vec::new());
                self.fields.push(Field { name: name.to_owned(), kind, parsers, json_path, cardinality: 0 });
                self.places.insert(name.to_owned(), self.fields.len() - 1);
                self.fields.len() - 1
            }
        };
        let field = &mut self.fields[place];
        field.kind = FieldKind::of(value);
        if let Some(parser) = parser.filter(|parser| !field.parsers.contains(parser)) {
            field.parsers.push(parser);
        }
        if parser == Some(JSON) {
            field.json_path = path.to_vec();
        }
        field.cardinality += u64::from(self.values.insert((place, value.to_owned())));
    }
}

/// Returns where in the object the fields come from. The first path of a name counts, as its first value does.
fn json_paths(line: &[u8], stream: &LabelSet, pairs: &[(String, String)]) -> HashMap<String, Vec<String>> {
    let mut walk = Walk { stream, pairs, path: Vec::new(), paths: HashMap::new() };
    // The line was read as JSON without an error before.
    let _ = walk.object(line, &mut String::new());
    walk.paths
}

struct Walk<'a> {
    stream: &'a LabelSet,
    pairs: &'a [(String, String)],
    path: Vec<String>,
    paths: HashMap<String, Vec<String>>,
}

impl Walk<'_> {
    fn object(&mut self, text: &[u8], prefix: &mut String) -> Result<(), super::json::Stop> {
        each_member(text, |key, value| {
            let len = prefix.len();
            let key = String::from_utf8_lossy(key);
            if len > 0 && !key.trim().is_empty() {
                prefix.push('_');
            }
            push_sanitized(prefix, &key);
            self.path.push(key.into_owned());
            let result = self.member(value, prefix);
            self.path.pop();
            prefix.truncate(len);
            result
        })
    }

    fn member(&mut self, value: JsonValue<'_>, name: &mut String) -> Result<(), super::json::Stop> {
        match value.kind {
            JsonKind::Object if self.path.len() <= JSON_DEPTH_MAX => self.object(value.raw, name),
            JsonKind::Text | JsonKind::Number | JsonKind::Boolean => {
                let suffix = if self.stream.get(name).is_some() { EXTRACTED_SUFFIX } else { "" };
                let name = format!("{name}{suffix}");
                if self.pairs.iter().any(|(known, _)| *known == name) {
                    self.paths.entry(name).or_insert_with(|| self.path.clone());
                }
                Ok(())
            }
            JsonKind::Object | JsonKind::Array | JsonKind::Null => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str, metadata: &[(&str, &str)]) -> Entry {
        let metadata = LabelSet::from_pairs(metadata.iter().copied());
        Entry { timestamp: 0, line: line.as_bytes().to_vec(), metadata, parsed: LabelSet::empty() }
    }

    fn stream(entries: Vec<Entry>) -> Vec<StreamEntries> {
        vec![StreamEntries { labels: LabelSet::from_pairs([("app", "a"), ("level", "x")]), entries }]
    }

    fn told(streams: &[StreamEntries], limit: usize) -> Vec<String> {
        let tell = |field: Field| {
            let Field { name, kind, parsers, json_path, cardinality } = field;
            format!("{name} {} {cardinality} [{}] /{}", kind.as_str(), parsers.join(","), json_path.join("/"))
        };
        fields(streams, limit).into_iter().map(tell).collect()
    }

    #[test]
    fn lines_are_read_as_json_else_as_logfmt() {
        let streams = stream(vec![
            entry(r#"{"level":"info","http":{"status":200,"a b":"x"},"tags":["t"],"n":1.5}"#, &[("trace", "t1")]),
            entry("level=warn n=2.5 took=3ms size=2kB ok=true broken", &[("trace", "t2")]),
            entry("", &[]),
        ]);
        let want = [
            "trace string 2 [] /",
            "level_extracted string 2 [json,logfmt] /level",
            "http_status int 1 [json] /http/status",
            "http_a_b string 1 [json] /http/a b",
            "n float 2 [json,logfmt] /n",
            "took duration 1 [logfmt] /",
            "size bytes 1 [logfmt] /",
            "ok boolean 1 [logfmt] /",
        ];
        assert_eq!(told(&streams, 100), want);
        assert_eq!(told(&streams, 2), want[..2]);
    }

    #[test]
    fn what_the_query_parsed_counts() {
        let mut parsed = entry("plain words", &[]);
        parsed.parsed = LabelSet::from_pairs([("__error__", "E"), ("ip", "10.0.0.1"), ("level", "debug")]);
        assert_eq!(told(&stream(vec![parsed]), 100), ["ip string 1 [logfmt] /", "level string 1 [logfmt] /"]);
    }

    #[test]
    fn values_are_distinct_and_bounded() {
        let lines = ["size=\"2 kB\"", "size=2kB", "size=7", "size=x", "size=9"];
        let streams = stream(lines.iter().map(|line| entry(line, &[("m", line)])).collect());
        assert_eq!(field_values(&streams, "size", 3), ["2.0kB", "7", "x"]);
        assert_eq!(field_values(&streams, "m", 2), ["size=\"2 kB\"", "size=2kB"]);
        assert!(field_values(&streams, "none", 2).is_empty());
    }

    #[test]
    fn hostile_nesting_ends() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
        assert_eq!(told(&stream(vec![entry(&deep, &[])]), 10), Vec::<String>::new());
    }
}
