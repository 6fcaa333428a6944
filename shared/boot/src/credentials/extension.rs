//! Secrets through the AWS Parameters and Secrets Lambda extension: plain HTTP on this machine, no SDK of another service.
//!
//! The extension keeps what it fetched for five minutes (`SECRETS_MANAGER_TTL`), so asking it again costs nothing. It answers only
//! while a function is invoked, not while it starts. Ports and paths are those of its documentation (Secrets Manager user guide,
//! "Use AWS Secrets Manager secrets in AWS Lambda functions").

use std::fmt;

use edge::ReadError;
use serde::Deserialize;

use crate::config::{Lookup, parsed};
use crate::{Error, Result, fetch};

const PORT: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";
const PORT_DEFAULT: u16 = 2773;
const TOKEN_HEADER: &str = "X-Aws-Parameters-Secrets-Token";

/// What is asked of the extension.
#[derive(Clone)]
pub struct Extension {
    url: String,
    path: String,
    arn: String,
    session_token: String,
}

/// The session's token is a secret.
impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extension({})", self.arn)
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    secret_string: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

impl Extension {
    /// Makes the request for an ARN of `secretsmanager` or `ssm`.
    pub fn from_lookup(lookup: Lookup<'_>, arn: String) -> Result<Extension> {
        let path = match arn.split(':').nth(2) {
            Some("secretsmanager") => format!("/secretsmanager/get?secretId={}", escaped(&arn)),
            Some("ssm") => format!("/systemsmanager/parameters/get?name={}&withDecryption=true", escaped(&arn)),
            _ => {
                let expected = "the ARN of a Secrets Manager secret or an SSM parameter";
                return Err(Error::Variable { name: super::SECRET, value: arn, expected });
            }
        };
        let port = parsed(lookup, PORT, "a port")?.unwrap_or(PORT_DEFAULT);
        let session_token = lookup("AWS_SESSION_TOKEN").unwrap_or_default();
        Ok(Extension { url: format!("http://localhost:{port}"), path, arn, session_token })
    }

    /// Asks for the secret's text.
    pub async fn read(&self) -> std::result::Result<String, ReadError> {
        let body = fetch::get(&self.url, &self.path, &[(TOKEN_HEADER, &self.session_token)]).await?;
        self.text(&body).ok_or_else(|| format!("{} holds no text", self.arn).into())
    }

    fn text(&self, body: &str) -> Option<String> {
        match self.path.starts_with("/secretsmanager/") {
            true => serde_json::from_str(body).ok().map(|Secret { secret_string }| secret_string),
            false => serde_json::from_str(body).ok().map(|Answer { parameter }| parameter.value),
        }
    }
}

/// Escapes what an ARN may hold and a query may not.
fn escaped(arn: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    arn.bytes().map(escape).collect()
}
