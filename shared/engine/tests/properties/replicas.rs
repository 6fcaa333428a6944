//! Replicas answered as one: every query over every range says what it says of the samples that stand, whatever was read for it; and
//! where a replica missed nothing, what it says of that replica alone.

use model::replicas::{Replica, elect, superfluous};
use model::{LabelSet, Limits, STALE_NAN, TenantId, TimeRangeMs, TimestampMs, is_stale};
use plan::{EvalOptions, LogicalPlan, Series};

use crate::data::{SPAN_MS, T0};
use crate::random::Random;
use crate::world::{Layout, Memory, World};
use crate::{plan_of, said};

const QUERIES: &[&str] = &[
    "orders_total",
    "orders_total[7m]",
    "rate(orders_total[3m])",
    "sum by (job) (increase(orders_total[5m]))",
    "count by (job) (orders_total)",
    "resets(orders_total[10m])",
    "count_over_time(orders_total[2m])",
    "max_over_time(rate(orders_total[2m])[10m:30s])",
    "orders_total offset 7m",
    "{__name__=~\"orders.+\", job=\"a\"}",
    "absent(orders_total{job=\"none\"})",
];

/// Scrapes of one target every 15 s, some of them late, but in outages; a counter by true time that is reset once.
fn scraped(random: &mut Random, labels: LabelSet, outages: usize) -> Series {
    let offset = random.below(15_000) as i64;
    let gone: Vec<(i64, i64)> = (0..outages)
        .map(|_| {
            let start = random.below(SPAN_MS as u64) as i64;
            (start, start + random.below(1_500_000) as i64)
        })
        .collect();
    let mut series = Series { labels, timestamps: vec![], values: vec![], start_timestamps: vec![], histograms: vec![] };
    for at in (offset..SPAN_MS).step_by(15_000).map(|at| at + random.below(1_500) as i64) {
        if gone.iter().all(|(start, end)| at < *start || *end <= at) {
            series.timestamps.push(T0 + at);
            series.values.push((if at < 4_000_000 { at } else { at - 4_000_000 } / 70) as f64);
        }
    }
    series
}

fn labels(job: &str, replica: &str) -> LabelSet {
    LabelSet::from_pairs([("__name__", "orders_total"), ("__replica__", replica), ("job", job)])
}

fn candidates(group: &[Series]) -> Vec<Replica> {
    let stale = |one: &Series| one.values.iter().map(|value| is_stale(*value)).collect();
    group.iter().map(|one| Replica { times: one.timestamps.clone(), stale: stale(one) }).collect()
}

/// What stands of a group, all of it at once.
fn standing(group: &[Series]) -> Series {
    let candidates = candidates(group);
    let mut standing = Series { labels: group[0].labels.without("__replica__"), ..group[0].clone() };
    (standing.timestamps, standing.values) = elect(&candidates)
        .into_iter()
        .flat_map(|piece| piece.rows.map(move |row| (piece.replica, row)))
        .map(|(replica, row)| (group[replica].timestamps[row], group[replica].values[row]))
        .unzip();
    standing
}

fn deduplicated(plan: &LogicalPlan) -> LogicalPlan {
    let replica_labels = vec!["replica".to_owned(), "__replica__".to_owned()];
    LogicalPlan { options: EvalOptions { replica_labels, ..plan.options.clone() }, ..plan.clone() }
}

fn random_plan(random: &mut Random, text: &str) -> LogicalPlan {
    let start = random.below(9_000) as i64;
    match text.ends_with(']') || random.below(3) == 0 {
        true => plan_of(text, start, start, 0),
        false => plan_of(text, start, start + random.below(2_000) as i64, 7 + random.below(60) as i64),
    }
}

#[tokio::test]
async fn every_range_is_answered_from_the_same_samples() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let groups: Vec<Vec<Series>> = ["a", "b", "c"]
            .iter()
            .enumerate()
            .map(|(index, job)| {
                let replicas = ["r1", "r2", "r3"].iter().take(1 + index);
                replicas.map(|replica| scraped(&mut random, labels(job, replica), 3)).collect()
            })
            .collect();
        let memory = Memory(groups.iter().map(|group| standing(group)).collect());
        for layout in Layout::ALL {
            let world = World::filled(layout, &groups.concat()).await;
            for text in QUERIES {
                let plan = random_plan(&mut random, text);
                let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
                for engine in &world.engines {
                    let found = engine.query(&TenantId::anonymous(), deduplicated(&plan), &Limits::default()).await;
                    let found = said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()));
                    assert_eq!(found, expected, "seed {seed}, {layout:?}: {text} {:?}", plan.grid);
                }
            }
        }
    }
}

/// A day of scrapes every minute, in which nothing goes right for long.
fn scraped_for_a_day(random: &mut Random, labels: LabelSet) -> Series {
    let (offset, day_ms) = (random.below(60_000) as i64, 86_400_000);
    let gone: Vec<(i64, i64)> = (0..3)
        .map(|_| {
            let start = random.below(day_ms as u64) as i64;
            (start, start + random.below(7_200_000) as i64)
        })
        .collect();
    let mut series = Series { labels, timestamps: vec![], values: vec![], start_timestamps: vec![], histograms: vec![] };
    let mut restarted = 0;
    for scrape in (offset..day_ms - 5_000).step_by(60_000) {
        let at = scrape + random.below(4_000) as i64;
        if gone.iter().any(|(start, end)| *start <= at && at < *end) {
            continue;
        }
        restarted = if random.below(200) == 0 { at } else { restarted };
        series.timestamps.push(T0 + at);
        series.values.push(if random.below(50) == 0 { STALE_NAN } else { ((at - restarted) / 70) as f64 });
    }
    series
}

/// The merge of replicas in a closed day: every answer about one series has the bits it had.
#[tokio::test]
async fn what_is_left_of_a_closed_day_is_answered_as_all_of_it() {
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let groups: Vec<Vec<Series>> = [("a", 2), ("b", 3)]
            .map(|(job, count)| {
                let replicas = ["r1", "r2", "r3"].iter().take(count);
                replicas.map(|replica| scraped_for_a_day(&mut random, labels(job, replica))).collect()
            })
            .to_vec();
        let left: Vec<Series> = groups.iter().flat_map(|group| without_superfluous(group)).collect();
        let count = |all: &[Series]| all.iter().map(|one| one.timestamps.len()).sum::<usize>();
        assert!(count(&left) * 10 < count(&groups.concat()) * 8, "{} samples are left", count(&left));
        let (all, left) = (World::filled(Layout::Day, &groups.concat()).await, World::filled(Layout::Day, &left).await);
        for text in QUERIES.iter().chain(QUERIES) {
            let (start, step) = (random.below(86_400) as i64, 13 + random.below(900) as i64);
            let end = if text.ends_with(']') { start } else { start + random.below(30_000) as i64 };
            let plan = deduplicated(&plan_of(text, start, end, if start == end { 0 } else { step }));
            let answer = async |world: &World| {
                let found = world.engines[1].query(&TenantId::anonymous(), plan.clone(), &Limits::default()).await;
                said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()))
            };
            assert_eq!(answer(&left).await, answer(&all).await, "seed {seed}: {text} {:?}", plan.grid);
        }
    }
}

fn without_superfluous(group: &[Series]) -> Vec<Series> {
    let gone = superfluous(&candidates(group), TimestampMs(T0));
    let left = |(series, gone): (&Series, Vec<TimeRangeMs>)| {
        let samples = series.timestamps.iter().copied().zip(series.values.iter().copied());
        let kept = samples.filter(|(at, _)| !gone.iter().any(|range| range.start.0 <= *at && *at < range.end.0));
        let (timestamps, values) = kept.unzip();
        Series { timestamps, values, ..series.clone() }
    };
    group.iter().zip(gone).map(left).collect()
}

#[tokio::test]
async fn a_complete_replica_is_the_answer() {
    let mut random = Random::new(77);
    let (complete, other) = (scraped(&mut random, labels("a", "r1"), 0), scraped(&mut random, labels("a", "r2"), 4));
    let world = World::filled(Layout::Mixed, &[complete.clone(), other]).await;
    let memory = Memory(vec![Series { labels: complete.labels.without("__replica__"), ..complete }]);
    for text in QUERIES {
        for _ in 0..5 {
            let plan = random_plan(&mut random, text);
            let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            let found = world.engines[1].query(&TenantId::anonymous(), deduplicated(&plan), &Limits::default()).await;
            assert_eq!(
                said(found.map(|(answer, _)| answer).map_err(|error| error.to_string())),
                expected,
                "{text} {:?}",
                plan.grid
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_deduplicated_unasked_and_a_named_replica_is_answered_alone() {
    let mut random = Random::new(5);
    let groups: Vec<Series> = ["r1", "r2"].iter().map(|replica| scraped(&mut random, labels("a", replica), 2)).collect();
    let world = World::filled(Layout::Merged, &groups).await;
    let engine = &world.engines[0];
    let query = async |plan: LogicalPlan| {
        let found = engine.query(&TenantId::anonymous(), plan, &Limits::default()).await;
        said(found.map(|(answer, _)| answer).map_err(|error| error.to_string())).unwrap().0
    };
    let plan = plan_of("rate(orders_total[5m])", 600, 6000, 60);
    assert_eq!(query(plan.clone()).await.len(), 2);
    assert_eq!(query(deduplicated(&plan)).await.len(), 1);
    let named = plan_of("rate(orders_total{__replica__=\"r2\"}[5m])", 600, 6000, 60);
    let alone = query(named.clone()).await;
    let stripped = alone.iter().map(|line| line.replace("__replica__=\"r2\", ", "")).collect::<Vec<_>>();
    assert_eq!(query(deduplicated(&named)).await, stripped);
}
