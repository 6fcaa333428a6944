//! `level_cases.json`: the level that the push path detects, seen through the push path.

use model::{LabelSet, Limits, TenantId, TimestampNs};
use serde_json::{Value, json};
use wire::loki_push::{self, Intake, Shape};

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

/// Decodes a push and returns the level attached to its only entry.
fn detected(body: &str) -> Result<Option<String>, String> {
    let now = TimestampNs(1_767_225_600_000_000_000);
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let intake = Intake { tenant: &tenant, limits: &limits, now };
    let decoded = loki_push::decode(body.as_bytes(), Some("application/json"), None, Shape::V1, &intake);
    let batch = decoded.map_err(|error| error.to_string())?.batch;
    if batch.entries_len() != 1 {
        return Err(format!("{} entries were taken, want 1", batch.entries_len()));
    }
    let metadata = LabelSet::from_encoded(batch.metadata.get(0)).map_err(|error| error.to_string())?;
    Ok(metadata.get("detected_level").map(str::to_owned))
}
