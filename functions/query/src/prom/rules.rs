//! `rules` and `alerts`: every parameter is checked, and there is no rule yet. Under the prefix that Loki and Mimir put before the path
//! answers have the form of their rulers.

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::quote::go_quote;
use wire::form::Form;
use wire::prom_api::{ApiError, envelope};

use super::{Failure, matcher_sets};
use crate::State;
use crate::request::ApiRequest;
use crate::respond::{JSON, whole};

const NO_GROUPS: &str = r#"{"groups":[]}"#;
const NO_ALERTS: &str = r#"{"alerts":[]}"#;

/// Lists rule groups.
pub async fn rules(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    request.whole_form().and_then(|()| matcher_sets(&request, &state)).map_err(ApiError::bad_data)?;
    check(&request.form)?;
    Ok(answer(NO_GROUPS))
}

/// Lists alerts.
pub async fn alerts() -> Response {
    answer(NO_ALERTS)
}

/// Lists rule groups, as Loki's ruler does.
pub async fn ruler_rules(_: ApiRequest) -> Response {
    ruler_answer(NO_GROUPS)
}

/// Lists alerts, as Loki's ruler does.
pub async fn ruler_alerts(_: ApiRequest) -> Response {
    ruler_answer(NO_ALERTS)
}

fn answer(data: &str) -> Response {
    whole(StatusCode::OK, JSON, envelope::answer(|out| out.extend_from_slice(data.as_bytes())))
}

fn ruler_answer(data: &str) -> Response {
    let body = format!(r#"{{"status":"success","data":{data},"errorType":"","error":""}}"#);
    whole(StatusCode::OK, JSON, body.into_bytes())
}

fn check(form: &Form) -> Result<(), ApiError> {
    let kind = form.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(ApiError::parameter("type", format!("not supported value {}", go_quote(&kind))));
    }
    let exclude = form.get("exclude_alerts").to_lowercase();
    if !matches!(exclude.as_str(), "" | "1" | "t" | "true" | "0" | "f" | "false") {
        let reason =
            format!("error converting exclude_alerts: strconv.ParseBool: parsing {}: invalid syntax", go_quote(&exclude));
        return Err(ApiError::parameter("exclude_alerts", reason));
    }
    page(form.get("group_limit"), form.get("group_next_token"))
}

fn page(limit: &str, token: &str) -> Result<(), ApiError> {
    let invalid = |reason: String| Err(ApiError::parameter("group_limit", reason));
    if limit.is_empty() {
        let reason = "group_limit needs to be present in order to paginate over the groups";
        return if token.is_empty() { Ok(()) } else { Err(ApiError::parameter("group_next_token", reason)) };
    }
    let digits = limit.strip_prefix(['+', '-']).unwrap_or(limit);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match limit.parse::<i32>() {
        Err(_) => {
            let reason = if number { "value out of range" } else { "invalid syntax" };
            let limit = go_quote(limit);
            invalid(format!("group_limit needs to be a valid number: strconv.ParseInt: parsing {limit}: {reason}"))
        }
        Ok(..=0) => invalid("group_limit needs to be greater than 0".to_owned()),
        Ok(_) if !token.is_empty() => {
            let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
            Err(ApiError::parameter("group_next_token", reason))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let table = [
            ("type=Alert&exclude_alerts=TRUE&group_limit=3", None),
            ("type=x", Some(r#"invalid parameter "type": not supported value "x""#)),
            (
                "exclude_alerts=x",
                Some(
                    r#"invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "x": invalid syntax"#,
                ),
            ),
            (
                "group_next_token=x",
                Some(
                    r#"invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups"#,
                ),
            ),
            ("group_limit=0", Some(r#"invalid parameter "group_limit": group_limit needs to be greater than 0"#)),
            (
                "group_limit=99999999999",
                Some(
                    r#"invalid parameter "group_limit": group_limit needs to be a valid number: strconv.ParseInt: parsing "99999999999": value out of range"#,
                ),
            ),
            (
                "group_limit=1&group_next_token=x",
                Some(r#"invalid parameter "group_next_token": invalid group_next_token 'x'. were rule groups changed?"#),
            ),
        ];
        for (query, reason) in table {
            let form = Form::parse(query, b"").expect("valid");
            assert_eq!(check(&form).err().map(|error| error.message).as_deref(), reason, "{query}");
        }
    }
}
