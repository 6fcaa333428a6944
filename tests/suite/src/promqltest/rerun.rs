//! Running one case: the query itself, and the same query asked in other ways that must give the same answer.
//!
//! 1. With `@ <time>` on every selector, at five other evaluation times.
//! 2. Each of these as a range query around its time.
//! 3. Range results sorted by labels, which the comparison demands.

use plan::Value;
use plan::logical::Function;
use promql::ast::{At, Expr, ExprKind, Modifiers};

use super::engine::{Evaluator, PANICKED, evaluate};
use super::script::{Eval, When};

/// Distance of the steps around an instant, milliseconds.
const AROUND_MS: i64 = 60_000;

/// Runs a case with its re-runs.
///
/// # Errors
/// With the first difference from what was expected.
pub fn run(eval: &Eval, engine: &dyn Evaluator) -> Result<(), String> {
    match eval.when {
        When::Range { .. } => once(eval, &eval.query, eval.when, engine).map(|_| ()),
        When::Instant(at) => {
            instant(eval, &eval.query, at, engine)?;
            for (query, at) in pinned(&eval.query, at) {
                instant(eval, &query, at, engine).map_err(|why| format!("{why}\nas {query} at {at} ms"))?;
            }
            Ok(())
        }
    }
}

/// Runs an instant query, and as a range query around its time.
fn instant(eval: &Eval, query: &str, at: i64, engine: &dyn Evaluator) -> Result<(), String> {
    let expectation = &eval.expectation;
    let Some(value) = once(eval, query, When::Instant(at), engine)? else { return Ok(()) };
    if matches!(value, Value::Text(_) | Value::Ranges(_)) || names_query_context(query) {
        return Ok(());
    }
    let around = When::Range { start: at.saturating_sub(AROUND_MS), end: at.saturating_add(AROUND_MS), step: AROUND_MS };
    let in_range = |why: String| format!("{why}\nin range mode");
    let answer = evaluate(engine, query, around)
        .map_err(|error| in_range(format!("expected {}\ncame {error:?}", expectation.summary())))?;
    expectation.check_step(&answer, 1, around).map_err(in_range)
}

/// Evaluates once and compares; without a value where the query failed as it must.
fn once(eval: &Eval, query: &str, when: When, engine: &dyn Evaluator) -> Result<Option<Value>, String> {
    let expectation = &eval.expectation;
    match (evaluate(engine, query, when), &expectation.fail) {
        (Err(error), Some(text)) if text.accepts(&error) && !error.starts_with(PANICKED) => Ok(None),
        (Err(error), _) => Err(format!("expected {}\ncame the error {error:?}", expectation.summary())),
        (Ok(_), Some(text)) => Err(format!("expected an error, {text}\ncame a result")),
        (Ok(answer), None) => {
            match when {
                When::Instant(_) => expectation.check_instant(&answer)?,
                When::Range { .. } => expectation.check_range(&answer, when)?,
            }
            Ok(Some(answer.value))
        }
    }
}

/// Reports whether the query speaks of its own evaluation times, which a range query has others of.
fn names_query_context(query: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|call| query.contains(call))
}

/// Returns the query with `@ at` on every selector, with the times at which it must answer the same.
fn pinned(query: &str, at: i64) -> Vec<(String, i64)> {
    let Ok(mut expr) = promql::parse(query, &promql::Options::all()) else { return Vec::new() };
    if !pin(&mut expr, at) {
        return Vec::new();
    }
    let text = promql::print(&expr);
    let times: &[i64] = match at {
        0 => &[-1000, 0, 1000],
        at => &[at.saturating_mul(-10), 0, at / 5, at, at.saturating_mul(10)],
    };
    times.iter().map(|time| (text.clone(), *time)).collect()
}

/// Fixes the time of selectors and outermost subqueries; false where the query asks for the time itself.
fn pin(expr: &mut Expr, at: i64) -> bool {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::Text(_) => true,
        ExprKind::Selector(selector) => fix(&mut selector.modifiers, at),
        ExprKind::Subquery { modifiers, .. } => fix(modifiers, at),
        ExprKind::Matrix { selector: inner, .. } | ExprKind::Unary { inner, .. } | ExprKind::Paren(inner) => pin(inner, at),
        ExprKind::Call { function, args } => {
            // Every argument is visited, whatever the one before said.
            args.iter_mut().fold(!asks_for_time(*function), |fixed, arg| pin(arg, at) && fixed)
        }
        ExprKind::Aggregate { param, input, .. } => param.as_mut().is_none_or(|param| pin(param, at)) && pin(input, at),
        ExprKind::Binary { left, right, .. } => pin(left, at) && pin(right, at),
    }
}

fn fix(modifiers: &mut Modifiers, at: i64) -> bool {
    if !matches!(modifiers.at, Some(At::Time(_))) {
        modifiers.at = Some(At::Time(at));
    }
    true
}

fn asks_for_time(function: Function) -> bool {
    use Function::*;
    matches!(
        function,
        DaysInMonth | DayOfMonth | DayOfWeek | DayOfYear | Hour | Minute | Month | Year | PredictLinear | Time | Timestamp
    ) || matches!(function, Start | End | Range | Step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_and_outermost_subqueries_are_pinned() {
        for (query, wanted) in [
            ("a + b @ 5", Some("a @ 60.000 + b @ 5.000")),
            ("sum(rate(a[5m]))", Some("sum(rate(a[5m] @ 60.000))")),
            ("sum_over_time(a[5m:1m])", Some("sum_over_time(a[5m:1m] @ 60.000)")),
            ("sum_over_time(vector(time())[5m:1m])", Some("sum_over_time(vector(time())[5m:1m] @ 60.000)")),
            ("timestamp(a)", None),
            ("a + time()", None),
            ("1", Some("1")),
        ] {
            let found = pinned(query, 60_000);
            assert_eq!(found.first().map(|(text, _)| text.as_str()), wanted, "{query}");
        }
        let times: Vec<i64> = pinned("a", 60_000).into_iter().map(|(_, at)| at).collect();
        assert_eq!(times, [-600_000, 0, 12_000, 60_000, 600_000]);
    }
}
