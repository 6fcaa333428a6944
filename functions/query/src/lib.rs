//! The query function: Prometheus's and Loki's HTTP APIs over one engine.
//!
//! Owns: routes, and what surrounds an evaluation (tenant, places, time, cost). Does not own: parameters and JSON (`wire`), the
//! languages (`promql`, `logql`), evaluation (`engine`). It decides nothing about data.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cost;
pub mod engine_source;
mod entry;
pub mod gate;
pub mod limits;
pub mod live;
mod loki;
mod multipart;
mod prom;
mod request;
pub mod respond;
pub mod source;

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use boot::Host;
use edge::{Guard, guarded};
use engine::{Engine, EngineConfig};
use model::prices::US_EAST_1;
use model::retention::RetentionPolicy;
use model::usage::{Meter, Purpose};
use model::{Clock, Limits, TenantId, TenantLimits, TimeRangeMs, TimestampMs, TimestampNs};
use plan::EvalOptions;

use cost::Spent;
use engine_source::EngineSource;
use gate::{Gate, Refusal};
use live::Hub;
use source::{Evaluated, Source};

/// Settings of the query APIs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Refuse requests that name no tenant.
    pub require_tenant: bool,
    /// Who is let in.
    pub guard: Guard,
    /// Queries evaluated at once (Prometheus: 20).
    pub places: usize,
    /// How far back an instant selector looks, milliseconds (Prometheus: 5 min).
    pub lookback_ms: i64,
    /// Which parts of PromQL are on.
    pub language: promql::Options,
    /// How PromQL is evaluated.
    pub eval: EvalOptions,
    /// Whether series may be deleted (Prometheus `--web.enable-admin-api`).
    pub admin: bool,
    /// How much is logged, as `/log_level` tells it.
    pub log_level: String,
    /// How long what is kept, as limits tell it.
    pub retention: RetentionPolicy,
    /// What tenants cost.
    pub meter: Arc<Meter>,
    /// Memory of a function, MiB, by which its time is billed; none where a process serves.
    pub function_memory_mib: Option<u32>,
    /// Where entries come from that become durable in this process; `None` where it cannot hold a tail open.
    pub live: Option<Hub>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            require_tenant: false,
            guard: Guard::open(),
            places: 20,
            lookback_ms: 300_000,
            language: promql::Options::default(),
            eval: EvalOptions::default(),
            admin: false,
            log_level: "info".to_owned(),
            retention: RetentionPolicy::default(),
            meter: Arc::default(),
            function_memory_mib: None,
            live: None,
        }
    }
}

/// What every handler needs; cloning is cheap.
#[derive(Clone)]
pub struct State(Arc<Shared>);

/// The parts of a [`State`].
pub struct Shared {
    /// Evaluates and looks up.
    pub source: Arc<dyn Source>,
    /// Bounds on queries.
    pub limits: TenantLimits,
    /// Settings.
    pub options: Options,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// Places for queries.
    pub gate: Gate,
    /// When the state was made.
    pub started: TimestampMs,
}

impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl State {
    /// Makes the state.
    pub fn new(source: Arc<dyn Source>, limits: TenantLimits, options: Options, clock: Arc<dyn Clock>) -> State {
        let (gate, started) = (Gate::new(options.places), clock.now());
        State(Arc::new(Shared { source, limits, options, clock, gate, started }))
    }

    /// Makes the state over a host, with an engine of its own. What the host has been told wins over the options.
    pub fn over(host: &Host, options: Options) -> State {
        let engine = Engine::new(EngineConfig::default(), host.objects.clone(), host.manifest.clone(), host.clock.clone());
        let engine = engine.with_entry_filters(logql::entry_filter);
        let source = Arc::new(EngineSource::new(engine, host.manifest.clone(), host.limits.clone()));
        let options = Options {
            require_tenant: host.config.require_tenant,
            guard: host.guard.clone(),
            log_level: host.config.log_filter.clone(),
            retention: host.config.retention.clone(),
            meter: Arc::clone(&host.meter),
            function_memory_mib: host.config.function_memory_mib,
            ..options
        };
        State::new(source, host.limits.clone(), options, host.clock.clone())
    }

    /// Returns a tenant's limits.
    fn limits(&self, tenant: &TenantId) -> &Limits {
        self.limits.of(tenant)
    }

    /// Adds an evaluation to its tenants' bills, in equal parts, and says what it cost.
    fn spent(&self, tenants: &[TenantId], evaluated: &Evaluated, queued: Duration, took: Duration) -> Spent {
        let usage = cost::usage(&evaluated.cost, took, self.options.function_memory_mib);
        let dollars = usage.dollars(&US_EAST_1);
        tenants.iter().for_each(|tenant| self.options.meter.add(tenant, Purpose::Query, dollars / tenants.len() as f64));
        Spent {
            dollars,
            cost: evaluated.cost,
            samples: evaluated.answer.samples,
            samples_peak: evaluated.answer.samples_peak,
            queued,
            took,
        }
    }

    fn now_ns(&self) -> TimestampNs {
        self.clock.now().to_ns()
    }

    /// Bounds a look-up's range to where data can lie: after the epoch, and not beyond a day from now.
    fn bounded(&self, asked: TimeRangeMs) -> TimeRangeMs {
        let latest = self.clock.now().plus(Duration::from_secs(86_400));
        let bound = |at: TimestampMs| at.clamp(TimestampMs(0), latest);
        TimeRangeMs::new(bound(asked.start), bound(asked.end))
    }

    /// Runs a look-up in a place of its own, within the time that a query has.
    async fn looked_up<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        limits: &Limits,
        run: impl FnOnce(Arc<dyn Source>) -> F,
    ) -> Result<T, Refusal> {
        let timed = self.gate.run(limits.query_timeout, run(Arc::clone(&self.source))).await?;
        Ok(timed.value)
    }
}

/// Returns the routes of both APIs. There is no fallback, so that other routers can be merged; [`respond::not_found`] is one.
pub fn router(state: State) -> Router {
    let routes = prom::router().merge(loki::router()).method_not_allowed_fallback(respond::method_not_allowed);
    let compressed = routes.layer(axum::middleware::from_fn(respond::compressed));
    let guard = state.options.guard.clone();
    guarded(compressed.layer(axum::middleware::from_fn(respond::cors)).with_state(state), &guard, entry::need)
}
