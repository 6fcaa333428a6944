//! Loki's answers to metric queries, through the reference evaluator. Read from the folder `LAMELLA_CONFORMANCE` names; nothing is
//! tested without it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::{LabelSet, Matcher, TimeRangeMs, TimeRangeNs};
use plan::value::{Entry, StepValue};
use plan::{EvalError, Series, StreamEntries, Value as Answered};
use serde_json::Value;

type Labels = BTreeMap<String, String>;
type Points = BTreeMap<i64, f64>;

fn label_set(value: &Value) -> LabelSet {
    let pairs: Vec<_> = value.as_object().into_iter().flatten().collect();
    LabelSet::from_pairs_with_empty(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

struct Streams(Vec<StreamEntries>);

impl Streams {
    fn load(dataset: &Value) -> Streams {
        let entry = |value: &Value| Entry {
            timestamp: value[0].as_str().unwrap().parse().unwrap(),
            line: value[1].as_str().unwrap().as_bytes().to_vec(),
            metadata: label_set(&value[2]),
            parsed: LabelSet::empty(),
        };
        let stream = |stream: &Value| StreamEntries {
            labels: label_set(&stream["stream"]),
            entries: stream["values"].as_array().unwrap().iter().map(entry).collect(),
        };
        Streams(dataset.as_array().into_iter().flatten().map(stream).collect())
    }
}

impl plan::reference::Source for Streams {
    fn series(&self, _: &[Matcher], _: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        Ok(Vec::new())
    }

    fn streams(&self, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        let selected = self.0.iter().filter(|stream| matchers.iter().all(|m| m.matches_labels(&stream.labels)));
        let cut = |stream: &StreamEntries| {
            let inside = |entry: &&Entry| range.start.0 <= entry.timestamp && entry.timestamp < range.end.0;
            let mut entries: Vec<Entry> = stream.entries.iter().filter(inside).cloned().collect();
            entries.sort_by_key(|entry| entry.timestamp);
            StreamEntries { labels: stream.labels.clone(), entries }
        };
        Ok(selected.map(cut).filter(|stream| !stream.entries.is_empty()).collect())
    }
}

fn integer(case: &Value, name: &str) -> i64 {
    case[name].as_str().map_or(0, |text| text.parse().unwrap())
}

fn evaluate(case: &Value, source: &Streams) -> Result<Vec<(Labels, Points)>, String> {
    let text = case["query"].as_str().unwrap();
    let params = logql::Params {
        text: text.into(),
        start_ns: integer(case, "start_ns"),
        end_ns: integer(case, "end_ns"),
        step_ns: integer(case, "step_ns").max(1),
        instant: case["type"] == "instant",
        newest_first: true,
        limit: 100,
        interval_ns: 0,
        approx_topk: true,
    };
    let expr = logql::parse(text).map_err(|error| error.to_string())?;
    let plan = logql::lower(&expr, &params).map_err(|error| error.to_string())?;
    let at = |step: usize| plan.grid.at(step).div_euclid(1_000_000);
    match plan::reference::evaluate(&plan, source).map_err(|error| error.to_string())?.value {
        Answered::Scalar(values) => {
            Ok(vec![(Labels::new(), values.into_iter().enumerate().map(|(step, value)| (at(step), value)).collect())])
        }
        Answered::Vector(series) => Ok(series
            .iter()
            .map(|series| {
                let labels = series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let points = (0..series.values.len()).filter_map(|step| match series.values.get(step)? {
                    StepValue::Float(value) => Some((at(step), value)),
                    StepValue::Histogram(_) => None,
                });
                (labels, points.collect())
            })
            .collect()),
        other => Err(format!("not a metric answer: {other:?}")),
    }
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn expected(case: &Value) -> Vec<(Labels, Points)> {
    let (expect, at) = (&case["expect"], integer(case, "start_ns") / 1_000_000);
    if expect["resultType"] == "scalar" {
        return vec![(Labels::new(), Points::from([(at, number(&expect["value"]))]))];
    }
    let one = |series: &Value| {
        let labels = series["metric"].as_object().into_iter().flatten();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let mut points: Points = series["values_ms"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|point| (point[0].as_i64().unwrap(), number(&point[1])))
            .collect();
        if series["value"].is_string() {
            points.insert(at, number(&series["value"]));
        }
        (labels, points)
    };
    expect["result"].as_array().into_iter().flatten().map(one).collect()
}

fn same(want: f64, got: f64) -> bool {
    want == got || (want.is_nan() && got.is_nan()) || (want - got).abs() <= 1e-9 * want.abs().max(got.abs())
}

fn agrees(case: &Value, got: &Result<Vec<(Labels, Points)>, String>) -> bool {
    let expect = &case["expect"];
    match (got, expect["error"].as_str()) {
        (Err(got), Some(want)) => {
            want.trim_end() == got.trim_end() || expect["error_contains"].as_str().is_some_and(|part| got.contains(part))
        }
        (Ok(got), None) => {
            let (mut want, mut got) = (expected(case), got.clone());
            got.retain(|(_, points)| !points.is_empty());
            if case["ordered"] != true {
                want.sort_by(|a, b| a.0.cmp(&b.0));
                got.sort_by(|a, b| a.0.cmp(&b.0));
            }
            let points = |want: &Points, got: &Points| {
                want.len() == got.len() && want.iter().all(|(at, v)| got.get(at).is_some_and(|g| same(*v, *g)))
            };
            want.len() == got.len() && want.iter().zip(&got).all(|(w, g)| w.0 == g.0 && points(&w.1, &g.1))
        }
        _ => false,
    }
}

#[test]
fn metric_cases() {
    let Some(folder) = std::env::var("LAMELLA_CONFORMANCE").ok() else { return };
    let text = std::fs::read_to_string(format!("{folder}/logql/metric_cases.json")).unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    let datasets: BTreeMap<&str, Streams> =
        data["datasets"].as_object().unwrap().iter().map(|(id, streams)| (id.as_str(), Streams::load(streams))).collect();
    let cases = data["cases"].as_array().unwrap();
    let mut differing = Vec::new();
    for case in cases {
        let got = evaluate(case, &datasets[case["dataset"].as_str().unwrap()]);
        if !agrees(case, &got) {
            differing.push(case["id"].as_str().unwrap());
            println!("{} {}\n  want {}\n  got  {got:?}", case["id"], case["query"], case["expect"]);
        }
    }
    println!("metric cases: {} of {} agree", cases.len() - differing.len(), cases.len());
    assert_eq!(differing, [""; 0]);
}
