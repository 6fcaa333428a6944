//! The `Authorization` header: bearer tokens (RFC 6750) and basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;

use crate::SecretHash;
use crate::limits::PRESENTED_BYTES_MAX;

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// What a request presents. The secret itself is not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presented {
    /// Whose it says it is, where the scheme has a name.
    pub name: Option<String>,
    /// Hash of the secret.
    pub secret: SecretHash,
}

impl Presented {
    /// Reads a header's value; `None` where it is neither scheme, too long or broken.
    pub fn parse(authorization: &[u8]) -> Option<Presented> {
        if authorization.len() > PRESENTED_BYTES_MAX {
            return None;
        }
        let (scheme, rest) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
        let rest = rest.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            let secret = Some(rest).filter(|token| !token.is_empty())?;
            return Some(Presented { name: None, secret: SecretHash::of(secret.as_bytes()) });
        }
        scheme.eq_ignore_ascii_case("basic").then(|| basic(rest)).flatten()
    }
}

fn basic(encoded: &str) -> Option<Presented> {
    let pair = BASE64.decode(encoded).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(pair[..colon].to_vec()).ok()?;
    Some(Presented { name: Some(name), secret: SecretHash::of(&pair[colon + 1..]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(name: Option<&str>, secret: &str) -> Option<Presented> {
        Some(Presented { name: name.map(str::to_owned), secret: SecretHash::of(secret.as_bytes()) })
    }

    #[test]
    fn both_schemes() {
        let cases = [
            ("Bearer abc", presented(None, "abc")),
            ("bearer   abc ", presented(None, "abc")),
            ("BASIC YTpi", presented(Some("a"), "b")),
            // The first colon ends the name; the secret may have more.
            ("Basic YTpiOmM=", presented(Some("a"), "b:c")),
            ("Basic YTpiOmM", presented(Some("a"), "b:c")),
            ("Basic Og==", presented(Some(""), "")),
        ];
        for (header, expected) in cases {
            assert_eq!(Presented::parse(header.as_bytes()), expected, "{header}");
        }
    }

    #[test]
    fn hostile_headers_present_nothing() {
        let long = format!("Bearer {}", "x".repeat(PRESENTED_BYTES_MAX));
        let no_colon = "Basic YWJj";
        let name_is_not_text = "Basic /zpi";
        for header in ["", "Bearer", "Bearer ", "Basic ", "Basic !!!", no_colon, name_is_not_text, "Digest x", "YTpi", &long] {
            assert_eq!(Presented::parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(Presented::parse(b"Bearer \xff"), None);
    }
}
