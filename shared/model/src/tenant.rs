//! Tenant identity, parsed before it is ever part of a key.

use std::fmt;
use std::sync::Arc;

/// Longest tenant id, in bytes (Mimir's rule).
pub const TENANT_ID_BYTES_MAX: usize = 150;

/// A validated tenant id.
///
/// # Invariants
/// 1 to 150 bytes of `a-z A-Z 0-9 ! - _ . * ' ( )`, never `.` or `..` (Mimir's rules, so that it is safe in an object key).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TenantId(Arc<str>);

/// Why a tenant id was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TenantError {
    /// The id is empty.
    #[error("tenant id is empty")]
    Empty,
    /// The id is too long.
    #[error("tenant id is {len} bytes, limit is {TENANT_ID_BYTES_MAX}")]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// The id is `.` or `..`.
    #[error("tenant id '{0}' is not allowed")]
    Reserved(String),
    /// The id has a character outside the allowed set.
    #[error("tenant id has unsupported character {0:?}")]
    Character(char),
}

impl TenantId {
    /// Parses a tenant id as it stands in `X-Scope-OrgID`.
    pub fn parse(text: &str) -> Result<TenantId, TenantError> {
        if text.is_empty() {
            return Err(TenantError::Empty);
        }
        if text.len() > TENANT_ID_BYTES_MAX {
            return Err(TenantError::TooLong { len: text.len() });
        }
        if text == "." || text == ".." {
            return Err(TenantError::Reserved(text.to_owned()));
        }
        match text.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(TenantError::Character(c)),
            None => Ok(TenantId(text.into())),
        }
    }

    /// Returns the tenant used when authentication is off and no header is sent.
    pub fn anonymous() -> TenantId {
        TenantId("anonymous".into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '!' | '-' | '_' | '.' | '*' | '\'' | '(' | ')')
}

impl AsRef<[TenantId]> for TenantId {
    /// One tenant, where several could be named.
    fn as_ref(&self) -> &[TenantId] {
        std::slice::from_ref(self)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_mimirs() {
        assert!(TenantId::parse("team-a_1.x*'()!").is_ok());
        assert_eq!(TenantId::parse(""), Err(TenantError::Empty));
        assert_eq!(TenantId::parse(".."), Err(TenantError::Reserved("..".into())));
        assert_eq!(TenantId::parse("a/b"), Err(TenantError::Character('/')));
        assert_eq!(TenantId::parse(&"x".repeat(151)), Err(TenantError::TooLong { len: 151 }));
    }
}
