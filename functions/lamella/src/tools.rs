//! Looking inside, and what an operator does by hand: one module per command.
//!
//! ```text
//! flags ─▶ open (the same stores as the server) ─▶ records and objects ─▶ an answer (plain data) ─▶ text or JSON ─▶ exit code
//! ```
//! Owns: what is shown and how. Does not own: the protocol (`manifest`), the files (`segment`), merging (`compactor`).
//! Exit codes: 0 fine, 1 something is wrong with the data or the command failed, 2 wrong flags.

pub mod compact;
pub mod cost;
pub mod credentials;
pub mod deletions;
pub mod filter;
pub mod findings;
pub mod format;
pub mod gc;
pub mod health;
pub mod import;
pub mod inventory;
pub mod manifest;
pub mod output;
pub mod progress;
pub mod quarantine;
pub mod ring;
pub mod segments;
pub mod table;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use boot::{Config, Host, Storage};

use crate::cli::{ToolOptions, storage};

/// Opens the stores that the flags name. A directory must hold data already: a tool makes none.
///
/// # Errors
/// Names the directory where it holds nothing, or where a server has it open.
pub async fn open(options: &storage::Options) -> Result<Host> {
    let config = Config::from_lookup(&|name| options.lookup(name)).context("read configuration")?;
    if let Storage::Local { directory } = &config.storage {
        let directory = directory.display();
        if !std::path::Path::new(&format!("{directory}/records.redb")).exists() {
            bail!(
                "{directory} holds no data of Lamella (no records.redb); name its directory with --data-dir, or a bucket and a table"
            );
        }
    }
    open_as(config).await
}

/// Opens the stores that the flags name, and makes them where they are not there yet.
///
/// # Errors
/// Names the directory where a server has it open.
pub async fn open_or_create(options: &storage::Options) -> Result<Host> {
    open_as(Config::from_lookup(&|name| options.lookup(name)).context("read configuration")?).await
}

async fn open_as(config: Config) -> Result<Host> {
    // A tool lets nobody in: a server's accounts need not be readable, nor right, where it runs.
    match Host::open(Config { credentials: None, ..config }, boot::directory::open).await {
        Err(boot::Error::Store(store::Error::Locked { path })) => bail!(
            "{path} is in use: a server or another tool runs on this directory, and one process at a time can; stop it, or look at a copy of the directory"
        ),
        opened => opened.context("open storage"),
    }
}

/// Prints an answer and says how the process ends.
pub fn finish(answer: &impl output::Answer, options: &ToolOptions) -> Result<ExitCode> {
    let text = if options.json { output::json(answer)? } else { answer.text() };
    output::print(&text)?;
    Ok(if answer.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests;
