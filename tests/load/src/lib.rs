//! Drives a running Lamella, or a peer, from outside: load with its cost, comparison, read-back.
//!
//! Owns: the sets (made from a seed, encoded before the clock starts), the requests, the measuring from outside.
//! Does not own: starting servers; `tests/bench.sh` and `suite sigkill` do.

pub mod answers;
pub mod api;
pub mod client;
pub mod compare;
pub mod cpu;
pub mod differential;
pub mod hostile;
pub mod logs;
pub mod loki;
pub mod metrics;
pub mod pages;
pub mod queries;
pub mod recorded;
pub mod remote_write;
pub mod roundtrip;
pub mod series;

use clap::Args;

/// Which server, and how to measure it.
#[derive(Args, Clone)]
pub struct Target {
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
