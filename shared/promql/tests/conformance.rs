//! The parser cases of upstream, where `LAMELLA_CONFORMANCE` names the folder that holds them.
#![allow(clippy::unwrap_used)]

use promql::{Options, parse, print, print::prettify_within};
use serde_json::Value;

fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os("LAMELLA_CONFORMANCE").map(Into::into)
}

fn load(name: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(folder()?.join("promql-parser").join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn input(case: &Value) -> String {
    if let Some(text) = case["input"].as_str() {
        return text.to_owned();
    }
    let hex = case["input_bytes_hex"].as_str().unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Compares a message with an expected one, in which `%f` stands for anything.
fn same(case: &Value, found: &str, wanted: &str) -> bool {
    match wanted.split_once('%') {
        Some((start, _)) if case["msg_is_template"].as_bool() == Some(true) => found.starts_with(start),
        _ => found == wanted,
    }
}

#[test]
fn accepts_and_refuses_as_upstream() {
    let Some(cases) = load("cases.json") else { return };
    let options = Options { binop_fill: false, ..Options::all() };
    let mut failures = Vec::new();
    for case in &cases {
        let text = input(case);
        let wanted = &case["errors"][0];
        let failure = match (parse(&text, &options), case["ok"].as_bool().unwrap()) {
            (Ok(_), true) => None,
            (Ok(_), false) => Some(format!("accepted, wanted {wanted}")),
            (Err(error), true) => Some(format!("refused: {error}")),
            (Err(error), false) => {
                let text_same = same(wanted, &error.message, wanted["msg"].as_str().unwrap());
                let start_same = wanted["start"].as_u64().is_none_or(|start| start == u64::from(error.span.start));
                (!text_same || !start_same).then(|| format!("{error} at {}, wanted {wanted}", error.span.start))
            }
        };
        failures.extend(failure.map(|failure| format!("{text:?}: {failure}")));
    }
    println!("parser cases: {} of {}", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn formats_as_upstream() {
    let Some(cases) = load("format_cases.json") else { return };
    let mut failures = Vec::new();
    for case in &cases {
        let text = case["in"].as_str().unwrap();
        let found = match parse(text, &Options::all()) {
            Ok(expr) if case["kind"] == "printer" => print(&expr),
            Ok(expr) => prettify_within(&expr, 10), // upstream tests with short lines
            Err(error) => error.to_string(),
        };
        let wanted = case["out"].as_str().unwrap();
        if found != wanted {
            failures.push(format!("{text:?}:\nfound  {found:?}\nwanted {wanted:?}"));
        }
    }
    println!("format cases: {} of {}", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn parses_every_query_of_the_suite() {
    let Some(folder) = folder() else { return };
    let (mut count, mut failures) = (0, Vec::new());
    for entry in std::fs::read_dir(folder.join("promqltest")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("eval")) {
            let words = if line.contains(" range from ") { 8 } else { 4 };
            let query = line.splitn(words + 1, char::is_whitespace).last().unwrap().trim();
            count += 1;
            match parse(query, &Options::all()) {
                Ok(expr) => {
                    let printed = print(&expr);
                    match parse(&printed, &Options::all()) {
                        Ok(again) if print(&again) == printed => {}
                        other => failures.push(format!("{query} prints as {printed}: {other:?}")),
                    }
                }
                Err(error) => failures.push(format!("{query}: {error}")),
            }
        }
    }
    println!("suite queries: {} of {count}", count - failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
