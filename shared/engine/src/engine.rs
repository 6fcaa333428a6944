//! The engine: one snapshot, one physical plan, one answer per query.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use datafusion_physical_plan::ExecutionPlan;
use datafusion_physical_plan::display::DisplayableExecutionPlan;
use manifest::{Manifest, Part};
use model::{Clock, Limits, Signal, TenantId, TimeRangeMs};
use plan::logical::{LogQuery, Node, NodeKind, RangeInput};
use plan::{Answer, Grid, LogicalPlan, Series, TimeUnit, Value};
use segment::{logs, metrics};
use store::Objects;

use crate::apply::finish_names;
use crate::batch::{label_set, samples_rows, series_of};
use crate::cache::TailCache;
use crate::context::QueryContext;
use crate::exec::{collect, single};
use crate::planner::Planner;
use crate::ranges::{plan_range, select_range};
use crate::{EngineError, QueryStats, StageTimes};

/// Settings of the engine, the same for all tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Partitions a scan is cut into at most.
    pub partitions: usize,
    /// Object requests in flight per query.
    pub fetches_in_flight: usize,
    /// Bytes of segment tails kept in memory, per signal.
    pub tail_cache_bytes: usize,
}

impl Default for EngineConfig {
    fn default() -> EngineConfig {
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig { partitions, fetches_in_flight: 64, tail_cache_bytes: 128 << 20 }
    }
}

/// Executes plans over the live segments. Cheap to clone; the copies share their caches.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) objects: Objects,
    pub(crate) manifest: Manifest,
    /// Asked by the cache of partial results, which never keeps the newest hours.
    #[allow(dead_code)]
    clock: Arc<dyn Clock>,
    pub(crate) metric_tails: Arc<TailCache<metrics::Index>>,
    pub(crate) log_tails: Arc<TailCache<logs::Index>>,
}

impl Engine {
    /// Makes an engine over an object store and a manifest.
    pub fn new(config: EngineConfig, objects: Objects, manifest: Manifest, clock: Arc<dyn Clock>) -> Engine {
        let bytes = config.tail_cache_bytes;
        let (metric_tails, log_tails) = (Arc::new(TailCache::new(bytes)), Arc::new(TailCache::new(bytes)));
        Engine { config, objects, manifest, clock, metric_tails, log_tails }
    }

    /// Executes a plan. A segment that is corrupt is named in a warning and the rest is answered (S2); an object that is
    /// gone is tried once more on a newer snapshot.
    ///
    /// # Errors
    /// Limits and the timeout with Prometheus's texts where it has them; `Evaluation` as the language says it; `Unsupported`.
    pub async fn query(
        &self,
        tenant: &TenantId,
        plan: LogicalPlan,
        limits: &Limits,
    ) -> Result<(Answer, QueryStats), EngineError> {
        let attempts = async {
            match self.attempt(tenant, &plan, limits).await {
                Err(error) if error.is_missing_object() => self.attempt(tenant, &plan, limits).await,
                outcome => outcome,
            }
        };
        within(limits.query_timeout, attempts).await
    }

    /// Returns the physical plan as text, one operator per line. Tails are read, samples are not.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn explain(&self, tenant: &TenantId, plan: &LogicalPlan, limits: &Limits) -> Result<String, EngineError> {
        let context = self.context(tenant, plan, limits);
        let parts = Arc::new(self.parts(&context, signal_of(plan), plan_range(&plan.root, plan.grid)).await?);
        match &plan.root {
            Node::Logs(_) => Ok("LogScanExec\n".into()),
            root => {
                let physical = self.planner(&context, parts).plan(root, plan.grid).await?;
                Ok(DisplayableExecutionPlan::new(physical.as_ref()).indent(false).to_string())
            }
        }
    }

    fn context(&self, tenant: &TenantId, plan: &LogicalPlan, limits: &Limits) -> Arc<QueryContext> {
        let (options, text) = (plan.options.clone(), Arc::clone(&plan.text));
        Arc::new(QueryContext::new(tenant, &self.objects, limits, options, text, self.config.fetches_in_flight))
    }

    fn planner<'a>(&'a self, context: &'a Arc<QueryContext>, parts: Arc<Vec<Part>>) -> Planner<'a> {
        let partitions = self.config.partitions.max(1);
        Planner { context, parts, metric_tails: &self.metric_tails, log_tails: &self.log_tails, partitions }
    }

    /// Takes the query's one snapshot.
    pub(crate) async fn parts(
        &self,
        context: &QueryContext,
        signal: Signal,
        range: Option<TimeRangeMs>,
    ) -> Result<Vec<Part>, EngineError> {
        let Some(range) = range else { return Ok(Vec::new()) };
        let snapshot = self.manifest.snapshot(&context.tenant, signal, range).await?;
        context.counters.record_requests.fetch_add(snapshot.requests, Ordering::Relaxed);
        context.counters.segments_total.fetch_add(snapshot.parts.len() as u64, Ordering::Relaxed);
        Ok(snapshot.parts)
    }

    async fn attempt(&self, tenant: &TenantId, plan: &LogicalPlan, limits: &Limits) -> Result<(Answer, QueryStats), EngineError> {
        let context = self.context(tenant, plan, limits);
        let mut times = StageTimes::default();
        let started = Instant::now();
        let range = plan_range(&plan.root, plan.grid);
        let parts = Arc::new(self.parts(&context, signal_of(plan), range).await?);
        times.snapshot = started.elapsed();
        let value = match &plan.root {
            Node::Text(text) => Value::Text(text.clone()),
            Node::Logs(query) => self.streams(&context, &parts, query, plan.grid, &mut times).await?,
            Node::Range(input) => self.ranges(&context, parts, input, plan.grid, &mut times).await?,
            root => self.steps(&context, parts, root, plan, &mut times).await?,
        };
        let (warnings, infos) = context.annotations.texts();
        let stats = context.stats(times);
        let samples_loaded = stats.samples;
        Ok((Answer { value, warnings, infos, samples_loaded }, stats))
    }

    async fn steps(
        &self,
        context: &Arc<QueryContext>,
        parts: Arc<Vec<Part>>,
        root: &Node,
        plan: &LogicalPlan,
        times: &mut StageTimes,
    ) -> Result<Value, EngineError> {
        let started = Instant::now();
        let physical = single(self.planner(context, parts).plan(root, plan.grid).await?);
        times.plan = started.elapsed();
        let batches = run(context, &physical).await?;
        let series = series_of(&batches, &context.attachments)?;
        times.execute = started.elapsed() - times.plan;
        if root.kind() == NodeKind::Scalar {
            return Ok(Value::Scalar(series.into_iter().next().map(|one| one.values.floats).unwrap_or_default()));
        }
        // An instant query keeps the order that sort() gave.
        if plan.options.instant && keeps_order(root) {
            return Ok(Value::Vector(series.into_iter().filter(|one| !one.values.is_absent()).collect()));
        }
        finish_names(series).map(Value::Vector)
    }

    async fn streams(
        &self,
        context: &Arc<QueryContext>,
        parts: &[Part],
        query: &LogQuery,
        grid: Grid,
        times: &mut StageTimes,
    ) -> Result<Value, EngineError> {
        let started = Instant::now();
        let streams = crate::logs::query(context, &self.log_tails, parts, query, grid).await?;
        times.execute = started.elapsed();
        Ok(Value::Streams(streams))
    }

    /// Answers an instant query for a range vector.
    async fn ranges(
        &self,
        context: &Arc<QueryContext>,
        parts: Arc<Vec<Part>>,
        input: &RangeInput,
        grid: Grid,
        times: &mut StageTimes,
    ) -> Result<Value, EngineError> {
        let RangeInput::Select { select, range_ms, .. } = input else {
            return Err(EngineError::Unsupported("subquery as a result".into()));
        };
        let started = Instant::now();
        let scan = single(self.planner(context, parts).scan(select, grid, *range_ms).await?);
        times.plan = started.elapsed();
        let batches = run(context, &scan).await?;
        debug_assert!(!select_range(select, grid, *range_ms).is_empty() || *range_ms <= 0);
        let mut series = Vec::new();
        for row in batches.iter().flat_map(samples_rows) {
            let extras = context.attachments.take_samples(row.extras);
            let fresh = crate::kernels::without_stale(row.timestamps, row.values);
            let (timestamps, values) = fresh.unwrap_or_else(|| (row.timestamps.to_vec(), row.values.to_vec()));
            let histograms: Vec<_> = extras.histograms.into_iter().filter(|sample| !sample.histogram.is_stale()).collect();
            if !timestamps.is_empty() || !histograms.is_empty() {
                let labels = label_set(row.labels)?;
                series.push(Series { labels, timestamps, values, start_timestamps: Vec::new(), histograms });
            }
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        times.execute = started.elapsed() - times.plan;
        Ok(Value::Ranges(series))
    }
}

fn keeps_order(root: &Node) -> bool {
    use plan::logical::{AggregateOp, Function};
    match root {
        Node::Call(call) => {
            matches!(call.function, Function::Sort | Function::SortDesc | Function::SortByLabel | Function::SortByLabelDesc)
        }
        Node::Aggregate(aggregate) => {
            matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::Sort | AggregateOp::SortDesc)
        }
        Node::StepInvariant(inner) => keeps_order(inner),
        _ => false,
    }
}

fn signal_of(plan: &LogicalPlan) -> Signal {
    match plan.grid.unit {
        TimeUnit::Milliseconds => Signal::Metrics,
        TimeUnit::Nanoseconds => Signal::Logs,
    }
}

async fn run(
    context: &Arc<QueryContext>,
    physical: &Arc<dyn ExecutionPlan>,
) -> Result<Vec<arrow::record_batch::RecordBatch>, EngineError> {
    collect(physical, &context.task()?).await.map_err(|error| context.unboxed(error))
}

/// Bounds a query's time.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    tokio::time::timeout(limit, work).await.unwrap_or(Err(EngineError::Timeout { limit_ms }))
}
