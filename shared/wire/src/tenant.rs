//! The tenant header, `X-Scope-OrgID`.

use model::TenantId;
use model::tenant::{TENANT_ID_BYTES_MAX, TenantError};

use crate::error::Error;

/// Name of the header, lower case.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Returns the tenant a request names; without a header the anonymous one, unless a tenant is required. Texts are Loki's.
pub fn tenant_of(header: Option<&str>, required: bool) -> Result<TenantId, Error> {
    let text = match header {
        Some(text) if !text.is_empty() => text,
        _ if required => return Err(Error::NoTenant),
        _ => return Ok(TenantId::anonymous()),
    };
    if text.contains('|') {
        return Err(Error::Tenant("multiple org IDs present".to_owned()));
    }
    TenantId::parse(text).map_err(|error| {
        Error::Tenant(match error {
            TenantError::Character(c) => format!("tenant ID '{text}' contains unsupported character '{c}'"),
            TenantError::TooLong { .. } => format!("tenant ID is too long: max {TENANT_ID_BYTES_MAX} characters"),
            TenantError::Reserved(_) => "tenant ID is '.' or '..'".to_owned(),
            TenantError::Empty => "no org id".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lokis() {
        let text = |header, required| tenant_of(header, required).map_err(|e| e.to_string());
        assert_eq!(text(None, false), Ok(TenantId::anonymous()));
        assert_eq!(text(None, true), Err("no org id".to_owned()));
        assert_eq!(text(Some("a|b"), true), Err("multiple org IDs present".to_owned()));
        assert_eq!(text(Some("a/b"), true), Err("tenant ID 'a/b' contains unsupported character '/'".to_owned()));
    }
}
