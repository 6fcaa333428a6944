//! Runs a script, each instant case also as a range query and with `@` at other times.

use std::path::Path;

use anyhow::{Context, Result};
use plan::Node;
use plan::logical::{Function, RangeInput};

use super::evaluator::{Evaluator, Query};
use super::script::{Command, Eval, When, parse};
use super::storage::Storage;

/// A case that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where.
    pub line: usize,
    /// What.
    pub query: String,
    /// Why.
    pub reason: String,
}

/// The outcome of a file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// File name.
    pub name: String,
    /// Cases passed.
    pub passed: usize,
    /// Cases failed.
    pub failed: Vec<Failure>,
}

/// Runs a script file.
///
/// # Errors
/// Where the file cannot be read.
pub fn run(path: &Path, engine: &mut dyn Evaluator) -> Result<FileReport> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let mut report = FileReport { name, passed: 0, failed: Vec::new() };
    let mut storage = Storage::default();
    engine.load(Vec::new());
    for command in parse(&text) {
        match command {
            Command::Clear => {
                storage = Storage::default();
                engine.load(Vec::new());
            }
            Command::Load(load) => {
                storage.load(&load);
                engine.load(storage.series());
            }
            Command::Eval(eval) => match case(&eval, engine) {
                Ok(()) => report.passed += 1,
                Err(reason) => report.failed.push(Failure { line: eval.line, query: eval.query, reason }),
            },
            Command::Broken(broken) => report.failed.push(Failure { line: broken.line, query: broken.text, reason: broken.why }),
        }
    }
    Ok(report)
}

fn case(eval: &Eval, engine: &dyn Evaluator) -> Result<(), String> {
    let query = Query { text: eval.query.clone(), when: eval.when, pin: None };
    let When::Instant(t) = eval.when else { return once(eval, &query, engine) };
    once(eval, &query, engine)?;
    let plain = eval.expectation.fail.is_none() && eval.expectation.string.is_none() && eval.expectation.range_vector.is_none();
    if plain && !asks_for_query(&query)? {
        as_range(eval, &query, t, engine).map_err(|e| format!("as a range query: {e}"))?;
    }
    if eval.expectation.fail.is_some() || eval.expectation.string.is_some() || asks_for_time(&query)? {
        return Ok(());
    }
    let times = if t == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t, 0, t / 5, t, 10 * t] };
    for at in times {
        let pinned = Query { when: When::Instant(at), pin: Some(t), ..query.clone() };
        // A range vector's points are the same; their times are given.
        once(eval, &pinned, engine).map_err(|e| format!("with @ {t} at {at}: {e}"))?;
        if plain {
            as_range(eval, &pinned, at, engine).map_err(|e| format!("with @ {t} as a range query around {at}: {e}"))?;
        }
    }
    Ok(())
}

fn once(eval: &Eval, query: &Query, engine: &dyn Evaluator) -> Result<(), String> {
    let answer = match (engine.eval(query), &eval.expectation.fail) {
        (Ok(answer), None) => answer,
        (Ok(_), Some(text)) => return Err(format!("expected to fail with {text}")),
        (Err(error), None) => return Err(format!("failed: {error}")),
        (Err(error), Some(text)) => {
            let bare = error.split_once("parse error: ").map_or(error.as_str(), |(_, text)| text);
            let fits = text.accepts(&error) || text.accepts(bare);
            return if fits { Ok(()) } else { Err(format!("expected to fail with {text}, failed with {error:?}")) };
        }
    };
    match query.when {
        When::Instant(_) => eval.expectation.check_instant(&answer),
        range => eval.expectation.check_range(&answer, range),
    }
}

/// The point at `t` of a range query around it is the instant result.
fn as_range(eval: &Eval, query: &Query, t: i64, engine: &dyn Evaluator) -> Result<(), String> {
    let when = When::Range { start: t - 60_000, end: t + 60_000, step: 60_000 };
    let answer = engine.eval(&Query { when, ..query.clone() })?;
    eval.expectation.check_step(&answer, 1, when)
}

fn asks_for_query(query: &Query) -> Result<bool, String> {
    use Function::{End, Range, Start, Step};
    let by_text = query.text.contains("start()") || query.text.contains("end()");
    Ok(by_text || calls(&query.plan()?.root, &|f| matches!(f, Start | End | Range | Step)))
}

fn asks_for_time(query: &Query) -> Result<bool, String> {
    use Function::*;
    let unsafe_at = |f| {
        matches!(
            f,
            Start | End | Range | Step | Time | Timestamp | PredictLinear | DaysInMonth | DayOfMonth | DayOfWeek | DayOfYear | Hour | Minute | Month | Year
        )
    };
    Ok(asks_for_query(query)? || calls(&query.plan()?.root, &unsafe_at))
}

fn calls(node: &Node, wanted: &dyn Fn(Function) -> bool) -> bool {
    match node {
        Node::Call(call) => wanted(call.function) || call.args.iter().any(|arg| calls(arg, wanted)),
        Node::Range(RangeInput::Subquery { node, .. }) => calls(node, wanted),
        Node::Aggregate(a) => a.param.as_ref().is_some_and(|param| calls(param, wanted)) || calls(&a.input, wanted),
        Node::Binary(b) => calls(&b.left, wanted) || calls(&b.right, wanted),
        Node::Negate(inner, _) | Node::StepInvariant(inner) => calls(inner, wanted),
        _ => false,
    }
}
