//! Accounts as text. Errors name accounts and places, never what stands there: it may be a secret put in the wrong place.

use std::collections::BTreeSet;

use edge::{Account, Accounts, ReadError, Role, SecretHash, Tenants};
use model::TenantId;
use serde::Deserialize;

/// The account that may touch every tenant's data has this in place of tenants.
const EVERYBODY: &str = "*";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    accounts: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    tenants: Vec<String>,
    roles: Vec<String>,
    secrets: Vec<String>,
}

/// Reads accounts.
pub fn parse(text: &str) -> Result<Accounts, ReadError> {
    let document: Document = serde_yaml_ng::from_str(text).map_err(|error| unreadable(&error))?;
    let accounts = document.accounts.into_iter().map(account).collect::<Result<Vec<_>, _>>()?;
    Ok(Accounts::new(accounts)?)
}

/// Says where, not what: the parser's own text repeats what it found.
fn unreadable(error: &serde_yaml_ng::Error) -> ReadError {
    let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column())).unwrap_or_default();
    format!("credentials cannot be read{place}: expected accounts, each with name, tenants, roles and secrets").into()
}

fn account(written: Written) -> Result<Account, ReadError> {
    let Written { name, tenants, roles, secrets } = written;
    let of = |what: &str, number: usize, reason: &dyn std::fmt::Display| -> ReadError {
        format!("account {name:?}, {what} {}: {reason}", number + 1).into()
    };
    let tenants = match tenants.as_slice() {
        [one] if one == EVERYBODY => Tenants::All,
        names => {
            let parsed = names.iter().enumerate().map(|(n, text)| match text.as_str() {
                EVERYBODY => Err(of("tenant", n, &"\"*\" stands alone")),
                text => TenantId::parse(text).map_err(|error| of("tenant", n, &error)),
            });
            Tenants::These(parsed.collect::<Result<BTreeSet<_>, _>>()?)
        }
    };
    let role =
        |(n, text): (usize, &String)| Role::parse(text).ok_or_else(|| of("role", n, &"it is read, write, admin or metrics"));
    let roles = roles.iter().enumerate().map(role).collect::<Result<BTreeSet<_>, _>>()?;
    let secret = |(n, text): (usize, &String)| text.parse::<SecretHash>().map_err(|error| of("secret", n, &error));
    let secrets = secrets.iter().enumerate().map(secret).collect::<Result<Vec<_>, _>>()?;
    Ok(Account { name, tenants, roles, secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "blake3:0101010101010101010101010101010101010101010101010101010101010101";

    #[test]
    fn accounts_are_read() {
        let text = format!(
            "accounts:\n- {{name: a, tenants: [t, u], roles: [read, write], secrets: [\"{HASH}\"]}}\n\
             - {{name: b, tenants: ['*'], roles: [metrics], secrets: [\"{}\"]}}\n",
            HASH.replace("01", "02")
        );
        assert_eq!(parse(&text).unwrap().len(), 2);
        let json = format!(r#"{{"accounts": [{{"name": "a", "tenants": ["t"], "roles": ["read"], "secrets": ["{HASH}"]}}]}}"#);
        assert_eq!(parse(&json).unwrap().len(), 1);
        assert_eq!(parse("accounts: []").unwrap().len(), 0);
    }

    #[test]
    fn mistakes_are_placed_and_never_repeated() {
        let one = |tenants: &str, roles: &str, secrets: &str| {
            format!("accounts:\n- {{name: a, tenants: {tenants}, roles: {roles}, secrets: {secrets}}}")
        };
        let fine = format!("[\"{HASH}\"]");
        let cases = [
            (one("[t]", "[read]", "s3cr3t"), "credentials cannot be read at line 2, column 51: expected"),
            (one("[t]", "[read]", "[s3cr3t]"), "account \"a\", secret 1: a secret is kept as"),
            (one("[t]", "[s3cr3t]", &fine), "account \"a\", role 1: it is read, write, admin or metrics"),
            (one("['t', '*']", "[read]", &fine), "account \"a\", tenant 2: \"*\" stands alone"),
            (one("['a/b']", "[read]", &fine), "account \"a\", tenant 1: tenant id has unsupported character '/'"),
            (one("[]", "[read]", &fine), "account \"a\" has no tenants"),
            ("accounts:\n- s3cr3t: 1".to_owned(), "credentials cannot be read at line 2"),
            ("s3cr3t".to_owned(), "credentials cannot be read at line 1"),
            (String::new(), "credentials cannot be read"),
        ];
        for (text, message) in cases {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
