//! `http_cases.json`: requests to the Loki API, in process, over stores in memory and a clock of ours.
//!
//! One server serves the whole file: fixtures are pushed first, cases follow in order of their ids, since pushes and deletions
//! are seen by later cases. The server is configured as the recorded one was, limits of single tenants included.

mod compare;
mod request;
mod server;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::StatusCode;
use model::TimestampMs;
use serde_json::{Value, json};
use testkit::SimulatedClock;

use super::{Tally, Verdict, cases};
use request::Answered;

/// What the server's clock shows: 2026-09-01, the season in which the answers were recorded, long after the fixtures.
const NOW: TimestampMs = TimestampMs(1_788_220_800_000);

/// Runs the file.
pub(super) fn run(data: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let mut cases: Vec<&Value> = cases(data)?.iter().collect();
    cases.sort_by_key(|case| case["id"].as_str().unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let clock = Arc::new(SimulatedClock::at(NOW));
    let opened = runtime.block_on(opened(data, &clock));
    for case in cases {
        let name = format!("{} {}", case["group"].as_str().unwrap_or_default(), case["name"].as_str().unwrap_or_default());
        let verdict = match &opened {
            Ok(server) => {
                // Time passes between requests, so that what was asked first is older.
                clock.advance(Duration::from_millis(1));
                runtime.block_on(check(server, case))
            }
            Err(reason) => Err(format!("not run: {reason}")),
        };
        tally.add(case, &name, verdict);
    }
    Ok(())
}

/// Opens a server and pushes the fixtures.
async fn opened(data: &Value, clock: &Arc<SimulatedClock>) -> Result<Router, String> {
    let server = server::open(clock, &settings::text(data))?;
    for (tenant, streams) in data["fixtures_by_tenant"].as_object().into_iter().flatten() {
        let body = json!({ "streams": streams }).to_string();
        let case = json!({"method": "POST", "path": "/loki/api/v1/push", "params": {}, "tenant": tenant, "body": body,
            "headers": {"Content-Type": "application/json"}});
        let answered = request::send(&server, &case, NOW).await?;
        if !answered.status.is_success() {
            return Err(format!("fixtures of {tenant}: {} {}", answered.status, String::from_utf8_lossy(&answered.body)));
        }
    }
    Ok(server)
}

async fn check(server: &Router, case: &Value) -> Verdict {
    let answered = request::send(server, &case["request"], NOW).await?;
    verdict(&request::timed(case, NOW), &answered).map_err(|difference| {
        let body = String::from_utf8_lossy(&answered.body);
        format!("{difference}\nanswer {} {:.2000}", answered.status.as_u16(), body)
    })
}

fn verdict(case: &Value, answered: &Answered) -> Verdict {
    let want = &case["response"];
    let status = want["status"].as_u64().and_then(|status| StatusCode::from_u16(status as u16).ok());
    if status != Some(answered.status) {
        return Err(format!("status: want {} {}", want["status"], want["body"]));
    }
    if let Some(want) = want["content_type"].as_str().filter(|want| !want.eq_ignore_ascii_case(&answered.content_type)) {
        return Err(format!("content type\nwant {want}\ngot  {}", answered.content_type));
    }
    if let Some(want) = want["google_rpc_status_message"].as_str() {
        return compare::rpc_message(want, &answered.body);
    }
    if !want["json"].is_null() {
        let got = serde_json::from_slice(&answered.body).map_err(|error| format!("the body is not JSON: {error}"))?;
        return match case["compare"] == "shape" {
            true => compare::shape(&want["json"], &got),
            false => compare::json(&want["json"], &got, unordered(case)),
        };
    }
    match want["body"].as_str() {
        Some(want) => compare::body(want, &whole_or_recorded(case, want, &answered.body)),
        None => Ok(()),
    }
}

/// Returns the body as text; of a refused WebSocket only as much as the recording client kept, which is the beginning.
fn whole_or_recorded(case: &Value, want: &str, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body).into_owned();
    match case["group"] == "tail" && body.starts_with(want) {
        true => want.to_owned(),
        false => body,
    }
}

/// Reports whether lists in the answer have no order of significance.
fn unordered(case: &Value) -> bool {
    let path = case["request"]["path"].as_str().unwrap_or_default();
    ["/series", "/detected_", "/label", "/values", "/delete"].iter().any(|part| path.contains(part))
}
