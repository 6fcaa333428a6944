//! The admin API, off unless `admin` is on (Prometheus `--web.enable-admin-api`).

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use wire::prom_api::{ApiError, ErrorType};

use super::{Failure, lookup_range, selectors};
use crate::State;
use crate::request::ApiRequest;

fn enabled(state: &State) -> Result<(), ApiError> {
    match state.options.admin {
        true => Ok(()),
        false => Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled")),
    }
}

/// Hides series of a time range; compaction removes them for good.
pub async fn delete_series(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    enabled(&state)?;
    request.whole_form().map_err(ApiError::bad_data)?;
    if request.form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided").into());
    }
    let range = lookup_range(&request, &state)?;
    let sets = selectors(&request, &state).map_err(|reason| ApiError::parameter("match[]", reason))?;
    let tenant = request.tenant.clone();
    let deleted = state.looked_up(&request.limits, |source| async move {
        for matchers in sets {
            source.delete(&tenant, matchers, range).await?;
        }
        Ok(())
    });
    match deleted.await? {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err::<(), crate::source::SourceError>(error) => {
            let error_type = if error.kind == model::ErrorKind::Invalid { ErrorType::BadData } else { ErrorType::Internal };
            Err(ApiError::new(error_type, error.message).into())
        }
    }
}

/// Has nothing to do: every compaction applies deletions, and no query sees what is deleted.
pub async fn clean_tombstones(Extract(state): Extract<State>, _: ApiRequest) -> Result<StatusCode, Failure> {
    enabled(&state)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Is not there: segments are immutable objects, so a copy of the bucket and the table is a snapshot.
pub async fn snapshot(Extract(state): Extract<State>, _: ApiRequest) -> Result<StatusCode, Failure> {
    enabled(&state)?;
    Err(ApiError::new(ErrorType::Unavailable, "snapshots are not supported: copy the objects and the records").into())
}
