//! The command line: commands and their flags.
//!
//! Owns: names and defaults. Does not own: what a flag means to storage ([`storage`]) or to the server ([`serve`]).

pub mod serve;
pub mod storage;

use clap::{Args, Parser, Subcommand};

use crate::tools::{compact, cost, credentials, deletions, gc, health, import, manifest, quarantine, ring, segments};

/// Prometheus and Loki without servers: metrics and logs in one binary, on a local directory or on S3 and DynamoDB.
#[derive(Parser)]
#[command(name = "lamella", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Subcommand)]
pub enum Command {
    /// Takes remote write and Loki pushes, answers PromQL and LogQL, compacts in the background.
    Serve(serve::Options),
    /// Lists, opens and verifies live segments.
    #[command(args_conflicts_with_subcommands = true)]
    Segments {
        /// What to do with them; without one they are listed.
        #[command(subcommand)]
        command: Option<segments::Command>,
        /// How they are listed.
        #[command(flatten)]
        ls: segments::ls::Options,
    },
    /// Shows and verifies the records that say which segments are live.
    #[command(subcommand)]
    Manifest(manifest::Command),
    /// Merges what is due, now.
    Compact(compact::Options),
    /// Deletes what nothing can need any more, now.
    Gc(gc::Options),
    /// Shows and changes who owns which slots.
    #[command(subcommand)]
    Ring(ring::Command),
    /// Shows and withdraws requests to delete rows.
    #[command(subcommand)]
    Deletions(deletions::Command),
    /// Shows what was found to be corrupt and is left out of answers, and lets it in again.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Makes secrets, and the entries of accounts that hold their hashes.
    #[command(subcommand)]
    Credentials(credentials::Command),
    /// Brings in what another system stored.
    #[command(subcommand)]
    Import(import::Command),
    /// Says what a load costs a month on AWS, and elsewhere.
    Cost(cost::Options),
    /// Asks a running server whether it is ready.
    Health(health::Options),
}

/// What every tool takes.
#[derive(Args, Clone, Debug)]
pub struct ToolOptions {
    /// Where data lies.
    #[command(flatten)]
    pub storage: storage::Options,
    /// Prints JSON in place of text. The shapes are in TOOLS.md.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn plain_segments_are_listed() {
        for arguments in [&["lamella", "segments", "--json"][..], &["lamella", "segments", "ls", "--json"]] {
            let (command, ls) = match Cli::parse_from(arguments).command {
                Command::Segments { command, ls } => (command, ls),
                _ => unreachable!("the arguments say segments"),
            };
            let options = match command {
                Some(segments::Command::Ls(options)) => options,
                None => ls,
                Some(_) => unreachable!("the arguments say ls"),
            };
            assert!(options.tool.json);
        }
    }
}
