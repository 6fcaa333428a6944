//! `delete`: requests to delete entries, their list, and cancelling them.

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};
use manifest::{Deletion, DeletionRequest, DeletionState};
use model::limits::DeletionMode;
use model::{ErrorKind, Matcher};
use plan::pipeline::Stage;
use plan::pipeline::units::{format_go_duration, parse_go_duration};
use wire::loki_api::deletion::{self, CANCEL_PERIOD_MS, DeleteRequest};

use crate::State;
use crate::gate::Refusal;
use crate::request::ApiRequest;
use crate::respond::{self, plain_error, set_header, whole};
use crate::source::SourceError;

/// Where a request's id is told.
const ID_HEADER: HeaderName = HeaderName::from_static("x-delete-request-id");

/// A request that failed, in the words of Loki's compactor: a status and a line.
pub struct Refused(StatusCode, String);

impl Refused {
    fn bad(message: impl std::fmt::Display) -> Refused {
        Refused(StatusCode::BAD_REQUEST, message.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        plain_error(self.0, &self.1)
    }
}

impl From<SourceError> for Refused {
    fn from(error: SourceError) -> Refused {
        let status = match error.kind {
            ErrorKind::Invalid | ErrorKind::Limit => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unavailable | ErrorKind::Conflict => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(status, error.message)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let status = match refusal {
            Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
            Refusal::TimedOut | Refusal::TimedOutInQueue => StatusCode::GATEWAY_TIMEOUT,
            Refusal::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(status, refusal.to_string())
    }
}

/// Refuses tenants whose entries may not be deleted.
fn check_permission(request: &ApiRequest) -> Result<(), Refused> {
    match request.limits.log_queries.deletion {
        DeletionMode::Disabled => Err(Refused(StatusCode::FORBIDDEN, "deletion is not available for this tenant".to_owned())),
        DeletionMode::FilterOnly | DeletionMode::FilterAndDelete => Ok(()),
    }
}

/// Makes a request: from then on no query shows the entries.
pub async fn add(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Refused> {
    check_permission(&request)?;
    let deletion = parse(&state, &request)?;
    let tenant = request.tenant.clone();
    let deletion =
        state.looked_up(&request.limits, |source| async move { source.delete_entries(&tenant, deletion).await }).await??;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_header(&mut response, ID_HEADER, &deletion::id_text(deletion.id));
    Ok(response)
}

fn parse(state: &State, request: &ApiRequest) -> Result<DeletionRequest, Refused> {
    let form = &request.form;
    let text = form.get("query");
    if text.is_empty() {
        return Err(Refused::bad("query not set"));
    }
    let Ok(logql::Expr::Log(log)) = logql::parse(text) else { return Err(Refused::bad("invalid query expression")) };
    let range = deletion::range(form, state.clock.now()).map_err(Refused::bad)?;
    let interval = form.get("max_interval");
    if !log.stages.is_empty() && !interval.is_empty() {
        deletion::check_interval(parse_go_duration(interval).ok(), range, format_go_duration).map_err(Refused::bad)?;
    }
    let filter = (!log.stages.is_empty()).then(|| filter_text(&log.stages));
    Ok(DeletionRequest { range, matchers: log.matchers, filter })
}

fn filter_text(stages: &[Stage]) -> String {
    stages.iter().map(Stage::to_string).collect::<Vec<_>>().join(" ")
}

/// Lists the requests that are not cancelled, in the order in which they were made. What was processed more than an hour ago is forgotten.
pub async fn list(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Refused> {
    check_permission(&request)?;
    let deletions = deletions(&state, &request).await?;
    let list: Vec<DeleteRequest> = deletions.iter().filter_map(told).collect();
    Ok(whole(StatusCode::OK, respond::JSON, deletion::list(&list)))
}

async fn deletions(state: &State, request: &ApiRequest) -> Result<Vec<Deletion>, Refused> {
    let tenant = request.tenant.clone();
    Ok(state.looked_up(&request.limits, |source| async move { source.entry_deletions(&tenant).await }).await??)
}

fn told(deletion: &Deletion) -> Option<DeleteRequest> {
    let is_processed = match deletion.state {
        DeletionState::Requested => false,
        DeletionState::Finished(_) => true,
        DeletionState::Cancelled(_) => return None,
    };
    let DeletionRequest { range, matchers, filter } = &deletion.request;
    let selector = matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(", ");
    let filter = filter.iter().map(|filter| format!(" {filter}")).collect::<String>();
    let (id, query) = (deletion.id, format!("{{{selector}}}{filter}"));
    Some(DeleteRequest { id, range: *range, query, is_processed, created_at: deletion.requested_at })
}

/// Withdraws a request: what was not removed yet is there again.
pub async fn cancel(Extract(state): Extract<State>, request: ApiRequest) -> Result<StatusCode, Refused> {
    check_permission(&request)?;
    let text = request.form.get("request_id");
    // To Loki nothing is a request, too, and cancelling it succeeds.
    if text.is_empty() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let unknown = || Refused(StatusCode::NOT_FOUND, "could not find delete request with given id".to_owned());
    let processed = || Refused::bad("deletion of request which is in process or already processed is not allowed");
    let id = deletion::parse_id(text).ok_or_else(unknown)?;
    let deletion = deletions(&state, &request).await?.into_iter().find(|deletion| deletion.id == id).ok_or_else(unknown)?;
    match deletion.state {
        DeletionState::Requested => {}
        DeletionState::Finished(_) => return Err(processed()),
        DeletionState::Cancelled(_) => return Err(unknown()),
    }
    let age_ms = state.clock.now().0.saturating_sub(deletion.requested_at.0);
    if age_ms > CANCEL_PERIOD_MS && request.form.get("force") != "true" {
        return Err(Refused::bad(format!(
            "Cancellation of partially completed delete request or delete request past the deadline of {} since its creation is not \
             allowed. To force, use the ?force query parameter",
            format_go_duration(CANCEL_PERIOD_MS * 1_000_000)
        )));
    }
    let tenant = request.tenant.clone();
    let cancelled = state.looked_up(&request.limits, |source| async move { source.cancel_deletion(&tenant, id).await }).await??;
    // It may have been processed since the list was read.
    if cancelled { Ok(StatusCode::NO_CONTENT) } else { Err(processed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{TimeRangeMs, TimestampMs};

    #[test]
    fn requests_are_told_as_they_were_made() {
        let of = |text: &str, state| {
            let Ok(logql::Expr::Log(log)) = logql::parse(text) else { panic!("{text}") };
            let filter = (!log.stages.is_empty()).then(|| filter_text(&log.stages));
            let range = TimeRangeMs::new(TimestampMs(0), TimestampMs(1));
            let request = DeletionRequest { range, matchers: log.matchers, filter };
            told(&Deletion { id: 1, requested_at: TimestampMs(5), request, state }).map(|told| (told.query, told.is_processed))
        };
        for text in [r#"{app="db"}"#, r#"{app="db"} |= "503""#, r#"{app="db", env=~"p.+"} |= "x" != "y" | json | a="b""#] {
            assert_eq!(of(text, DeletionState::Requested), Some((text.to_owned(), false)));
        }
        assert_eq!(of("{a=\"b\"}", DeletionState::Finished(TimestampMs(7))), Some(("{a=\"b\"}".to_owned(), true)));
        assert_eq!(of("{a=\"b\"}", DeletionState::Cancelled(TimestampMs(7))), None);
    }
}
