//! The layer in front of routes.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{Account, Keyring, Need, Presented, ReadError, Refusal};

/// Names the tenant of a request.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Says what a route needs. Routes are told apart by their pattern, as the router matched it: how a path is spelled changes nothing.
pub type Needs = fn(Option<&str>, &Method) -> Need;

/// Lets requests in, or not. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    keyring: Option<Arc<Keyring>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    granted: AtomicU64,
    unauthenticated: AtomicU64,
    forbidden: AtomicU64,
    unavailable: AtomicU64,
}

impl Guard {
    /// Makes a guard that asks for credentials.
    pub fn new(keyring: Keyring) -> Guard {
        Guard { keyring: Some(Arc::new(keyring)), counts: Arc::default() }
    }

    /// Makes one that lets everybody in: authentication is off.
    pub fn open() -> Guard {
        Guard::default()
    }

    /// Reports whether authentication is on.
    pub fn is_on(&self) -> bool {
        self.keyring.is_some()
    }

    /// Reads the accounts, so that a mistake in them shows at start. Returns how many there are.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn check(&self) -> Result<usize, ReadError> {
        match &self.keyring {
            Some(keyring) => Ok(keyring.accounts().await?.len()),
            None => Ok(0),
        }
    }

    /// Lets a request in: its headers then name the tenant that its account stands for, and no secret.
    async fn admit(&self, need: Need, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let (Some(keyring), Need::Role(role)) = (&self.keyring, need) else { return Ok(()) };
        let mut presented = headers.get_all(header::AUTHORIZATION).into_iter();
        let (Some(first), None) = (presented.next(), presented.next()) else { return Err(Refusal::Anonymous) };
        let presented = Presented::parse(first.as_bytes()).ok_or(Refusal::Unknown)?;
        let accounts = keyring.accounts().await.map_err(|error| {
            tracing::error!(error = &*error as &dyn std::error::Error, "credentials cannot be read");
            Refusal::Unavailable
        })?;
        let account = accounts.find(&presented).ok_or(Refusal::Unknown)?;
        if !account.roles.contains(&role) {
            tracing::debug!(account = account.name, role = role.as_str(), "account has not the role");
            return Err(Refusal::Role);
        }
        let tenant = tenant_of(account, headers)?;
        headers.remove(header::AUTHORIZATION);
        if let Some(tenant) = tenant {
            headers.insert(TENANT, tenant);
        }
        Ok(())
    }

    fn count(&self, outcome: &Result<(), Refusal>) {
        let counter = match outcome.map_err(|refusal| refusal.status().as_u16()) {
            Ok(()) => &self.counts.granted,
            Err(503) => &self.counts.unavailable,
            Err(401) => &self.counts.unauthenticated,
            Err(_) => &self.counts.forbidden,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Appends what it counted, in Prometheus's text format.
    pub fn render(&self, out: &mut String) {
        out.push_str("# HELP lamella_edge_requests_total Requests by what their credentials allowed.\n");
        out.push_str("# TYPE lamella_edge_requests_total counter\n");
        let Counts { granted, unauthenticated, forbidden, unavailable } = &*self.counts;
        let outcomes =
            [("granted", granted), ("unauthenticated", unauthenticated), ("forbidden", forbidden), ("unavailable", unavailable)];
        for (outcome, counter) in outcomes {
            // Writing to a string does not fail.
            let _ = writeln!(out, "lamella_edge_requests_total{{outcome=\"{outcome}\"}} {}", counter.load(Relaxed));
        }
    }
}

/// Returns the tenant to name: what the header names where it is the account's, else the account's only one. `None` leaves a request
/// without a tenant, which handlers that need one refuse.
fn tenant_of(account: &Account, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let mut named = headers.get_all(TENANT).into_iter();
    match (named.next(), named.next()) {
        (_, Some(_)) => Err(Refusal::Ambiguous),
        (Some(value), None) if !value.is_empty() => match value.to_str().is_ok_and(|text| account.tenants.cover(text)) {
            true => Ok(Some(value.clone())),
            false => Err(Refusal::Tenant),
        },
        _ => Ok(account
            .tenants
            .only()
            .map(|tenant| HeaderValue::try_from(tenant.as_str()).expect("a tenant's characters are a header's"))),
    }
}

/// Puts the guard in front of a router's routes.
pub fn guarded<S: Clone + Send + Sync + 'static>(routes: Router<S>, guard: &Guard, needs: Needs) -> Router<S> {
    routes.layer(from_fn_with_state((guard.clone(), needs), pass))
}

async fn pass(
    State((guard, needs)): State<(Guard, Needs)>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    if guard.is_on() {
        let need = needs(matched.as_ref().map(MatchedPath::as_str), request.method());
        let outcome = guard.admit(need, request.headers_mut()).await;
        guard.count(&outcome);
        if let Err(refusal) = outcome {
            return refusal.into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
