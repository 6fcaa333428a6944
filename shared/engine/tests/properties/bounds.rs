//! Every bound of a query has an error that names it, and what nobody waits for stops.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::EngineError;
use model::{Limits, Matcher, TenantId, TimeRangeMs, TimeRangeNs};
use plan::reference::Source;
use plan::{EvalError, Series, StreamEntries};

use crate::data::generate;
use crate::plan_of;
use crate::random::Random;
use crate::world::{Layout, Memory, World};

async fn error_of(text: &str, limits: Limits) -> EngineError {
    let world = World::filled(Layout::Mixed, &generate(&mut Random::new(5))).await;
    world.engines[1].query(&TenantId::anonymous(), plan_of(text, 0, 9000, 15), &limits).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_is_named() {
    let all = "{__name__=~\".+\"}";
    let error = error_of(all, Limits { query_samples_max: 100, ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query processing would load too many samples into memory in query execution");
    let error = error_of("max_over_time(temperature[40m])", Limits { query_samples_max: 10, ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query processing would load too many samples into memory in query execution");
    let error = error_of(all, Limits { query_series_max: 2, ..Limits::default() }).await;
    assert!(error.to_string().ends_with("series, limit is 2"), "{error}");
    let error = error_of(all, Limits { query_requests_max: 1, ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query needs 2 object requests, limit is 1");
    let error = error_of(all, Limits { query_memory_bytes_max: 20_000, ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query needs more than 20000 bytes of memory");
    // A raw range vector is held by nobody but the evaluator.
    let error =
        error_of("sum_over_time(temperature[40m:15s])", Limits { query_memory_bytes_max: 5_000, ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query needs more than 5000 bytes of memory");
    // Nothing is read, but a million steps of a subquery are held.
    let error = error_of("sum_over_time(vector(1)[40m:10ms])", Limits { query_memory_bytes_max: 1_000_000, ..Limits::default() });
    assert_eq!(error.await.to_string(), "query needs more than 1000000 bytes of memory");
    // Seconds of work, which ends with the query: otherwise the runtime of this test would not end either.
    let long = "max_over_time((temperature * 2)[40m:10ms])";
    let error = error_of(long, Limits { query_timeout: Duration::from_millis(30), ..Limits::default() }).await;
    assert_eq!(error.to_string(), "query timed out in expression evaluation");
}

/// Series that somebody stopped waiting for.
struct Stopped(Memory);

impl Source for Stopped {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        self.0.series(matchers, range)
    }
    fn streams(&self, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        self.0.streams(matchers, range)
    }
    fn stop(&self) -> Option<Arc<AtomicBool>> {
        Some(Arc::new(AtomicBool::new(true)))
    }
}

#[test]
fn an_evaluation_that_nobody_waits_for_stops() {
    let memory = Memory(generate(&mut Random::new(5)));
    let plan = plan_of("sum(rate(requests_total[5m])) + 1", 0, 9000, 15);
    assert!(plan::reference::evaluate(&plan, &memory).is_ok());
    let error = plan::reference::evaluate(&plan, &Stopped(memory)).unwrap_err();
    assert_eq!(error.to_string(), "query was canceled in query execution");
}
