//! A case's request as bytes, and the answer to it.

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use model::TimestampMs;
use serde_json::Value;
use tower::ServiceExt;

use crate::logql::base64;

/// What came back.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// Sends a request as the data describes it.
pub(super) async fn send(server: &Router, case: &Value, now: TimestampMs) -> Result<Answered, String> {
    let request = build(case, now)?;
    let response = server.clone().oneshot(request).await.map_err(|error| format!("no answer: {error}"))?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes().to_vec();
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Answered { status: parts.status, content_type: content_type.to_owned(), body })
}

fn build(case: &Value, now: TimestampMs) -> Result<Request<Body>, String> {
    let path = case["path"].as_str().unwrap_or("/loki/api/v1/tail");
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(text) = case["query"].as_str() {
        query.append_pair("query", text);
    }
    for (name, value) in case["params"].as_object().into_iter().flatten() {
        values(value).for_each(|value| _ = query.append_pair(name, &with_time(&plain(value), now)));
    }
    let query = query.finish();
    let separator = if query.is_empty() { "" } else { "?" };
    let method = case["method"].as_str().unwrap_or("GET");
    let mut request = Request::builder().method(method).uri(format!("{path}{separator}{query}"));
    // A tail is recorded without the tenant it was asked for.
    let tenant = if case["path"].is_null() { Some("tail") } else { case["tenant"].as_str() };
    if let Some(tenant) = tenant {
        request = request.header("X-Scope-OrgID", tenant);
    }
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        request = request.header(name, plain(value));
    }
    request.body(body(&case["body"], now)?).map_err(|error| format!("the case is no request: {error}"))
}

fn values(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn body(body: &Value, now: TimestampMs) -> Result<Body, String> {
    if let Some(encoded) = body["base64"].as_str() {
        return base64::decode(encoded).map(Body::from).ok_or_else(|| "the body is not base64".to_owned());
    }
    Ok(body.as_str().map_or_else(Body::empty, |text| Body::from(with_time(text, now))))
}

/// Replaces the times in every text of a case.
pub(super) fn timed(case: &Value, now: TimestampMs) -> Value {
    match case {
        Value::String(text) => Value::String(with_time(text, now)),
        Value::Array(items) => items.iter().map(|item| timed(item, now)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), timed(member, now))).collect(),
        other => other.clone(),
    }
}

/// Replaces `{{now_ns-691200s}}` and `{{now_s+5s}}` by times.
fn with_time(text: &str, now: TimestampMs) -> String {
    let Some((before, rest)) = text.split_once("{{now_") else { return text.to_owned() };
    let Some((term, after)) = rest.split_once("}}") else { return text.to_owned() };
    let nanoseconds = term.starts_with("ns");
    let offset = term.trim_start_matches("ns").trim_start_matches('s').trim_end_matches('s');
    let seconds = now.0 / 1000 + offset.parse::<i64>().unwrap_or(0);
    let time = if nanoseconds { seconds.saturating_mul(1_000_000_000) } else { seconds };
    format!("{before}{time}{}", with_time(after, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_the_clock() {
        let now = TimestampMs(100_000);
        for (text, want) in [
            ("x", "x"),
            ("a{{now_s}}b", "a100b"),
            ("{{now_s+86400s}} {{now_ns-1s}}", "86500 99000000000"),
            ("{{now_ns", "{{now_ns"),
        ] {
            assert_eq!(with_time(text, now), want);
        }
        let case = serde_json::json!({"a": [{"b": "{{now_s}}"}, 1]});
        assert_eq!(timed(&case, now), serde_json::json!({"a": [{"b": "100"}, 1]}));
    }
}
