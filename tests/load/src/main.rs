//! The command line of `load`.

use anyhow::Result;
use clap::{Parser, Subcommand};
use load::{api, compare, differential, hostile, logs, metrics, queries, roundtrip};

/// Load for Lamella and its peers.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Remote-writes a metric set and prints samples per CPU second of the server.
    Metrics(metrics::Options),
    /// Pushes a log set by the Loki protocol and prints MB per CPU second of the server.
    Logs(logs::Options),
    /// Runs the dashboard and incident queries M1 to M12 and prints wall and CPU time of each; with a second server compares the answers.
    Queries(queries::Options),
    /// Sends a file of queries to two servers and says where the answers differ.
    Compare(compare::Options),
    /// Sends the same random series and queries to two servers: every answer must be the same.
    Differential(differential::Options),
    /// Sends a script of API requests to a server and prints the transcript.
    Api(api::Options),
    /// Pushes the lines of files and reads them back: every line there, once, in order.
    Roundtrip(roundtrip::Options),
    /// Sends broken, huge and lying requests: the right status for each, and the server alive.
    Hostile(hostile::Options),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Metrics(options) => metrics::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Queries(options) => queries::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Differential(options) => differential::run(&options),
        Command::Api(options) => api::run(&options),
        Command::Roundtrip(options) => roundtrip::run(&options),
        Command::Hostile(options) => hostile::run(&options),
    }
}
