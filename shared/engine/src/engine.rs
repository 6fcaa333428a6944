//! The engine: one snapshot and one answer per query.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use manifest::{Location, Manifest, Part, Window};
use model::{Clock, CompileEntryFilter, EntryFilter, Hour, Limits, Resolution, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::logical::{LogQuery, Node};
use plan::{Answer, EvalError, EvalOptions, Grid, LogicalPlan, StreamEntries, TimeUnit, Value};
use segment::logs;
use store::Objects;
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::cache::Cache;
use crate::context::{Query, QueryContext};
use crate::federation::{self, TenantParts};
use crate::leaf::Caches;
use crate::leaves::{Inputs, Leaves};
use crate::limits::{COARSE_AGE_MIN, EVALUATED_INLINE_MAX, LATE_FETCHES_MAX, NAMES_BYTES_MAX, VALUES_HELD_MAX};
use crate::planner::Planner;
use crate::ranges::plan_range;
use crate::registry::Registry;
use crate::sources::Sources;
use crate::{EngineError, QueryStats, StageTimes};

/// Settings of the engine, the same for all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Partitions a scan is cut into at most.
    pub partitions: usize,
    /// Object requests in flight per query, of all its tenants.
    pub fetches_in_flight: usize,
    /// Bytes of segment tails kept in memory, per signal.
    pub tail_cache_bytes: usize,
    /// Bytes of decoded samples kept in memory.
    pub sample_cache_bytes: usize,
    /// Values (series times steps) held below an aggregation; more are folded as they come.
    pub values_held_max: usize,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig {
            partitions,
            fetches_in_flight: 64,
            tail_cache_bytes: 128 << 20,
            sample_cache_bytes: 256 << 20,
            values_held_max: VALUES_HELD_MAX,
        }
    }
}

/// Executes plans over the live segments. Cheap to clone; the copies share their caches.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) objects: Objects,
    pub(crate) manifest: Manifest,
    pub(crate) caches: Arc<Caches>,
    pub(crate) log_tails: Arc<Cache<logs::Index>>,
    clock: Arc<dyn Clock>,
    entry_filters: CompileEntryFilter,
}

impl Engine {
    /// Makes an engine over an object store and a manifest. Queries that a deletion with a filter concerns fail until it is told
    /// what filters mean.
    pub fn new(config: EngineConfig, objects: Objects, manifest: Manifest, clock: Arc<dyn Clock>) -> Engine {
        let tails = Cache::new(config.tail_cache_bytes);
        let (samples, names) = (Cache::new(config.sample_cache_bytes), Registry::new(NAMES_BYTES_MAX));
        let caches = Arc::new(Caches { tails, samples, names });
        let log_tails = Arc::new(Cache::new(config.tail_cache_bytes));
        Engine { config, objects, manifest, caches, log_tails, entry_filters: EntryFilter::of_no_language, clock }
    }

    /// Tells what the filters of deletions mean.
    pub fn with_entry_filters(self, entry_filters: CompileEntryFilter) -> Engine {
        Engine { entry_filters, ..self }
    }

    /// Executes a plan over one tenant's data, or over that of several. A segment that is corrupt is named in a warning and the rest is
    /// answered (S2); an object that is gone is tried once more on a newer snapshot.
    ///
    /// # Errors
    /// Limits and the timeout with Prometheus's texts where it has them; `Evaluation` as the language says it; `Unsupported`.
    pub async fn query(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        plan: LogicalPlan,
        limits: &Limits,
    ) -> Result<(Answer, QueryStats), EngineError> {
        let tenants = tenants.as_ref();
        let attempts = async {
            match self.attempt(tenants, &plan, limits).await {
                Err(error) if error.is_missing_object() => self.attempt(tenants, &plan, limits).await,
                outcome => outcome,
            }
        };
        within(limits.query_timeout, attempts).await
    }

    /// Returns the physical plans of the leaves as text, one operator per line. Tails are read, samples are not.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn explain(&self, tenant: &TenantId, plan: &LogicalPlan, limits: &Limits) -> Result<String, EngineError> {
        let tenants = self.snapshots(tenant.as_ref(), plan, limits).await?;
        let [TenantParts { context, parts }] = &tenants[..] else {
            return Err(EngineError::Internal("one tenant has one snapshot".to_owned()));
        };
        if let Node::Logs(query) = &plan.root {
            let (scan, _) = crate::logs::query::open(context, &self.log_tails, parts, query, plan.grid).await?;
            let order = if query.newest_first { "newest first" } else { "oldest first" };
            return Ok(format!("LogScan: {order}, limit={}, {}\n", query.limit, scan.explain(context)));
        }
        let mut leaves = Leaves::new(self.planner(&tenants), true);
        leaves.read(&plan.root, plan.grid, false).await?;
        Ok(leaves.explained.unwrap_or_default())
    }

    /// Begins a query: what is shared by all that it is about.
    pub(crate) fn began(&self, options: EvalOptions, limits: &Limits) -> Query {
        Query::new(&self.objects, limits, options, self.config.fetches_in_flight)
    }

    /// Takes the query's one snapshot of each tenant; at least one is named.
    async fn snapshots(
        &self,
        tenants: &[TenantId],
        plan: &LogicalPlan,
        limits: &Limits,
    ) -> Result<Vec<TenantParts>, EngineError> {
        let contexts = self.began(plan.options.clone(), limits).about(tenants);
        let reads: Vec<_> = contexts.into_iter().map(|context| self.snapshot(context, plan)).collect();
        try_join_all(reads).await
    }

    async fn snapshot(&self, context: Arc<QueryContext>, plan: &LogicalPlan) -> Result<TenantParts, EngineError> {
        let range = plan_range(&plan.root, plan.grid).map(|range| context.read_range(range));
        let parts = self.parts(&context, signal_of(plan), range).await?;
        Ok(TenantParts { context, parts })
    }

    /// Plans over the snapshots of a query, at least one.
    pub(crate) fn planner<'a>(&'a self, tenants: &'a [TenantParts]) -> Planner<'a> {
        let EngineConfig { partitions, values_held_max, .. } = self.config;
        let (caches, log_tails) = (&self.caches, &self.log_tails);
        Planner { context: &tenants[0].context, tenants, caches, log_tails, partitions: partitions.max(1), values_held_max }
    }

    /// Takes the query's one snapshot of a tenant.
    pub(crate) async fn parts(
        &self,
        context: &QueryContext,
        signal: Signal,
        range: Option<TimeRangeMs>,
    ) -> Result<Vec<Part>, EngineError> {
        let Some(range) = range else { return Ok(Vec::new()) };
        let _place = context.place(&context.snapshots).await?;
        if signal == Signal::Metrics && range.start.plus(COARSE_AGE_MIN) <= self.clock.now() {
            return self.parts_or_copies(context, range).await;
        }
        let mut snapshot = self.manifest.snapshot(&context.tenant, signal, range).await?;
        context.counters.record_requests.fetch_add(snapshot.requests, Ordering::Relaxed);
        context.counters.segments_total.fetch_add(snapshot.parts.len() as u64, Ordering::Relaxed);
        let parts = std::mem::take(&mut snapshot.parts);
        context.set_snapshot(snapshot, self.entry_filters)?;
        Ok(parts)
    }

    /// Takes a snapshot of whole days with their coarse copies; returns the finest parts.
    async fn parts_or_copies(&self, context: &QueryContext, range: TimeRangeMs) -> Result<Vec<Part>, EngineError> {
        let day = |hour: Hour| Window::Day(hour.day()).range();
        let last = TimestampMs(range.end.0.saturating_sub(1)).max(range.start);
        let days = TimeRangeMs::new(day(range.start.hour()).start, day(last.hour()).end);
        let mut snapshot = self.manifest.snapshot_with_coarse(&context.tenant, Signal::Metrics, days).await?;
        context.counters.record_requests.fetch_add(snapshot.requests, Ordering::Relaxed);
        let sources = Sources::take(&mut snapshot, range);
        context.counters.segments_total.fetch_add(sources.len() as u64, Ordering::Relaxed);
        // What an answer lacks is what it would have read: of a copy only where nothing else is left of its day.
        let lacks = |part: &Part| part.resolution == Resolution::Raw || !sources.has_raw(part.window.day());
        snapshot.quarantined.retain(|part| lacks(part) && part.stats.time_range.overlaps(range));
        context.set_snapshot(snapshot, self.entry_filters)?;
        let finest = sources.parts(Resolution::Raw, None);
        context.set_sources(sources);
        Ok(finest)
    }

    /// Puts segments that a query found corrupt into quarantine, if a second look at the whole of them says the same: from then
    /// on queries name them without reading them, and merges leave them alone.
    async fn report_corrupt(&self, context: &QueryContext, signal: Signal) {
        for part in context.take_corrupt() {
            let Some(reason) = self.unsound(&part).await else { continue };
            let reported = self.manifest.quarantine(&context.tenant, signal, &part, &reason).await;
            match reported {
                Ok(_) => tracing::error!(tenant = %context.tenant, segment = %part.id, reason, "segment is put in quarantine"),
                Err(error) => {
                    tracing::error!(tenant = %context.tenant, segment = %part.id, %error, "segment could not be put in quarantine");
                }
            }
        }
    }

    /// Reads a whole segment again and says what is wrong with it; `None`: nothing, or it could not be read.
    async fn unsound(&self, part: &Part) -> Option<String> {
        let object = match &part.location {
            Location::Inline(bytes) => bytes.clone(),
            Location::Object { key, len } => {
                let path = ObjectPath::from(key.as_str());
                let size = self.objects.head(&path).await.ok()?.size;
                if size != *len {
                    return Some(format!("object: {size} bytes, written were {len}"));
                }
                self.objects.get_range(&path, 0..*len).await.ok()?
            }
        };
        let check = tokio::task::spawn_blocking(move || segment::verify::verify(&object, None, None));
        let problem = check.await.ok()?.problems.into_iter().next()?;
        Some(format!("{}: {}", problem.place, problem.what))
    }

    async fn attempt(
        &self,
        tenants: &[TenantId],
        plan: &LogicalPlan,
        limits: &Limits,
    ) -> Result<(Answer, QueryStats), EngineError> {
        let mut times = StageTimes::default();
        let started = Instant::now();
        let tenants = self.snapshots(tenants, plan, limits).await?;
        let Some(TenantParts { context, .. }) = tenants.first() else {
            return Err(EngineError::Internal("a query is about no tenant".to_owned()));
        };
        let _stop = StopOnDrop(Arc::clone(&context.stop));
        times.snapshot = started.elapsed();
        let mut answer = match &plan.root {
            Node::Logs(query) => {
                let value = Value::Streams(self.streams(&tenants, query, plan.grid, &mut times).await?);
                Answer::of(value)
            }
            _ => self.evaluate(&tenants, plan, &mut times).await?,
        };
        for tenant in &tenants {
            self.report_corrupt(&tenant.context, signal_of(plan)).await;
        }
        answer.warnings = joined(context.annotations.texts(), answer.warnings);
        answer.infos = joined(answer.infos, context.annotations.infos());
        let stats = context.stats(times);
        Ok((answer, stats))
    }

    /// Reads the leaves, then evaluates what is above them.
    async fn evaluate(&self, tenants: &[TenantParts], plan: &LogicalPlan, times: &mut StageTimes) -> Result<Answer, EngineError> {
        let planner = self.planner(tenants);
        let context = planner.context;
        let mut leaves = Leaves::new(planner, false);
        leaves.read(&plan.root, plan.grid, false).await?;
        leaves.inputs.bound(context.task()?);
        let samples_max = plan.options.samples_max.min(context.limits.query_samples_max);
        let options = EvalOptions { samples_max, ..plan.options.clone() };
        let plan = Arc::new(LogicalPlan { options, ..plan.clone() });
        for _ in 0..LATE_FETCHES_MAX {
            let started = Instant::now();
            let (answer, inputs) = evaluated(&plan, std::mem::take(&mut leaves.inputs)).await?;
            leaves.inputs = inputs;
            times.execute += started.elapsed();
            if let Some(ask) = leaves.inputs.take_missing() {
                leaves.fetch(ask).await?;
                continue;
            }
            (times.plan, times.scan) = (leaves.times.plan, leaves.times.scan);
            return answer.map_err(|error| EngineError::of_evaluation(error, &plan.options, &context.limits));
        }
        Err(EngineError::Limit {
            what: "rounds of late fetches",
            value: LATE_FETCHES_MAX as u64 + 1,
            limit: LATE_FETCHES_MAX as u64,
        })
    }

    async fn streams(
        &self,
        tenants: &[TenantParts],
        query: &LogQuery,
        grid: Grid,
        times: &mut StageTimes,
    ) -> Result<Vec<StreamEntries>, EngineError> {
        if tenants.len() > 1 && query.interval_ns != 0 {
            // Which lines are too near to another one is known only once all tenants' lines are in order.
            return Err(EngineError::Unsupported("an interval between lines of several tenants".to_owned()));
        }
        let started = Instant::now();
        let reads: Vec<_> = tenants.iter().map(|tenant| self.streams_of(tenant, query, grid)).collect();
        let found = try_join_all(reads).await?;
        let contexts = tenants.iter().map(|tenant| &*tenant.context);
        let streams = federation::joined_streams(query, contexts.zip(found).collect());
        times.execute = started.elapsed();
        Ok(streams)
    }

    async fn streams_of(&self, tenant: &TenantParts, query: &LogQuery, grid: Grid) -> Result<Vec<StreamEntries>, EngineError> {
        let TenantParts { context, parts } = tenant;
        let Some(select) = federation::own_select(context, &query.select) else { return Ok(Vec::new()) };
        let own = LogQuery { select: select.into_owned(), ..query.clone() };
        crate::logs::query::query(context, &self.log_tails, parts, &own, grid, self.config.partitions).await
    }
}

/// Stops what still works for a query once nobody waits for it: after its end, its timeout, or its client's leaving.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the reference evaluator: here where there is little to do, else on a thread that may be busy for long.
async fn evaluated(plan: &Arc<LogicalPlan>, inputs: Inputs) -> Result<(Result<Answer, EvalError>, Inputs), EngineError> {
    if inputs.samples() <= EVALUATED_INLINE_MAX {
        return Ok((plan::reference::evaluate(plan, &inputs), inputs));
    }
    let plan = Arc::clone(plan);
    let work = tokio::task::spawn_blocking(move || (plan::reference::evaluate(&plan, &inputs), inputs));
    work.await.map_err(|error| EngineError::Internal(error.to_string()))
}

/// Puts texts of operators before those of the evaluator, each once.
fn joined(mut first: Vec<String>, then: Vec<String>) -> Vec<String> {
    let fresh: Vec<String> = then.into_iter().filter(|text| !first.contains(text)).collect();
    first.extend(fresh);
    first
}

fn signal_of(plan: &LogicalPlan) -> Signal {
    match plan.grid.unit {
        TimeUnit::Milliseconds => Signal::Metrics,
        TimeUnit::Nanoseconds => Signal::Logs,
    }
}

/// Bounds a query's time.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    tokio::time::timeout(limit, work).await.unwrap_or(Err(EngineError::Timeout { limit_ms }))
}
