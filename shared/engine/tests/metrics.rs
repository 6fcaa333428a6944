//! Metric queries end to end over memory stores: one answer whatever the layout of segments and the split into partitions.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use engine::{Engine, EngineConfig, EngineError};
use manifest::{L0Item, Location, Manifest, PartStats};
use model::{Clock, Hour, LabelSet, Limits, Matcher, MetricBatch, Nonces, SegmentId, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::reference::Source;
use plan::{Answer, EvalError, EvalOptions, LogicalPlan, Series, StreamEntries, Value};
use segment::Encoded;
use store::objects::{ObjectPath, ObjectStoreExt};

const T0: i64 = 1_767_225_600_000;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(T0 + 3_600_000)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    L0,
    Compacted,
    Mixed,
}

struct Store {
    objects: store::Objects,
    manifest: Manifest,
    written: u128,
    /// Objects, and the bytes of their tails.
    tails: (u64, u64),
}

impl Store {
    fn new() -> Store {
        let records: store::Records = Arc::new(store::records::memory::MemoryRecords::default());
        let manifest = Manifest::new(records, Arc::new(Fixed), Arc::new(Nonces::seeded(1)));
        Store { objects: store::objects::memory(), manifest, written: 0, tails: (0, 0) }
    }

    async fn put(&mut self, encoded: &Encoded, inline: bool) {
        self.written += 1;
        let key = format!("anonymous/{}", self.written);
        let location = if inline {
            Location::Inline(encoded.bytes.clone())
        } else {
            self.objects.put(&ObjectPath::from(key.as_str()), encoded.bytes.clone().into()).await.unwrap();
            let (objects, bytes) = self.tails;
            self.tails = (objects + 1, bytes + encoded.bytes.len() as u64 - encoded.tail_offset);
            Location::Object { key, len: encoded.bytes.len() as u64 }
        };
        let stats = PartStats {
            rows: encoded.stats.rows,
            series: encoded.stats.series as u32,
            time_range: encoded.stats.range,
            slots: encoded.stats.slots,
            epoch: 0,
            names: Bytes::copy_from_slice(encoded.stats.filter.as_bytes()),
        };
        let (id, minted_at) = (SegmentId(self.written), Fixed.now());
        let item = L0Item { id, location, tail_offset: encoded.tail_offset, stats, minted_at };
        let hour = Hour(T0 / 3_600_000);
        self.manifest.commit(&TenantId::anonymous(), Signal::Metrics, hour, item).await.unwrap();
    }

    fn engine(&self, partitions: usize) -> Engine {
        let config = EngineConfig { partitions, ..EngineConfig::default() };
        Engine::new(config, Arc::clone(&self.objects), self.manifest.clone(), Arc::new(Fixed))
    }
}

fn labels(name: &str, instance: usize) -> LabelSet {
    let job = ["api", "db", "web"][instance % 3];
    LabelSet::from_pairs([("__name__", name), ("instance", &format!("host-{instance}")), ("job", job)])
}

/// Samples of one minute of all series; a seeded walk with resets.
fn minute(minute: i64, instances: usize) -> MetricBatch {
    let mut batch = MetricBatch::default();
    for instance in 0..instances {
        for name in ["requests_total", "temperature"] {
            batch.start_series_of(&labels(name, instance));
            for step in 0..4 {
                let at = minute * 60_000 + step * 15_000 + (instance as i64 * 37) % 500;
                let noise = ((at / 500) as f64 * 0.137 + instance as f64).sin();
                let value = if name == "temperature" { 1e6 * noise } else { (at % 1_200_000) as f64 / 7.0 };
                batch.push_sample(TimestampMs(T0 + at), value, TimestampMs(0));
            }
        }
    }
    batch
}

async fn filled(layout: Layout, instances: usize, minutes: i64) -> Store {
    let tenant = TenantId::anonymous();
    let mut store = Store::new();
    let blocks: Vec<Encoded> =
        (0..minutes).map(|m| segment::l0::encode_metrics(&tenant, &minute(m, instances)).unwrap()).collect();
    let merged = match layout {
        Layout::L0 => 0,
        Layout::Compacted => blocks.len(),
        Layout::Mixed => blocks.len() / 2,
    };
    let inputs: Vec<Bytes> = blocks[..merged].iter().map(|block| block.bytes.clone()).collect();
    let mut outputs = Vec::new();
    if !inputs.is_empty() {
        segment::merge::metrics(&inputs, &Default::default(), &mut |encoded| outputs.push(encoded)).unwrap();
    }
    for output in &outputs {
        store.put(output, false).await;
    }
    // Mixed layouts hold one block twice: the same samples count once (W3).
    let from = if layout == Layout::Mixed { merged - 1 } else { merged };
    for (index, block) in blocks[from..].iter().enumerate() {
        store.put(block, index % 3 == 0).await;
    }
    store
}

fn plan_of(text: &str, start_s: i64, end_s: i64, step_s: i64) -> LogicalPlan {
    let expr = promql::parse(text, &promql::Options::all()).unwrap();
    let params = promql::EvalParams {
        start: TimestampMs(T0 + start_s * 1000),
        end: TimestampMs(T0 + end_s * 1000),
        step_ms: step_s * 1000,
        lookback_ms: 300_000,
        options: EvalOptions::default(),
    };
    promql::lower(text, &expr, &params).unwrap()
}

async fn run(engine: &Engine, plan: LogicalPlan) -> Result<Answer, EngineError> {
    engine.query(&TenantId::anonymous(), plan, &Limits::default()).await.map(|(answer, _)| answer)
}

/// Bits of every value, so that NaN equals itself and -0 differs from 0.
fn bits(answer: &Answer) -> Vec<(String, Vec<u64>)> {
    let of = |floats: &[f64]| floats.iter().map(|value| value.to_bits()).collect();
    match &answer.value {
        Value::Scalar(floats) => vec![("scalar".into(), of(floats))],
        Value::Vector(series) => series.iter().map(|one| (one.labels.to_string(), of(&one.values.floats))).collect(),
        other => panic!("{other:?}"),
    }
}

/// The samples of [`filled`], as the reference evaluator reads them.
struct Memory(Vec<Series>);

impl Memory {
    fn new(instances: usize, minutes: i64) -> Memory {
        let mut all: BTreeMap<LabelSet, Series> = BTreeMap::new();
        for batch in (0..minutes).map(|m| minute(m, instances)) {
            for index in 0..batch.series_len() {
                let labels = batch.label_set(index).unwrap();
                let fresh = Series {
                    labels: labels.clone(),
                    timestamps: Vec::new(),
                    values: Vec::new(),
                    start_timestamps: Vec::new(),
                    histograms: Vec::new(),
                };
                let series = all.entry(labels).or_insert(fresh);
                series.timestamps.extend_from_slice(&batch.timestamps[batch.sample_range(index)]);
                series.values.extend_from_slice(&batch.values[batch.sample_range(index)]);
            }
        }
        let mut series: Vec<Series> = all.into_values().collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Memory(series)
    }
}

impl Source for Memory {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let cut = |series: &Series| {
            let from = series.timestamps.partition_point(|t| *t < range.start.0);
            let to = series.timestamps.partition_point(|t| *t < range.end.0);
            let (timestamps, values) = (series.timestamps[from..to].to_vec(), series.values[from..to].to_vec());
            Series { timestamps, values, ..series.clone() }
        };
        let matching = self.0.iter().filter(|series| matchers.iter().all(|m| m.matches_labels(&series.labels)));
        Ok(matching.map(cut).filter(|series| !series.timestamps.is_empty()).collect())
    }

    fn streams(&self, _: &[Matcher], _: model::TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}

/// What operators do not evaluate themselves, beside [`EXPRESSIONS`].
const MORE_EXPRESSIONS: &[&str] = &[
    "topk(3, temperature)",
    "topk by (job) (1, rate(requests_total[5m]))",
    "bottomk(2, sum by (job) (temperature))",
    "quantile(0.9, temperature)",
    "quantile_over_time(0.5, temperature[5m])",
    "count_values(\"v\", floor(temperature / 1e5))",
    "limitk(3, temperature)",
    "absent(nothing{job=\"x\"})",
    "absent_over_time(nothing[5m])",
    "absent(sum(nothing))",
    "deriv(temperature[5m])",
    "predict_linear(temperature[5m], 600)",
    "changes(temperature[5m]) + resets(requests_total[5m])",
    "label_replace(temperature, \"host\", \"$1\", \"instance\", \"host-(.*)\")",
    "label_join(temperature, \"both\", \"-\", \"job\", \"instance\")",
    "timestamp(temperature)",
    "timestamp(temperature offset 1m)",
    "hour(timestamp(temperature))",
    "sort_desc(temperature)",
    "histogram_quantile(0.9, sum by (job, le) (rate(requests_total[5m])))",
    "sum(last_over_time({__name__=~\"requests_total|temperature\"}[3m]))",
    "sum by (job) (rate({__name__=\"requests_total\"}[5m] offset 2m))",
    "stdvar by (job) (rate(requests_total[5m]))",
    "avg_over_time(sum by (job) (temperature)[10m:30s])",
    "min_over_time((temperature > 0)[5m:1m] @ end())",
    "group without (job) (temperature)",
    "temperature @ start() + temperature",
    "sum(rate(temperature[5m]))",
    "rate(temperature[5m])",
    "info(temperature)",
    "mad_over_time(temperature[5m])",
    "double_exponential_smoothing(temperature[5m], 0.5, 0.5)",
    "ts_of_max_over_time(temperature[5m])",
    "rate(requests_total[5m] smoothed)",
    "increase(requests_total[5m] anchored)",
    "temperature + on (job) group_left sum by (job) (requests_total) unless temperature < 0",
    "rate({__name__=~\"requests_total|temperature\"}[5m])",
    "sum(rate({__name__=~\"requests_total|temperature\"}[5m]))",
];

type Outcome = Result<(Vec<(String, Vec<u64>)>, BTreeSet<String>), String>;

/// An answer or an error, as something to compare.
fn outcome(answer: Result<Answer, String>) -> Outcome {
    let answer = answer?;
    let annotations = answer.warnings.iter().chain(&answer.infos).cloned().collect();
    Ok((bits(&answer), annotations))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_answers_as_the_reference_does() {
    let stores = [filled(Layout::L0, 12, 30).await, filled(Layout::Compacted, 12, 30).await, filled(Layout::Mixed, 12, 30).await];
    let memory = Memory::new(12, 30);
    let mut wrong = Vec::new();
    for text in EXPRESSIONS.iter().chain(MORE_EXPRESSIONS) {
        for (start, end) in [(600, 1700), (1500, 1500)] {
            let plan = plan_of(text, start, end, 60);
            let expected = outcome(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            for (layout, store) in stores.iter().enumerate() {
                for partitions in [1, 3, 8] {
                    let found = run(&store.engine(partitions), plan.clone()).await.map_err(|error| error.to_string());
                    if outcome(found) != expected {
                        wrong.push(format!("{text} [{start}, {end}], layout {layout}, {partitions} partitions"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

const EXPRESSIONS: &[&str] = &[
    "temperature",
    "temperature{job=\"db\"} offset 3m",
    "temperature @ end()",
    "rate(requests_total[5m])",
    "increase(requests_total[3m])",
    "irate(requests_total[2m])",
    "delta(temperature[4m])",
    "avg_over_time(temperature[5m])",
    "stddev_over_time(temperature[5m])",
    "max_over_time(temperature[2m]) - min_over_time(temperature[2m])",
    "sum(temperature)",
    "sum by (job) (rate(requests_total[5m]))",
    "avg without (instance) (temperature)",
    "stddev by (job) (temperature)",
    "count(temperature > 0)",
    "max by (job) (temperature) / on (job) min by (job) (temperature)",
    "temperature * on (instance) group_left count by (instance) (requests_total)",
    "abs(temperature) > 5e5 or requests_total < 1e4",
    "clamp(temperature, -10, 10) + 2 ^ 3",
    "max_over_time(rate(requests_total[2m])[10m:1m])",
    "temperature and on (job) requests_total{job=\"api\"}",
    "sum(rate(requests_total{job=~\"api|db\"}[5m])) by (job) * 60",
    "scalar(sum(temperature)) + time()",
    "-temperature",
    "sum(absent_metric)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_layout_and_no_split_changes_a_bit() {
    let stores = [filled(Layout::L0, 40, 30).await, filled(Layout::Compacted, 40, 30).await, filled(Layout::Mixed, 40, 30).await];
    for text in EXPRESSIONS {
        let mut expected: Option<Vec<(String, Vec<u64>)>> = None;
        for (layout, store) in stores.iter().enumerate() {
            for partitions in [1, 3, 8] {
                let answer = run(&store.engine(partitions), plan_of(text, 600, 1700, 60)).await;
                let answer = bits(&answer.unwrap_or_else(|error| panic!("{text}: {error}")));
                match &expected {
                    Some(expected) => assert_eq!(*expected, answer, "{text}, layout {layout}, {partitions} partitions"),
                    None => expected = Some(answer),
                }
            }
        }
        assert_eq!(text.contains("absent"), expected.unwrap().is_empty(), "{text}");
    }
}

#[tokio::test]
async fn an_instant_query_counts_what_is_there() {
    let store = filled(Layout::Mixed, 10, 10).await;
    let answer = run(&store.engine(2), plan_of("sum(count_over_time(requests_total[5m]))", 599, 599, 0)).await.unwrap();
    assert_eq!(bits(&answer), [("{}".to_owned(), vec![200f64.to_bits()])]);
}

#[tokio::test]
async fn lookups_read_no_samples() {
    let store = filled(Layout::Mixed, 50, 40).await;
    let (engine, tenant, limits) = (store.engine(2), TenantId::anonymous(), Limits::default());
    let range = TimeRangeMs::new(TimestampMs(T0), TimestampMs(T0 + 3_600_000));
    let sets = [vec![Matcher::equal("__name__", "temperature")]];
    let series = engine.series(&tenant, Signal::Metrics, &sets, range, None, &limits).await.unwrap();
    assert_eq!((series.items.len(), series.stats.samples, series.stats.pages), (50, 0, 0));
    // Each object's tail, and nothing else; from then on not even that.
    assert_eq!((series.stats.requests, series.stats.bytes_read), store.tails);
    let names = engine.label_names(&tenant, Signal::Metrics, &[], range, None, &limits).await.unwrap();
    assert_eq!(names.items, ["__name__", "instance", "job"]);
    assert_eq!((names.stats.requests, names.stats.bytes_read), (0, 0));
    let values = engine.label_values(&tenant, Signal::Metrics, "job", &[], range, Some(2), &limits).await.unwrap();
    assert_eq!((values.items, values.truncated), (vec!["api".to_owned(), "db".to_owned()], true));
}

#[tokio::test]
async fn limits_are_named_and_a_corrupt_segment_is_a_warning() {
    let mut store = filled(Layout::L0, 5, 4).await;
    let few = Limits { query_samples_max: 10, ..Limits::default() };
    let plan = plan_of("temperature", 60, 120, 15);
    let error = store.engine(1).query(&TenantId::anonymous(), plan.clone(), &few).await.unwrap_err();
    assert_eq!(error.to_string(), "query processing would load too many samples into memory in query execution");
    let few = Limits { query_series_max: 3, ..Limits::default() };
    let error = store.engine(1).query(&TenantId::anonymous(), plan.clone(), &few).await.unwrap_err();
    assert_eq!(error.to_string(), "query needs 5 series, limit is 3");
    let mut broken = segment::l0::encode_metrics(&TenantId::anonymous(), &minute(0, 5)).unwrap();
    let mut bytes = broken.bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 0xff;
    broken.bytes = bytes.into();
    store.put(&broken, false).await;
    let answer = run(&store.engine(1), plan).await.unwrap();
    assert_eq!((answer.warnings.len(), bits(&answer).len()), (1, 5));
    assert!(answer.warnings[0].contains("is left out"), "{:?}", answer.warnings);
}

#[tokio::test]
async fn pruning_shows_in_the_plan_and_in_the_counts() {
    let mut store = filled(Layout::Compacted, 5, 10).await;
    let mut other = MetricBatch::default();
    other.start_series_of(&labels("other", 0));
    other.push_sample(TimestampMs(T0 + 400_000), 1.0, TimestampMs(0));
    store.put(&segment::l0::encode_metrics(&TenantId::anonymous(), &other).unwrap(), false).await;
    let (engine, tenant, limits) = (store.engine(2), TenantId::anonymous(), Limits::default());
    let plan = plan_of("sum by (job) (rate(requests_total[5m]))", 300, 600, 60);
    let text = engine.explain(&tenant, &plan, &limits).await.unwrap();
    assert!(text.contains("segments=2, pruned=1, opened=1, selected=1, row_groups=1, pages="), "{text}");
    let (_, first) = engine.query(&tenant, plan.clone(), &limits).await.unwrap();
    assert_eq!((first.segments_considered, first.segments_pruned, first.segments_opened, first.row_groups), (2, 1, 1, 1));
    assert!(text.contains(&format!("pages={},", first.pages)) && first.pages > 0, "{text} {first:?}");
    let (_, then) = engine.query(&tenant, plan, &limits).await.unwrap();
    assert_eq!((then.segments_opened, then.tails_cached, then.requests, then.pages), (1, 1, 0, 0));
}

#[tokio::test]
async fn the_plan_prints() {
    let store = filled(Layout::Compacted, 5, 10).await;
    let plan = plan_of("sum by (job) (rate(requests_total[5m]))", 300, 600, 60);
    let text = store.engine(2).explain(&TenantId::anonymous(), &plan, &Limits::default()).await.unwrap();
    let operators: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(operators, ["WindowExec"]);
}

/// `cargo test -p engine --release -- --ignored --nocapture figures`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn figures() {
    let store = filled(Layout::Compacted, 50, 60).await;
    let engine = store.engine(2);
    for _ in 0..3 {
        let started = Instant::now();
        run(&engine, plan_of("rate(requests_total[5m])", 600, 3500, 60)).await.unwrap();
        println!("50 series x 240 samples: {:?}", started.elapsed());
    }
    let store = filled(Layout::Compacted, 2000, 60).await;
    for partitions in [1, 2] {
        let engine = store.engine(partitions);
        for _ in 0..3 {
            let plan = plan_of("sum(rate(requests_total[5m]))", 600, 3500, 60);
            let (_, stats) = engine.query(&TenantId::anonymous(), plan, &Limits::default()).await.unwrap();
            let seconds = (stats.times.plan + stats.times.scan + stats.times.execute).as_secs_f64();
            println!("{partitions} partitions: {} samples, {:.1} M/s wall", stats.samples, stats.samples as f64 / seconds / 1e6);
        }
    }
}
