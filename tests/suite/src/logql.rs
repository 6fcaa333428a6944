//! LogQL and the Loki API against recorded answers of Loki: `suite logql <folder>`.
//!
//! Owns: reading the five data files, one module per file that says what a case must show to pass, the tally.
//! Does not own: any expectation; the data is the specification (its folder has a README).
//!
//! A part of the server that does not exist yet fails its cases with the reason and stops nothing else.

mod base64;
mod http;
mod level;
mod metric;
mod parse;
mod stage;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use model::LabelSet;
use serde_json::Value;

/// What one case shows: nothing to say, or how it differs.
type Verdict = Result<(), String>;

/// Labels as the data writes them; empty values are significant.
type Pairs = BTreeMap<String, String>;

/// Runs the cases of one file, telling the tally of each.
type Runner = fn(&Value, &mut Tally) -> anyhow::Result<()>;

const FILES: [(&str, Runner); 5] = [
    ("parse_cases.json", parse::run),
    ("stage_cases.json", stage::run),
    ("metric_cases.json", metric::run),
    ("level_cases.json", level::run),
    ("http_cases.json", http::run),
];

/// Runs every data file of `folder`, prints a line per file and a closing line, and returns how many cases passed and failed.
///
/// # Errors
/// If the folder has none of the files, one is not what it should be, or fewer cases of one pass than `floors` want.
pub fn run(folder: &Path, show_failures: bool, floors: &[Floor]) -> anyhow::Result<(usize, usize)> {
    if !folder.is_dir() {
        bail!("no such folder: {}", folder.display());
    }
    let present: Vec<_> = FILES.iter().filter(|(file, _)| folder.join(file).is_file()).collect();
    if present.is_empty() {
        bail!("{} has none of {}", folder.display(), FILES.map(|(file, _)| file).join(", "));
    }
    let mut total = (0, 0);
    for (file, runner) in present {
        let tally = run_file(&folder.join(file), *runner).with_context(|| format!("run {file}"))?;
        println!("{file} {} passed {} failed", tally.passed, tally.failures.len());
        tally.check(file, floors)?;
        if show_failures {
            tally.failures.iter().for_each(|failure| println!("  {failure}"));
        }
        total = (total.0 + tally.passed, total.1 + tally.failures.len());
    }
    println!("{} passed, {} failed", total.0, total.1);
    Ok(total)
}

fn run_file(path: &Path, runner: Runner) -> anyhow::Result<Tally> {
    let text = std::fs::read_to_string(path).context("read the file")?;
    let data: Value = serde_json::from_str(&text).context("parse the file")?;
    let mut tally = Tally::default();
    runner(&data, &mut tally)?;
    Ok(tally)
}

/// How many cases of a file must pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floor {
    file: String,
    cases: usize,
}

impl Floor {
    /// Parses `http_cases=112`.
    ///
    /// # Errors
    /// If there is no such file, or no number.
    pub fn parse(text: &str) -> Result<Floor, String> {
        let (file, cases) = text.split_once('=').ok_or("expected FILE=CASES")?;
        if !FILES.iter().any(|(known, _)| known.strip_suffix(".json") == Some(file)) {
            return Err(format!("no such file: {file}"));
        }
        let cases = cases.parse().map_err(|_| format!("not a number: {cases}"))?;
        Ok(Floor { file: file.to_owned(), cases })
    }
}

/// Passed and failed cases of one file.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failures: Vec<String>,
}

impl Tally {
    /// Checks that as many cases passed as once did.
    fn check(&self, file: &str, floors: &[Floor]) -> anyhow::Result<()> {
        match floors.iter().find(|floor| file.strip_suffix(".json") == Some(&floor.file)) {
            Some(floor) if self.passed < floor.cases => bail!("{file}: {} cases passed, {} did before", self.passed, floor.cases),
            _ => Ok(()),
        }
    }

    /// Counts one case.
    fn add(&mut self, case: &Value, subject: &str, verdict: Verdict) {
        match verdict {
            Ok(()) => self.passed += 1,
            Err(difference) => {
                let id = case["id"].as_str().unwrap_or("?");
                self.failures.push(format!("{id} {subject:.200}\n    {}", difference.replace('\n', "\n    ")));
            }
        }
    }
}

/// Returns the cases of a file.
fn cases(data: &Value) -> anyhow::Result<&Vec<Value>> {
    data["cases"].as_array().context("the file has no list of cases")
}

/// Returns a member that must be text.
fn text<'a>(of: &'a Value, name: &str) -> Result<&'a str, String> {
    of[name].as_str().ok_or_else(|| format!("the case has no text {name:?}"))
}

/// Returns a member that is an integer or the text of one, 0 where absent.
fn integer(of: &Value, name: &str) -> Result<i64, String> {
    match &of[name] {
        Value::Null => Ok(0),
        Value::String(text) => text.parse().map_err(|_| format!("{name} is {text:?}, not an integer")),
        other => other.as_i64().ok_or_else(|| format!("{name} is {other}, not an integer")),
    }
}

/// Returns an object of texts.
fn pairs(of: &Value) -> Pairs {
    let members = of.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Returns an object of texts as a label set, empty values among them.
fn label_set(of: &Value) -> LabelSet {
    let pairs = pairs(of);
    LabelSet::from_pairs_with_empty(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn pairs_of(labels: &LabelSet) -> Pairs {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Compares two things that print.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, want: &T, got: &T) -> Verdict {
    if want == got {
        return Ok(());
    }
    Err(format!("{what}\nwant {want:?}\ngot  {got:?}"))
}

/// Compares error texts; the line number counts for nothing, since Loki itself loses it after some tokens.
fn same_error(want: &str, got: &str) -> Verdict {
    equal("error text", &without_line(want), &without_line(got))
}

fn without_line(text: &str) -> String {
    match text.strip_prefix("parse error at line ").and_then(|tail| tail.split_once(',')) {
        Some((_, tail)) => format!("parse error at line ?,{tail}"),
        None => text.to_owned(),
    }
}

/// Compares numbers as the data's README asks: a relative tolerance of 1e-9.
fn same_number(want: f64, got: f64) -> bool {
    want == got || (want.is_nan() && got.is_nan()) || (want - got).abs() <= 1e-9 * want.abs().max(got.abs())
}

/// Reads a number as Loki prints it: NaN and +Inf are among them.
fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

/// Parameters under which a case is lowered; everything of Loki's that is off by default is on.
fn params(query: &str) -> logql::Params {
    logql::Params {
        text: query.into(),
        start_ns: 0,
        end_ns: 0,
        step_ns: 1,
        instant: false,
        newest_first: true,
        limit: 100,
        interval_ns: 0,
        approx_topk: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_name_a_file_and_a_number() {
        assert_eq!(Floor::parse("http_cases=112"), Ok(Floor { file: "http_cases".to_owned(), cases: 112 }));
        for text in ["http_cases", "http=1", "http_cases=x"] {
            assert!(Floor::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_below_its_floor_is_an_error() {
        let tally = Tally { passed: 3, failures: Vec::new() };
        let floor = |cases| [Floor { file: "level_cases".to_owned(), cases }];
        assert!(tally.check("level_cases.json", &floor(3)).is_ok() && tally.check("http_cases.json", &floor(4)).is_ok());
        assert!(tally.check("level_cases.json", &floor(4)).is_err());
    }
}
