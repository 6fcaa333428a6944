//! What every handler wants of a request: whose data, and the parameters.
//!
//! Owns: the tenant header's rules, bounds on URL and form. Does not own: what a parameter means (`wire`).

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use model::{Limits, TenantId};
use wire::form::Form;
use wire::tenant::{TENANT_HEADER, tenant_of, tenants_of};

use crate::State;
use crate::limits::{FORM_BYTES_MAX, URL_BYTES_MAX};
use crate::respond::text;

/// A request to one of the query APIs. As an extractor it refuses to be about several tenants.
#[derive(Debug)]
pub struct ApiRequest {
    /// Whose data; of several tenants the first.
    pub tenant: TenantId,
    /// All of them, sorted.
    pub tenants: Vec<TenantId>,
    /// Bounds on what is asked: each tenant's at once.
    pub limits: Arc<Limits>,
    /// Parameters of URL and body.
    pub form: Form,
    /// Headers as received.
    pub headers: HeaderMap,
}

impl FromRequest<State> for ApiRequest {
    type Rejection = Response;

    async fn from_request(request: Request, state: &State) -> Result<ApiRequest, Response> {
        ApiRequest::read(request, state, |named, required| tenant_of(named, required).map(|tenant| vec![tenant])).await
    }
}

/// A request that may be about several tenants at once: `X-Scope-OrgID: a|b`.
#[derive(Debug)]
pub struct Across(pub ApiRequest);

impl FromRequest<State> for Across {
    type Rejection = Response;

    async fn from_request(request: Request, state: &State) -> Result<Across, Response> {
        ApiRequest::read(request, state, tenants_of).await.map(Across)
    }
}

impl ApiRequest {
    async fn read(
        request: Request,
        state: &State,
        parse: fn(Option<&str>, bool) -> Result<Vec<TenantId>, wire::error::Error>,
    ) -> Result<ApiRequest, Response> {
        let (parts, body) = request.into_parts();
        let tenants = named(&parts.headers, state.options.require_tenant, parse)?;
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > URL_BYTES_MAX {
            let reason = format!("url query is {} bytes, limit is {URL_BYTES_MAX}", query.len());
            return Err(text(StatusCode::URI_TOO_LONG, reason));
        }
        let is_form =
            parts.method == Method::POST && content_type(&parts.headers).starts_with("application/x-www-form-urlencoded");
        let body = match is_form {
            true => to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| too_large())?,
            false => bytes::Bytes::new(),
        };
        let form = Form::parse_what_is_valid(query, &body);
        if let Some(fault) = form.fault().filter(|_| says_what_is_wrong(parts.uri.path())) {
            return Err(bad_form(parts.uri.path(), fault));
        }
        let limits = state.limits.of_all(&tenants);
        Ok(ApiRequest { tenant: tenants[0].clone(), tenants, limits, form, headers: parts.headers })
    }
}

/// A request that names its tenant and says nothing else of use.
#[derive(Debug)]
pub struct Tenanted;

impl FromRequestParts<State> for Tenanted {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Tenanted, Response> {
        tenant(&parts.headers, state.options.require_tenant).map(|_| Tenanted)
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    header_text(headers, header::CONTENT_TYPE.as_str())
}

/// Returns a header as text, empty where it is absent or not text.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Returns the tenant of a request; `anonymous` where none is named and none is required.
#[allow(clippy::result_large_err)] // the response is what goes out, once
pub fn tenant(headers: &HeaderMap, required: bool) -> Result<TenantId, Response> {
    named(headers, required, tenant_of)
}

#[allow(clippy::result_large_err)] // as above
fn named<T>(
    headers: &HeaderMap,
    required: bool,
    parse: impl Fn(Option<&str>, bool) -> Result<T, wire::error::Error>,
) -> Result<T, Response> {
    let named = headers.get(TENANT_HEADER).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    parse(named, required).map_err(|error| match named {
        None | Some("") => text(StatusCode::UNAUTHORIZED, format!("{error}\n")),
        Some(_) => text(StatusCode::BAD_REQUEST, error.to_string()),
    })
}

fn too_large() -> Response {
    text(StatusCode::PAYLOAD_TOO_LARGE, format!("form is larger than {FORM_BYTES_MAX} bytes"))
}

/// Reports whether an endpoint refuses a form of which a part is wrong. Prometheus's others answer by what is right of it.
fn says_what_is_wrong(path: &str) -> bool {
    const STRICT: [&str; 4] = ["/series", "/rules", "/delete_series", "/federate"];
    crate::loki::is_loki_path(path) || STRICT.iter().any(|end| path.ends_with(end))
}

fn bad_form(path: &str, error: &wire::form::FormError) -> Response {
    let reason = format!("error parsing form values: {error}");
    match crate::loki::is_loki_path(path) {
        true => text(StatusCode::BAD_REQUEST, reason),
        false => crate::prom::Failure(wire::prom_api::ApiError::bad_data(reason)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants() {
        let headers =
            |value: &str| HeaderMap::from_iter([(http::HeaderName::from_static(TENANT_HEADER), value.parse().unwrap())]);
        assert_eq!(tenant(&HeaderMap::new(), false).unwrap(), TenantId::anonymous());
        assert_eq!(tenant(&headers("a"), true).unwrap().as_str(), "a");
        assert_eq!(tenant(&HeaderMap::new(), true).unwrap_err().status(), 401);
        assert_eq!(tenant(&headers("a/b"), false).unwrap_err().status(), 400);
    }
}
