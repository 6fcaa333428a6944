//! Ten million points: the answer is written while it is sent, and its text, some 240 MB, never exists as a whole. One test, so that
//! the process's peak is its own.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use fn_query::source::{
    Cardinality, Cost, Deletion, DeletionRequest, Evaluated, Found, Labels, Lookup, Source, SourceError, VolumeQuery, Volumes,
};
use fn_query::{Options, State, router};
use http::Request;
use http_body_util::BodyExt;
use model::{Clock, Exemplar, LabelSet, Limits, Matcher, MetricMetadata, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs};
use plan::patterns::Pattern;
use plan::value::{StepSeries, StepValues};
use plan::{Answer, LogicalPlan, Series, Value};
use tower::ServiceExt;

const SERIES: usize = 1_000;
const POINTS: usize = 10_000;
/// Beside the values: pieces under way, labels, the runtime.
const OVERHEAD_KIB_MAX: usize = 24 << 10;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(1_767_225_600_000)
    }
}

/// Answers every query with the same series of distinct values.
struct Wide;

#[async_trait]
impl Source for Wide {
    async fn evaluate(&self, _: &[TenantId], plan: LogicalPlan, _: Labels) -> Result<Evaluated, SourceError> {
        let series = |index: usize| StepSeries {
            labels: LabelSet::from_pairs([("__name__", "wide"), ("series", index.to_string().as_str())]),
            drop_name: false,
            values: StepValues {
                floats: (0..plan.grid.len()).map(|step| (index * step) as f64 + 0.25).collect(),
                histograms: Vec::new(),
            },
        };
        let value = Value::Vector((0..SERIES).map(series).collect());
        let answer = Answer::of(value);
        Ok(Evaluated { answer, cost: Cost::default() })
    }

    async fn series(&self, _: Lookup) -> Result<Found<LabelSet>, SourceError> {
        unreachable!("not asked")
    }

    async fn label_names(&self, _: Lookup) -> Result<Found<String>, SourceError> {
        unreachable!("not asked")
    }

    async fn label_values(&self, _: Lookup, _: String) -> Result<Found<String>, SourceError> {
        unreachable!("not asked")
    }

    async fn metadata(&self, _: &TenantId, _: Option<String>, _: TimeRangeMs) -> Result<Found<MetricMetadata>, SourceError> {
        unreachable!("not asked")
    }

    async fn samples(&self, _: &TenantId, _: Vec<Matcher>, _: TimeRangeMs) -> Result<Found<Series>, SourceError> {
        unreachable!("not asked")
    }

    async fn cardinality(&self, _: &TenantId, _: TimeRangeMs, _: usize) -> Result<Cardinality, SourceError> {
        unreachable!("not asked")
    }

    async fn delete(&self, _: &TenantId, _: Vec<Matcher>, _: TimeRangeMs) -> Result<(), SourceError> {
        unreachable!("not asked")
    }

    async fn volumes(&self, _: &[TenantId], _: VolumeQuery) -> Result<Volumes, SourceError> {
        unreachable!("not asked")
    }

    async fn patterns(&self, _: &[TenantId], _: Vec<Matcher>, _: TimeRangeNs, _: i64) -> Result<Found<Pattern>, SourceError> {
        unreachable!("not asked")
    }

    async fn delete_entries(&self, _: &TenantId, _: DeletionRequest) -> Result<Deletion, SourceError> {
        unreachable!("not asked")
    }

    async fn entry_deletions(&self, _: &TenantId) -> Result<Vec<Deletion>, SourceError> {
        unreachable!("not asked")
    }

    async fn cancel_deletion(&self, _: &TenantId, _: u128) -> Result<bool, SourceError> {
        unreachable!("not asked")
    }

    async fn exemplars(&self, _: Lookup) -> Result<Found<(LabelSet, Vec<Exemplar>)>, SourceError> {
        unreachable!("not asked")
    }
}

fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_million_points_are_streamed() {
    let app = router(State::new(Arc::new(Wide), Limits::default().into(), Options::default(), Arc::new(Fixed)));
    let path = format!("/api/v1/query_range?query=wide&start=0&end={}&step=1", POINTS - 1);
    let before_kib = peak_kib();
    let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut body, mut bytes, mut points) = (response.into_body(), 0, 0);
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        bytes += piece.len();
        points += piece.windows(3).filter(|end| *end == b".25").count();
    }
    // A value may lie across two pieces; there are some thousand pieces.
    assert!((SERIES * POINTS - 10_000..=SERIES * POINTS).contains(&points), "{points} points");
    assert!(bytes > 150_000_000, "{bytes} bytes");
    let grown_kib = peak_kib() - before_kib;
    let values_kib = SERIES * POINTS * size_of::<f64>() / 1024;
    assert!(grown_kib < values_kib + OVERHEAD_KIB_MAX, "{grown_kib} KiB for {values_kib} KiB of values");
}
