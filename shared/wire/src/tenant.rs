//! The tenant header, `X-Scope-OrgID`.

use model::TenantId;
use model::tenant::{TENANT_ID_BYTES_MAX, TenantError};

use crate::error::Error;

/// Name of the header, lower case.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Tenants that a question may be about at once: each has a snapshot of its own to be read.
pub const TENANTS_MAX: usize = 64;

/// Returns the tenant a request names; without a header the anonymous one, unless a tenant is required. Texts are Loki's.
pub fn tenant_of(header: Option<&str>, required: bool) -> Result<TenantId, Error> {
    match &tenants_of(header, required)?[..] {
        [tenant] => Ok(tenant.clone()),
        _ => Err(Error::Tenant("multiple org IDs present".to_owned())),
    }
}

/// Returns the tenants a request names, separated by `|`: at least one, sorted, each once, as dskit has them.
pub fn tenants_of(header: Option<&str>, required: bool) -> Result<Vec<TenantId>, Error> {
    let text = match header {
        Some(text) if !text.is_empty() => text,
        _ if required => return Err(Error::NoTenant),
        _ => return Ok(vec![TenantId::anonymous()]),
    };
    let mut tenants: Vec<TenantId> = text.split('|').map(parse).collect::<Result<_, _>>()?;
    tenants.sort_unstable();
    tenants.dedup();
    match tenants.len() {
        many if many > TENANTS_MAX => Err(Error::Tenant(format!("too many tenants, max: {TENANTS_MAX}, actual: {many}"))),
        _ => Ok(tenants),
    }
}

fn parse(text: &str) -> Result<TenantId, Error> {
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
        assert_eq!(text(Some("a|a"), true).unwrap().as_str(), "a");
        assert_eq!(text(Some("a/b"), true), Err("tenant ID 'a/b' contains unsupported character '/'".to_owned()));
    }

    #[test]
    fn several_tenants_are_sorted_and_each_there_once() {
        let named =
            |header| tenants_of(Some(header), true).map(|tenants| tenants.iter().map(TenantId::to_string).collect::<Vec<_>>());
        assert_eq!(named("b|a|b").unwrap(), ["a", "b"]);
        assert_eq!(named("a|").unwrap_err().to_string(), "no org id");
        assert_eq!(named("a|b/c").unwrap_err().to_string(), "tenant ID 'b/c' contains unsupported character '/'");
        let many: Vec<String> = (0..=TENANTS_MAX).map(|n| n.to_string()).collect();
        assert_eq!(named(&many.join("|")).unwrap_err().to_string(), "too many tenants, max: 64, actual: 65");
    }
}
