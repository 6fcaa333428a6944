//! `suite`: runs conformance scripts and reports counts per file; kills the server under load.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use suite::promqltest::Engine;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs promqltest scripts, or the cases of PromQL's parser.
    Promql {
        /// A `.test` file, a folder of them, or the folder of the parser's cases.
        path: PathBuf,
        /// What evaluates.
        #[arg(long, value_enum, default_value_t)]
        engine: Engine,
        /// Lists failed cases.
        #[arg(long)]
        failures: bool,
        /// Exits with 1 where a case failed.
        #[arg(long)]
        strict: bool,
        /// Exits with 1 where fewer cases pass: what has landed does not get lost.
        #[arg(long, value_name = "CASES", default_value_t = 0)]
        at_least: usize,
    },
    /// Runs recorded answers of Loki: parse, stage, metric, level and HTTP cases.
    Logql {
        /// The folder of the data files.
        folder: PathBuf,
        /// Lists failed cases.
        #[arg(long)]
        failures: bool,
        /// Exits with 1 where a case failed.
        #[arg(long)]
        strict: bool,
        /// Exits with 1 where fewer cases of a file pass, as in `http_cases=112`: what has landed does not get lost.
        #[arg(long, value_name = "FILE=CASES", value_parser = suite::logql::Floor::parse)]
        at_least: Vec<suite::logql::Floor>,
    },
    /// Runs the storage under faults by seed, on one thread in simulated time, and checks every invariant after every effect.
    Simulate(suite::simulate::Options),
    /// Compares answers from coarse copies with those from samples, by seed: generated series, every function, late data, retention.
    Downsample(suite::downsample::Options),
    /// Stores months of metrics as the server would, and says what each resolution takes and what dashboards cost over it.
    Year(suite::year::Options),
    /// Kills the real server under load again and again: nothing acknowledged may be missing or doubled.
    Sigkill(suite::sigkill::Options),
}

fn main() -> ExitCode {
    let (counts, strict, at_least) = match Cli::parse().command {
        Command::Downsample(options) => return ExitCode::from(u8::from(!suite::downsample::run_all(&options))),
        Command::Simulate(options) => return ExitCode::from(u8::from(!suite::simulate::run_all(&options))),
        Command::Promql { path, engine, failures, strict, at_least } => {
            (suite::promqltest::run(&path, engine, failures), strict, at_least)
        }
        Command::Logql { folder, failures, strict, at_least } => (suite::logql::run(&folder, failures, &at_least), strict, 0),
        Command::Year(options) => (suite::year::run(&options).map(|()| (0, 0)), true, 0),
        Command::Sigkill(options) => (suite::sigkill::run(&options).map(|()| (0, 0)), true, 0),
    };
    match counts {
        Ok((passed, failed)) => ExitCode::from(u8::from((strict && failed > 0) || passed < at_least)),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
