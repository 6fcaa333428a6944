//! `lamella`: the functions' routers and timers in one process, one binary.
//!
//! Owns: the command line, the listener and its TLS, timers, shutdown, metrics of the process, the operator's tools.
//! Does not own: what the routes do.

mod backlog;
mod cli;
mod live;
mod metrics;
mod process;
mod serve;
mod timers;
mod tls;
mod tools;
mod unread;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(serve::STACK_BYTES).build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(command)));
    outcome.unwrap_or_else(|error| {
        eprintln!("lamella: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: cli::Command) -> anyhow::Result<ExitCode> {
    match command {
        cli::Command::Serve(options) => serve::run(&options).await.map(|()| ExitCode::SUCCESS),
        cli::Command::Segments { command, ls } => tools::segments::run(command.unwrap_or(tools::segments::Command::Ls(ls))).await,
        cli::Command::Manifest(command) => tools::manifest::run(command).await,
        cli::Command::Compact(options) => tools::compact::run(&options).await,
        cli::Command::Gc(options) => tools::gc::run(&options).await,
        cli::Command::Ring(command) => tools::ring::run(command).await,
        cli::Command::Deletions(command) => tools::deletions::run(command).await,
        cli::Command::Quarantine(command) => tools::quarantine::run(command).await,
        cli::Command::Credentials(command) => tools::credentials::run(&command),
        cli::Command::Import(command) => tools::import::run(command).await,
        cli::Command::Cost(options) => tools::cost::run(&options).await,
        cli::Command::Health(options) => tools::health::run(&options).await,
    }
}
