//! Who a request is of, decided before any handler sees it: credentials → account → tenant and role.
//!
//! Owns: secrets and their hashes, accounts, the layer in front of routes. Does not own: where accounts are kept (`boot`), what a
//! tenant's name may be (`model`), what a route does. Without accounts every request passes as it came.
//!
//! ```text
//! Authorization ─▶ Presented ─▶ Accounts::find ─▶ role? tenant? ─▶ handler, X-Scope-OrgID said by the account
//!                                   ▲                └─▶ 401, 403
//!                     Keyring: reads them again every so often
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod guard;
mod keyring;
pub mod limits;
mod presented;
mod refusal;
mod secret;

pub use account::{Account, AccountError, Accounts, Need, Role, Tenants};
pub use guard::{Guard, guarded};
pub use keyring::{CredentialSource, Keyring, ReadError};
pub use presented::Presented;
pub use refusal::Refusal;
pub use secret::{HashError, SecretHash};
