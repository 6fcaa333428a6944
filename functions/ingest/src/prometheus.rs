//! Prometheus remote write, 1.0 and 2.0.

use std::time::Instant;

use appender::Receipt;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use wire::remote_write::{self, Answer};

use crate::metrics::Protocol;
use crate::refusal::{Refusal, plain};
use crate::{State, explain, text};

/// Stores the samples of a request, then answers which of them were written.
pub async fn write(Extract(state): Extract<State>, request: Request) -> Result<Response, Refusal> {
    let started = Instant::now();
    let stored = store(&state, request).await;
    let status = stored.as_ref().map_or_else(Refusal::status, |(answer, _)| answer.status);
    state.metrics.answered(Protocol::RemoteWrite, status, started.elapsed());
    stored.map(|(answer, receipt)| explain(respond(&answer), &receipt))
}

async fn store(state: &State, request: Request) -> Result<(Answer, Receipt), Refusal> {
    let (parts, body) = request.into_parts();
    let tenant = state.tenant(&parts.headers)?;
    let encoding = text(&parts.headers, header::CONTENT_ENCODING.as_str());
    let version = remote_write::negotiate(text(&parts.headers, header::CONTENT_TYPE.as_str()), encoding)?;
    let limits = state.limits.of(&tenant);
    let body = state.read(&tenant, body).await?;
    let mut decoded = remote_write::decode(&body, version, limits, state.clock.now())?;
    let chosen = state.choose(&tenant, std::mem::take(&mut decoded.batch)).await?;
    decoded.batch = chosen.batch;
    decoded.covered = chosen.covered;
    if let Some(reason) = chosen.reason {
        decoded.deny(chosen.denied, reason);
    }
    let (answer, written) = (decoded.answer(), decoded.written());
    state.brought(&tenant, written);
    let receipt = state.append_chosen(&tenant, decoded.batch, chosen.mandates).await?;
    state.metrics.received_samples(body.len(), written, decoded.refused);
    Ok((answer, receipt))
}

fn respond(answer: &Answer) -> Response {
    let mut response = plain(answer.status, &answer.text);
    if let Some(written) = answer.written {
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("x-prometheus-remote-write-samples-written"), HeaderValue::from(written.samples));
        headers.insert(
            HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
            HeaderValue::from(written.histograms),
        );
        headers
            .insert(HeaderName::from_static("x-prometheus-remote-write-exemplars-written"), HeaderValue::from(written.exemplars));
    }
    response
}
