//! fn-ingest: remote write, Loki push, OTLP metrics and logs over HTTP.
//!
//! Owns: routes, bounded body reading, headers and status. Decides nothing: protocols are `wire`'s, durability `appender`'s.
//! Knows nothing of queries, so that the function stays small and starts fast.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bill;
mod body;
mod loki;
pub mod metrics;
mod otlp;
mod otlp_logs;
mod pace;
mod prometheus;
mod refusal;
mod replicas;

use std::sync::Arc;

use appender::{Adaptive, Batch, GroupOptions, Receipt, WriteBuffer, Writer};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use boot::Host;
use bytes::Bytes;
use edge::{Guard, Need, Role, guarded};
use http::{HeaderMap, HeaderName, HeaderValue};
use manifest::election::{Elections, Mandate};
use model::otlp::OtlpOptions;
use model::{Clock, MetricBatch, TenantId, TenantLimits};
use wire::loki_push::Admission;
use wire::remote_write::Written;
use wire::tenant::{TENANT_HEADER, tenant_of};

use bill::Bill;
use metrics::Metrics;
use pace::Pace;
use refusal::Refusal;
use replicas::Chosen;

/// What every handler needs; cloning is cheap.
#[derive(Clone, Debug)]
pub struct State {
    buffer: Arc<dyn WriteBuffer>,
    clock: Arc<dyn Clock>,
    limits: TenantLimits,
    otlp: Arc<OtlpOptions>,
    require_tenant: bool,
    admission: Arc<Admission>,
    guard: Guard,
    pace: Arc<Pace>,
    bill: Bill,
    elections: Elections,
    /// What was received, stored and refused.
    pub metrics: Arc<Metrics>,
}

impl State {
    /// Makes the state over a host and a write buffer of the caller's.
    pub fn new(host: &Host, buffer: Arc<dyn WriteBuffer>) -> State {
        let (clock, limits, require_tenant) = (host.clock.clone(), host.limits.clone(), host.config.require_tenant);
        let (otlp, guard) = (Arc::new(host.config.otlp.clone()), host.guard.clone());
        State {
            buffer,
            clock,
            limits,
            otlp,
            require_tenant,
            admission: Arc::default(),
            guard,
            pace: Arc::default(),
            bill: Bill::of(host),
            elections: Elections::new(host.records.clone(), host.clock.clone(), &host.nonces),
            metrics: Arc::default(),
        }
    }

    /// Makes the state of a function whose environment freezes after the answer: every request is written at once.
    pub fn direct(host: &Host) -> State {
        State::new(host, Arc::new(Adaptive::frozen(writer(host), host.clock.clone())))
    }

    /// Makes the state of a function: one that serves several requests at a time lives on between them (Lambda Managed
    /// Instances), and may let them wait for each other.
    pub fn function(host: &Host) -> State {
        if host.config.concurrency <= 1 {
            return State::direct(host);
        }
        State::new(host, Arc::new(Adaptive::living(writer(host), GroupOptions::default(), host.clock.clone())))
    }

    /// Makes a batch durable, and counts how.
    async fn append(&self, tenant: &TenantId, batch: Batch) -> appender::Result<Receipt> {
        let rows = batch.rows();
        let receipt = self.buffer.append(tenant, batch).await?;
        self.metrics.appended(&receipt);
        self.bill.appended(tenant, &receipt, rows);
        Ok(receipt)
    }

    /// Leaves of a batch what is to be stored of it where replicas send the same.
    async fn choose(&self, tenant: &TenantId, batch: MetricBatch) -> Result<Chosen, Refusal> {
        let chosen = replicas::choose(&self.elections, tenant, batch, &self.limits.of(tenant).election).await?;
        self.metrics.chose(&chosen);
        Ok(chosen)
    }

    /// Makes what is left of a batch durable, and notes whose it was: what opens a term is not acknowledged before that is on record.
    async fn append_chosen(&self, tenant: &TenantId, batch: MetricBatch, mandates: Vec<Mandate>) -> Result<Receipt, Refusal> {
        let receipt = self.append(tenant, Batch::Metrics(batch)).await?;
        for mandate in mandates {
            self.elections.stored(mandate).await?;
        }
        Ok(receipt)
    }

    /// Reads the body of a request whose tenant may send one now.
    async fn read(&self, tenant: &TenantId, body: Body) -> Result<Bytes, Refusal> {
        let limits = self.limits.of(tenant);
        self.pace.admit(tenant, &limits.rates, self.clock.now())?;
        let body = body::read(body, limits.body_bytes_max).await?;
        self.pace.charge(tenant, &limits.rates, 0, body.len());
        Ok(body)
    }

    /// Counts samples against their tenant's rate.
    fn brought(&self, tenant: &TenantId, written: Written) {
        let samples = written.samples + written.histograms;
        self.pace.charge(tenant, &self.limits.of(tenant).rates, samples, 0);
    }

    fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, wire::error::Error> {
        tenant_of(text(headers, TENANT_HEADER), self.require_tenant)
    }
}

fn writer(host: &Host) -> Writer {
    Writer::new(host.objects.clone(), host.manifest.clone(), host.clock.clone(), host.nonces.clone())
}

/// Says on an answer how its request was written: by itself or with others, and why.
fn explain(mut response: Response, receipt: &Receipt) -> Response {
    let value = HeaderValue::try_from(receipt.to_string()).expect("names and numbers are a header's characters");
    response.headers_mut().insert(HeaderName::from_static("x-lamella-write"), value);
    response
}

/// Returns the routes.
pub fn router(state: State) -> Router {
    let prometheus = Router::new()
        .route("/api/v1/write", post(prometheus::write))
        .route("/api/v1/push", post(prometheus::write))
        .route("/api/v1/receive", post(prometheus::write))
        .route("/api/v1/otlp/v1/metrics", post(otlp::metrics))
        .route("/otlp/v1/metrics", post(otlp::metrics))
        .method_not_allowed_fallback(refusal::method_not_allowed);
    let guard = state.guard.clone();
    let routes = prometheus
        .route("/loki/api/v1/push", post(loki::push))
        .route("/api/prom/push", post(loki::legacy_push))
        .route("/otlp/v1/logs", post(otlp_logs::logs))
        .with_state(state);
    guarded(routes, &guard, |_, _| Need::Role(Role::Write))
}

/// Returns a header as text; one that is not text is as good as unknown.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("invalid"))
}

#[cfg(test)]
mod tests;
