//! The seam to the functions: one router with the ingest and the query API over stores in memory.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use boot::{Config, Host, overrides};
use model::Limits;
use store::{objects, records};
use testkit::SimulatedClock;

/// Opens a server with this clock, and with limits as a text. Every request must name its tenant, as in the recordings.
pub(super) fn open(clock: &Arc<SimulatedClock>, limits: &str) -> Result<Router, String> {
    let limits = overrides::parse(limits, Limits::default()).map_err(|error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })?;
    // The recorded server logged warnings, and says so where it is asked.
    let config = Config { require_tenant: true, limits, log_filter: "warn".to_owned(), ..Config::memory() };
    let host = Host::over(config, objects::memory(), records::memory(), Arc::<SimulatedClock>::clone(clock), 1);
    let ingest = fn_ingest::router(fn_ingest::State::direct(&host));
    let query = fn_query::router(fn_query::State::over(&host, fn_query::Options::default()));
    Ok(ingest.merge(query).fallback(fn_query::respond::not_found))
}
