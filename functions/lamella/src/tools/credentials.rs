//! `lamella credentials`: secrets for the edge, and the entries that hold their hashes.
//!
//! A secret is shown once, to whoever made it; the file of accounts holds its hash. Nothing is stored here.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use edge::{Role, SecretHash};
use model::TenantId;
use serde::Serialize;

use super::output::{self, Answer};

/// Random bytes of a secret: nobody guesses 256 bits, so a fast hash is enough to keep it.
const SECRET_BYTES: usize = 32;
/// What secrets begin with, so that scanners of leaked secrets can know one.
const SECRET_PREFIX: &str = "lamella_";

/// What to do with credentials.
#[derive(Subcommand)]
pub enum Command {
    /// Makes a secret and prints it with the account's entry.
    New(New),
    /// Prints the hash of a secret that exists elsewhere, read from standard input. It should be random and long.
    Hash,
}

/// The account of a new secret.
#[derive(Args, Clone, Debug)]
pub struct New {
    /// Its name: the user of basic authentication.
    pub name: String,
    /// Whose data it may touch; `*` is everybody's.
    #[arg(long, required = true, value_delimiter = ',')]
    pub tenants: Vec<String>,
    /// What it may do: read, write, admin, metrics.
    #[arg(long, required = true, value_delimiter = ',', value_parser = role)]
    pub roles: Vec<Role>,
    /// Prints JSON in place of text. The shapes are in TOOLS.md.
    #[arg(long)]
    pub json: bool,
}

fn role(name: &str) -> Result<Role, &'static str> {
    Role::parse(name).ok_or("a role is read, write, admin or metrics")
}

/// A secret and the entry that holds its hash.
#[derive(Serialize)]
struct Made {
    secret: String,
    account: Entry,
}

/// An account as it stands in the file.
#[derive(Serialize)]
struct Entry {
    name: String,
    tenants: Vec<String>,
    roles: Vec<&'static str>,
    secrets: Vec<String>,
}

impl Answer for Made {
    fn text(&self) -> String {
        let entry = serde_json::to_string(&self.account).expect("texts are JSON");
        format!("secret, shown only now:\n  {}\nentry for the file of accounts:\n  - {entry}\n", self.secret)
    }
}

/// Runs a command.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::New(new) => {
            let mut random = [0; SECRET_BYTES];
            getrandom::fill(&mut random).context("take random bytes of the system")?;
            let made = make(new, &random)?;
            output::print(&if new.json { output::json(&made)? } else { made.text() })?;
        }
        Command::Hash => {
            let mut secret = String::new();
            std::io::stdin().take(4096).read_to_string(&mut secret).context("read the secret")?;
            let secret = secret.trim_end_matches(['\r', '\n']);
            ensure!(!secret.is_empty(), "there is no secret on standard input");
            output::print(&format!("{}\n", SecretHash::of(secret.as_bytes())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn make(new: &New, random: &[u8]) -> Result<Made> {
    ensure!(!new.name.is_empty() && !new.name.contains(':'), "a name is a text without colons");
    if new.tenants != ["*"] {
        for tenant in &new.tenants {
            ensure!(tenant != "*", "\"*\" stands alone: it is everybody");
            TenantId::parse(tenant).with_context(|| format!("tenant {tenant:?}"))?;
        }
    }
    let secret = format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let secrets = vec![SecretHash::of(secret.as_bytes()).to_string()];
    let roles = new.roles.iter().map(|role| role.as_str()).collect();
    Ok(Made { secret, account: Entry { name: new.name.clone(), tenants: new.tenants.clone(), roles, secrets } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, tenants: &[&str]) -> New {
        let tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
        New { name: name.to_owned(), tenants, roles: vec![Role::Read, Role::Write], json: false }
    }

    #[test]
    fn a_secret_and_its_entry() {
        let made = make(&new("prometheus", &["a", "b"]), &[7; SECRET_BYTES]).expect("valid");
        assert_eq!(made.secret, "lamella_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        let entry = made.text().lines().last().expect("it has an entry").trim().to_owned();
        let hash = SecretHash::of(made.secret.as_bytes());
        let expected = r#"- {"name":"prometheus","tenants":["a","b"],"roles":["read","write"],"secrets":["HASH"]}"#;
        assert_eq!(entry, expected.replace("HASH", &hash.to_string()));
    }

    #[test]
    fn what_the_file_would_refuse_is_not_made() {
        for (name, tenants) in [("", ["a"].as_slice()), ("a:b", &["a"]), ("x", &["a/b"]), ("x", &["a", "*"])] {
            assert!(make(&new(name, tenants), &[0; SECRET_BYTES]).is_err(), "{name} {tenants:?}");
        }
        assert!(make(&new("x", &["*"]), &[0; SECRET_BYTES]).is_ok());
    }
}
