//! What was deleted, is corrupt or in quarantine is not answered, and the rest is.

use engine::Engine;
use manifest::DeletionRequest;
use model::batch::ExemplarRow;
use model::{
    EntryFilter, ErrorKind, Exemplar, LabelSet, Limits, LogBatch, MatchOp, Matcher, MetricBatch, Signal, TenantId, TimeRangeMs,
    TimestampMs, TimestampNs,
};
use plan::logical::{LogQuery, LogSelect, Node, Span};
use plan::{EvalOptions, Grid, LogicalPlan, TimeUnit, Value};
use segment::{Encoded, l0, merge};
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::data::{SPAN_MS, T0, generate};
use crate::random::Random;
use crate::world::{Layout, Memory, World};
use crate::{plan_of, said};

fn whole() -> TimeRangeMs {
    TimeRangeMs::new(TimestampMs(T0), TimestampMs(T0 + SPAN_MS))
}

#[tokio::test]
async fn deleted_samples_are_left_out_whatever_the_layout() {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let series = generate(&mut Random::new(7));
    let gone = TimeRangeMs::new(TimestampMs(T0 + 1_800_000), TimestampMs(T0 + 5_400_000));
    let job = Matcher::equal("job", "api");
    let all_of = vec![Matcher::new("instance", MatchOp::Regex, "host-1").unwrap()];
    let mut left = series.clone();
    for one in &mut left {
        let (api, all) = (job.matches_labels(&one.labels), all_of[0].matches_labels(&one.labels));
        let keep = |t: i64| !(all || api && gone.start.0 <= t && t < gone.end.0);
        let kept: Vec<usize> = (0..one.timestamps.len()).filter(|at| keep(one.timestamps[*at])).collect();
        one.values = kept.iter().map(|at| one.values[*at]).collect();
        one.start_timestamps = kept.iter().filter_map(|at| one.start_timestamps.get(*at).copied()).collect();
        one.timestamps = kept.iter().map(|at| one.timestamps[*at]).collect();
        one.histograms.retain(|sample| keep(sample.timestamp));
    }
    let memory = Memory(left);
    for layout in Layout::ALL {
        let world = World::filled(layout, &series).await;
        for (range, matchers) in [(gone, vec![job.clone()]), (whole(), all_of.clone())] {
            let request = DeletionRequest { range, matchers, filter: None };
            world.manifest.request_deletion(&tenant, Signal::Metrics, request).await.unwrap();
        }
        for text in
            ["{__name__=~\".+\"}", "sum by (job) (rate(requests_total[5m]))", "temperature[20m]", "count_over_time(latency[10m])"]
        {
            let steps = if text.ends_with(']') { (4000, 4000, 0) } else { (0, 9000, 60) };
            let plan = plan_of(text, steps.0, steps.1, steps.2);
            let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            for engine in &world.engines {
                let found = engine.query(&tenant, plan.clone(), &limits).await.map(|(answer, _)| answer);
                assert_eq!(said(found.map_err(|error| error.to_string())), expected, "{layout:?}: {text}");
            }
        }
        let engine = &world.engines[0];
        let hosts = engine.label_values(&tenant, Signal::Metrics, "instance", &[], whole(), None, &limits).await.unwrap();
        assert!(!hosts.items.is_empty() && !hosts.items.contains(&"host-1".to_owned()), "{layout:?}: {:?}", hosts.items);
        let found = engine.series(&tenant, Signal::Metrics, &[vec![job.clone()]], gone, None, &limits).await.unwrap();
        assert!(found.items.is_empty(), "{layout:?}: {:?}", found.items);
    }
}

#[tokio::test]
async fn exemplars_of_what_was_deleted_are_left_out() {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let at = |minutes: i64| TimestampMs(T0 + minutes * 60_000);
    let mut batch = MetricBatch::default();
    for (series, job) in ["api", "web"].into_iter().enumerate() {
        batch.start_series_of(&LabelSet::from_pairs([("__name__", "requests_total"), ("job", job)]));
        for minutes in [1, 2, 3] {
            batch.push_sample(at(minutes), 1.0, TimestampMs(0));
            let labels = LabelSet::from_pairs([("trace", format!("{job}-{minutes}").as_str())]);
            let exemplar = Exemplar { labels, value: 1.0, timestamp: at(minutes) };
            batch.exemplars.push(ExemplarRow { series: series as u32, exemplar });
        }
    }
    let block = l0::encode_metrics(&tenant, &batch).unwrap();
    let mut merged = Vec::new();
    merge::metrics(std::slice::from_ref(&block.bytes), &Default::default(), &mut |one| merged.push(one)).unwrap();
    for encoded in [block, merged.remove(0)] {
        let world = World::filled(Layout::Fresh, &[]).await;
        world.commit(Signal::Metrics, 1, &encoded).await;
        let traces = async || {
            let all = [vec![Matcher::new("job", MatchOp::Regex, ".+").unwrap()]];
            let found = world.engines[0].exemplars(&tenant, &all, whole(), &limits).await.unwrap();
            found.items.iter().map(|(_, exemplar)| exemplar.labels.get("trace").unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(traces().await, ["api-1", "api-2", "api-3", "web-1", "web-2", "web-3"]);
        let range = TimeRangeMs::new(at(2), at(3));
        let request = DeletionRequest { range, matchers: vec![Matcher::equal("job", "api")], filter: None };
        world.manifest.request_deletion(&tenant, Signal::Metrics, request).await.unwrap();
        assert_eq!(traces().await, ["api-1", "api-3", "web-1", "web-2", "web-3"]);
    }
}

/// A toy language of filters: the line contains the text, or it is the entry's trace, or its stream's level.
#[allow(clippy::unnecessary_wraps)] // As a language of filters is asked.
fn mentions(text: &str) -> Result<EntryFilter, String> {
    let text = text.to_owned();
    Ok(EntryFilter::new(move |stream, line, metadata| {
        let labelled = [stream.get("level"), metadata.get("trace")].contains(&Some(text.as_str()));
        labelled || String::from_utf8_lossy(line).contains(&text)
    }))
}

/// The same entries as a block and as merged.
fn log_segments(tenant: &TenantId) -> [Encoded; 2] {
    let mut batch = LogBatch::default();
    for (app, level) in [("api", "info"), ("api", "debug"), ("db", "info")] {
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", app), ("level", level)]).encoded()));
        for (second, line, trace) in [(1, "GET 200", "t1"), (2, "GET 500", "t1"), (3, "PUT 200", "t2"), (4, "PUT 500", "t1")] {
            let trace = LabelSet::from_pairs([("trace", trace)]);
            let line = format!("{app} {level} {line}");
            batch.push_entry(TimestampNs((T0 + second * 1000) * 1_000_000), line.as_bytes(), trace.encoded());
        }
    }
    let block = l0::encode_logs(tenant, &batch).unwrap();
    let mut merged = Vec::new();
    merge::logs(std::slice::from_ref(&block.bytes), &Default::default(), &mut |one| merged.push(one)).unwrap();
    [block, merged.remove(0)]
}

fn all_lines() -> LogicalPlan {
    let matchers = vec![Matcher::new("app", MatchOp::Regex, ".+").unwrap()];
    let select = LogSelect { matchers, stages: Vec::new(), span: Span::default() };
    let query = LogQuery { select, newest_first: false, limit: 100, interval_ns: 0 };
    let (start, end) = (T0 * 1_000_000, (T0 + SPAN_MS) * 1_000_000);
    let grid = Grid { start, end, step: 1, unit: TimeUnit::Nanoseconds };
    LogicalPlan { grid, root: Node::Logs(Box::new(query)), options: EvalOptions::default(), text: "".into() }
}

async fn lines(engine: &Engine) -> Vec<String> {
    let (answer, _) = engine.query(&TenantId::anonymous(), all_lines(), &Limits::default()).await.unwrap();
    let Value::Streams(streams) = answer.value else { panic!("{:?}", answer.value) };
    let entries = streams.into_iter().flat_map(|stream| stream.entries);
    let mut lines: Vec<String> = entries.map(|entry| String::from_utf8(entry.line).unwrap()).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn entries_that_the_filter_of_a_deletion_accepts_are_left_out_at_once() {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let api = || vec![Matcher::equal("app", "api")];
    let seconds = |from: i64, to: i64| TimeRangeMs::new(TimestampMs(T0 + from * 1000), TimestampMs(T0 + to * 1000));
    for encoded in log_segments(&tenant) {
        let world = World::filled(Layout::Fresh, &[]).await;
        world.commit(Signal::Logs, 1, &encoded).await;
        let engine = world.engines[0].clone().with_entry_filters(mentions);
        let mut expected = lines(&engine).await;
        assert_eq!(expected.len(), 12);
        // By the line within a range, by structured metadata, by the stream.
        for (range, text, gone) in [
            (seconds(1, 4), "500", &["api info GET 500", "api debug GET 500"][..]),
            (whole(), "t2", &["api info PUT 200", "api debug PUT 200"]),
            (whole(), "debug", &["api debug GET 200", "api debug PUT 500"]),
        ] {
            let request = DeletionRequest { range, matchers: api(), filter: Some(text.to_owned()) };
            world.manifest.request_deletion(&tenant, Signal::Logs, request).await.unwrap();
            let before = expected.len();
            expected.retain(|line| !gone.contains(&line.as_str()));
            assert_eq!(before - expected.len(), gone.len());
            assert_eq!(lines(&engine).await, expected, "{text}");
        }
        // Part of a stream is left: it is still listed.
        let apps = engine.label_values(&tenant, Signal::Logs, "app", &[], whole(), None, &limits).await.unwrap();
        assert_eq!(apps.items, ["api", "db"]);
        // Who does not know what a filter means neither shows nor hides.
        let refused = world.engines[0].query(&tenant, all_lines(), &limits).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Internal);
        assert!(refused.to_string().contains("knows no language of filters"), "{refused}");
    }
}

#[tokio::test]
async fn a_corrupt_segment_is_named_then_put_in_quarantine_and_the_rest_is_answered() {
    damaged_by(|bytes| {
        let last = bytes.len() - 3;
        bytes[last] ^= 0xff;
    })
    .await;
}

#[tokio::test]
async fn so_is_one_of_which_nothing_is_left() {
    damaged_by(Vec::clear).await;
}

async fn damaged_by(damage: fn(&mut Vec<u8>)) {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let series = generate(&mut Random::new(3));
    let world = World::filled(Layout::Merged, &series).await;
    let snapshot = world.manifest.snapshot(&tenant, Signal::Metrics, whole()).await.unwrap();
    let (part, key) = snapshot
        .parts
        .iter()
        .find_map(|part| match &part.location {
            manifest::Location::Object { key, .. } => Some((part.clone(), key.clone())),
            manifest::Location::Inline(_) => None,
        })
        .unwrap();
    let path = ObjectPath::from(key.as_str());
    let mut bytes = world.objects.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    damage(&mut bytes);
    world.objects.put(&path, bytes.into()).await.unwrap();
    let plan = plan_of("count({__name__=~\".+\"})", 0, 9000, 60);
    let (answer, stats) = world.engines[0].query(&tenant, plan.clone(), &limits).await.unwrap();
    assert!(answer.warnings.len() == 1 && answer.warnings[0].contains(&key), "{:?}", answer.warnings);
    let quarantined = world.manifest.quarantined(&tenant, Signal::Metrics).await.unwrap();
    assert_eq!(quarantined.iter().map(|one| one.id).collect::<Vec<_>>(), [part.id]);
    let (again, fewer) = world.engines[1].query(&tenant, plan, &limits).await.unwrap();
    assert!(again.warnings[0].contains("quarantine") && again.warnings[0].contains(&key), "{:?}", again.warnings);
    let values = |answer| said(Ok(plan::Answer { warnings: Vec::new(), ..answer }));
    assert_eq!(values(again), values(answer));
    assert!(fewer.requests < stats.requests, "{} requests, before {}", fewer.requests, stats.requests);
}
