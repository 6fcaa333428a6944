//! Questions about several tenants at once, as Mimir and Loki answer them.
//!
//! Owns: the label that says whose a series is, what matchers on it mean, and what of several tenants' log entries is one answer.
//! Does not own: who may ask about whom (`edge`), how tenants are named (`wire::tenant`).
//!
//! A selector selects over the segments of each tenant, and the label is put on what it finds: above it nothing knows that there were
//! several. With metrics that is where series get their numbers ([`crate::leaf`]); with logs after a query's stages and range
//! aggregation, which in Loki do not see the label either. Source: Mimir's `tenantfederation`, Loki's `MultiTenantQuerier`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use manifest::Part;
use model::{LabelSet, Matcher, STALE_NAN, TenantId, is_stale};
use plan::logical::{LogQuery, LogRangeFunction, LogSelect};
use plan::{StepSeries, StreamEntries};

use crate::context::QueryContext;
use crate::logs::query::streams;

/// Says whose a series or a stream is.
pub const TENANT_LABEL: &str = "__tenant_id__";
/// Has what a series or a stream called by that name itself.
pub(crate) const RETAINED_LABEL: &str = "original___tenant_id__";

/// One of the tenants that a query is about, and the parts of its snapshot.
#[derive(Debug)]
pub(crate) struct TenantParts {
    pub(crate) context: Arc<QueryContext>,
    pub(crate) parts: Vec<Part>,
}

/// Returns what matchers ask of a tenant's own labels; `None` where they ask for other tenants.
pub(crate) fn own_matchers<'m>(tenant: &TenantId, matchers: &'m [Matcher]) -> Option<Cow<'m, [Matcher]>> {
    if matchers.iter().all(|matcher| ![TENANT_LABEL, RETAINED_LABEL].contains(&matcher.name())) {
        return Some(Cow::Borrowed(matchers));
    }
    let mut own = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match matcher.name() {
            TENANT_LABEL if !matcher.matches(tenant.as_str()) => return None,
            TENANT_LABEL => {}
            RETAINED_LABEL => own.push(matcher.renamed(TENANT_LABEL)),
            _ => own.push(matcher.clone()),
        }
    }
    Some(Cow::Owned(own))
}

/// Puts the label on; what had its name is retained under another.
pub(crate) fn labelled(tenant: &TenantId, labels: &LabelSet) -> LabelSet {
    let named = labels.iter().filter(|(name, _)| *name != RETAINED_LABEL || labels.get(TENANT_LABEL).is_none());
    let named = named.map(|(name, value)| (retained(name), value));
    LabelSet::from_pairs_with_empty(named.chain([(TENANT_LABEL, tenant.as_str())]))
}

/// Returns the name that a label of a tenant's own has in an answer about several.
pub(crate) fn retained(name: &str) -> &str {
    if name == TENANT_LABEL { RETAINED_LABEL } else { name }
}

/// Returns a selector as it is about one tenant's streams; `None` where it asks for others.
pub(crate) fn own_select<'s>(context: &QueryContext, select: &'s LogSelect) -> Option<Cow<'s, LogSelect>> {
    Some(match context.own(&select.matchers)? {
        Cow::Borrowed(_) => Cow::Borrowed(select),
        Cow::Owned(matchers) => Cow::Owned(LogSelect { matchers, ..select.clone() }),
    })
}

/// Makes one answer of what a range aggregation is for each tenant, ordered by labels.
pub(crate) fn joined_windows(function: LogRangeFunction, mut of_each: Vec<(&QueryContext, Vec<StepSeries>)>) -> Vec<StepSeries> {
    if let [(_, only)] = &mut of_each[..] {
        return std::mem::take(only);
    }
    if function == LogRangeFunction::AbsentOverTime {
        return absent_everywhere(of_each.into_iter().map(|(_, series)| series).collect());
    }
    let own = |(context, series): (&QueryContext, Vec<StepSeries>)| {
        let labelled = |one: StepSeries| StepSeries { labels: context.labelled(&one.labels), ..one };
        series.into_iter().map(labelled).collect::<Vec<_>>()
    };
    let mut all: Vec<StepSeries> = of_each.into_iter().flat_map(own).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

/// Keeps the steps at which every tenant says that there is nothing; one that says nothing at all has something at each.
fn absent_everywhere(of_each: Vec<Vec<StepSeries>>) -> Vec<StepSeries> {
    let Some(firsts) = of_each.into_iter().map(|series| series.into_iter().next()).collect::<Option<Vec<StepSeries>>>() else {
        return Vec::new();
    };
    let both = |mut one: StepSeries, other: StepSeries| {
        for (value, others) in one.values.floats.iter_mut().zip(&other.values.floats) {
            if is_stale(*others) {
                *value = STALE_NAN;
            }
        }
        one
    };
    firsts.into_iter().reduce(both).filter(|one| !one.values.is_absent()).into_iter().collect()
}

/// Makes one answer of what a log query is for each tenant: the first `limit` lines of all, by time.
pub(crate) fn joined_streams(query: &LogQuery, mut of_each: Vec<(&QueryContext, Vec<StreamEntries>)>) -> Vec<StreamEntries> {
    if let [(_, only)] = &mut of_each[..] {
        return std::mem::take(only);
    }
    let mut entries = Vec::new();
    for (context, found) in of_each {
        for stream in found {
            let labels = context.labelled(&stream.labels);
            entries.extend(stream.entries.into_iter().map(|entry| (labels.clone(), entry)));
        }
    }
    match query.newest_first {
        true => entries.sort_by_key(|(_, entry)| Reverse(entry.timestamp)),
        false => entries.sort_by_key(|(_, entry)| entry.timestamp),
    }
    entries.truncate(query.limit);
    streams(entries)
}

#[cfg(test)]
mod tests {
    use model::MatchOp;
    use plan::StepValues;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[test]
    fn matchers_on_the_label_choose_tenants_and_reach_no_index() {
        let own = |matchers: &[Matcher]| {
            own_matchers(&tenant("a"), matchers).map(|own| own.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let job = Matcher::equal("job", "x");
        assert_eq!(own(std::slice::from_ref(&job)).unwrap(), [r#"job="x""#]);
        assert_eq!(own(&[Matcher::equal(TENANT_LABEL, "a"), job.clone()]).unwrap(), [r#"job="x""#]);
        assert_eq!(own(&[job.clone(), Matcher::equal(TENANT_LABEL, "b")]), None);
        assert_eq!(own(&[Matcher::new(TENANT_LABEL, MatchOp::NotRegex, "b|c").unwrap()]).unwrap(), [] as [String; 0]);
        let retained = Matcher::new(RETAINED_LABEL, MatchOp::Regex, "z.*").unwrap();
        assert_eq!(own(&[retained]).unwrap(), [r#"__tenant_id__=~"z.*""#]);
    }

    #[test]
    fn what_had_the_name_is_retained() {
        let labels = |pairs: &[(&str, &str)]| LabelSet::from_pairs(pairs.iter().copied());
        let put = |pairs: &[(&str, &str)]| labelled(&tenant("a"), &labels(pairs));
        assert_eq!(put(&[("z", "1")]), labels(&[("__tenant_id__", "a"), ("z", "1")]));
        let twice = labels(&[("__tenant_id__", "a"), ("original___tenant_id__", "own")]);
        assert_eq!(put(&[("__tenant_id__", "own")]), twice);
        assert_eq!(put(&[("__tenant_id__", "own"), ("original___tenant_id__", "older")]), twice);
        assert_eq!(put(&[("original___tenant_id__", "own")]), twice);
    }

    #[test]
    fn nothing_is_there_where_no_tenant_has_anything() {
        let one = |floats: &[f64]| {
            let values = StepValues { floats: floats.to_vec(), histograms: Vec::new() };
            vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]
        };
        let floats = |of_each: Vec<Vec<StepSeries>>| {
            let absent = absent_everywhere(of_each);
            absent.iter().map(|one| one.values.floats.iter().map(|value| !is_stale(*value)).collect()).collect::<Vec<Vec<bool>>>()
        };
        assert_eq!(floats(vec![one(&[1.0, 1.0]), one(&[STALE_NAN, 1.0])]), [[false, true]]);
        assert_eq!(floats(vec![one(&[1.0, STALE_NAN]), one(&[STALE_NAN, 1.0])]), [] as [[bool; 2]; 0]);
        assert_eq!(floats(vec![one(&[1.0, 1.0]), Vec::new()]), [] as [[bool; 2]; 0]);
    }
}
