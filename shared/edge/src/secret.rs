//! A secret as it is kept: its hash.
//!
//! Secrets are made by us, 256 random bits each (`lamella credentials new`). Nobody guesses such a number, so a fast hash without
//! salt is as good as a slow one, and costs a request a microsecond. A password that a person chose would want a slow hash: 50 ms
//! of CPU a request, more than the request. docs/0023 has the reasons.

use std::fmt;
use std::str::FromStr;

/// Sets these hashes apart from any other use of the function.
const CONTEXT: &str = "lamella 2026-11-27 edge credentials";
/// How a hash begins in text: the function's name, so that another may come.
const PREFIX: &str = "blake3:";

/// The hash of a secret. Comparing two takes the same time whatever they hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(blake3::Hash);

/// A text that is no hash. It says nothing of the text, which may be the secret itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a secret is kept as \"blake3:\" and 64 hexadecimal digits, as `lamella credentials` prints it")]
pub struct HashError;

impl SecretHash {
    /// Returns the hash of a secret.
    pub fn of(secret: &[u8]) -> SecretHash {
        SecretHash(blake3::Hash::from(blake3::derive_key(CONTEXT, secret)))
    }
}

impl FromStr for SecretHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<SecretHash, HashError> {
        let digits = text.strip_prefix(PREFIX).ok_or(HashError)?;
        blake3::Hash::from_hex(digits).map(SecretHash).map_err(|_| HashError)
    }
}

/// As it stands among credentials.
impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.to_hex())
    }
}

/// Logs do not need to know it.
impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let hash = SecretHash::of(b"secret");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_ne!(hash, SecretHash::of(b"secres"));
        assert!(!format!("{hash:?}").contains(&hash.to_string()[PREFIX.len()..]));
    }

    /// Files of credentials outlive versions: the same secret keeps its hash.
    #[test]
    fn the_hash_stays_what_it_is() {
        let expected = "blake3:bd79e218ea2cc3e481f5ba4006af79debd41e660c5d61faf133f3c16fb22e204";
        assert_eq!(SecretHash::of(b"secret").to_string(), expected);
    }

    #[test]
    fn what_is_no_hash_is_not_repeated() {
        let longer = format!("{}00", SecretHash::of(b"x"));
        for text in ["hunter2", "blake3:hunter2", "sha256:00", &longer] {
            let error = text.parse::<SecretHash>().unwrap_err().to_string();
            assert!(!error.contains(text) && !error.contains("hunter2"), "{error}");
        }
    }
}
