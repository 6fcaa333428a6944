//! `detected_labels`, `detected_fields` and a detected field's values, and `patterns`: what a client may offer as filters.

use std::collections::BTreeMap;

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use http::StatusCode;
use model::{LabelSet, Signal};
use plan::pipeline::fields;
use plan::{StreamEntries, Value};
use wire::json_text::comma;
use wire::loki_api::detected::{self, DetectedField, DetectedParams};
use wire::loki_api::params::{check_lines, lookup_range};
use wire::loki_api::patterns::{self, PatternParams};

use super::query::{Asked, evaluate};
use super::{Failure, JSON, selector};
use crate::State;
use crate::limits::LOOKUP_MAX;
use crate::request::{Across, ApiRequest};
use crate::respond::whole;
use crate::source::{Labels, Lookup, TENANT_LABEL};

/// Labels that Loki offers whatever their values look like.
const ALWAYS: [&str; 4] = ["cluster", "instance", "namespace", "pod"];

/// Answers the labels of the streams, with how many values each has.
pub async fn labels(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let range = lookup_range(&request.form, state.now_ns())?;
    let matcher_sets = match request.form.get("query") {
        "" => Vec::new(),
        text => vec![selector::checked(text)?],
    };
    let limits = &*request.limits;
    let Some(range) = selector::visible(range, limits, state.now_ns().0)? else { return Ok(json(detected::labels([]))) };
    let range = state.bounded(range.cover_ms());
    let lookup = Lookup { tenants: request.tenants.clone(), signal: Signal::Logs, matcher_sets, range, limit: LOOKUP_MAX };
    let found = state.looked_up(&request.limits, |source| async move { source.series(lookup).await }).await??;
    // Whose a stream is is no label that Loki offers; of one tenant it is a label like any other.
    let is_told = |name: &str| request.tenants.len() == 1 || name != TENANT_LABEL;
    let counted = counted(&found.items).into_iter().filter(|(name, _)| is_told(name));
    Ok(json(detected::labels(counted)))
}

/// Counts the values of labels; those whose values are all numbers or ids say nothing to a reader and are left out.
fn counted(streams: &[LabelSet]) -> Vec<(&str, u64)> {
    let mut values: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in streams.iter().flat_map(LabelSet::iter) {
        values.entry(name).or_default().insert(value);
    }
    let is_told = |name: &str, values: &std::collections::BTreeSet<&str>| {
        let is_flag = values.iter().all(|value| matches!(*value, "0" | "1"));
        ALWAYS.contains(&name) || is_flag || !values.iter().all(|value| is_id(value))
    };
    values.into_iter().filter(|(name, values)| is_told(name, values)).map(|(name, values)| (name, values.len() as u64)).collect()
}

/// Reports whether a value is a number or a UUID, in any of the forms Go's parser takes.
fn is_id(value: &str) -> bool {
    let bare = value.strip_prefix("urn:uuid:").or_else(|| value.strip_prefix('{')?.strip_suffix('}')).unwrap_or(value);
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups: Vec<&str> = bare.split('-').collect();
    let is_uuid = match groups.as_slice() {
        [all] => all.len() == 32 && bare.len() == value.len() && is_hex(all),
        groups => groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(|group| is_hex(group)),
    };
    is_uuid || model::go_float::parse(value).is_ok()
}

/// Answers the fields that a sample of lines has.
pub async fn fields(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = DetectedParams::parse(&request.form, state.now_ns())?;
    let streams = sample(&state, &request, &params).await?;
    let found = fields::fields(&streams, params.limit);
    let told = found.iter().map(|field| DetectedField {
        label: &field.name,
        kind: field.kind.as_str(),
        cardinality: field.cardinality,
        parsers: &field.parsers,
        json_path: &field.json_path,
    });
    Ok(json(detected::fields(told, params.limit)))
}

/// Answers the values that a field has in a sample of lines.
pub async fn field_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    Across(request): Across,
) -> Result<Response, Failure> {
    let params = DetectedParams::parse(&request.form, state.now_ns())?;
    let streams = sample(&state, &request, &params).await?;
    Ok(json(detected::values(&fields::field_values(&streams, &name, params.limit), params.limit)))
}

/// Reads the newest lines of a query.
async fn sample(state: &State, request: &ApiRequest, params: &DetectedParams) -> Result<Vec<StreamEntries>, Failure> {
    let text = request.form.get("query");
    let expr = logql::parse(text).map_err(Failure::bad)?;
    let logql::Expr::Log(log) = &expr else { return Err(Failure::bad("only log selector is supported")) };
    let limits = &*request.limits;
    check_lines(params.lines, limits.log_queries.lines_max)?;
    selector::check_labels(&log.matchers, limits)?;
    selector::check_blocked(text, &expr, request, limits)?;
    let Some(range) = selector::visible(params.range, limits, state.now_ns().0)? else { return Ok(Vec::new()) };
    let asked = Asked::newest(text, range, params.lines);
    let (answer, _) = evaluate(state, request, asked.lower(&expr, limits)?, Labels::Categorized).await?;
    match answer.value {
        Value::Streams(streams) => Ok(streams),
        _ => Ok(Vec::new()),
    }
}

/// Answers what the lines of some streams have in common.
pub async fn patterns(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = PatternParams::parse(&request.form, state.now_ns())?;
    let matchers = selector::checked(request.form.get("query"))?;
    let limits = &*request.limits;
    selector::check_labels(&matchers, limits)?;
    let mut body = Vec::new();
    patterns::head(&mut body);
    if let Some(range) = selector::visible(params.range, limits, state.now_ns().0)? {
        let (tenants, step_ms) = (request.tenants.clone(), params.step_ns / 1_000_000);
        let mined = |source: std::sync::Arc<dyn crate::source::Source>| async move {
            source.patterns(&tenants, matchers, range, step_ms).await
        };
        let found = state.looked_up(&request.limits, mined).await??;
        for (index, pattern) in found.items.iter().enumerate() {
            comma(&mut body, index);
            patterns::pattern(&mut body, &pattern.text, pattern.level, &pattern.samples);
        }
    }
    patterns::tail(&mut body);
    Ok(json(body))
}

fn json(body: Vec<u8>) -> Response {
    whole(StatusCode::OK, JSON, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_ids_are_left_out() {
        let id = "123e4567-e89b-12d3-a456-426614174000";
        let streams = [
            [("app", "web"), ("flag", "0"), ("id", id), ("pod", "1"), ("port", "80")],
            [("app", "db"), ("flag", "1"), ("id", "7"), ("pod", "2"), ("port", "443")],
        ];
        let streams = streams.map(LabelSet::from_pairs);
        assert_eq!(counted(&streams), [("app", 2), ("flag", 2), ("pod", 2)]);
        assert!(counted(&[]).is_empty());
    }

    #[test]
    fn ids() {
        let id = "123e4567-e89b-12d3-a456-426614174000";
        for text in [id, "1.5e3", &id.replace('-', ""), &format!("{{{id}}}"), &format!("urn:uuid:{id}")] {
            assert!(is_id(text), "{text}");
        }
        for text in ["", "web", "123e4567-e89b-12d3-a456-42661417400", "123e4567e-89b-12d3-a456-426614174000", "{7}"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
