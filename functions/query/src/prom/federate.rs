//! `/federate`: the newest sample of each series that matches.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, header};
use model::{LabelSet, TimeRangeMs, TimestampMs, is_stale};
use plan::Series;
use wire::federation::{self, Format, Sample, Value};
use wire::status::of_kind;

use super::selectors;
use crate::State;
use crate::request::{ApiRequest, header_text};
use crate::respond::{plain_error, whole};

/// Writes the newest samples of the series, none older than the lookback.
pub async fn federate(Extract(state): Extract<State>, request: ApiRequest) -> Response {
    let sets = match request.whole_form().and_then(|()| selectors(&request, &state)) {
        // A selector without a matcher is valid here and finds nothing (upstream's `PostingsForMatchers`).
        Ok(sets) => sets.into_iter().filter(|matchers| !matchers.is_empty()),
        Err(reason) => return plain_error(StatusCode::BAD_REQUEST, &reason),
    };
    let format = Format::negotiate(header_text(&request.headers, header::ACCEPT.as_str()));
    let now = state.clock.now();
    let range = TimeRangeMs::new(TimestampMs(now.0 - state.options.lookback_ms), TimestampMs(now.0 + 1));
    let tenant = request.tenant.clone();
    let read = state.looked_up(&request.limits, |source| async move {
        let mut newest: BTreeMap<LabelSet, Sample> = BTreeMap::new();
        for matchers in sets {
            let found = source.samples(&tenant, matchers, range).await?;
            newest.extend(found.items.into_iter().filter_map(|series| Some((series.labels.clone(), last(series)?))));
        }
        Ok::<_, crate::source::SourceError>(newest)
    });
    let samples = match read.await {
        Ok(Ok(newest)) => by_name(newest),
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(of_kind(error.kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return plain_error(status, &error.message);
        }
        Err(refusal) => return plain_error(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string()),
    };
    let mut body = Vec::new();
    federation::write(&mut body, format, &samples);
    whole(StatusCode::OK, format.content_type(), body)
}

/// Orders by metric name, then by labels.
fn by_name(newest: BTreeMap<LabelSet, Sample>) -> Vec<Sample> {
    let mut samples: Vec<Sample> = newest.into_values().collect();
    samples.sort_by(|a, b| a.labels.get("__name__").cmp(&b.labels.get("__name__")));
    samples
}

/// Returns the last sample of a series; the formats know no staleness, so a series that ended is left out.
fn last(mut series: Series) -> Option<Sample> {
    let float = series.timestamps.last().copied().zip(series.values.last().copied());
    let histogram = series.histograms.pop();
    let (timestamp, value) = match (float, histogram) {
        (Some((at, _)), Some(histogram)) if histogram.timestamp > at => of_histogram(histogram)?,
        (None, Some(histogram)) => of_histogram(histogram)?,
        (Some((at, value)), _) => (at, (!is_stale(value)).then_some(Value::Float(value))?),
        (None, None) => return None,
    };
    Some(Sample { labels: series.labels, timestamp, value })
}

fn of_histogram(sample: plan::value::HistogramSample) -> Option<(i64, Value)> {
    let histogram = (!sample.histogram.is_stale()).then(|| (*sample.histogram).clone())?;
    Some((sample.timestamp, Value::Histogram(Box::new(histogram))))
}
