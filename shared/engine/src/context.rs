//! What all operators of one query share: bounds, counters, annotations, and the side channel of histograms; and what a query knows
//! of each tenant that it is about: its snapshot.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use datafusion_execution::TaskContext;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::memory_pool::GreedyMemoryPool;
use datafusion_execution::runtime_env::RuntimeEnvBuilder;
use hashbrown::HashMap;
use manifest::{Deletion, Location, Part, Snapshot};
use model::{CompileEntryFilter, EntryFilter, Histogram, LabelSet, Limits, Matcher, TenantId, TimeRangeMs, replicas};
use plan::EvalOptions;
use plan::value::HistogramSample;
use store::Objects;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::annotations::Annotations;
use crate::limits::{CORRUPT_REPORTED_MAX, SNAPSHOTS_IN_FLIGHT};
use crate::sources::Sources;
use crate::{EngineError, QueryStats, StageTimes, federation};

/// What a query knows of a tenant; most queries are about one. What is not the tenant's is the whole query's.
#[derive(Debug)]
pub(crate) struct QueryContext {
    pub(crate) tenant: TenantId,
    /// Whether it is one of several.
    is_federated: bool,
    query: Arc<Query>,
    /// What the query's one snapshot of the tenant says beside its parts.
    snapshot: OnceLock<Snapshot>,
    /// Filters of its deletions, by their ids.
    filters: OnceLock<HashMap<u128, EntryFilter>>,
    /// Its parts, where a selector has a choice.
    sources: OnceLock<Sources>,
    /// Segments found corrupt.
    corrupt: Mutex<Vec<Part>>,
}

/// Shared by every operator of one query.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) objects: Objects,
    pub(crate) limits: Limits,
    pub(crate) options: EvalOptions,
    pub(crate) fetches_in_flight: usize,
    /// Places for so many reads at once, whatever asks for them: partitions, selectors, tenants.
    pub(crate) reads: Semaphore,
    /// Places for so many snapshots at once.
    pub(crate) snapshots: Semaphore,
    pub(crate) annotations: Annotations,
    pub(crate) attachments: Attachments,
    pub(crate) counters: Counters,
    /// Whether windows gave an answer that samples might not give, since somebody last asked.
    inexact: AtomicBool,
    /// Set once nobody waits any more.
    pub(crate) stop: Arc<AtomicBool>,
    task: OnceLock<Arc<TaskContext>>,
}

/// Running counts of one query.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) record_requests: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) segments_total: AtomicU64,
    pub(crate) segments_considered: AtomicU64,
    pub(crate) segments_pruned: AtomicU64,
    pub(crate) segments_opened: AtomicU64,
    pub(crate) tails_cached: AtomicU64,
    pub(crate) windows: AtomicU64,
    pub(crate) row_groups: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) series: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) row_groups_pruned: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) lines: AtomicU64,
    pub(crate) line_bytes: AtomicU64,
}

impl Deref for QueryContext {
    type Target = Query;

    fn deref(&self) -> &Query {
        &self.query
    }
}

impl Query {
    pub(crate) fn new(objects: &Objects, limits: &Limits, options: EvalOptions, fetches_in_flight: usize) -> Query {
        Query {
            objects: Arc::clone(objects),
            limits: limits.clone(),
            options,
            fetches_in_flight,
            reads: Semaphore::new(fetches_in_flight.max(1)),
            snapshots: Semaphore::new(SNAPSHOTS_IN_FLIGHT),
            annotations: Annotations::default(),
            attachments: Attachments::default(),
            counters: Counters::default(),
            inexact: AtomicBool::new(false),
            stop: Arc::default(),
            task: OnceLock::new(),
        }
    }

    /// Returns the query as it is about each of its tenants.
    pub(crate) fn about(self, tenants: &[TenantId]) -> Vec<Arc<QueryContext>> {
        let query = Arc::new(self);
        tenants.iter().map(|tenant| QueryContext::of(Arc::clone(&query), tenant, tenants.len() > 1)).collect()
    }

    /// Returns the query as it is about its one tenant.
    pub(crate) fn about_one(self, tenant: &TenantId) -> Arc<QueryContext> {
        QueryContext::of(Arc::new(self), tenant, false)
    }
}

impl QueryContext {
    fn of(query: Arc<Query>, tenant: &TenantId, is_federated: bool) -> Arc<QueryContext> {
        Arc::new(QueryContext {
            tenant: tenant.clone(),
            is_federated,
            query,
            snapshot: OnceLock::new(),
            filters: OnceLock::new(),
            sources: OnceLock::new(),
            corrupt: Mutex::default(),
        })
    }

    /// Reports whether series are to say whose they are.
    pub(crate) fn is_federated(&self) -> bool {
        self.is_federated
    }

    /// Returns what matchers ask of the tenant's own labels; `None` where they ask for other tenants.
    pub(crate) fn own<'m>(&self, matchers: &'m [Matcher]) -> Option<Cow<'m, [Matcher]>> {
        if self.is_federated { federation::own_matchers(&self.tenant, matchers) } else { Some(Cow::Borrowed(matchers)) }
    }

    /// Returns labels of the tenant as an answer shows them.
    pub(crate) fn labelled(&self, labels: &LabelSet) -> LabelSet {
        if self.is_federated { federation::labelled(&self.tenant, labels) } else { labels.clone() }
    }

    /// Returns what is to be read of samples to answer about `range`: more of it where replicas are deduplicated.
    pub(crate) fn read_range(&self, range: TimeRangeMs) -> TimeRangeMs {
        if self.options.replica_labels.is_empty() { range } else { replicas::read_range(range) }
    }

    /// Returns DataFusion's context: memory is bounded by the tenant's limit.
    pub(crate) fn task(&self) -> Result<&Arc<TaskContext>, EngineError> {
        if let Some(task) = self.task.get() {
            return Ok(task);
        }
        let pool = Arc::new(GreedyMemoryPool::new(self.limits.query_memory_bytes_max));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().map_err(|e| self.unboxed(e))?;
        let none = std::collections::HashMap::new;
        let task = TaskContext::new(
            None,
            String::new(),
            SessionConfig::new(),
            none(),
            Default::default(),
            Default::default(),
            Default::default(),
            runtime,
        );
        Ok(self.task.get_or_init(|| Arc::new(task)))
    }

    /// Keeps what a snapshot says beside its parts, and names what it has in quarantine.
    ///
    /// # Errors
    /// `Internal` where nobody knows what the filter of a deletion means: its entries must neither be shown nor left out.
    pub(crate) fn set_snapshot(&self, snapshot: Snapshot, compile: CompileEntryFilter) -> Result<(), EngineError> {
        let of = |deletion: &Deletion| {
            let text = deletion.request.filter.as_ref()?;
            let unknown = |reason| EngineError::Internal(format!("filter of a deletion {text:?}: {reason}"));
            Some(compile(text).map(|filter| (deletion.id, filter)).map_err(unknown))
        };
        let _ = self.filters.set(snapshot.deletions.iter().filter_map(of).collect::<Result<_, _>>()?);
        for part in &snapshot.quarantined {
            let name = match &part.location {
                Location::Object { key, .. } => key.clone(),
                Location::Inline(_) => part.id.to_string(),
            };
            self.annotations.warn(format!("segment {name} is in quarantine and left out"));
        }
        for part in &snapshot.lost {
            let name = if part.key.is_empty() { part.id.to_string() } else { part.key.clone() };
            self.annotations.warn(format!("segment {name} was corrupt when its day expired and is lost"));
        }
        let _ = self.snapshot.set(snapshot);
        Ok(())
    }

    /// Returns the filter of a deletion, where it has one.
    pub(crate) fn filter_of(&self, deletion: &Deletion) -> Option<&EntryFilter> {
        self.filters.get()?.get(&deletion.id)
    }

    pub(crate) fn set_sources(&self, sources: Sources) {
        let _ = self.sources.set(sources);
    }

    pub(crate) fn sources(&self) -> Option<&Sources> {
        self.sources.get()
    }

    pub(crate) fn note_inexact(&self) {
        self.inexact.store(true, Ordering::Relaxed);
    }

    pub(crate) fn take_inexact(&self) -> bool {
        self.inexact.swap(false, Ordering::Relaxed)
    }

    /// Takes back that series were selected: they are selected again.
    pub(crate) fn uncount_series(&self, series: u64) {
        self.counters.series.fetch_sub(series, Ordering::Relaxed);
    }

    /// Returns the deletions whose rows a part's reader leaves out.
    pub(crate) fn deletions_for(&self, part: &Part) -> Vec<Deletion> {
        self.snapshot.get().map_or(Vec::new(), |snapshot| snapshot.deletions_for(part).into_iter().cloned().collect())
    }

    pub(crate) fn note_corrupt(&self, part: &Part) {
        let mut corrupt = self.corrupt.lock().expect("no call panics while it holds the lock");
        if corrupt.len() < CORRUPT_REPORTED_MAX && !corrupt.iter().any(|known| known.id == part.id) {
            corrupt.push(part.clone());
        }
    }

    pub(crate) fn take_corrupt(&self) -> Vec<Part> {
        std::mem::take(&mut *self.corrupt.lock().expect("no call panics while it holds the lock"))
    }

    pub(crate) fn unboxed(&self, error: datafusion_common::DataFusionError) -> EngineError {
        EngineError::unboxed(error, self.limits.query_memory_bytes_max)
    }

    /// Waits for one of the query's places.
    pub(crate) async fn place<'s>(&self, places: &'s Semaphore) -> Result<SemaphorePermit<'s>, EngineError> {
        places.acquire().await.map_err(|closed| EngineError::Internal(closed.to_string()))
    }

    /// Counts a request about to be made.
    pub(crate) fn count_request(&self) -> Result<(), EngineError> {
        let made = self.counters.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let limit = self.limits.query_requests_max as u64;
        if made > limit { Err(EngineError::Limit { what: "object requests", value: made, limit }) } else { Ok(()) }
    }

    /// Counts samples loaded. Against `samples_max` the evaluator counts what is held at once.
    pub(crate) fn count_samples(&self, samples: u64) {
        self.counters.samples.fetch_add(samples, Ordering::Relaxed);
    }

    /// Counts series selected by a leaf.
    pub(crate) fn count_series(&self, series: u64) -> Result<(), EngineError> {
        let value = self.counters.series.fetch_add(series, Ordering::Relaxed) + series;
        let limit = self.limits.query_series_max as u64;
        if value > limit { Err(EngineError::Limit { what: "series", value, limit }) } else { Ok(()) }
    }

    pub(crate) fn stats(&self, times: StageTimes) -> QueryStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        QueryStats {
            requests: load(&counters.requests),
            record_requests: load(&counters.record_requests),
            bytes_read: load(&counters.bytes_read),
            segments_total: load(&counters.segments_total),
            segments_considered: load(&counters.segments_considered),
            segments_pruned: load(&counters.segments_pruned),
            segments_opened: load(&counters.segments_opened),
            tails_cached: load(&counters.tails_cached),
            row_groups: load(&counters.row_groups),
            pages: load(&counters.pages),
            series: load(&counters.series),
            windows: load(&counters.windows),
            samples: load(&counters.samples),
            row_groups_pruned: load(&counters.row_groups_pruned),
            entries: load(&counters.entries),
            lines: load(&counters.lines),
            line_bytes: load(&counters.line_bytes),
            times,
        }
    }
}

/// What has no column: histograms, start timestamps and annotations travel beside the batches, by handle. Handle 0 is "none".
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    next: AtomicU64,
    samples: Mutex<HashMap<u64, SampleExtras>>,
    steps: Mutex<HashMap<u64, StepExtras>>,
}

/// What the values of a series have beside floats.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepExtras {
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
    pub(crate) annotations: plan::Annotations,
    /// Why the series fails the whole evaluation.
    pub(crate) error: Option<plan::EvalError>,
}

/// What a series has beside float samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleExtras {
    pub(crate) start_timestamps: Vec<i64>,
    pub(crate) histograms: Vec<HistogramSample>,
}

impl Attachments {
    pub(crate) fn attach_samples(&self, extras: SampleExtras) -> u64 {
        if extras.histograms.is_empty() && extras.start_timestamps.is_empty() {
            return 0;
        }
        let handle = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.samples.lock().expect("no call panics while it holds the lock").insert(handle, extras);
        handle
    }

    pub(crate) fn attach_steps(&self, extras: StepExtras) -> u64 {
        if extras.histograms.is_empty() && extras.annotations.is_empty() && extras.error.is_none() {
            return 0;
        }
        let handle = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.steps.lock().expect("no call panics while it holds the lock").insert(handle, extras);
        handle
    }

    pub(crate) fn take_steps(&self, handle: u64) -> StepExtras {
        if handle == 0 {
            return StepExtras::default();
        }
        self.steps.lock().expect("no call panics while it holds the lock").remove(&handle).unwrap_or_default()
    }

    pub(crate) fn take_samples(&self, handle: u64) -> SampleExtras {
        if handle == 0 {
            return SampleExtras::default();
        }
        self.samples.lock().expect("no call panics while it holds the lock").remove(&handle).unwrap_or_default()
    }
}
