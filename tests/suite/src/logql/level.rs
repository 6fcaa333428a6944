//! `level_cases.json`: the level that the push path detects, seen through the push path.

use serde_json::{Value, json};

use super::{Tally, Verdict, cases, equal, text};

/// Runs the file.
pub(super) fn run(data: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    for case in cases(data)? {
        tally.add(case, case["line"].as_str().unwrap_or_default(), check(case));
    }
    Ok(())
}

fn check(case: &Value) -> Verdict {
    let labels = &case["labels"];
    let bare = labels.as_object().is_none_or(serde_json::Map::is_empty);
    let stream = if bare { json!({"job": "x"}) } else { labels.clone() };
    let value = json!(["1767225600000000000", text(case, "line")?, case["metadata"]]);
    let body = json!({"streams": [{"stream": stream, "values": [value]}]}).to_string();
    equal("detected level", &case["detected_level"].as_str().map(str::to_owned), &detected(&body)?)
}

/// The seam to the push path: returns the level attached to the only entry of a pushed body.
fn detected(_body: &str) -> Result<Option<String>, String> {
    Err("not run: wire decodes no pushes".to_owned())
}
