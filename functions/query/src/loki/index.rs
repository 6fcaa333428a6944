//! `index/stats`, `index/volume`, `index/volume_range`, `index/shards`: from label tables, no line is read.

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::{MatchOp, Matcher, TimeRangeNs};
use wire::loki_api::RangeParams;
use wire::loki_api::volume::{self, IndexStats, Metric, VolumeParams};

use super::{Failure, JSON, selector};
use crate::State;
use crate::request::{Across, ApiRequest};
use crate::respond::whole;
use crate::source::{Volume, VolumeBy, VolumeKey, VolumeQuery, VolumeSum};

/// Answers how many streams, chunks, bytes and lines a selector has.
pub async fn stats(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = RangeParams::parse(&request.form, state.now_ns())?;
    let mut body = Vec::new();
    held(&state, &request, &params).await?.write(&mut body);
    Ok(whole(StatusCode::OK, JSON, body))
}

/// Answers how a selector's streams may be cut into shards of a size.
pub async fn shards(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = RangeParams::parse(&request.form, state.now_ns())?;
    let bytes_per_shard = volume::shard_bytes(&request.form)?;
    let held = held(&state, &request, &params).await?;
    Ok(whole(StatusCode::OK, JSON, volume::shards(&held, bytes_per_shard)))
}

async fn held(state: &State, request: &ApiRequest, params: &RangeParams) -> Result<IndexStats, Failure> {
    let matchers = selector::checked(request.form.get("query"))?;
    let limits = &*request.limits;
    let Some(range) = selector::visible(TimeRangeNs::new(params.start, params.end), limits, state.now_ns().0)? else {
        return Ok(IndexStats::default());
    };
    let query = VolumeQuery { matchers, intervals: vec![range], by: VolumeBy::Nothing, sums_max: 1 };
    let (sums, _) = volumes(state, request, query).await?;
    let held = sums.first().and_then(|sum| sum.volumes.first()).copied().unwrap_or_default();
    let Volume { streams, chunks, entries, bytes } = held;
    Ok(IndexStats { streams, chunks, bytes: bytes.round() as u64, entries: entries.round() as u64 })
}

/// Answers how many bytes the streams hold, by labels.
pub async fn volume(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = VolumeParams::instant(&request.form, state.now_ns())?;
    summed(&state, &request, params).await
}

/// Answers the same by steps.
pub async fn volume_range(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = VolumeParams::range(&request.form, state.now_ns())?;
    summed(&state, &request, params).await
}

async fn summed(state: &State, request: &ApiRequest, params: VolumeParams) -> Result<Response, Failure> {
    let limits = &*request.limits;
    if !limits.log_queries.volume_enabled {
        return Err(Failure { status: StatusCode::NOT_FOUND, message: "not found".to_owned() });
    }
    let matchers = match request.form.get("query") {
        "{}" => Vec::new(),
        text => selector::checked(text)?,
    };
    let visible = |(range, at)| Ok(selector::visible(range, limits, state.now_ns().0)?.map(|range| (range, at)));
    let intervals: Result<Vec<_>, Failure> =
        params.intervals.iter().copied().map(visible).filter_map(Result::transpose).collect();
    let intervals = intervals?;
    let most = limits.log_queries.volume_series_max;
    let query = query(matchers, &params, intervals.iter().map(|(range, _)| *range).collect(), most);
    let (sums, truncated) = volumes(state, request, query).await?;
    if truncated {
        let message = format!("the query hit the max number of series limit (limit: {most} series)");
        return Err(Failure { status: StatusCode::INTERNAL_SERVER_ERROR, message });
    }
    let points = largest(&sums, params.limit, |index| intervals[index].1);
    Ok(whole(StatusCode::OK, JSON, volume::volumes(&points)))
}

/// Says by which labels to sum: those asked for, which every stream must then have, or those the selector names, or all.
fn query(matchers: Vec<Matcher>, params: &VolumeParams, intervals: Vec<TimeRangeNs>, sums_max: usize) -> VolumeQuery {
    let mut matchers = matchers;
    let targets = (!params.target_labels.is_empty()).then(|| params.target_labels.clone());
    let named: Vec<String> = matchers.iter().map(|matcher| matcher.name().to_owned()).collect();
    for target in targets.iter().flatten().filter(|target| !named.contains(*target)) {
        matchers.push(Matcher::new(target, MatchOp::Regex, ".+").expect("a constant pattern"));
    }
    let by = match (params.by_label_name, targets) {
        (true, targets) => VolumeBy::Labels(targets),
        (false, Some(targets)) => VolumeBy::Series(Some(targets)),
        (false, None) if named.is_empty() => VolumeBy::Series(None),
        (false, None) => VolumeBy::Series(Some(named)),
    };
    VolumeQuery { matchers, intervals, by, sums_max }
}

/// Takes the largest sums of each interval, and orders them by their first.
fn largest<T: Copy>(sums: &[VolumeSum], limit: usize, at: impl Fn(usize) -> T) -> Vec<(Metric, Vec<(T, u64)>)> {
    let names: Vec<String> = sums.iter().map(|sum| name(&sum.key)).collect();
    let mut points: Vec<Vec<(T, u64)>> = vec![Vec::new(); sums.len()];
    let intervals = sums.first().map_or(0, |sum| sum.volumes.len());
    for interval in 0..intervals {
        let mut present: Vec<usize> = (0..sums.len()).filter(|index| sums[*index].volumes[interval].entries > 0.0).collect();
        let bytes = |index: usize| sums[index].volumes[interval].bytes.round() as u64;
        present.sort_by(|a, b| bytes(*b).cmp(&bytes(*a)).then_with(|| names[*a].cmp(&names[*b])));
        present.truncate(limit);
        present.into_iter().for_each(|index| points[index].push((at(interval), bytes(index))));
    }
    let mut order: Vec<usize> = (0..sums.len()).filter(|index| !points[*index].is_empty()).collect();
    order.sort_by(|a, b| points[*b][0].1.cmp(&points[*a][0].1).then_with(|| names[*a].cmp(&names[*b])));
    order.into_iter().map(|index| (metric(&sums[index].key), std::mem::take(&mut points[index]))).collect()
}

fn name(key: &VolumeKey) -> String {
    match key {
        VolumeKey::Series(labels) => labels.to_string(),
        VolumeKey::Label(name) => name.clone(),
    }
}

fn metric(key: &VolumeKey) -> Metric {
    match key {
        VolumeKey::Series(labels) => Metric::Series(labels.clone()),
        VolumeKey::Label(name) => Metric::Label(name.clone()),
    }
}

async fn volumes(state: &State, request: &ApiRequest, query: VolumeQuery) -> Result<(Vec<VolumeSum>, bool), Failure> {
    let tenants = request.tenants.clone();
    let found = state.looked_up(&request.limits, |source| async move { source.volumes(&tenants, query).await }).await??;
    Ok((found.sums, found.truncated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::LabelSet;

    fn sum(app: &str, bytes: [f64; 2]) -> VolumeSum {
        let volume = |bytes: f64| Volume { entries: bytes / 10.0, bytes, ..Volume::default() };
        VolumeSum { key: VolumeKey::Series(LabelSet::from_pairs([("app", app)])), volumes: bytes.map(volume).to_vec() }
    }

    #[test]
    fn the_limit_is_per_interval_and_the_order_that_of_the_first_point() {
        let sums = [sum("a", [10.0, 0.0]), sum("b", [30.0, 5.0]), sum("c", [10.0, 50.0])];
        let told = |limit| {
            let points = largest(&sums, limit, |index| index);
            let told = points.into_iter().map(|(metric, points)| match metric {
                Metric::Series(labels) => (labels.get("app").unwrap().to_owned(), points),
                Metric::Label(name) => (name, points),
            });
            told.collect::<Vec<_>>()
        };
        let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
        assert_eq!(told(2), [(c.clone(), vec![(1, 50)]), (b.clone(), vec![(0, 30), (1, 5)]), (a.clone(), vec![(0, 10)])]);
        assert_eq!(told(9), [(b, vec![(0, 30), (1, 5)]), (a, vec![(0, 10)]), (c, vec![(0, 10), (1, 50)])]);
    }

    #[test]
    fn sums_are_by_targets_else_by_the_selector() {
        let of = |query_text: &str, targets: &[&str], by_label_name| {
            let params = VolumeParams {
                intervals: Vec::new(),
                limit: 1,
                target_labels: targets.iter().map(|name| (*name).to_owned()).collect(),
                by_label_name,
            };
            let query = query(logql::parse_matchers(query_text).unwrap(), &params, Vec::new(), 1);
            (query.matchers.len(), query.by)
        };
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of("{}", &[], false), (0, VolumeBy::Series(None)));
        assert_eq!(of(r#"{app="a"}"#, &[], false), (1, VolumeBy::Series(names(&["app"]))));
        assert_eq!(of(r#"{app="a"}"#, &["app", "pod"], false), (2, VolumeBy::Series(names(&["app", "pod"]))));
        assert_eq!(of(r#"{app="a"}"#, &[], true), (1, VolumeBy::Labels(None)));
        assert_eq!(of(r#"{app="a"}"#, &["pod"], true), (2, VolumeBy::Labels(names(&["pod"]))));
    }
}
