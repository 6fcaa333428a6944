//! Loki push.

use std::time::Instant;

use appender::{Batch, Receipt};
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::header;
use wire::loki_push::{self, Answer};

use crate::metrics::Protocol;
use crate::refusal::{Refusal, plain};
use crate::{State, body, explain, text};

/// Stores the entries of a request, then answers whether all of them were.
pub async fn push(Extract(state): Extract<State>, request: Request) -> Result<Response, Refusal> {
    let started = Instant::now();
    let stored = store(&state, request).await;
    let status = stored.as_ref().map_or_else(Refusal::status, |(answer, _)| answer.status);
    state.metrics.answered(Protocol::LokiPush, status, started.elapsed());
    stored.map(|(answer, receipt)| explain(plain(answer.status, &answer.text), &receipt))
}

async fn store(state: &State, request: Request) -> Result<(Answer, Receipt), Refusal> {
    let (parts, body) = request.into_parts();
    let tenant = state.tenant(&parts.headers)?;
    let body = body::read(body, state.limits.body_bytes_max).await?;
    let content_type = text(&parts.headers, header::CONTENT_TYPE.as_str());
    let encoding = text(&parts.headers, header::CONTENT_ENCODING.as_str());
    let mut decoded = loki_push::decode(&body, content_type, encoding, &state.limits, state.clock.now().to_ns())?;
    let (answer, entries) = (decoded.answer(), decoded.batch.entries_len());
    let refused = decoded.refused.iter().map(|(_, count)| count).sum();
    let receipt = state.append(&tenant, Batch::Logs(std::mem::take(&mut decoded.batch))).await?;
    state.metrics.received_entries(body.len(), entries, refused);
    Ok((answer, receipt))
}
