//! Drives a running Lamella, or a peer, from outside: load with its cost, comparison, read-back, and killing it.
//!
//! Owns: the sets (made from a seed, encoded before the clock starts), the requests, the measuring from outside.
//! Does not own: starting servers; `tests/bench.sh` does.

mod answers;
mod client;
mod compare;
mod cpu;
mod differential;
mod durability;
mod hostile;
mod logs;
mod loki;
mod metrics;
mod queries;
mod recorded;
mod remote_write;
mod roundtrip;
mod series;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

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
    /// Runs the dashboard and incident queries M1 to M10 and prints wall and CPU time of each; with a second server compares the answers.
    Queries(queries::Options),
    /// Sends a file of queries to two servers and says where the answers differ.
    Compare(compare::Options),
    /// Sends the same random series and queries to two servers: every answer must be the same.
    Differential(differential::Options),
    /// Pushes the lines of files and reads them back: every line there, once, in order.
    Roundtrip(roundtrip::Options),
    /// Kills the server under load again and again: nothing acknowledged may be missing or doubled.
    Durability(durability::Options),
    /// Sends broken, huge and lying requests: the right status for each, and the server alive.
    Hostile(hostile::Options),
}

/// Which server, and how to measure it.
#[derive(Args, Clone)]
struct Target {
    /// Base URL of the server, such as http://127.0.0.1:9009.
    #[arg(long, default_value = "http://127.0.0.1:9009")]
    url: String,
    /// Process id of the server: its CPU time is read from /proc.
    #[arg(long)]
    pid: Option<u32>,
    /// Connections; each carries its own series, so no series is ever sent by two.
    #[arg(long, default_value_t = 2)]
    connections: usize,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Metrics(options) => metrics::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Queries(options) => queries::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Differential(options) => differential::run(&options),
        Command::Roundtrip(options) => roundtrip::run(&options),
        Command::Durability(options) => durability::run(&options),
        Command::Hostile(options) => hostile::run(&options),
    }
}
