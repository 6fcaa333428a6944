//! Rules, as a Loki answers whose rules lie in files and that has none of them.

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use wire::loki_api::rules::{self, RuleGroup};

use crate::request::Tenanted;
use crate::respond::{JSON, plain_error, whole};

/// Lists rule groups: there are none.
pub async fn list(_: Tenanted) -> Response {
    plain_error(StatusCode::NOT_FOUND, "no rule groups found")
}

/// Answers one rule group.
pub async fn group(_: Tenanted) -> Response {
    plain_error(StatusCode::BAD_REQUEST, "GetRuleGroup unsupported in rule local store")
}

/// Checks a rule group, which is refused whatever it says.
pub async fn create(_: Tenanted, body: Bytes) -> Response {
    let problems = match rules::parse(&body) {
        Ok(group) => problems(&group),
        Err(problem) => vec![problem.to_string()],
    };
    match problems.is_empty() {
        true => plain_error(StatusCode::INTERNAL_SERVER_ERROR, "SetRuleGroup unsupported in rule local store"),
        false => plain_error(StatusCode::BAD_REQUEST, &problems.join(", ")),
    }
}

fn problems(group: &RuleGroup) -> Vec<String> {
    group.problems(|expr| logql::parse(expr).err().map(|error| error.to_string()))
}

/// Removes the groups of a namespace.
pub async fn remove_namespace(_: Tenanted) -> Response {
    refused("DeleteNamespace unsupported in rule local store")
}

/// Removes a group.
pub async fn remove_group(_: Tenanted) -> Response {
    refused("DeleteRuleGroup unsupported in rule local store")
}

fn refused(reason: &str) -> Response {
    let body = format!(r#"{{"status":"error","data":null,"errorType":"server_error","error":"{reason}"}}"#);
    whole(StatusCode::INTERNAL_SERVER_ERROR, JSON, body.into_bytes())
}
