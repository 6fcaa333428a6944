//! Lookups: series, label names and values, metadata, exemplars. They read tails only, never a sample.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::Part;
use model::{Exemplar, LabelSet, Limits, Matcher, MetricMetadata, Signal, TenantId, TimeRangeMs, TimeRangeNs};
use plan::EvalOptions;
use segment::{logs, metrics};

use crate::context::QueryContext;
use crate::engine::within;
use crate::fetch::{OpenPart, open_parts, prune};
use crate::{Engine, EngineError, QueryStats, StageTimes};

/// Looks at the tails that may match one set of matchers.
type EachSet<'a> = dyn FnMut(&Tails, &[Matcher]) -> Result<(), EngineError> + Send + 'a;

/// What a lookup found, sorted and distinct.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup<T> {
    /// The items, at most as many as the limit.
    pub items: Vec<T>,
    /// Whether the limit cut something off.
    pub truncated: bool,
    /// Segments that could not be read.
    pub warnings: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
}

/// An exemplar with its series.
pub type TenantExemplar = (LabelSet, Exemplar);

/// The opened tails of either signal.
enum Tails {
    Metrics(Vec<OpenPart<metrics::Index>>),
    Logs(Vec<OpenPart<logs::Index>>),
}

impl Engine {
    /// Returns the label sets of series or streams that some match set accepts inside `range`; no match set accepts all.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn series(
        &self,
        tenant: &TenantId,
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<LabelSet>, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let ns = in_ns(range);
        let mut found = BTreeSet::new();
        self.each_set(&context, signal, match_sets, range, &mut |tails, matchers| {
            match tails {
                Tails::Metrics(parts) => {
                    let entries = parts.iter().flat_map(|part| part.index.select(matchers, range));
                    found.extend(entries.map(|entry| entry.labels));
                }
                Tails::Logs(parts) => {
                    let entries = parts.iter().flat_map(|part| part.index.select(matchers, ns));
                    found.extend(entries.map(|entry| entry.labels));
                }
            }
            Ok(())
        })
        .await?;
        context.count_series(found.len() as u64)?;
        Ok(lookup(&context, found, limit))
    }

    /// Returns the label names of matching series or streams.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn label_names(
        &self,
        tenant: &TenantId,
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<String>, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let ns = in_ns(range);
        let mut found = BTreeSet::new();
        self.each_set(&context, signal, match_sets, range, &mut |tails, matchers| {
            match tails {
                Tails::Metrics(parts) => parts.iter().for_each(|part| found.extend(part.index.label_names(matchers, range))),
                Tails::Logs(parts) => parts.iter().for_each(|part| found.extend(part.index.label_names(matchers, ns))),
            }
            Ok(())
        })
        .await?;
        Ok(lookup(&context, found, limit))
    }

    /// Returns the values of one label among matching series or streams.
    ///
    /// # Errors
    /// As [`Engine::query`].
    #[allow(clippy::too_many_arguments)] // One more than the other lookups: the label.
    pub async fn label_values(
        &self,
        tenant: &TenantId,
        signal: Signal,
        name: &str,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<String>, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let ns = in_ns(range);
        let mut found = BTreeSet::new();
        self.each_set(&context, signal, match_sets, range, &mut |tails, matchers| {
            match tails {
                Tails::Metrics(parts) => {
                    parts.iter().for_each(|part| found.extend(part.index.label_values(name, matchers, range)));
                }
                Tails::Logs(parts) => parts.iter().for_each(|part| found.extend(part.index.label_values(name, matchers, ns))),
            }
            Ok(())
        })
        .await?;
        Ok(lookup(&context, found, limit))
    }

    /// Returns the metadata of metric families seen inside `range`; `metric` asks for one family.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn metadata(
        &self,
        tenant: &TenantId,
        metric: Option<&str>,
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<MetricMetadata>, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let mut found = BTreeSet::new();
        let work = async {
            let parts = self.parts(&context, Signal::Metrics, Some(range)).await?;
            for part in open_parts(&context, &self.metric_tails, parts.iter().collect()).await? {
                match part.index.metadata() {
                    Ok(metadata) => found.extend(metadata.into_iter().filter(|one| metric.is_none_or(|name| name == one.metric))),
                    Err(error) => crate::fetch::warn_corrupt(&context, &part.location, &error),
                }
            }
            Ok(())
        };
        within(limits.query_timeout, work).await?;
        Ok(lookup(&context, found, limit))
    }

    /// Returns the exemplars inside `range` of the series some match set accepts, by series, time ascending.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn exemplars(
        &self,
        tenant: &TenantId,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limits: &Limits,
    ) -> Result<Lookup<TenantExemplar>, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let mut found: BTreeMap<(LabelSet, i64, LabelSet, u64), TenantExemplar> = BTreeMap::new();
        self.each_set(&context, Signal::Metrics, match_sets, range, &mut |tails, matchers| {
            let Tails::Metrics(parts) = tails else { return Ok(()) };
            for part in parts {
                match part.index.exemplars(matchers, range) {
                    Ok(exemplars) => found.extend(exemplars.into_iter().map(|one| {
                        let key = (
                            one.labels.clone(),
                            one.exemplar.timestamp.0,
                            one.exemplar.labels.clone(),
                            one.exemplar.value.to_bits(),
                        );
                        (key, (one.labels, one.exemplar))
                    })),
                    Err(error) => crate::fetch::warn_corrupt(&context, &part.location, &error),
                }
            }
            Ok(())
        })
        .await?;
        Ok(lookup(&context, found.into_values(), None))
    }

    fn lookup_context(&self, tenant: &TenantId, limits: &Limits) -> Arc<QueryContext> {
        let (options, text) = (EvalOptions::default(), Arc::from(""));
        Arc::new(QueryContext::new(tenant, &self.objects, limits, options, text, self.config.fetches_in_flight))
    }

    /// Takes one snapshot and calls `each` with the tails that may match, per match set.
    async fn each_set(
        &self,
        context: &Arc<QueryContext>,
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        each: &mut EachSet<'_>,
    ) -> Result<(), EngineError> {
        let all = [Vec::new()];
        let match_sets = if match_sets.is_empty() { &all } else { match_sets };
        let work = async {
            let parts: Vec<Part> = self.parts(context, signal, Some(range)).await?;
            for matchers in match_sets {
                let pruned = prune(signal, &parts, matchers, range);
                let tails = match signal {
                    Signal::Metrics => Tails::Metrics(open_parts(context, &self.metric_tails, pruned).await?),
                    Signal::Logs => Tails::Logs(open_parts(context, &self.log_tails, pruned).await?),
                };
                each(&tails, matchers)?;
            }
            Ok(())
        };
        within(context.limits.query_timeout, work).await
    }
}

fn in_ns(range: TimeRangeMs) -> TimeRangeNs {
    TimeRangeNs::new(range.start.to_ns(), range.end.to_ns())
}

fn lookup<T>(context: &QueryContext, found: impl IntoIterator<Item = T>, limit: Option<usize>) -> Lookup<T> {
    let mut items: Vec<T> = found.into_iter().collect();
    let truncated = limit.is_some_and(|limit| limit > 0 && items.len() > limit);
    if let (true, Some(limit)) = (truncated, limit) {
        items.truncate(limit);
    }
    let (warnings, _) = context.annotations.texts();
    Lookup { items, truncated, warnings, stats: context.stats(StageTimes::default()) }
}
