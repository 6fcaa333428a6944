//! OTLP logs over HTTP.

use std::time::Instant;

use appender::Receipt;
use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use wire::error::Error;
use wire::loki_push::{Answer, Intake};
use wire::otlp::logs;

use crate::metrics::Protocol;
use crate::refusal::Refusal;
use crate::{State, explain, loki, text};

/// Stores the records of a request, then answers whether all of them were.
pub async fn logs(Extract(state): Extract<State>, request: Request) -> Response {
    let started = Instant::now();
    let response = match store(&state, request).await {
        Ok((answer, receipt)) if answer.status == StatusCode::NO_CONTENT.as_u16() => {
            explain(StatusCode::NO_CONTENT.into_response(), &receipt)
        }
        Ok((answer, receipt)) => explain(failure(answer.status, &answer.text), &receipt),
        // What comes before the protocol is told in text.
        Err(refusal @ Refusal::Request(Error::NoTenant)) => refusal.into_response(),
        Err(refusal) => refuse(&refusal),
    };
    state.metrics.answered(Protocol::OtlpLogs, response.status().as_u16(), started.elapsed());
    response
}

async fn store(state: &State, request: Request) -> Result<(Answer, Receipt), Refusal> {
    let (parts, body) = request.into_parts();
    let tenant = state.tenant(&parts.headers)?;
    let limits = state.limits.of(&tenant);
    let body = state.read(&tenant, body).await?;
    let content_type = text(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let encoding = text(&parts.headers, header::CONTENT_ENCODING.as_str()).unwrap_or_default();
    let intake = Intake { tenant: &tenant, limits, now: state.clock.now().to_ns() };
    let decoded = logs::decode(&body, content_type, encoding, &intake)?;
    loki::append(state, &intake, decoded, body.len()).await
}

fn failure(status: u16, text: &str) -> Response {
    let failure = logs::failure(status, text);
    let mut response = Response::new(Body::from(failure.body));
    *response.status_mut() = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(logs::FAILURE_TYPE));
    response
}

fn refuse(refusal: &Refusal) -> Response {
    let mut response = failure(refusal.status(), &refusal.text());
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
