//! `lamella`: the functions' routers and timers in one process, one binary.
//!
//! Owns: the command line, the listener, timers, shutdown, metrics of the process. Does not own: what the routes do.

mod backlog;
mod cli;
mod metrics;
mod process;
mod segments;
mod serve;
mod timers;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(serve::STACK_BYTES).build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(run(command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lamella: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: cli::Command) -> anyhow::Result<()> {
    match command {
        cli::Command::Serve(options) => serve::run(&options).await,
        cli::Command::Segments(options) => segments::list(&boot::Host::open(options.config()?).await?).await,
    }
}
