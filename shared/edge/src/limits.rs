//! Bounds, each with its reason.

use std::time::Duration;

/// Accounts: every one is compared with, so that time tells nothing, and a request should not pay more than some microseconds.
pub const ACCOUNTS_MAX: usize = 10_000;
/// Bytes of what a request presents: nobody's secret is longer, and hashing must not become work.
pub const PRESENTED_BYTES_MAX: usize = 4096;
/// How old accounts may be before they are read again: a secret that was withdrawn works no longer than that.
pub const REFRESH: Duration = Duration::from_secs(30);
