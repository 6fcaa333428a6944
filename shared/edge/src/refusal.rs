//! A request that is not let in, as an HTTP answer.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Why a request is not let in. None says whether a name or a secret exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// It presents nothing.
    #[error("no credentials: a bearer token or basic authentication is needed")]
    Anonymous,
    /// What it presents is nobody's.
    #[error("credentials are not valid")]
    Unknown,
    /// The account has not the role.
    #[error("credentials do not allow this")]
    Role,
    /// The tenant is not the account's.
    #[error("credentials are not of the tenant in X-Scope-OrgID")]
    Tenant,
    /// Which tenant it is depends on who reads the headers.
    #[error("more than one X-Scope-OrgID")]
    Ambiguous,
    /// Accounts cannot be read.
    #[error("credentials cannot be checked now")]
    Unavailable,
}

impl Refusal {
    /// Returns the status: 401 asks for other credentials, 403 says that these will never do.
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Anonymous | Refusal::Unknown => StatusCode::UNAUTHORIZED,
            Refusal::Role | Refusal::Tenant => StatusCode::FORBIDDEN,
            Refusal::Ambiguous => StatusCode::BAD_REQUEST,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// How to authenticate, for clients that ask (RFC 9110, 11.6.1).
const CHALLENGES: [&str; 2] = ["Basic realm=\"lamella\", charset=\"UTF-8\"", "Bearer realm=\"lamella\""];

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (self.status(), headers, format!("{self}\n")).into_response();
        match self.status() {
            StatusCode::UNAUTHORIZED => CHALLENGES.iter().for_each(|challenge| {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }),
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
