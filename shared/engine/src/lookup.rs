//! Lookups: series, label names and values, metadata, exemplars. They read tails only, never a sample.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use manifest::Part;
use model::{Exemplar, LabelSet, Limits, Matcher, MetricMetadata, Signal, TenantId, TimeRangeMs, TimeRangeNs};
use plan::EvalOptions;
use segment::logs;
use segment::metrics::SeriesEntry;

use crate::cache::Cache;
use crate::context::QueryContext;
use crate::engine::within;
use crate::federation::{RETAINED_LABEL, TENANT_LABEL, retained};
use crate::fetch::{MetricTail, OpenPart, Tail, Want, open_parts, prune};
use crate::registry::Names;
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

/// What a lookup asks a tail of a tenant, given the matchers it may match.
type Question<'a, T> = dyn Fn(&QueryContext, &dyn Labels, &[Matcher]) -> Vec<T> + Sync + 'a;

impl Engine {
    /// Returns the label sets of one or several tenants' series or streams that some match set accepts inside `range`; no match set
    /// accepts all.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn series(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<LabelSet>, EngineError> {
        let contexts = self.began(EvalOptions::default(), limits).about(tenants.as_ref());
        let found: Vec<LabelSet> = match signal {
            Signal::Metrics => self.metric_series(&contexts, match_sets, range).await?,
            Signal::Logs => {
                let ask = |context: &QueryContext, index: &dyn Labels, matchers: &[Matcher]| {
                    index.label_sets(matchers, range).iter().map(|labels| context.labelled(labels)).collect()
                };
                self.find(&contexts, signal, match_sets, range, &ask).await?.into_iter().collect()
            }
        };
        let context = first(&contexts)?;
        context.count_series(found.len() as u64)?;
        Ok(lookup(context, found, limit))
    }

    /// Returns the label sets of matching series, sorted and distinct: by their numbers, as many segments have the same series.
    async fn metric_series(
        &self,
        contexts: &[Arc<QueryContext>],
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
    ) -> Result<Vec<LabelSet>, EngineError> {
        let names = self.caches.names_for(first(contexts)?);
        let found: Vec<_> = contexts.iter().map(|context| self.numbers(context, &names, match_sets, range)).collect();
        let mut numbers: Vec<u32> = try_join_all(found).await?.concat();
        numbers.sort_unstable();
        numbers.dedup();
        names.sort(&mut numbers);
        Ok(numbers.into_iter().map(|number| names.labels(number)).collect())
    }

    async fn numbers(
        &self,
        context: &Arc<QueryContext>,
        names: &Arc<Names>,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
    ) -> Result<Vec<u32>, EngineError> {
        let Some(sets) = own_sets(context, match_sets) else { return Ok(Vec::new()) };
        let tails = self.opened(context, &self.caches.tails, Signal::Metrics, &sets, range).await?;
        let of = |(part, matchers): &(OpenPart<MetricTail>, &[Matcher])| {
            part.index.numbers_for(context, names, &part.ordinals(matchers, range))
        };
        Ok(tails.iter().flat_map(of).collect())
    }

    /// Returns the label names of matching series or streams.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn label_names(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<String>, EngineError> {
        let contexts = self.began(EvalOptions::default(), limits).about(tenants.as_ref());
        let ask = |context: &QueryContext, index: &dyn Labels, matchers: &[Matcher]| match context.is_federated() {
            false => index.names(matchers, range),
            true => index.names(matchers, range).iter().map(|name| retained(name).to_owned()).collect(),
        };
        let mut found = self.find(&contexts, signal, match_sets, range, &ask).await?;
        let context = first(&contexts)?;
        if context.is_federated() {
            found.insert(TENANT_LABEL.to_owned());
        }
        Ok(lookup(context, found, limit))
    }

    /// Returns the values of one label among matching series or streams.
    ///
    /// # Errors
    /// As [`Engine::query`].
    #[allow(clippy::too_many_arguments)] // One more than the other lookups: the label.
    pub async fn label_values(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        signal: Signal,
        name: &str,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        limit: Option<usize>,
        limits: &Limits,
    ) -> Result<Lookup<String>, EngineError> {
        let contexts = self.began(EvalOptions::default(), limits).about(tenants.as_ref());
        let context = first(&contexts)?;
        if context.is_federated() && name == TENANT_LABEL {
            // As Mimir answers it: the tenants asked about, whatever they have.
            let meant = contexts.iter().filter(|context| own_sets(context, match_sets).is_some());
            return Ok(lookup(context, meant.map(|context| context.tenant.to_string()), limit));
        }
        let own = if context.is_federated() && name == RETAINED_LABEL { TENANT_LABEL } else { name };
        let ask = |_: &QueryContext, index: &dyn Labels, matchers: &[Matcher]| index.values(own, matchers, range);
        Ok(lookup(context, self.find(&contexts, signal, match_sets, range, &ask).await?, limit))
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
        self.began(EvalOptions::default(), limits).about_one(tenant)
    }

    /// The one path of label lookups: asks every tail that may match, set by set; what is found is sorted and distinct.
    async fn find<T: Ord>(
        &self,
        contexts: &[Arc<QueryContext>],
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        ask: &Question<'_, T>,
    ) -> Result<BTreeSet<T>, EngineError> {
        let finds: Vec<_> = contexts.iter().map(|context| self.find_of(context, signal, match_sets, range, ask)).collect();
        Ok(try_join_all(finds).await?.into_iter().flatten().collect())
    }

    async fn find_of<T>(
        &self,
        context: &Arc<QueryContext>,
        signal: Signal,
        match_sets: &[Vec<Matcher>],
        range: TimeRangeMs,
        ask: &Question<'_, T>,
    ) -> Result<Vec<T>, EngineError> {
        let Some(sets) = own_sets(context, match_sets) else { return Ok(Vec::new()) };
        Ok(match signal {
            Signal::Metrics => {
                let tails = self.opened(context, &self.caches.tails, signal, &sets, range).await?;
                tails.iter().flat_map(|(part, matchers)| ask(context, part, matchers)).collect()
            }
            Signal::Logs => {
                let tails = self.opened(context, &self.log_tails, signal, &sets, range).await?;
                tails.iter().flat_map(|(part, matchers)| ask(context, part, matchers)).collect()
            }
        })
    }

    /// Takes one snapshot and opens the tails that may match, each beside the match set it may match.
    pub(crate) async fn opened<'m, T: Tail>(
        &self,
        context: &Arc<QueryContext>,
        cache: &Cache<T>,
        signal: Signal,
        match_sets: &'m [impl AsRef<[Matcher]> + Sync],
        range: TimeRangeMs,
    ) -> Result<Vec<(OpenPart<T>, &'m [Matcher])>, EngineError> {
        let all: &[&[Matcher]] = &[&[]];
        let sets: Vec<&[Matcher]> = match_sets.iter().map(AsRef::as_ref).collect();
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

/// Returns what match sets ask of a tenant's own labels; `None` where all of them ask for other tenants.
fn own_sets<'m>(context: &QueryContext, match_sets: &'m [Vec<Matcher>]) -> Option<Vec<Cow<'m, [Matcher]>>> {
    let own: Vec<_> = match_sets.iter().filter_map(|matchers| context.own(matchers)).collect();
    (match_sets.is_empty() || !own.is_empty()).then_some(own)
}

/// Returns the first tenant's context, which has the whole query's counts.
pub(crate) fn first(contexts: &[Arc<QueryContext>]) -> Result<&Arc<QueryContext>, EngineError> {
    contexts.first().ok_or_else(|| EngineError::Internal("a lookup is about no tenant".to_owned()))
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
