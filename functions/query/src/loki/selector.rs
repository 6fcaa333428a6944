//! What a request selects, and whether the tenant's limits let it.

use model::limits::BlockedQuery;
use model::{Limits, Matcher, TimeRangeNs};
use wire::loki_api::params::check_range;

use super::Failure;
use crate::request::{ApiRequest, header_text};

/// The header in which Grafana says what a query is for: `Source=grafana-lokiexplore-app,…`.
const TAGS_HEADER: &str = "x-query-tags";
/// How Logs Drilldown names itself there; it gets partial answers where others get an error.
const DRILLDOWN: &str = "grafana-lokiexplore-app";

/// Parses a selector that must not select every stream.
pub fn checked(text: &str) -> Result<Vec<Matcher>, Failure> {
    let matchers = logql::parse_matchers(text).map_err(Failure::bad)?;
    logql::check_selector(&matchers).map_err(Failure::bad)?;
    Ok(matchers)
}

/// Checks a selector against what the tenant must name in each.
pub fn check_labels(matchers: &[Matcher], limits: &Limits) -> Result<(), Failure> {
    let limits = &limits.log_queries;
    let present = || matchers.iter().map(Matcher::name).collect::<Vec<_>>().join(", ");
    let is_missing = |name: &&String| !matchers.iter().any(|matcher| matcher.name() == *name);
    let missing: Vec<&str> = limits.labels_required.iter().filter(is_missing).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(Failure::bad(format!(
            "stream selector is missing required matchers [{}], labels present in the query were [{}]",
            missing.join(", "),
            present()
        )));
    }
    if matchers.len() < limits.labels_min {
        return Err(Failure::bad(format!(
            "stream selector has less label matchers than required: (present: [{}], number_present: {}, required_number_label_matchers: {})",
            present(),
            matchers.len(),
            limits.labels_min
        )));
    }
    Ok(())
}

/// Checks how long a request's range is. Where the tenant's queries reach back only so far, what is older is cut off; `None`:
/// all of it is.
pub fn visible(range: TimeRangeNs, limits: &Limits, now_ns: i64) -> Result<Option<TimeRangeNs>, Failure> {
    let limits = &limits.log_queries;
    let mut range = range;
    if let Some(back) = limits.lookback_max {
        let oldest = now_ns.saturating_sub(i64::try_from(back.as_nanos()).unwrap_or(i64::MAX));
        if range.end.0 < oldest {
            return Ok(None);
        }
        range.start.0 = range.start.0.max(oldest);
    }
    if let Some(most) = limits.range_max {
        check_range(range.end.0.saturating_sub(range.start.0), most)?;
    }
    Ok(Some(range))
}

/// Returns the request's tags, names and values in lower case.
fn tags(request: &ApiRequest) -> Vec<(String, String)> {
    let pairs = header_text(&request.headers, TAGS_HEADER).split(',').filter_map(|tag| tag.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase())).collect()
}

/// Reports whether the request comes from Logs Drilldown.
pub fn is_drilldown(request: &ApiRequest) -> bool {
    tags(request).iter().any(|(name, value)| name == "source" && value == DRILLDOWN)
}

/// Refuses a query that the tenant's policy blocks.
pub fn check_blocked(text: &str, expr: &logql::Expr, request: &ApiRequest, limits: &Limits) -> Result<(), Failure> {
    let tags = tags(request);
    let is_hit = |blocked: &BlockedQuery| {
        let applies = blocked.types.is_empty() || blocked.types.iter().any(|of| of == query_type(expr));
        let tagged = |(name, value): (&String, &String)| {
            tags.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v.eq_ignore_ascii_case(value))
        };
        applies && blocked.tags.iter().all(tagged) && names(blocked, text)
    };
    match limits.log_queries.blocked.iter().any(is_hit) {
        true => Err(Failure::bad("query blocked by policy")),
        false => Ok(()),
    }
}

/// Reports whether a rule is about a query's text.
fn names(blocked: &BlockedQuery, text: &str) -> bool {
    if let Some(hash) = blocked.hash {
        return hash == fnv32a(text);
    }
    let (whole, pattern) = (&blocked.text, &blocked.pattern);
    let is_all = whole.is_none() && pattern.is_none();
    is_all
        || whole.as_ref().is_some_and(|whole| whole.trim() == text.trim())
        || pattern.as_ref().is_some_and(|p| p.is_match(text))
}

/// Returns the hash by which Loki names queries: FNV-1a of 32 bits.
fn fnv32a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Returns what Loki calls a query: with a filter, without one, or of numbers.
fn query_type(expr: &logql::Expr) -> &'static str {
    match expr {
        logql::Expr::Metric(_) => "metric",
        logql::Expr::Log(log) if log.stages.is_empty() => "limited",
        logql::Expr::Log(_) => "filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fnvs() {
        assert_eq!([fnv32a(""), fnv32a("a"), fnv32a("foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
    }

    #[test]
    fn selectors_name_what_they_must() {
        let mut limits = Limits::default();
        limits.log_queries.labels_required = vec!["app".into(), "env".into()];
        limits.log_queries.labels_min = 3;
        let check = |text: &str| check_labels(&checked(text).unwrap_or_default(), &limits).map_err(|failure| failure.message);
        let missing = "stream selector is missing required matchers [app], labels present in the query were [env, b]";
        assert_eq!(check(r#"{env="s",b="c"}"#), Err(missing.into()));
        let few = "stream selector has less label matchers than required: (present: [app, env], number_present: 2, required_number_label_matchers: 3)";
        assert_eq!(check(r#"{app="s",env="c"}"#), Err(few.into()));
        assert_eq!(check(r#"{app="s",env="c",app!="t"}"#), Ok(()));
    }

    #[test]
    fn ranges_are_cut_and_bounded() {
        use std::time::Duration;
        let mut limits = Limits::default();
        limits.log_queries.lookback_max = Some(Duration::from_nanos(50));
        limits.log_queries.range_max = Some(Duration::from_nanos(40));
        let see = |start, end| {
            let range = TimeRangeNs::new(model::TimestampNs(start), model::TimestampNs(end));
            visible(range, &limits, 100).map(|range| range.map(|range| (range.start.0, range.end.0))).map_err(|f| f.message)
        };
        assert_eq!(see(0, 49), Ok(None));
        assert_eq!(see(0, 90), Ok(Some((50, 90))));
        assert!(see(50, 91).is_err());
    }
}
