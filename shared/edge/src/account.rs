//! Accounts: who may do what with whose data.

use std::collections::BTreeSet;

use model::TenantId;

use crate::limits::ACCOUNTS_MAX;
use crate::{Presented, SecretHash};

/// What an account may do. None includes another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Asks.
    Read,
    /// Sends.
    Write,
    /// Deletes rows, and sees the configuration.
    Admin,
    /// Sees what the process counts, of every tenant.
    Metrics,
}

impl Role {
    /// Every role, by its name among credentials.
    pub const ALL: [(&str, Role); 4] =
        [("read", Role::Read), ("write", Role::Write), ("admin", Role::Admin), ("metrics", Role::Metrics)];

    /// Returns the role of a name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        Role::ALL[self as usize].0
    }
}

/// What a route needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing: probes.
    Nobody,
    /// An account with the role.
    Role(Role),
}

/// Whose data an account may touch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tenants {
    /// Everybody's: for operators.
    All,
    /// Only theirs.
    These(BTreeSet<TenantId>),
}

impl Tenants {
    /// Reports whether the account may touch what a header names: one tenant, or several with `|` between.
    pub fn cover(&self, named: &str) -> bool {
        match self {
            Tenants::All => true,
            Tenants::These(tenants) => named.split('|').all(|name| tenants.iter().any(|tenant| tenant.as_str() == name)),
        }
    }

    /// Returns the tenant of whoever names none: there is one where only one is allowed.
    pub fn only(&self) -> Option<&TenantId> {
        match self {
            Tenants::These(tenants) if tenants.len() == 1 => tenants.first(),
            _ => None,
        }
    }
}

/// Somebody with secrets: a sender, a data source, an operator.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name: basic authentication's user, and what logs say.
    pub name: String,
    /// Whose data.
    pub tenants: Tenants,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Hashes of its secrets. More than one while they are being changed.
    pub secrets: Vec<SecretHash>,
}

/// Every account.
///
/// # Invariants
/// Names and secrets are unique; at most [`ACCOUNTS_MAX`].
#[derive(Clone, Default, Debug)]
pub struct Accounts {
    accounts: Vec<Account>,
}

/// Why accounts cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccountError {
    /// Too many.
    #[error("there are {count} accounts, limit is {ACCOUNTS_MAX}")]
    Many {
        /// How many.
        count: usize,
    },
    /// An account without what makes it one.
    #[error("account {name:?} has no {lacks}")]
    Empty {
        /// Its name.
        name: String,
        /// What is missing.
        lacks: &'static str,
    },
    /// Basic authentication ends the user's name at the first colon (RFC 7617).
    #[error("account {name:?} has a colon in its name")]
    Colon {
        /// Its name.
        name: String,
    },
    /// Two of one name.
    #[error("account {name:?} is there twice")]
    Twice {
        /// Their name.
        name: String,
    },
    /// Two of one secret: whose request would it be?
    #[error("accounts {one:?} and {other:?} have a secret in common")]
    Shared {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
}

impl Accounts {
    /// Checks accounts and puts them together.
    pub fn new(accounts: Vec<Account>) -> Result<Accounts, AccountError> {
        if accounts.len() > ACCOUNTS_MAX {
            return Err(AccountError::Many { count: accounts.len() });
        }
        accounts.iter().try_for_each(check)?;
        let mut names = BTreeSet::new();
        if let Some(twice) = accounts.iter().find(|account| !names.insert(account.name.as_str())) {
            return Err(AccountError::Twice { name: twice.name.clone() });
        }
        let mut secrets: Vec<(String, &str)> =
            accounts.iter().flat_map(|of| of.secrets.iter().map(|secret| (secret.to_string(), of.name.as_str()))).collect();
        secrets.sort();
        if let Some(pair) = secrets.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(AccountError::Shared { one: pair[0].1.to_owned(), other: pair[1].1.to_owned() });
        }
        Ok(Accounts { accounts })
    }

    /// Returns the account of what a request presents. Every secret is compared with, in time that depends on none.
    pub fn find(&self, presented: &Presented) -> Option<&Account> {
        let secrets = self.accounts.iter().flat_map(|account| account.secrets.iter().map(move |secret| (account, secret)));
        let found = secrets.fold(None, |found, (account, secret)| match *secret == presented.secret {
            true => Some(account),
            false => found,
        });
        // Names are no secrets: a right secret under another's name is a mistake of its owner.
        found.filter(|account| presented.name.as_ref().is_none_or(|name| *name == account.name))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Reports whether nobody may do anything.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

fn check(account: &Account) -> Result<(), AccountError> {
    let no_tenants = matches!(&account.tenants, Tenants::These(tenants) if tenants.is_empty());
    let parts = [
        (account.name.is_empty(), "name"),
        (no_tenants, "tenants"),
        (account.roles.is_empty(), "roles"),
        (account.secrets.is_empty(), "secrets"),
    ];
    if let Some((_, lacks)) = parts.iter().find(|(missing, _)| *missing) {
        return Err(AccountError::Empty { name: account.name.clone(), lacks });
    }
    match account.name.contains(':') {
        true => Err(AccountError::Colon { name: account.name.clone() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, secrets: &[&str]) -> Account {
        let tenants = Tenants::These(BTreeSet::from([TenantId::parse("a").unwrap()]));
        let secrets = secrets.iter().map(|secret| SecretHash::of(secret.as_bytes())).collect();
        Account { name: name.to_owned(), tenants, roles: BTreeSet::from([Role::Read]), secrets }
    }

    #[test]
    fn a_secret_finds_its_account() {
        let accounts = Accounts::new(vec![account("one", &["1", "old"]), account("two", &["2"])]).unwrap();
        let find = |name: Option<&str>, secret: &str| {
            let presented = Presented { name: name.map(str::to_owned), secret: SecretHash::of(secret.as_bytes()) };
            accounts.find(&presented).map(|account| account.name.clone())
        };
        assert_eq!(find(None, "1").as_deref(), Some("one"));
        assert_eq!(find(None, "old").as_deref(), Some("one"));
        assert_eq!(find(Some("two"), "2").as_deref(), Some("two"));
        for (name, secret) in [(None, "3"), (None, ""), (Some("one"), "2"), (Some(""), "1"), (Some("three"), "1")] {
            assert_eq!(find(name, secret), None, "{name:?} {secret}");
        }
    }

    #[test]
    fn mistakes_are_named_without_their_secrets() {
        let nobody = Account { tenants: Tenants::These(BTreeSet::new()), ..account("x", &["1"]) };
        let idle = Account { roles: BTreeSet::new(), ..account("x", &["1"]) };
        let cases = [
            (vec![account("", &["1"])], "account \"\" has no name"),
            (vec![nobody], "account \"x\" has no tenants"),
            (vec![idle], "account \"x\" has no roles"),
            (vec![account("x", &[])], "account \"x\" has no secrets"),
            (vec![account("x:y", &["1"])], "account \"x:y\" has a colon in its name"),
            (vec![account("x", &["1"]), account("x", &["2"])], "account \"x\" is there twice"),
            (vec![account("x", &["1"]), account("y", &["2", "1"])], "accounts \"x\" and \"y\" have a secret in common"),
            (vec![account("x", &["1", "1"])], "accounts \"x\" and \"x\" have a secret in common"),
        ];
        for (accounts, message) in cases {
            assert_eq!(Accounts::new(accounts).unwrap_err().to_string(), message);
        }
        let many = (0..=ACCOUNTS_MAX).map(|n| account(&n.to_string(), &[&n.to_string()])).collect();
        assert_eq!(Accounts::new(many).unwrap_err(), AccountError::Many { count: ACCOUNTS_MAX + 1 });
    }

    #[test]
    fn tenants_cover_what_is_theirs() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let two = Tenants::These(BTreeSet::from([tenant("a"), tenant("b")]));
        for (named, covered) in
            [("a", true), ("b", true), ("a|b", true), ("c", false), ("a|c", false), ("a|", false), ("A", false)]
        {
            assert_eq!(two.cover(named), covered, "{named}");
        }
        assert_eq!((two.only(), Tenants::All.only()), (None, None));
        assert_eq!(Tenants::These(BTreeSet::from([tenant("a")])).only(), Some(&tenant("a")));
        assert!(Tenants::All.cover("anyone"));
    }
}
