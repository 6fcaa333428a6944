//! `lamella`: the functions' routers and timers in one process, one binary.
//!
//! Owns: the command line, the listener, timers, shutdown, metrics of the process. Does not own: what the routes do.

mod cli;
mod metrics;
mod process;
mod serve;
mod timers;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli::Command::Serve(options) = cli::Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(serve::STACK_BYTES).build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(serve::run(&options)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lamella: {error:#}");
            ExitCode::FAILURE
        }
    }
}
