//! A pair of replicas from remote write to an answer, through the functions in process: what one series answers is the same before and after
//! its day is merged, to the byte; what is stored is less; what is asked of a replica by name is what docs/0021 gives up.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use boot::{Config, Host};
use http_body_util::BodyExt;
use load::remote_write::{Label, Sample, TimeSeries, WriteRequest, body};
use model::{Clock, Limits, Signal, TenantId, TenantLimits, TimeRangeMs, TimestampMs};
use store::{objects, records};
use testkit::SimulatedClock;
use tower::ServiceExt;

/// 2026-01-01T00:00:00Z, ms.
const DAY_MS: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 3_600_000;
const SCRAPE_MS: i64 = 15_000;

/// A process of each function over one store, and the time.
struct Service {
    clock: SimulatedClock,
    host: Host,
    router: Router,
}

impl Service {
    /// Replicas are merged two days after their day.
    fn new() -> Service {
        let limits = Limits { replicas_merged_after: Some(Duration::from_secs(48 * 3_600)), ..Limits::default() };
        let config = Config { limits: TenantLimits::from(limits), ..Config::memory() };
        let clock = SimulatedClock::at(TimestampMs(DAY_MS));
        let host = Host::over(config, objects::memory(), records::memory(), Arc::new(clock.clone()), 1);
        let ingest = fn_ingest::router(fn_ingest::State::direct(&host));
        let query = fn_query::router(fn_query::State::over(&host, fn_query::Options::default()));
        Service { clock, host, router: ingest.merge(query) }
    }

    fn advance_to(&self, at_ms: i64) {
        self.clock.advance(Duration::from_millis(u64::try_from(at_ms - self.clock.now().0).expect("time goes on")));
    }

    async fn send(&self, request: http::Request<Body>) -> (u16, String) {
        let answer = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("the answer is whole").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn write(&self, timeseries: Vec<TimeSeries>) -> (u16, String) {
        let built = http::Request::builder().method("POST").uri("/api/v1/write");
        let built = built.header("Content-Type", "application/x-protobuf").header("Content-Encoding", "snappy");
        let body = body(&WriteRequest { timeseries }).expect("series encode");
        self.send(built.body(Body::from(body)).expect("a request")).await
    }

    /// Asks for `[start, end]`, hours of the day, a step of so many seconds.
    async fn ask(&self, expr: &str, (start, end, step_s): (i64, i64, i64), dedup: bool) -> String {
        let at = |hour: i64| ((DAY_MS + hour * HOUR_MS) / 1_000).to_string();
        let (start, end, step, dedup) = (at(start), at(end), step_s.to_string(), dedup.to_string());
        let pairs = [("query", expr), ("start", &start), ("end", &end), ("step", &step), ("dedup", &dedup)];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = http::Request::builder().uri(format!("/api/v1/query_range?{form}")).body(Body::empty());
        let (status, body) = self.send(request.expect("a request")).await;
        assert_eq!(status, 200, "{expr}: {body}");
        body
    }

    /// A run of a fresh process; returns how many days it merged.
    async fn compact(&self) -> u64 {
        let compact = fn_compact::State::new(&self.host);
        let report = fn_compact::run_once(&compact, TimestampMs(i64::MAX), &[]).await.expect("a run");
        assert_eq!((report.failed, report.quarantined), (0, 0));
        report.replica_jobs
    }

    /// Rows that are stored.
    async fn rows(&self) -> u64 {
        let range = TimeRangeMs::new(TimestampMs(DAY_MS), TimestampMs(DAY_MS + 48 * HOUR_MS));
        let snapshot = self.host.manifest.snapshot(&TenantId::anonymous(), Signal::Metrics, range).await.expect("a snapshot");
        snapshot.parts.iter().map(|part| part.stats.rows).sum()
    }
}

/// What a replica scraped in an hour of the day: at its own offset, late by some milliseconds, and nothing while it was down.
fn scraped(hour: i64, replica: &str) -> Vec<TimeSeries> {
    let (offset_ms, down) = match replica {
        "a" => (2_000, 8 * 60 + 10..8 * 60 + 50),
        _ => (9_000, 13 * 60..13 * 60 + 20),
    };
    let scrapes = (hour * HOUR_MS / SCRAPE_MS..(hour + 1) * HOUR_MS / SCRAPE_MS).map(|scrape| scrape * SCRAPE_MS + offset_ms);
    let times: Vec<i64> = scrapes.filter(|at| !down.contains(&(at / 60_000))).map(|at| at + at / SCRAPE_MS * 7 % 13).collect();
    let series = |pod: i64| {
        let labels = [("__name__", "requests_total"), ("job", "api"), ("pod", &pod.to_string()), ("replica", replica)];
        let labels = labels.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).into();
        // It begins anew with each full hour.
        let sample = |at: &i64| Sample { value: (at % HOUR_MS * (pod + 1)) as f64 / 1_000.0, timestamp: DAY_MS + at };
        TimeSeries { labels, samples: times.iter().map(sample).collect(), ..TimeSeries::default() }
    };
    (0..2).map(series).collect()
}

/// A day and some hours of the next, written as time goes, rolled, and not closed yet.
async fn written() -> Service {
    let service = Service::new();
    for hour in 0..27 {
        service.advance_to(DAY_MS + (hour + 1) * HOUR_MS);
        for replica in ["a", "b"] {
            assert_eq!(service.write(scraped(hour, replica)).await.0, 204);
        }
    }
    for _ in 0..4 {
        service.advance_to(service.clock.now().0 + 2 * HOUR_MS);
        assert_eq!(service.compact().await, 0);
    }
    service
}

/// Asks for everything that must not change: within the day, over its edges, in coarse and in fine steps that begin anywhere.
async fn one_series(service: &Service) -> Vec<String> {
    let mut answers = Vec::new();
    for expr in [
        "requests_total",
        "rate(requests_total[5m])",
        "sum(increase(requests_total[1h]))",
        "count_over_time(requests_total[37m])",
    ] {
        for range in [(0, 24, 60), (7, 10, 15), (12, 15, 7), (1, 3, 31), (20, 27, 300), (5, 23, 3_600)] {
            answers.push(service.ask(expr, range, true).await);
        }
    }
    answers
}

#[tokio::test]
async fn one_series_answers_the_same_when_its_day_is_merged() {
    let service = written().await;
    let (before, rows) = (one_series(&service).await, service.rows().await);
    assert!(before[0].contains("requests_total") && !before[0].contains("replica"), "{:.200}", before[0]);
    let by_name = async |hour: i64| service.ask(r#"requests_total{replica="b"}"#, (hour, hour, 60), false).await;
    let count = async |hour: i64| service.ask("count(requests_total)", (hour, hour, 60), false).await;
    let (noon, late) = (by_name(12).await, by_name(24).await);
    assert!(count(12).await.contains(r#""4"]"#), "{}", count(12).await);

    service.advance_to(DAY_MS + (24 + 48) * HOUR_MS);
    assert_eq!(service.compact().await, 0, "late data may be under way");
    service.advance_to(DAY_MS + (24 + 48 + 1) * HOUR_MS + 1);
    assert_eq!(service.compact().await, 1);
    let merged = service.rows().await;
    // Of 24 hours of two, 28 are left; of three hours of the next day all six.
    assert!(merged * 3 < rows * 2 && merged * 5 > rows * 3, "{merged} rows of {rows}");
    assert_eq!(one_series(&service).await, before);

    // What is given up: who asks for a replica by name, or counts series, finds one of them where the other stood.
    assert!(noon.contains(r#""replica":"b""#) && !by_name(12).await.contains("requests_total"));
    assert!(count(12).await.contains(r#""2"]"#), "{}", count(12).await);
    // Not in the hours at which elections of other days look.
    assert_eq!(by_name(24).await, late);
    // What is as old as that is refused, so that nobody is told that it is stored.
    let (status, answer) = service.write(scraped(12, "a")).await;
    assert!(status == 400 && answer.contains("too old sample"), "{status} {answer}");
}
