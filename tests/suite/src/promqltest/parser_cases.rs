//! The parser and formatter cases: `cases.json` and `format_cases.json`.

use std::path::Path;

use anyhow::Context;
use promql::{Options, print};
use serde_json::Value;

use super::report::Report;

/// A file of cases and how one of them is run.
type File = (&'static str, fn(&str, &Value) -> Result<(), String>);

const FILES: [File; 2] = [("cases.json", parser_case), ("format_cases.json", format_case)];

/// Bytes a line may have in the prettifier's cases: upstream tests with short lines.
const LINE_BYTES_MAX: usize = 10;

/// Reports whether a folder holds such cases.
pub fn present(folder: &Path) -> bool {
    FILES.iter().any(|(name, _)| folder.join(name).is_file())
}

/// Runs the files that are there; the number of a failed case counts from one.
///
/// # Errors
/// If a file cannot be read or is not a list.
pub fn run(folder: &Path) -> anyhow::Result<Vec<Report>> {
    let present = FILES.iter().filter(|(name, _)| folder.join(name).is_file());
    present.map(|(name, case)| run_file(&folder.join(name), name, *case).with_context(|| format!("run {name}"))).collect()
}

fn run_file(path: &Path, name: &str, run: fn(&str, &Value) -> Result<(), String>) -> anyhow::Result<Report> {
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).context("read")?).context("parse")?;
    let mut report = Report::new(name);
    for (index, case) in cases.iter().enumerate() {
        let text = input(case).with_context(|| format!("case {}", index + 1))?;
        let outcome = std::panic::catch_unwind(|| run(&text, case)).unwrap_or_else(|_| Err("panicked".to_owned()));
        report.add(index + 1, &text, outcome);
    }
    Ok(report)
}

/// Returns the query of a case; bytes that are not UTF-8 are replaced, as the API would.
fn input(case: &Value) -> anyhow::Result<String> {
    if let Some(text) = case["input"].as_str().or(case["in"].as_str()) {
        return Ok(text.to_owned());
    }
    let hex = case["input_bytes_hex"].as_str().context("no input")?;
    let byte = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    Ok(String::from_utf8_lossy(&bytes.context("not hexadecimal")?).into_owned())
}

fn parser_case(text: &str, case: &Value) -> Result<(), String> {
    let options = Options { binop_fill: false, ..Options::all() };
    let wanted = &case["errors"][0];
    match (promql::parse(text, &options), case["ok"].as_bool().unwrap_or_default()) {
        (Ok(_), true) => Ok(()),
        (Ok(_), false) => Err(format!("expected {wanted}\ncame a tree")),
        (Err(error), true) => Err(format!("expected a tree\ncame {error}")),
        (Err(error), false) => {
            let start = wanted["start"].as_u64();
            let same = same_message(wanted, &error.message) && start.is_none_or(|start| start == u64::from(error.span.start));
            if same { Ok(()) } else { Err(format!("expected {wanted}\ncame {error} at byte {}", error.span.start)) }
        }
    }
}

/// Compares a message; in a template `%` stands for anything from there on.
fn same_message(wanted: &Value, found: &str) -> bool {
    let message = wanted["msg"].as_str().unwrap_or_default();
    match message.split_once('%') {
        Some((start, _)) if wanted["msg_is_template"].as_bool() == Some(true) => found.starts_with(start),
        _ => found == message,
    }
}

fn format_case(text: &str, case: &Value) -> Result<(), String> {
    let found = match promql::parse(text, &Options::all()) {
        Ok(expr) if case["kind"] == "printer" => promql::print(&expr),
        Ok(expr) => print::prettify_within(&expr, LINE_BYTES_MAX),
        Err(error) => error.to_string(),
    };
    let wanted = case["out"].as_str().unwrap_or_default();
    if found == wanted { Ok(()) } else { Err(format!("expected {wanted}\ncame {found}")) }
}
