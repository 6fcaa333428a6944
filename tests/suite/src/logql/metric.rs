//! `metric_cases.json`: metric queries over streams in memory, through the reference evaluator.

use std::collections::BTreeMap;

use model::{Matcher, TimeRangeMs, TimeRangeNs};
use plan::reference::Source;
use plan::value::{Entry, StepValue, StepValues};
use plan::{EvalError, LogicalPlan, Series, StreamEntries, Value as Answered};
use serde_json::Value;

use super::{Pairs, Tally, Verdict, cases, equal, integer, label_set, number, pairs, pairs_of, same_error, same_number, text};

/// Runs the file.
pub(super) fn run(data: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let datasets: BTreeMap<&str, Result<Vec<StreamEntries>, String>> =
        data["datasets"].as_object().into_iter().flatten().map(|(id, streams)| (id.as_str(), load(streams))).collect();
    for case in cases(data)? {
        let streams = datasets.get(case["dataset"].as_str().unwrap_or_default());
        let verdict = match streams {
            Some(Ok(streams)) => check(case, streams),
            Some(Err(difference)) => Err(difference.clone()),
            None => Err(format!("the file has no data set {}", case["dataset"])),
        };
        tally.add(case, case["query"].as_str().unwrap_or_default(), verdict);
    }
    Ok(())
}

fn load(streams: &Value) -> Result<Vec<StreamEntries>, String> {
    streams.as_array().into_iter().flatten().map(stream).collect()
}

fn stream(stream: &Value) -> Result<StreamEntries, String> {
    let values = stream["values"].as_array().into_iter().flatten();
    let entries: Result<Vec<Entry>, String> = values.map(entry).collect();
    Ok(StreamEntries { labels: label_set(&stream["stream"]), entries: entries? })
}

fn entry(value: &Value) -> Result<Entry, String> {
    let timestamp = value[0].as_str().and_then(|text| text.parse().ok()).ok_or("an entry has no time")?;
    let line = value[1].as_str().ok_or("an entry has no line")?.as_bytes().to_vec();
    Ok(Entry { timestamp, line, metadata: label_set(&value[2]), parsed: label_set(&Value::Null) })
}

fn check(case: &Value, streams: &[StreamEntries]) -> Verdict {
    let expect = &case["expect"];
    match (evaluate(case, streams), expect["error"].as_str()) {
        (Err(got), Some(_)) if expect["error_contains"].as_str().is_some_and(|part| got.contains(part)) => Ok(()),
        (Err(got), Some(want)) => same_error(want, &got),
        (Err(got), None) => Err(format!("failed: {got}")),
        (Ok(_), Some(want)) => Err(format!("answered, want {want}")),
        (Ok(got), None) => compare(case, &expected(case)?, &got),
    }
}

/// Parses, lowers and evaluates a case.
fn evaluate(case: &Value, streams: &[StreamEntries]) -> Result<Answer, String> {
    let query = text(case, "query")?;
    let mut expr = logql::parse(query).map_err(|error| error.to_string())?;
    logql::optimize(&mut expr);
    let instant = case["type"] == "instant";
    let [start_ns, end_ns, step_ns] = ["start_ns", "end_ns", "step_ns"].map(|name| integer(case, name));
    let params =
        logql::Params { start_ns: start_ns?, end_ns: end_ns?, step_ns: step_ns?.max(1), instant, ..super::params(query) };
    let plan = logql::lower(&expr, &params).map_err(|error| error.to_string())?;
    Answer::of(&plan, reference(&plan, streams)?)
}

/// Evaluates with the evaluator that is the specification.
fn reference(plan: &LogicalPlan, streams: &[StreamEntries]) -> Result<Answered, String> {
    plan::reference::evaluate(plan, &Streams(streams)).map(|answer| answer.value).map_err(|error| error.to_string())
}

/// A data set as a source.
struct Streams<'a>(&'a [StreamEntries]);

impl Source for Streams<'_> {
    fn series(&self, _: &[Matcher], _: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        Ok(Vec::new())
    }

    fn streams(&self, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        let selected = self.0.iter().filter(|stream| matchers.iter().all(|matcher| matcher.matches_labels(&stream.labels)));
        let cut = |stream: &StreamEntries| {
            let inside = |entry: &&Entry| range.start.0 <= entry.timestamp && entry.timestamp < range.end.0;
            let mut entries: Vec<Entry> = stream.entries.iter().filter(inside).cloned().collect();
            entries.sort_by_key(|entry| entry.timestamp);
            StreamEntries { labels: stream.labels.clone(), entries }
        };
        Ok(selected.map(cut).filter(|stream| !stream.entries.is_empty()).collect())
    }
}

/// An answer as the data writes it: series with points by milliseconds, in order.
#[derive(Debug)]
struct Answer {
    kind: &'static str,
    series: Vec<(Pairs, Points)>,
}

type Points = BTreeMap<i64, f64>;

impl Answer {
    fn of(plan: &LogicalPlan, value: Answered) -> Result<Answer, String> {
        let times: Vec<i64> = (0..plan.grid.len()).map(|step| plan.grid.at(step).div_euclid(1_000_000)).collect();
        let (kind, series) = match value {
            Answered::Scalar(values) => ("scalar", vec![(Pairs::new(), times.into_iter().zip(values).collect())]),
            Answered::Vector(series) => {
                let points = |values: &StepValues| {
                    times.iter().enumerate().filter_map(|(step, at)| Some((*at, float(values.get(step)?)))).collect()
                };
                ("vector", series.iter().map(|series| (pairs_of(&series.labels), points(&series.values))).collect())
            }
            other => return Err(format!("not a metric answer: {other:?}")),
        };
        Ok(Answer { kind: if plan.options.instant { kind } else { "matrix" }, series })
    }
}

fn float(value: StepValue) -> f64 {
    match value {
        StepValue::Float(value) => value,
        StepValue::Histogram(_) => f64::NAN,
    }
}

fn expected(case: &Value) -> Result<Answer, String> {
    let (expect, at) = (&case["expect"], integer(case, "start_ns")?.div_euclid(1_000_000));
    let kind =
        ["scalar", "vector", "matrix"].into_iter().find(|kind| expect["resultType"] == *kind).ok_or("unknown result type")?;
    if kind == "scalar" {
        let point = (at, number(text(expect, "value")?)?);
        return Ok(Answer { kind, series: vec![(Pairs::new(), Points::from([point]))] });
    }
    let list = expect["result"].as_array().ok_or("the case expects no list")?;
    let series: Result<Vec<_>, String> = list.iter().map(|one| Ok((pairs(&one["metric"]), points(one, at)?))).collect();
    Ok(Answer { kind, series: series? })
}

fn points(series: &Value, at: i64) -> Result<Points, String> {
    if let Some(value) = series["value"].as_str() {
        return Ok(Points::from([(at, number(value)?)]));
    }
    let points = series["values_ms"].as_array().into_iter().flatten();
    points
        .map(|point| Ok((point[0].as_i64().ok_or("a point has no time")?, number(point[1].as_str().unwrap_or_default())?)))
        .collect()
}

fn compare(case: &Value, want: &Answer, got: &Answer) -> Verdict {
    equal("result type", &want.kind, &got.kind)?;
    let agrees = |want: &(Pairs, Points), got: &(Pairs, Points)| want.0 == got.0 && same_points(&want.1, &got.1);
    let sorted = |answer: &Answer| {
        let mut series: Vec<_> = answer.series.iter().filter(|(_, points)| !points.is_empty()).cloned().collect();
        if case["ordered"] != true {
            series.sort_by(|a, b| a.0.cmp(&b.0));
        }
        series
    };
    let (want, got) = (sorted(want), sorted(got));
    if want.len() == got.len() && want.iter().zip(&got).all(|(want, got)| agrees(want, got)) {
        return Ok(());
    }
    Err(format!("result\nwant {want:?}\ngot  {got:?}"))
}

fn same_points(want: &Points, got: &Points) -> bool {
    want.len() == got.len() && want.iter().zip(got).all(|(want, got)| want.0 == got.0 && same_number(*want.1, *got.1))
}
