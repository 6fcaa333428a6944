//! Reads log lines back, page by page.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::answers::Refusal;

/// Lines in a page read back: Loki's own bound.
pub const LINES_PER_PAGE: usize = 5_000;

/// Returns the first page of a log query's entries in `[start, end)` (nanoseconds), oldest first, all streams together.
/// A status other than success is a [`Refusal`]. A server that answers with warnings has not answered everything: that is an error too.
pub fn page(url: &str, query: &str, start: i64, end: i64) -> Result<Vec<(i64, String)>> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent
        .get(format!("{url}/loki/api/v1/query_range"))
        .query("query", query)
        .query("start", start.to_string())
        .query("end", end.to_string())
        .query("limit", LINES_PER_PAGE.to_string())
        .query("direction", "forward")
        .call()?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if !status.is_success() {
        return Err(Refusal { status: status.as_u16(), text }.into());
    }
    let answer: Value = serde_json::from_str(&text).context("parse the page")?;
    if answer["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()) {
        bail!("the page has warnings: {}", answer["warnings"]);
    }
    let mut entries = Vec::new();
    for stream in answer["data"]["result"].as_array().context("a page has a result")? {
        for value in stream["values"].as_array().context("a stream has values")? {
            let timestamp = value[0].as_str().and_then(|text| text.parse().ok()).context("a value has a timestamp")?;
            entries.push((timestamp, value[1].as_str().context("a value has a line")?.to_owned()));
        }
    }
    entries.sort_by_key(|(timestamp, _)| *timestamp);
    Ok(entries)
}
