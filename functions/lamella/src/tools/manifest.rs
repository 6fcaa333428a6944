//! `lamella manifest`: the records that say which segments are live.

pub mod audit;
pub mod objects;
pub mod records;
pub mod show;
pub mod verify;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to do with them.
#[derive(Subcommand)]
pub enum Command {
    /// Shows each hour and day: what is live, what was replaced, what is dead, who holds the lease.
    Show(show::Options),
    /// Holds records, objects and contents against each other; exits with 1 where something is wrong.
    Verify(verify::Options),
}

/// Runs a command.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Show(options) => show::run(&options).await,
        Command::Verify(options) => verify::run(&options).await,
    }
}
