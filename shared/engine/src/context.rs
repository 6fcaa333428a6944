//! What all operators of one query share: bounds, counters, annotations, and the side channel of histograms.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use datafusion_execution::TaskContext;
use datafusion_execution::config::SessionConfig;
use datafusion_execution::memory_pool::GreedyMemoryPool;
use datafusion_execution::runtime_env::RuntimeEnvBuilder;
use hashbrown::HashMap;
use model::{Limits, TenantId};
use plan::EvalOptions;
use plan::value::HistogramSample;
use store::Objects;

use crate::annotations::Annotations;
use crate::{EngineError, QueryStats, StageTimes};

/// Shared by every operator of one query.
#[derive(Debug)]
pub(crate) struct QueryContext {
    pub(crate) tenant: TenantId,
    pub(crate) objects: Objects,
    pub(crate) limits: Limits,
    pub(crate) options: EvalOptions,
    pub(crate) text: Arc<str>,
    pub(crate) fetches_in_flight: usize,
    pub(crate) annotations: Annotations,
    pub(crate) attachments: Attachments,
    pub(crate) counters: Counters,
    task: OnceLock<Arc<TaskContext>>,
}

/// Running counts of one query.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) record_requests: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) segments_total: AtomicU64,
    pub(crate) segments_pruned: AtomicU64,
    pub(crate) tails_cached: AtomicU64,
    pub(crate) series: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) line_bytes: AtomicU64,
}

impl QueryContext {
    pub(crate) fn new(
        tenant: &TenantId,
        objects: &Objects,
        limits: &Limits,
        options: EvalOptions,
        text: Arc<str>,
        fetches_in_flight: usize,
    ) -> QueryContext {
        QueryContext {
            tenant: tenant.clone(),
            objects: Arc::clone(objects),
            limits: limits.clone(),
            options,
            text,
            fetches_in_flight,
            annotations: Annotations::default(),
            attachments: Attachments::default(),
            counters: Counters::default(),
            task: OnceLock::new(),
        }
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

    pub(crate) fn unboxed(&self, error: datafusion_common::DataFusionError) -> EngineError {
        EngineError::unboxed(error, self.limits.query_memory_bytes_max)
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
            segments_pruned: load(&counters.segments_pruned),
            tails_cached: load(&counters.tails_cached),
            series: load(&counters.series),
            samples: load(&counters.samples),
            entries: load(&counters.entries),
            line_bytes: load(&counters.line_bytes),
            times,
        }
    }
}

/// What has no column: histograms and start timestamps travel beside the batches of samples, by handle. Handle 0 is "none".
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    next: AtomicU64,
    samples: Mutex<HashMap<u64, SampleExtras>>,
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

    pub(crate) fn take_samples(&self, handle: u64) -> SampleExtras {
        if handle == 0 {
            return SampleExtras::default();
        }
        self.samples.lock().expect("no call panics while it holds the lock").remove(&handle).unwrap_or_default()
    }
}
