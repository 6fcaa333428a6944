//! Loki push.

use std::time::Instant;

use appender::{Batch, Receipt};
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::header;
use wire::loki_push::{self, Answer, Decoded, Intake, Shape};

use crate::metrics::Protocol;
use crate::refusal::{Refusal, plain};
use crate::{State, explain, text};

/// Stores the entries of a request, then answers whether all of them were.
pub async fn push(Extract(state): Extract<State>, request: Request) -> Result<Response, Refusal> {
    answered(&state, request, Shape::V1).await
}

/// The same on the path that older clients know.
pub async fn legacy_push(Extract(state): Extract<State>, request: Request) -> Result<Response, Refusal> {
    answered(&state, request, Shape::Legacy).await
}

async fn answered(state: &State, request: Request, shape: Shape) -> Result<Response, Refusal> {
    let started = Instant::now();
    let stored = store(state, request, shape).await;
    let status = stored.as_ref().map_or_else(Refusal::status, |(answer, _)| answer.status);
    state.metrics.answered(Protocol::LokiPush, status, started.elapsed());
    stored.map(|(answer, receipt)| explain(plain(answer.status, &answer.text), &receipt))
}

async fn store(state: &State, request: Request, shape: Shape) -> Result<(Answer, Receipt), Refusal> {
    let (parts, body) = request.into_parts();
    let tenant = state.tenant(&parts.headers)?;
    let limits = state.limits.of(&tenant);
    let body = state.read(&tenant, body).await?;
    let content_type = text(&parts.headers, header::CONTENT_TYPE.as_str());
    let encoding = text(&parts.headers, header::CONTENT_ENCODING.as_str());
    let intake = Intake { tenant: &tenant, limits, now: state.clock.now().to_ns() };
    let decoded = loki_push::decode(&body, content_type, encoding, shape, &intake)?;
    append(state, &intake, decoded, body.len()).await
}

/// Stores what the tenant's bounds admit of decoded entries.
pub(crate) async fn append(
    state: &State,
    intake: &Intake<'_>,
    mut decoded: Decoded,
    body_bytes: usize,
) -> Result<(Answer, Receipt), Refusal> {
    state.admission.admit(intake, &mut decoded)?;
    let (answer, entries, refused) = (decoded.answer(), decoded.batch.entries_len(), decoded.refused_entries());
    let line_bytes = decoded.batch.lines.bytes_len();
    let receipt = state.append(intake.tenant, Batch::Logs(decoded.batch)).await?;
    state.metrics.received_entries(body_bytes, line_bytes, entries, refused);
    Ok((answer, receipt))
}
