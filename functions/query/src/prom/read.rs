//! Prometheus remote read.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, header};
use model::TenantId;
use plan::Series;
use wire::remote_read::{self, ReadQuery, ReadRequest, ResponseType, SeriesSamples};
use wire::status::of_kind;

use crate::State;
use crate::limits::{PIECE_BYTES, READ_FRAME_BYTES_MAX, READ_REQUEST_BYTES_MAX, READ_SAMPLES_MAX};
use crate::request::tenant;
use crate::respond::plain_error;
use crate::source::SourceError;

/// Answers the queries of a request in their order, in the first way of answering that the client lists.
pub async fn read(Extract(state): Extract<State>, request: Request) -> Result<Response, Response> {
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers, state.options.require_tenant)?;
    let bad = |reason: String| plain_error(StatusCode::BAD_REQUEST, &reason);
    let body = to_bytes(body, READ_REQUEST_BYTES_MAX).await.map_err(|error| bad(error.to_string()))?;
    let ReadRequest { queries, response } =
        remote_read::decode(&body, READ_REQUEST_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
    let found = found(&state, &tenant, queries).await?;
    let body = match response {
        ResponseType::Samples => samples(&found).map_err(|error| bad(error.to_string()))?,
        ResponseType::StreamedXorChunks => streamed(found),
    };
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(response.content_type()));
    if response == ResponseType::Samples {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    }
    Ok(answer)
}

async fn found(state: &State, tenant: &TenantId, queries: Vec<ReadQuery>) -> Result<Vec<Vec<Series>>, Response> {
    let (owned, mut found) = (tenant.clone(), Vec::with_capacity(queries.len()));
    let ranges: Vec<ReadQuery> =
        queries.into_iter().map(|query| ReadQuery { range: state.bounded(query.range), ..query }).collect();
    let read = state.looked_up(state.limits(tenant), |source| async move {
        for query in ranges {
            // Without a matcher nothing is found, as upstream's index finds nothing then.
            let items = match query.matchers.is_empty() {
                true => Vec::new(),
                false => source.samples(&owned, query.matchers, query.range).await?.items,
            };
            found.push(items);
        }
        Ok::<_, SourceError>(found)
    });
    let found = match read.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(of_kind(error.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Err(plain_error(status, &error.message));
        }
        Err(refusal) => return Err(plain_error(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string())),
    };
    let samples = |series: &Vec<Series>| series.iter().map(|one| one.values.len() + one.histograms.len()).sum::<usize>();
    match found.iter().all(|series| samples(series) <= READ_SAMPLES_MAX) {
        true => Ok(found),
        false => Err(plain_error(StatusCode::BAD_REQUEST, &format!("exceeded sample limit ({READ_SAMPLES_MAX})"))),
    }
}

fn samples(found: &[Vec<Series>]) -> Result<Body, wire::error::Error> {
    let mut message = Vec::new();
    found.iter().for_each(|series| remote_read::push_result(&mut message, series.iter().map(rows)));
    remote_read::samples_answer(&message).map(Body::from)
}

/// Encodes series by series while the answer is sent.
fn streamed(found: Vec<Vec<Series>>) -> Body {
    let mut series = found.into_iter().enumerate().flat_map(|(index, series)| series.into_iter().map(move |one| (index, one)));
    let pieces = std::iter::from_fn(move || {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES
            && let Some((index, one)) = series.next()
        {
            remote_read::push_frames(&mut piece, &rows(&one), index, READ_FRAME_BYTES_MAX);
        }
        (!piece.is_empty()).then(|| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))
    });
    Body::from_stream(stream::iter(pieces))
}

fn rows(series: &Series) -> SeriesSamples<'_> {
    let histograms = series.histograms.iter().map(|sample| (sample.timestamp, &*sample.histogram)).collect();
    SeriesSamples { labels: &series.labels, timestamps: &series.timestamps, values: &series.values, histograms }
}
