//! `parse_cases.json`: verdict, error text, canonical and pretty form, and what is found when the pipeline is built.

use serde_json::Value;

use super::{Tally, Verdict, base64, cases, equal, params, same_error, text};

/// Runs the file.
pub(super) fn run(data: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    for case in cases(data)? {
        let (subject, verdict) = match query(case) {
            Ok(query) => (query.clone(), check(case, &query)),
            Err(difference) => (String::new(), Err(difference)),
        };
        tally.add(case, &subject, verdict);
    }
    Ok(())
}

/// Puts the query together: as text, in parts, or as bytes that are not UTF-8.
fn query(case: &Value) -> Result<String, String> {
    if let Some(query) = case["query"].as_str() {
        return Ok(query.to_owned());
    }
    if let Some(encoded) = case["query_base64"].as_str() {
        let bytes = base64::decode(encoded).ok_or("query_base64 is not base64")?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let parts = case["query_parts"].as_array().ok_or("the case has no query")?;
    parts.iter().map(part).collect()
}

fn part(part: &Value) -> Result<String, String> {
    if let Some(text) = part.as_str() {
        return Ok(text.to_owned());
    }
    let times = part["times"].as_u64().and_then(|times| usize::try_from(times).ok()).ok_or("a part says no number of times")?;
    Ok(text(part, "repeat")?.repeat(times))
}

fn check(case: &Value, query: &str) -> Verdict {
    let valid = case["valid"].as_bool().ok_or("the case has no verdict")?;
    match (logql::parse(query), valid) {
        (Err(error), false) => same_error(text(case, "error")?, &error.to_string()),
        (Ok(expr), true) => check_expr(case, query, &expr),
        (Ok(_), false) => Err(format!("accepted, want {}", case["error"])),
        (Err(error), true) => Err(format!("refused: {error}")),
    }
}

fn check_expr(case: &Value, query: &str, expr: &logql::Expr) -> Verdict {
    let kind = match expr {
        logql::Expr::Log(_) => "log",
        logql::Expr::Metric(_) => "metric",
    };
    equal("kind", &text(case, "kind")?, &kind)?;
    let canonical = text(case, "canonical")?;
    equal("canonical", &canonical, &logql::print(expr).as_str())?;
    let same = case["pretty_same"] == true;
    equal("pretty", &if same { canonical } else { text(case, "pretty")? }, &logql::pretty(expr).as_str())?;
    match case["build_error"].as_str() {
        Some(want) => match logql::lower(expr, &params(query)) {
            Ok(_) => Err(format!("built, want {want}")),
            Err(error) => same_error(want, &error.to_string()),
        },
        None => Ok(()),
    }
}
