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

    /// Returns their label names.
    fn names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.index.label_names(matchers, range),
            false => names_in(self.entries(matchers, range).map(|entry| entry.labels)),
        }
    }
}

impl OpenPart<logs::Index> {
    /// Returns the label sets of the streams that all matchers accept, with entries inside `range` of which deletions leave something.
    fn label_sets(&self, matchers: &[Matcher], range: TimeRangeMs) -> impl Iterator<Item = LabelSet> {
        let entries = self.index.select(matchers, in_ns(range)).into_iter();
        entries.filter(move |entry| !self.erases(&entry.labels, entry.range.cover_ms(), range)).map(|entry| entry.labels)
    }

    /// Returns their label names.
    fn names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.label_names(matchers, in_ns(range)),
            false => names_in(self.label_sets(matchers, range)),
        }
    }

    /// Returns their values of one label.
    fn values(&self, name: &str, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        match self.deletions.is_empty() {
            true => self.index.label_values(name, matchers, in_ns(range)),
            false => self.label_sets(matchers, range).filter_map(|labels| labels.get(name).map(str::to_owned)).collect(),
        }
    }
}

fn names_in(sets: impl Iterator<Item = LabelSet>) -> Vec<String> {
    sets.flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()).collect()
}

/// What a look-up is about: series or streams of one or several tenants.
#[derive(Clone, Copy)]
struct Question<'q> {
    contexts: &'q [Arc<QueryContext>],
    signal: Signal,
    match_sets: &'q [Vec<Matcher>],
    range: TimeRangeMs,
}

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
        let question = Question { contexts: &contexts, signal, match_sets, range };
        let context = first(&contexts)?;
        let found: Vec<LabelSet> = match signal {
            Signal::Metrics => self.metric_series(question, context).await?,
            Signal::Logs => {
                let ask = |context: &QueryContext, part: &OpenPart<logs::Index>, matchers: &[Matcher]| -> Vec<LabelSet> {
                    part.label_sets(matchers, range).map(|labels| context.labelled(&labels)).collect()
                };
                sorted(self.ask(question, &self.log_tails, &ask).await?)
            }
        };
        context.count_series(found.len() as u64)?;
        Ok(lookup(context, found, limit))
    }

    /// Returns the label sets of matching series, sorted and distinct: by their numbers, as many segments have the same series.
    async fn metric_series(&self, question: Question<'_>, context: &QueryContext) -> Result<Vec<LabelSet>, EngineError> {
        let names = self.caches.names_for(context);
        let ask = |context: &QueryContext, part: &OpenPart<MetricTail>, matchers: &[Matcher]| {
            part.index.numbers_for(context, &names, &part.ordinals(matchers, question.range))
        };
        let mut numbers = sorted(self.ask(question, &self.caches.tails, &ask).await?);
        names.sort(&mut numbers);
        Ok(numbers.into_iter().map(|number| names.labels(number)).collect())
    }

    /// Returns the values of a label among matching series, sorted and distinct: by the numbers of pairs, as many segments have the
    /// same ones.
    async fn metric_values(
        &self,
        question: Question<'_>,
        context: &QueryContext,
        name: &str,
    ) -> Result<Vec<String>, EngineError> {
        let names = self.caches.names_for(context);
        let ask = |context: &QueryContext, part: &OpenPart<MetricTail>, matchers: &[Matcher]| {
            part.index.pairs_of(context, &names, name, &part.ordinals(matchers, question.range))
        };
        Ok(names.values(&sorted(self.ask(question, &self.caches.tails, &ask).await?)))
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
        let question = Question { contexts: &contexts, signal, match_sets, range };
        let mut found: BTreeSet<String> = match signal {
            Signal::Metrics => {
                let ask = |_: &QueryContext, part: &OpenPart<MetricTail>, matchers: &[Matcher]| part.names(matchers, range);
                self.ask(question, &self.caches.tails, &ask).await?.into_iter().collect()
            }
            Signal::Logs => {
                let ask = |_: &QueryContext, part: &OpenPart<logs::Index>, matchers: &[Matcher]| part.names(matchers, range);
                self.ask(question, &self.log_tails, &ask).await?.into_iter().collect()
            }
        };
        let context = first(&contexts)?;
        if context.is_federated() {
            if found.remove(TENANT_LABEL) {
                found.insert(retained(TENANT_LABEL).to_owned());
            }
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
        let question = Question { contexts: &contexts, signal, match_sets, range };
        let found = match signal {
            Signal::Metrics => self.metric_values(question, context, own).await?,
            Signal::Logs => {
                let ask =
                    |_: &QueryContext, part: &OpenPart<logs::Index>, matchers: &[Matcher]| part.values(own, matchers, range);
                sorted(self.ask(question, &self.log_tails, &ask).await?)
            }
        };
        Ok(lookup(context, found, limit))
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

    /// The one path of label lookups: asks every tail that may match, tenant by tenant, set by set.
    async fn ask<T: Tail, R: Send>(
        &self,
        question: Question<'_>,
        cache: &Cache<T>,
        ask: &(impl Fn(&QueryContext, &OpenPart<T>, &[Matcher]) -> Vec<R> + Sync),
    ) -> Result<Vec<R>, EngineError> {
        let answers: Vec<_> = question.contexts.iter().map(|context| self.ask_one(context, question, cache, ask)).collect();
        Ok(try_join_all(answers).await?.into_iter().flatten().collect())
    }

    async fn ask_one<T: Tail, R: Send>(
        &self,
        context: &Arc<QueryContext>,
        Question { signal, match_sets, range, .. }: Question<'_>,
        cache: &Cache<T>,
        ask: &(impl Fn(&QueryContext, &OpenPart<T>, &[Matcher]) -> Vec<R> + Sync),
    ) -> Result<Vec<R>, EngineError> {
        let Some(sets) = own_sets(context, match_sets) else { return Ok(Vec::new()) };
        let tails = self.opened(context, cache, signal, &sets, range).await?;
        Ok(tails.iter().flat_map(|(part, matchers)| ask(context, part, matchers)).collect())
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

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
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
