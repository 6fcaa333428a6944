//! `lamella segments`: the live files.

pub mod check;
pub mod inspect;
pub mod ls;
pub mod read;
pub mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to do with them.
#[derive(Subcommand)]
pub enum Command {
    /// Lists live segments, one a line, or their sums.
    Ls(ls::Options),
    /// Shows one segment: what the manifest says of it, and what is inside.
    Inspect(inspect::Options),
    /// Reads segments whole and holds them against what the manifest says; exits with 1 where something is wrong.
    Verify(verify::Options),
}

/// Runs a command.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Ls(options) => ls::run(&options).await,
        Command::Inspect(options) => inspect::run(&options).await,
        Command::Verify(options) => verify::run(&options).await,
    }
}
