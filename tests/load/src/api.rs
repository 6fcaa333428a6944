//! Scripts of API requests, and transcripts of what a server answered: recorded from a real Prometheus, compared with Lamella.
//!
//! ```text
//! script      GET /api/v1/query?query=up          one request a line; POST … form; @file is a body; `header: value` lines before it
//! transcript  > GET /api/v1/query?query=up        the request again
//!             < 200                               status, then the headers that matter
//!             < content-type: application/json
//!             {"status":"success",…}
//! ```
//! Owns: both formats, sending over HTTP, what counts as the same answer. Does not own: the in-process run (`suite`).

mod data;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

pub use data::{END_S, written};

/// Headers that are part of an answer.
const HEADERS: [&str; 6] = [
    "content-type",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "x-content-type-options",
];

/// Which server to record.
#[derive(Args)]
pub struct Options {
    /// Base URL of a Prometheus with its remote-write and OTLP receivers on and an empty database.
    #[arg(long)]
    url: String,
    /// The script; its transcript goes to standard output.
    #[arg(long)]
    script: PathBuf,
}

/// What must be the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sameness {
    /// Status, headers, body.
    Exact,
    /// Status, headers, names and types in the body: times and versions are the server's own.
    Shape,
    /// Status: what is said with it is other, the script says why.
    Status,
    /// Whether the request was done.
    Outcome,
    /// Nothing: the script says why, and the answers do differ.
    Different,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// How it is compared.
    pub sameness: Sameness,
    /// As in the script, and in the transcript.
    pub line: String,
    /// HTTP method.
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Those of its headers that matter, by name.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Answer {
    /// Makes an answer; `header` looks one up.
    pub fn new(status: u16, header: impl Fn(&str) -> Option<String>, body: String) -> Answer {
        let headers = HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?))).collect();
        Answer { status, headers, body }
    }
}

/// Records a transcript.
pub fn run(options: &Options) -> Result<()> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build().into();
    let send = |request: &Request| -> Result<Answer> {
        let mut built =
            ureq::http::Request::builder().method(request.method.as_str()).uri(format!("{}{}", options.url, request.target));
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let mut response = agent.run(built.body(request.body.clone())?)?;
        let text = String::from_utf8_lossy(&response.body_mut().read_to_vec()?).into_owned();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer::new(response.status().as_u16(), header, text))
    };
    let write = written()?;
    let sent = send(&write)?;
    if sent.status != 204 {
        bail!("the series were not taken: {} {}", sent.status, sent.body);
    }
    for request in script(&options.script)? {
        print!("{}", entry(&request.line, &send(&request)?));
    }
    Ok(())
}

/// Reads a script.
pub fn script(path: &Path) -> Result<Vec<Request>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let (mut requests, mut headers) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once(": ") {
            Some((name, value)) if !name.contains([' ', '/']) => headers.push((name.to_owned(), value.to_owned())),
            _ => requests.push(request(line, std::mem::take(&mut headers), path)?),
        }
    }
    Ok(requests)
}

fn request(line: &str, mut headers: Vec<(String, String)>, script: &Path) -> Result<Request> {
    let (sameness, rest) = match line.split_once(' ') {
        Some(("shape", rest)) => (Sameness::Shape, rest),
        Some(("status", rest)) => (Sameness::Status, rest),
        Some(("outcome", rest)) => (Sameness::Outcome, rest),
        Some(("differs", rest)) => (Sameness::Different, rest),
        _ => (Sameness::Exact, line),
    };
    let (method, rest) = rest.split_once(' ').with_context(|| format!("{line:?} is no request"))?;
    let (target, form) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut content_type = |value: &str| {
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type".to_owned(), value.to_owned()));
        }
    };
    let body = match form.strip_prefix('@') {
        Some(file) => {
            content_type(if file.ends_with(".json") { "application/json" } else { "application/x-protobuf" });
            let path = script.with_file_name(file);
            std::fs::read(&path).with_context(|| format!("read {}", path.display()))?
        }
        None if method == "POST" => {
            content_type("application/x-www-form-urlencoded");
            encoded(form).into_bytes()
        }
        None => Vec::new(),
    };
    Ok(Request { sameness, line: line.to_owned(), method: method.to_owned(), target: encoded(target), headers, body })
}

/// Percent-encodes what a URL must not have; everything else, escapes among it, stays as written. `␣` is a space.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.replace('␣', " ").bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'[' | b']' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b' ' | 0..=0x1f | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(byte as char),
        }
    }
    out
}

/// Returns one entry of a transcript.
pub fn entry(line: &str, answer: &Answer) -> String {
    let mut out = format!("> {line}\n< {}\n", answer.status);
    for (name, value) in &answer.headers {
        let _ = writeln!(out, "< {name}: {value}");
    }
    let end = if answer.body.is_empty() || answer.body.ends_with('\n') { "" } else { "\n" };
    let _ = writeln!(out, "{}{end}", answer.body);
    out
}

/// Reads a transcript: request lines with their answers, bodies without the last line end.
pub fn transcript(text: &str) -> Vec<(String, Answer)> {
    let mut entries: Vec<(String, Answer)> = Vec::new();
    for line in text.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            entries.push((request.to_owned(), Answer::default()));
            continue;
        }
        let Some((_, answer)) = entries.last_mut() else { continue };
        match line.strip_prefix("< ").map(|head| head.split_once(": ")) {
            Some(Some((name, value))) => answer.headers.push((name.to_owned(), value.to_owned())),
            Some(None) => answer.status = line[2..].parse().unwrap_or(0),
            None => answer.body += &format!("{line}\n"),
        }
    }
    entries.iter_mut().for_each(|(_, answer)| answer.body.truncate(answer.body.trim_end_matches('\n').len()));
    entries
}

/// Says how an answer differs from the one recorded; `None` where it is as it should be.
pub fn difference(sameness: Sameness, recorded: &Answer, ours: &Answer) -> Option<String> {
    let found = match sameness {
        Sameness::Outcome if (recorded.status < 300) == (ours.status < 300) => None,
        Sameness::Status | Sameness::Outcome => {
            (recorded.status != ours.status).then(|| format!("status {}, ours {}", recorded.status, ours.status))
        }
        _ => differs(sameness == Sameness::Shape, recorded, ours),
    };
    match (sameness, found) {
        (Sameness::Different, None) => Some("the answers are the same, the script says they differ".to_owned()),
        (Sameness::Different, Some(_)) => None,
        (_, found) => found,
    }
}

fn differs(shape: bool, recorded: &Answer, ours: &Answer) -> Option<String> {
    let body = ours.body.trim_end_matches('\n');
    if (recorded.status, &recorded.headers) != (ours.status, &ours.headers) {
        let head = |answer: &Answer| format!("{} {:?}", answer.status, answer.headers);
        return Some(format!("recorded {}\n    ours     {}\n    {body:.300}", head(recorded), head(ours)));
    }
    if body == recorded.body {
        return None;
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (Some(theirs), Some(mine)) = (parse(&recorded.body), parse(body)) else {
        return Some(format!("recorded {:.60000}\n    ours     {body:.60000}", recorded.body));
    };
    let same = if shape { shape_of(&theirs) == shape_of(&mine) } else { ordered(theirs) == ordered(mine) };
    (!same).then(|| format!("recorded {:.60000}\n    ours     {body:.60000}", recorded.body))
}

/// Sorts the lists that a map or the order of series in storage gave their order: results, series, notices.
fn ordered(mut answer: Value) -> Value {
    let by_text = |list: &mut Value| {
        if let Some(items) = list.as_array_mut() {
            items.sort_by_cached_key(Value::to_string);
        }
    };
    for pointer in ["/data/result", "/data", "/warnings", "/infos"] {
        answer.pointer_mut(pointer).into_iter().for_each(by_text);
    }
    answer
}

/// Replaces every value by its type.
fn shape_of(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.first().map(shape_of).into_iter().collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(name, value)| (name.clone(), shape_of(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_read_back() {
        let answer = Answer {
            status: 400,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            body: "two\nlines".to_owned(),
        };
        let text = entry("GET /a?b", &answer) + &entry("GET /c", &Answer { status: 204, ..Answer::default() });
        assert_eq!(
            transcript(&text),
            [("GET /a?b".to_owned(), answer), ("GET /c".to_owned(), Answer { status: 204, ..Answer::default() })]
        );
        assert_eq!(encoded(r#"/q?a={b="é␣"}%2B"#), "/q?a=%7Bb=%22%C3%A9%20%22%7D%2B");
    }

    #[test]
    fn answers_compare() {
        let answer = |body: &str| Answer { status: 200, headers: vec![], body: body.to_owned() };
        let (a, b) = (answer(r#"{"warnings":["x","y"],"data":{"t":1}}"#), answer(r#"{"warnings":["y","x"],"data":{"t":2}}"#));
        assert!(difference(Sameness::Exact, &a, &b).is_some());
        assert!(difference(Sameness::Shape, &a, &b).is_none());
        assert!(difference(Sameness::Different, &a, &b).is_none());
        assert!(difference(Sameness::Different, &a, &a).is_some());
    }
}
