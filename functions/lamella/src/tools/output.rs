//! What every command hands back: plain data that is text for people and JSON for programs.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// The answer of a command. Its JSON shape is stable: fields are added, never renamed (TOOLS.md).
pub trait Answer: Serialize {
    /// Returns the answer as text, ending with a line end.
    fn text(&self) -> String;

    /// Reports whether nothing is wrong; decides the exit code.
    fn is_clean(&self) -> bool {
        true
    }
}

/// Returns the answer as JSON, ending with a line end.
pub fn json(answer: &impl Answer) -> Result<String> {
    let mut text = serde_json::to_string_pretty(answer).context("write JSON")?;
    text.push('\n');
    Ok(text)
}

/// Writes to standard output. Whoever reads may have seen enough.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}
