//! Lookups: series, label names and values, metadata, exemplars. They read tails only, never a sample.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::Part;
use model::{Exemplar, LabelSet, Limits, Matcher, MetricMetadata, Signal, TenantId, TimeRangeMs, TimeRangeNs};
use plan::EvalOptions;
use segment::logs;
use segment::metrics::SeriesEntry;

use crate::cache::Cache;
use crate::context::QueryContext;
use crate::engine::within;
use crate::fetch::{MetricTail, OpenPart, Tail, Want, open_parts, prune};
use crate::{Engine, EngineError, QueryStats, StageTimes};

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

/// What the index of either signal says of its series or streams; those of which a deletion leaves nothing are not there.
trait Labels {
    /// Returns the label sets that all matchers accept, with samples or entries inside `range`.
    fn label_sets(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<LabelSet>;
    /// Returns their label names.
    fn names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String>;
    /// Returns their values of one label.
    fn values(&self, name: &str, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String>;
}

impl OpenPart<MetricTail> {
    /// Returns the series that all matchers accept and of which deletions leave something.
    fn entries(&self, matchers: &[Matcher], range: TimeRangeMs) -> impl Iterator<Item = SeriesEntry> {
        let entries = self.index.index.select(matchers, range).into_iter();
        entries.filter(move |entry| !self.erases(&entry.labels, entry.range, range))
    }

    /// Returns their places.
    fn ordinals(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<u32> {
        match self.deletions.is_empty() {
            true => self.index.index.ordinals(matchers, range),
            false => self.entries(matchers, range).map(|entry| entry.ordinal).collect(),
        }
    }
}

impl Labels for OpenPart<MetricTail> {
    fn label_sets(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<LabelSet> {
        self.entries(matchers, range).map(|entry| entry.labels).collect()
    }
    fn names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.index.label_names(matchers, range),
            false => names_in(&self.label_sets(matchers, range)),
        }
    }
    fn values(&self, name: &str, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.index.label_values(name, matchers, range),
            false => values_in(name, &self.label_sets(matchers, range)),
        }
    }
}

impl Labels for OpenPart<logs::Index> {
    fn label_sets(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<LabelSet> {
        let entries = self.index.select(matchers, in_ns(range)).into_iter();
        entries.filter(|entry| !self.erases(&entry.labels, entry.range.cover_ms(), range)).map(|entry| entry.labels).collect()
    }
    fn names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.label_names(matchers, in_ns(range)),
            false => names_in(&self.label_sets(matchers, range)),
        }
    }
    fn values(&self, name: &str, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.label_values(name, matchers, in_ns(range)),
            false => values_in(name, &self.label_sets(matchers, range)),
        }
    }
}

fn names_in(sets: &[LabelSet]) -> Vec<String> {
    sets.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned())).collect()
}

fn values_in(name: &str, sets: &[LabelSet]) -> Vec<String> {
    sets.iter().filter_map(|labels| labels.get(name).map(str::to_owned)).collect()
}

/// What a lookup asks a tail, given the matchers it may match.
type Question<'a, T> = dyn Fn(&dyn Labels, &[Matcher]) -> Vec<T> + Sync + 'a;

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
        let found: Vec<LabelSet> = match signal {
            Signal::Metrics => self.metric_series(&context, match_sets, range).await?,
            Signal::Logs => {
                let ask = |index: &dyn Labels, matchers: &[Matcher]| index.label_sets(matchers, range);
                self.find(&context, signal, match_sets, range, &ask).await?.into_iter().collect()
            }
        };
        context.count_series(found.len() as u64)?;
        Ok(lookup(&context, found, limit))
    }

    /// Returns the label sets of matching series, sorted and distinct: by their numbers, as many segments have the same series.
    async fn metric_series(
        &self,
        context: &Arc<QueryContext>,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
    ) -> Result<Vec<LabelSet>, EngineError> {
        let tails = self.opened(context, &self.caches.tails, Signal::Metrics, match_sets, range).await?;
        let names = self.caches.names.of(&context.tenant);
        let of =
            |(part, matchers): &(OpenPart<MetricTail>, &[Matcher])| part.index.numbers(&names, &part.ordinals(matchers, range));
        let mut numbers: Vec<u32> = tails.iter().flat_map(of).collect();
        numbers.sort_unstable();
        numbers.dedup();
        names.sort(&mut numbers);
        Ok(numbers.into_iter().map(|number| names.labels(number)).collect())
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
        let ask = |index: &dyn Labels, matchers: &[Matcher]| index.names(matchers, range);
        Ok(lookup(&context, self.find(&context, signal, match_sets, range, &ask).await?, limit))
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
        let ask = |index: &dyn Labels, matchers: &[Matcher]| index.values(name, matchers, range);
        Ok(lookup(&context, self.find(&context, signal, match_sets, range, &ask).await?, limit))
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
            for part in open_parts(&context, &self.caches.tails, parts.iter().collect(), Want::Index).await? {
                match part.index.index.metadata() {
                    Ok(metadata) => found.extend(metadata.into_iter().filter(|one| metric.is_none_or(|name| name == one.metric))),
                    Err(error) => crate::fetch::warn_corrupt(&context, &part.part, &error),
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
        let tails = self.opened(&context, &self.caches.tails, Signal::Metrics, match_sets, range).await?;
        for (part, matchers) in &tails {
            match part.index.index.exemplars(matchers, range) {
                Ok(exemplars) => found.extend(
                    exemplars.into_iter().filter(|one| !part.erases_at(&one.labels, one.exemplar.timestamp)).map(|one| {
                        let (time, value) = (one.exemplar.timestamp.0, one.exemplar.value.to_bits());
                        ((one.labels.clone(), time, one.exemplar.labels.clone(), value), (one.labels, one.exemplar))
                    }),
                ),
                Err(error) => crate::fetch::warn_corrupt(&context, &part.part, &error),
            }
        }
        Ok(lookup(&context, found.into_values(), None))
    }

    pub(crate) fn lookup_context(&self, tenant: &TenantId, limits: &Limits) -> Arc<QueryContext> {
        Arc::new(QueryContext::new(tenant, &self.objects, limits, EvalOptions::default(), self.config.fetches_in_flight))
    }

    /// The one path of label lookups: asks every tail that may match, set by set; what is found is sorted and distinct.
    async fn find<T: Ord>(
        &self,
        context: &Arc<QueryContext>,
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        ask: &Question<'_, T>,
    ) -> Result<BTreeSet<T>, EngineError> {
        Ok(match signal {
            Signal::Metrics => {
                let tails = self.opened(context, &self.caches.tails, signal, match_sets, range).await?;
                tails.iter().flat_map(|(part, matchers)| ask(part, matchers)).collect()
            }
            Signal::Logs => {
                let tails = self.opened(context, &self.log_tails, signal, match_sets, range).await?;
                tails.iter().flat_map(|(part, matchers)| ask(part, matchers)).collect()
            }
        })
    }

    /// Takes one snapshot and opens the tails that may match, each beside the match set it may match.
    pub(crate) async fn opened<'m, T: Tail>(
        &self,
        context: &Arc<QueryContext>,
        cache: &Cache<T>,
        signal: Signal,
        match_sets: &'m [Vec<Matcher>],
        range: TimeRangeMs,
    ) -> Result<Vec<(OpenPart<T>, &'m [Matcher])>, EngineError> {
        let all: &[&[Matcher]] = &[&[]];
        let sets: Vec<&[Matcher]> = match_sets.iter().map(Vec::as_slice).collect();
        let sets = if sets.is_empty() { all } else { &sets };
        let work = async {
            let parts: Vec<Part> = self.parts(context, signal, Some(range)).await?;
            let mut tails = Vec::new();
            for matchers in sets {
                let opened = open_parts(context, cache, prune(context, signal, &parts, matchers, range), Want::Index).await?;
                tails.extend(opened.into_iter().map(|part| (part, *matchers)));
            }
            Ok(tails)
        };
        within(context.limits.query_timeout, work).await
    }
}

fn in_ns(range: TimeRangeMs) -> TimeRangeNs {
    TimeRangeNs::new(range.start.to_ns(), range.end.to_ns())
}

pub(crate) fn lookup<T>(context: &QueryContext, found: impl IntoIterator<Item = T>, limit: Option<usize>) -> Lookup<T> {
    let mut items: Vec<T> = found.into_iter().collect();
    let truncated = limit.is_some_and(|limit| limit > 0 && items.len() > limit);
    if let (true, Some(limit)) = (truncated, limit) {
        items.truncate(limit);
    }
    let warnings = context.annotations.texts();
    Lookup { items, truncated, warnings, stats: context.stats(StageTimes::default()) }
}
