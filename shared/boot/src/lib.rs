//! Environment → configuration → clients → state: what every process does first.
//!
//! Owns: the names of environment variables, the system's clock, the seed of randomness, logging.
//! Does not own: what the clients do, any routing.
//!
//! ```text
//! boot::start("fn-ingest") ─▶ Config::from_env ─▶ objects, records ─▶ Host
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod config;
pub mod credentials;
pub mod directory;
pub mod error;
pub mod fetch;
mod host;
pub mod limits;
mod logging;
pub mod otlp;
pub mod overrides;
pub mod retention;

pub use clock::SystemClock;
pub use config::{Config, LogFormat, Storage};
pub use error::{Error, Result};
pub use host::{Host, open_bucket};
pub use logging::init_logging;

/// Reads the environment, starts logging and opens the stores: the first line of a function's `main`.
pub async fn start(name: &str) -> Result<Host> {
    let config = Config::from_env()?;
    init_logging(&config);
    let host = Host::open(config, directory::refuse).await?;
    tracing::info!(process = name, storage = %host.config.storage, "started");
    host.say_who_may_enter();
    Ok(host)
}
