//! Go's RE2 syntax, as `github.com/grafana/regexp` has it in Prometheus and Loki, on Rust's `regex` engine.
//!
//! Owns: the translation, so that a pattern means here what it means in Prometheus and Loki, and Go's error texts.
//! The engines agree but for these: Go's `\w \d \s \b` are ASCII, class set operators (`&&`, `--`, nested `[`) are literals in Go,
//! `{` that is no repetition is a literal, `\Q…\E` quotes, and Go refuses what other engines add (lookaround, `a++`, `\Z`, `(?x)`).

mod literals;
mod translate;
mod tree;

pub use literals::required_literals;
pub use tree::{Tree, tree};

/// A pattern Go's `regexp` would refuse, with Go's text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("error parsing regexp: {message}")]
pub struct Re2Error {
    /// Go's reason, such as "missing closing ): `(`".
    pub message: String,
}

/// A compiled pattern that knows its text.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: regex::Regex,
}

impl Pattern {
    /// Compiles a pattern that is looked for anywhere.
    pub fn new(text: &str) -> Result<Pattern, Re2Error> {
        Ok(Pattern { text: text.to_owned(), regex: compile(text)? })
    }

    /// Compiles a pattern the whole text must match.
    pub fn anchored(text: &str) -> Result<Pattern, Re2Error> {
        Ok(Pattern { text: text.to_owned(), regex: compile_anchored(text)? })
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reports whether a text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        // Anchored or not shows in the compiled text only.
        self.regex.as_str() == other.regex.as_str()
    }
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

/// Compiles an unanchored pattern over bytes. Bytes that are not UTF-8 match no `.` and no class; Go reads each as U+FFFD.
pub fn compile_bytes(pattern: &str) -> Result<regex::bytes::Regex, Re2Error> {
    let translated = translate(pattern)?;
    regex::bytes::RegexBuilder::new(&translated).size_limit(SIZE_BYTES_MAX).nest_limit(NESTING_MAX).build().map_err(refused)
}

/// Bytes a compiled program may take: patterns come from outside.
const SIZE_BYTES_MAX: usize = 10 << 20;
/// Nesting a pattern may have (Go's `maxHeight`).
const NESTING_MAX: u32 = 1000;

fn build(pattern: &str) -> Result<regex::Regex, Re2Error> {
    regex::RegexBuilder::new(pattern).size_limit(SIZE_BYTES_MAX).nest_limit(NESTING_MAX).build().map_err(refused)
}

fn refused(error: regex::Error) -> Re2Error {
    let message = match error {
        regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
        other => other.to_string(),
    };
    Re2Error { message }
}

/// Rewrites RE2 syntax as the `regex` crate's.
pub fn translate(pattern: &str) -> Result<String, Re2Error> {
    translate::translate(pattern).map_err(|message| Re2Error { message })
}

#[cfg(test)]
mod tests;
