//! Whole appends: each fault at each request of one, then many writers under faults by chance. Nothing acknowledged is lost or doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use appender::{Adaptive, Batch, Direct, GroupOptions, WriteBuffer, Writer};
use manifest::Location;
use model::{Clock, ErrorKind, Hour, Signal, TenantId, TimeRangeMs};
use segment::{Fetched, metrics};
use store::RetryPolicy;
use store::objects::{ObjectPath, ObjectStoreExt};
use testkit::fault_proxy::Answer;
use testkit::{FaultProxy, MetricBatchBuilder, WireFault};

use crate::setup::{POLICY, Setup};

/// One request: an object, or a few samples inside the record.
fn request(name: &str, hour: Hour, rows: i64) -> Batch {
    let rows = (0..rows).map(|row| (hour.start().0 + row, ((row * 7919) as f64).sin()));
    Batch::Metrics(MetricBatchBuilder::default().series([("__name__", name)], rows).build())
}

const LARGE: i64 = 2_000;
const SMALL: i64 = 3;

impl Setup {
    fn writer(&self) -> Writer {
        Writer::new(self.objects.clone(), self.manifest(), self.clock.clone(), self.nonces.clone())
    }

    /// Counts the segments in which a reader finds each series, and its rows in the first of them.
    async fn found(&self) -> BTreeMap<String, (usize, usize)> {
        let range = TimeRangeMs::new(
            self.clock.now().minus(Duration::from_secs(86_400)),
            self.clock.now().plus(Duration::from_secs(7200)),
        );
        let snapshot = self.plain_manifest().snapshot(&TenantId::anonymous(), Signal::Metrics, range).await.unwrap();
        let mut found = BTreeMap::new();
        for part in snapshot.parts {
            let bytes = match &part.location {
                Location::Inline(bytes) => bytes.clone(),
                // An acknowledged object is there, whole.
                Location::Object { key, len } => {
                    let bytes = self.plain.0.get(&ObjectPath::from(key.as_str())).await.unwrap().bytes().await.unwrap();
                    assert_eq!(bytes.len() as u64, *len);
                    bytes
                }
            };
            let index = metrics::Index::open(&bytes).unwrap();
            let all = index.all();
            let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(bytes)).unwrap();
            for (place, entry) in all.iter().enumerate() {
                let labels = entry.labels.to_string();
                let name = labels.split('"').nth(1).unwrap_or(&labels).to_owned();
                let rows = columns.series(place).timestamps.len();
                found.entry(name).or_insert((0, rows)).0 += 1;
            }
        }
        found
    }
}

fn faults() -> Vec<WireFault> {
    let gateway = |status| (WireFault::AnswerBefore(Answer::gateway(status)), WireFault::AnswerAfter(Answer::gateway(status)));
    let ((before, after), slow) = (gateway(500), WireFault::Slow(Duration::from_micros(100)));
    vec![
        WireFault::ResetBefore,
        WireFault::ResetAfter,
        WireFault::HangBefore,
        WireFault::HangAfter,
        before,
        after,
        WireFault::Torn,
        slow,
    ]
}

/// One fault at the nth request to either server: acknowledged all the same, once, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fault_anywhere_costs_a_repeat_and_nothing_else() {
    let policy = RetryPolicy { attempt_max: Duration::from_millis(700), ..POLICY };
    let Some(setup) = Setup::start("append::one_fault_anywhere_costs_a_repeat_and_nothing_else", policy).await else { return };
    let (tenant, hour) = (TenantId::anonymous(), setup.clock.now().hour());
    let mut appended = BTreeMap::new();
    let proxies: [(&str, &FaultProxy, usize); 2] = [("records", &setup.dynamodb, 6), ("objects", &setup.s3, 1)];
    for (port, proxy, requests) in proxies {
        for (number, fault) in faults().into_iter().enumerate() {
            for step in 0..requests {
                let (name, rows) =
                    (format!("{port}_{number}_{step}"), if port == "records" && step % 2 == 0 { SMALL } else { LARGE });
                proxy.script((0..step).map(|_| WireFault::None).chain([fault.clone()]));
                // A process that knows nothing: ring, registry, catalog, item.
                let receipt = Direct::new(setup.writer()).append(&tenant, request(&name, hour, rows)).await;
                proxy.heal();
                receipt.unwrap_or_else(|error| panic!("{port} {fault:?} at {step}: {error:?}"));
                appended.insert(name, (1, rows as usize));
            }
        }
    }
    assert!(setup.dynamodb.counts().1 > 20 && setup.s3.counts().1 == faults().len() as u64);
    assert_eq!(setup.found().await, appended);
}

/// A server that is gone: an error that passes, in bounded requests; once it is back, a retry writes it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_an_error_and_a_retry_is_harmless() {
    let policy = RetryPolicy { attempts_max: 3, attempt_max: Duration::from_millis(300), ..POLICY };
    let Some(setup) = Setup::start("append::a_server_that_stays_away_is_an_error_and_a_retry_is_harmless", policy).await else {
        return;
    };
    let (tenant, hour) = (TenantId::anonymous(), setup.clock.now().hour());
    let warm = Direct::new(setup.writer());
    warm.append(&tenant, request("warm", hour, SMALL)).await.unwrap();
    let mut appended = BTreeMap::from([("warm".to_owned(), (1, SMALL as usize))]);
    for (number, fault) in faults().into_iter().take(7).enumerate() {
        for (port, proxy) in [("records", &setup.dynamodb), ("objects", &setup.s3)] {
            let (name, stays) = (format!("{port}_{number}"), fault.clone());
            proxy.decide(move |_| stays.clone());
            let before = proxy.counts().0;
            let error = warm.append(&tenant, request(&name, hour, LARGE)).await.unwrap_err();
            let requests = proxy.counts().0 - before;
            assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(2))), "{error:?}");
            // The manifest decides a lost answer by trying again, four times at most.
            let requests_max = 3 * u64::from(manifest::limits::UNKNOWN_OUTCOME_ATTEMPTS_MAX);
            assert!((3..=requests_max).contains(&requests), "{port} {fault:?}: {requests} requests");
            proxy.heal();
            warm.append(&tenant, request(&name, hour, LARGE)).await.unwrap();
            appended.insert(name, (1, LARGE as usize));
        }
    }
    assert_eq!(setup.found().await, appended);
}

/// Writers that retry until acknowledged, as Prometheus does, under faults by chance at both servers, alone and in groups.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_under_faults_lose_and_double_nothing() {
    const WRITERS: usize = 6;
    const REQUESTS: usize = 15;
    let policy = RetryPolicy { attempts_max: 3, attempt_max: Duration::from_millis(400), ..POLICY };
    let Some(setup) = Setup::start("append::many_writers_under_faults_lose_and_double_nothing", policy).await else { return };
    for (proxy, seed) in [(&setup.dynamodb, 1u64), (&setup.s3, 2)] {
        let (kinds, mut draw) = (faults(), seed);
        proxy.decide(move |_| {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (chance, kind) = ((draw >> 33) % 100, (draw >> 40) as usize % kinds.len());
            if chance < 60 { kinds[kind].clone() } else { WireFault::None }
        });
    }
    let options = GroupOptions { linger: Duration::from_millis(50), ..GroupOptions::default() };
    let buffer = Arc::new(Adaptive::living(setup.writer(), options, setup.clock.clone()));
    let hour = setup.clock.now().hour();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let buffer = buffer.clone();
        writers.spawn(async move {
            let mut failures = 0;
            for number in 0..REQUESTS {
                let batch = request(&format!("w{writer}_{number}"), hour, if number % 2 == 0 { SMALL } else { LARGE });
                while let Err(error) = buffer.append(&TenantId::anonymous(), batch.clone()).await {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                    failures += 1;
                    assert!(failures < 1000, "{error:?}");
                }
            }
            failures
        });
    }
    let failures: usize = writers.join_all().await.into_iter().sum();
    setup.dynamodb.heal();
    setup.s3.heal();
    let (met, found) = (setup.dynamodb.counts().1 + setup.s3.counts().1, setup.found().await);
    eprintln!("{met} faults were met, {failures} appends failed and were sent again");
    assert!(met > 100 && failures > 0, "{met} faults, {failures} failures");
    // A retry in another group may leave a series in two segments until they are merged; its rows are whole in each.
    let names: BTreeSet<String> =
        (0..WRITERS).flat_map(|writer| (0..REQUESTS).map(move |number| format!("w{writer}_{number}"))).collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), names);
    for (name, (_, rows)) in found {
        let number: usize = name.rsplit('_').next().unwrap().parse().unwrap();
        assert_eq!(rows as i64, if number.is_multiple_of(2) { SMALL } else { LARGE }, "{name}");
    }
}
