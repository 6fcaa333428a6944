//! One listener over both functions' routers, until a signal; then nothing acknowledged is lost.
//!
//! ```text
//! listen ─▶ open stores ─▶ routes + timers ─▶ signal ─▶ no new connections, requests under way finish ─▶ write buffer closes
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use appender::{Adaptive, BacklogBounds, GroupOptions, WriteBuffer, Writer};
use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use boot::Host;
use edge::{Need, Role, guarded};
use fn_query::live::Hub;
use http::header;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backlog::Backlogs;
use crate::cli::serve::Options;
use crate::live::Overheard;
use crate::metrics::{self, Metrics};
use crate::tls::TlsListener;
use crate::{timers, unread};

/// Stack of each worker: nested queries are evaluated by recursion, within the languages' depth limits.
pub const STACK_BYTES: usize = 8 << 20;
/// L0 segments of an hour above which compaction is told: here that costs nothing, and an hour that rested for long and is written to
/// again is not looked at by the schedule before its time.
const BACKLOG_TOLD: u32 = 64;
/// How long requests under way may take once the process is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How long the write buffer may take to write out what it holds.
const CLOSE_MAX: Duration = Duration::from_secs(60);

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Where the configuration, the address or the storage cannot be used.
pub async fn run(options: &Options) -> Result<()> {
    let config = options.config()?;
    boot::init_logging(&config);
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
    let address = listener.local_addr().context("read the listener's address")?;
    let host = Host::open(config, boot::directory::open).await?;
    let backlogs = Arc::<Backlogs>::default();
    let hub = Hub::default();
    let buffer: Arc<dyn WriteBuffer> = Arc::new(Overheard::new(buffer(&host, options, &backlogs), hub.clone()));
    let metrics = Arc::new(Metrics::new(host.object_counters.clone()));
    let (stop, stopped) = watch::channel(false);
    let timer = start_compaction(&host, options, &metrics, &stopped, backlogs);
    let app = routes(&host, options, &buffer, hub, &metrics);
    announce(address, options.tls().is_some(), &host);
    host.say_who_may_enter();

    let mut server = match options.tls() {
        Some(files) => start(TlsListener::new(listener, files).context("speak TLS")?, app, stopped.clone()),
        None => start(listener, app, stopped.clone()),
    };
    let outcome = tokio::select! {
        () = signal() => Ok(()),
        ended = &mut server => ended.context("the listener's task failed").and_then(|served| served.context("serve requests")),
    };
    tracing::info!("stopping: requests under way finish, buffered writes are written out");
    stop.send_replace(true);
    drain(server, buffer, timer).await;
    tracing::info!("stopped");
    outcome
}

fn start<L>(listener: L, app: Router, stopped: watch::Receiver<bool>) -> JoinHandle<std::io::Result<()>>
where
    L: Listener<Addr = SocketAddr>,
{
    // A router itself would copy all its routes for each connection.
    tokio::spawn(axum::serve(listener, app.into_make_service()).with_graceful_shutdown(until(stopped)).into_future())
}

fn buffer(host: &Host, options: &Options, backlogs: &Arc<Backlogs>) -> Arc<dyn WriteBuffer> {
    let writer = Writer::new(host.objects.clone(), host.manifest.clone(), host.clock.clone(), host.nonces.clone());
    let group = GroupOptions { linger: Duration::from_millis(options.linger_ms), ..GroupOptions::default() };
    let bounds = BacklogBounds { hinted: BACKLOG_TOLD, ..BacklogBounds::default() };
    let writer = writer.with_hints(backlogs.clone()).with_backlog_bounds(bounds);
    Arc::new(Adaptive::living(writer, group, host.clock.clone()))
}

fn start_compaction(
    host: &Host,
    options: &Options,
    metrics: &Arc<Metrics>,
    stopped: &watch::Receiver<bool>,
    backlogs: Arc<Backlogs>,
) -> Option<JoinHandle<()>> {
    let every = options.compact_interval()?;
    let state = fn_compact::State::with_policy(host, options.policy(host));
    Some(tokio::spawn(timers::compact(state, every, backlogs, host.clock.clone(), Arc::clone(metrics), stopped.clone())))
}

fn routes(host: &Host, options: &Options, buffer: &Arc<dyn WriteBuffer>, hub: Hub, metrics: &Arc<Metrics>) -> Router {
    let ingest = fn_ingest::State::new(host, Arc::clone(buffer));
    let asked = fn_query::Options { live: Some(hub), ..options.query() };
    let query = fn_query::router(fn_query::State::over(host, asked));
    let (page, ingested, guard) = (Arc::clone(metrics), Arc::clone(&ingest.metrics), host.guard.clone());
    let meter = Arc::clone(&host.meter);
    let text = move || {
        let mut text = page.text();
        ingested.render(&mut text);
        guard.render(&mut text);
        meter.render(&mut text);
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    };
    let own = Router::new().route("/metrics", get(async move || text()));
    let own = guarded(own, &host.guard, |_, _| Need::Role(Role::Metrics));
    let routes = own.merge(fn_ingest::router(ingest)).merge(query).fallback(fn_query::respond::not_found);
    let routes = routes.layer(axum::middleware::from_fn_with_state(Arc::clone(metrics), metrics::count));
    routes.layer(axum::middleware::from_fn(unread::read_on))
}

/// Says where to point Prometheus, Promtail and Grafana.
fn announce(address: SocketAddr, encrypted: bool, host: &Host) {
    tracing::info!(%address, storage = %host.config.storage, tenant_required = host.config.require_tenant, "lamella {}", env!("CARGO_PKG_VERSION"));
    let url = format!("{}://{address}", if encrypted { "https" } else { "http" });
    eprintln!("  Prometheus, prometheus.yml   remote_write: [{{url: \"{url}/api/v1/write\"}}]");
    eprintln!("  Promtail, Alloy, Fluent Bit  {url}/loki/api/v1/push");
    eprintln!("  Grafana, Prometheus source   {url}");
    eprintln!("  Grafana, Loki source         {url}");
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and so is the process's reason to run.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn drain(server: JoinHandle<std::io::Result<()>>, buffer: Arc<dyn WriteBuffer>, timer: Option<JoinHandle<()>>) {
    if !server.is_finished() && tokio::time::timeout(DRAIN_MAX, server).await.is_err() {
        tracing::warn!("requests were still under way after {} s", DRAIN_MAX.as_secs());
    }
    if tokio::time::timeout(CLOSE_MAX, buffer.close()).await.is_err() {
        tracing::error!("buffered writes were not written out after {} s; none of them was acknowledged", CLOSE_MAX.as_secs());
    }
    if let Some(timer) = timer {
        let _ = timer.await;
    }
}

/// Waits for SIGINT or SIGTERM.
async fn signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await.unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = interrupted => {}
        () = terminated => {}
    }
}
