//! OTLP metrics over HTTP.

use std::time::Instant;

use appender::Receipt;
use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use wire::otlp::{self, Answer, Encoding, failure};

use crate::metrics::Protocol;
use crate::refusal::Refusal;
use crate::{State, explain, text};

/// Stores the points of a request, then answers which of them were refused.
pub async fn metrics(Extract(state): Extract<State>, request: Request) -> Response {
    let started = Instant::now();
    let content_type = text(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
    let (status, response) = match Encoding::negotiate(&content_type) {
        // Nobody knows how this client would read a failure: in text.
        Err(error) => (400, Refusal::Request(error).into_response()),
        Ok(encoding) => {
            let response = match store(&state, request, encoding).await {
                Ok((answer, receipt)) => explain(respond(answer, encoding), &receipt),
                Err(refusal) => refuse(&refusal, encoding),
            };
            (response.status().as_u16(), response)
        }
    };
    state.metrics.answered(Protocol::Otlp, status, started.elapsed());
    response
}

async fn store(state: &State, request: Request, encoding: Encoding) -> Result<(Answer, Receipt), Refusal> {
    let (parts, body) = request.into_parts();
    let tenant = state.tenant(&parts.headers)?;
    let compression = text(&parts.headers, header::CONTENT_ENCODING.as_str()).unwrap_or_default();
    let limits = state.limits.of(&tenant);
    let body = state.read(&tenant, body).await?;
    let mut decoded = otlp::decode(&body, encoding, compression, &state.otlp, limits, state.clock.now())?;
    if !decoded.warnings.is_empty() {
        tracing::debug!(%tenant, warnings = ?decoded.warnings, "otlp attributes were joined");
    }
    let chosen = state.choose(&tenant, std::mem::take(&mut decoded.batch)).await?;
    decoded.batch = chosen.batch;
    if let Some(reason) = chosen.reason {
        decoded.deny(chosen.denied, reason);
    }
    let (answer, written) = (decoded.answer(encoding), decoded.written());
    state.brought(&tenant, written);
    let receipt = state.append_chosen(&tenant, decoded.batch, chosen.mandates).await?;
    state.metrics.received_samples(body.len(), written, decoded.refused);
    Ok((answer, receipt))
}

fn respond(answer: Answer, encoding: Encoding) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    response
}

fn refuse(refusal: &Refusal, encoding: Encoding) -> Response {
    let mut response = respond(failure(refusal.status(), &refusal.text(), encoding), encoding);
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
