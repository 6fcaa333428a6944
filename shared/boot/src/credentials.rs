//! Accounts of the edge, and where they are kept. At most one of:
//!
//! | variable | what it holds |
//! |---|---|
//! | `LAMELLA_CREDENTIALS_FILE` | a file; read again while the process runs |
//! | `LAMELLA_CREDENTIALS_SECRET` | the ARN of a Secrets Manager secret or an SSM parameter; read through the AWS Parameters and Secrets Lambda extension ([`extension`]), again and again |
//! | `LAMELLA_CREDENTIALS` | the text itself; it holds hashes only, still a file is better |
//!
//! None: authentication is off. The text is YAML, and so JSON too:
//! ```yaml
//! accounts:
//!   - name: prometheus-eu             # basic authentication's user; bearer tokens need none
//!     tenants: [team-a]               # or ["*"], everybody's
//!     roles: [write]                  # of read, write, admin, metrics
//!     secrets: ["blake3:…"]           # from `lamella credentials new`; several while they are changed
//! ```

mod document;
mod extension;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use edge::{Accounts, CredentialSource, Guard, Keyring, ReadError};
use model::Clock;

use crate::config::Lookup;
use crate::{Error, Result};
use extension::Extension;

const TEXT: &str = "LAMELLA_CREDENTIALS";
const FILE: &str = "LAMELLA_CREDENTIALS_FILE";
const SECRET: &str = "LAMELLA_CREDENTIALS_SECRET";

/// Where accounts are kept.
#[derive(Clone)]
pub enum Credentials {
    /// In a variable.
    Text(String),
    /// In a file.
    File(PathBuf),
    /// In Secrets Manager or SSM.
    Secret(Extension),
}

/// Hashes are no secrets, still logs do not need them.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Text(_) => write!(f, "variable {TEXT}"),
            Credentials::File(path) => write!(f, "file {}", path.display()),
            Credentials::Secret(extension) => write!(f, "{extension}"),
        }
    }
}

/// Returns where the variables say that accounts are; `None` where authentication is off.
pub fn from_lookup(lookup: Lookup<'_>) -> Result<Option<Credentials>> {
    let (text, file, secret) = (lookup(TEXT), lookup(FILE), lookup(SECRET));
    match (text, file, secret) {
        (None, None, None) => Ok(None),
        (Some(text), None, None) => Ok(Some(Credentials::Text(text))),
        (None, Some(path), None) => Ok(Some(Credentials::File(path.into()))),
        (None, None, Some(arn)) => Extension::from_lookup(lookup, arn).map(|found| Some(Credentials::Secret(found))),
        // Which of them is right nobody can say, and a guess may let the wrong ones in.
        _ => Err(Error::Several { names: [TEXT, FILE, SECRET] }),
    }
}

/// Returns the guard of a process.
pub fn guard(credentials: Option<&Credentials>, clock: &Arc<dyn Clock>) -> Guard {
    match credentials {
        Some(credentials) => Guard::new(Keyring::new(Box::new(credentials.clone()), Arc::clone(clock))),
        None => Guard::open(),
    }
}

impl Credentials {
    /// Reports whether accounts can be read before the first request. The extension answers only while a function is invoked.
    pub fn is_there_at_start(&self) -> bool {
        !matches!(self, Credentials::Secret(_))
    }
}

#[async_trait]
impl CredentialSource for Credentials {
    async fn read(&self) -> std::result::Result<Accounts, ReadError> {
        match self {
            Credentials::Text(text) => document::parse(text),
            Credentials::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                document::parse(&text.map_err(|error| format!("read {}: {error}", path.display()))?)
            }
            Credentials::Secret(extension) => document::parse(&extension.read().await?),
        }
    }
}

#[cfg(test)]
mod tests;
