//! What every handler wants of a request: whose data, and the parameters.
//!
//! Owns: the tenant header's rules, bounds on URL and form. Does not own: what a parameter means (`wire`).

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use model::{Limits, TenantId};
use wire::form::{Form, FormError};
use wire::tenant::{TENANT_HEADER, tenant_of, tenants_of};

use crate::limits::{FORM_BYTES_MAX, URL_BYTES_MAX};
use crate::respond::text;
use crate::{State, multipart};

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
        let is_loki = crate::loki::is_loki_path(parts.uri.path());
        let content_type = header_text(&parts.headers, header::CONTENT_TYPE.as_str());
        let is = |media_type: &str| parts.method == Method::POST && content_type.starts_with(media_type);
        // Loki's endpoints read no parts.
        let (is_form, has_parts) = (is("application/x-www-form-urlencoded"), is("multipart/form-data") && !is_loki);
        let body = match is_form || has_parts {
            true => to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| too_large())?,
            false => Bytes::new(),
        };
        let encoded: &[u8] = if is_form { &body } else { b"" };
        let mut form = Form::parse_what_is_valid(query, encoded).map_err(|error| bad_form(is_loki, &error))?;
        if has_parts {
            let values = multipart::values(content_type, body).await;
            form.append(values).map_err(|error| bad_form(is_loki, &error))?;
        }
        if let Some(fault) = form.fault().filter(|_| is_loki) {
            return Err(bad_form(is_loki, fault));
        }
        let limits = state.limits.of_all(&tenants);
        Ok(ApiRequest { tenant: tenants[0].clone(), tenants, limits, form, headers: parts.headers })
    }

    /// Refuses a form of which a part is wrong. Most of Prometheus's endpoints do not: they answer by what is right of it.
    pub fn whole_form(&self) -> Result<(), String> {
        self.form.fault().map_or(Ok(()), |fault| Err(form_reason(fault)))
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

fn form_reason(error: &FormError) -> String {
    format!("error parsing form values: {error}")
}

fn bad_form(is_loki: bool, error: &FormError) -> Response {
    match is_loki {
        true => text(StatusCode::BAD_REQUEST, form_reason(error)),
        false => crate::prom::Failure(wire::prom_api::ApiError::bad_data(form_reason(error))).into_response(),
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
