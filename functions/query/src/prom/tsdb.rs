//! `status/tsdb`: cardinality of a tenant, from the label tables of its segments.

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use wire::json_text::{comma, html_string, write_to};
use wire::prom_api::params::go_integer;
use wire::prom_api::{ApiError, envelope};

use super::{Failure, lookup_range};
use crate::State;
use crate::request::ApiRequest;
use crate::respond::{JSON, whole};
use crate::source::{Cardinality, Count};

/// Items per list where no limit is asked for.
const LIMIT: usize = 10;
/// Items per list at most.
const LIMIT_MAX: usize = 10_000;

/// Answers the top names, labels and pairs of all series; `start` and `end`, which Prometheus does not have, narrow it.
pub async fn status(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let limit = limit(request.form.get("limit"))?;
    let (tenant, range) = (request.tenant.clone(), lookup_range(&request, &state)?);
    let found =
        state.looked_up(&request.limits, |source| async move { source.cardinality(&tenant, range, limit).await }).await??;
    let body = envelope::noted_answer(|out| write(out, &found), &found.warnings, &[]);
    Ok(whole(StatusCode::OK, JSON, body))
}

fn limit(text: &str) -> Result<usize, ApiError> {
    if text.is_empty() {
        return Ok(LIMIT);
    }
    let limit = go_integer(text).ok().and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    match limit {
        None => Err(ApiError::bad_data("limit must be a positive number")),
        Some(limit) if limit > LIMIT_MAX => Err(ApiError::bad_data(format!("limit must not exceed {LIMIT_MAX}"))),
        Some(limit) => Ok(limit),
    }
}

/// Writes the answer. Segments stand for chunks: there is no head.
fn write(out: &mut Vec<u8>, found: &Cardinality) {
    let (first, last) = found.time_range.map_or((i64::MAX, i64::MIN), |range| (range.start.0, range.end.0 - 1));
    let Cardinality { series, label_pairs: pairs, segments, .. } = found;
    write_to(
        out,
        format_args!(
            r#"{{"headStats":{{"numSeries":{series},"numLabelPairs":{pairs},"chunkCount":{segments},"minTime":{first},"maxTime":{last}}}"#
        ),
    );
    let lists = [
        ("seriesCountByMetricName", &found.series_by_metric),
        ("labelValueCountByLabelName", &found.values_by_label),
        ("memoryInBytesByLabelName", &found.bytes_by_label),
        ("seriesCountByLabelValuePair", &found.series_by_pair),
    ];
    for (name, counts) in lists {
        write_to(out, format_args!(",\"{name}\":["));
        for (index, Count { name, count }) in counts.iter().enumerate() {
            comma(out, index);
            out.extend_from_slice(b"{\"name\":");
            html_string(out, name);
            write_to(out, format_args!(",\"value\":{count}}}"));
        }
        out.push(b']');
    }
    out.push(b'}');
}
