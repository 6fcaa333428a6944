//! Loki's answers to range aggregations alone: extraction, windows and kernels together, evaluated the slow way. Read from the
//! folder `LAMELLA_CONFORMANCE` names; nothing is tested without it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::LabelSet;
use plan::functions::log_range::{LogSamples, absent_labels, log_range};
use plan::logical::{LogRangeFunction, LogWindow, Node};
use plan::pipeline::{Extractor, LineUse, PipelineError, Scratch};
use serde_json::Value;

fn label_set(value: &Value) -> LabelSet {
    let pairs: Vec<_> = value.as_object().into_iter().flatten().collect();
    LabelSet::from_pairs_with_empty(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

type Series = BTreeMap<LabelSet, Vec<(i64, f64)>>;

fn extract(window: &LogWindow, dataset: &Value) -> Result<Series, String> {
    let extractor = Extractor::compile(window).map_err(|error| error.to_string())?;
    let mut scratch = Scratch::default();
    let mut series = Series::new();
    for stream in dataset.as_array().unwrap() {
        let labels = label_set(&stream["stream"]);
        if !window.select.matchers.iter().all(|matcher| matcher.matches_labels(&labels)) {
            continue;
        }
        for entry in stream["values"].as_array().unwrap() {
            let timestamp: i64 = entry[0].as_str().unwrap().parse().unwrap();
            let line = entry[1].as_str().unwrap().as_bytes();
            let metadata = label_set(&entry[2]);
            let sample = match extractor.line_use() {
                LineUse::Text => extractor.extract(&mut scratch, timestamp, line, &labels, &metadata),
                LineUse::None => extractor.extract_unread(&mut scratch, timestamp, 0, &labels, &metadata),
                LineUse::Length => extractor.extract_unread(&mut scratch, timestamp, line.len(), &labels, &metadata),
            };
            let Some(sample) = sample else { continue };
            series.entry(sample.labels).or_default().push((timestamp, sample.value));
        }
    }
    series.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.0));
    Ok(series)
}

/// Evaluates one step; series whose window is empty are left out.
fn step(window: &LogWindow, series: &Series, at: i64) -> Result<BTreeMap<LabelSet, f64>, String> {
    let end_ns = at - window.offset_ns;
    let mut out = BTreeMap::new();
    for (labels, samples) in series {
        let inside: Vec<_> = samples.iter().filter(|(t, _)| *t > end_ns - window.range_ns && *t <= end_ns).collect();
        if inside.is_empty() {
            continue;
        }
        if let Some(error) = PipelineError::of(labels) {
            return Err(error.to_string());
        }
        let timestamps_ns: Vec<i64> = inside.iter().map(|sample| sample.0).collect();
        let values: Vec<f64> = inside.iter().map(|sample| sample.1).collect();
        let samples = LogSamples { timestamps_ns: &timestamps_ns, values: &values, end_ns, range_ns: window.range_ns };
        out.insert(labels.clone(), log_range(window.function, window.param, samples));
    }
    if window.function == LogRangeFunction::AbsentOverTime {
        let answer = (absent_labels(&window.select.matchers), 1.0);
        return Ok(if out.is_empty() { BTreeMap::from([answer]) } else { BTreeMap::new() });
    }
    Ok(out)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn same(want: f64, got: f64) -> bool {
    want == got || (want.is_nan() && got.is_nan()) || (want - got).abs() <= 1e-9 * want.abs().max(got.abs())
}

fn expected(case: &Value) -> BTreeMap<(LabelSet, i64), f64> {
    let mut out = BTreeMap::new();
    for series in case["expect"]["result"].as_array().into_iter().flatten() {
        let labels = label_set(&series["metric"]);
        if let Some(value) = series["value"].as_str() {
            let at: i64 = case["start_ns"].as_str().unwrap().parse().unwrap();
            out.insert((labels.clone(), at / 1_000_000), number(value));
        }
        for point in series["values_ms"].as_array().into_iter().flatten() {
            out.insert((labels.clone(), point[0].as_i64().unwrap()), number(point[1].as_str().unwrap()));
        }
    }
    out
}

fn evaluate(case: &Value, window: &LogWindow, dataset: &Value) -> Result<BTreeMap<(LabelSet, i64), f64>, String> {
    let integer = |name: &str| case[name].as_str().map_or_else(|| case[name].as_i64().unwrap_or(0), |text| text.parse().unwrap());
    let (start, end, step_ns) = (integer("start_ns"), integer("end_ns"), integer("step_ns").max(1));
    let series = extract(window, dataset)?;
    let mut out = BTreeMap::new();
    let mut at = start;
    while at <= end {
        for (labels, value) in step(window, &series, at)? {
            out.insert((labels, at / 1_000_000), value);
        }
        at += step_ns;
    }
    Ok(out)
}

#[test]
fn metric_cases_of_one_window() {
    let Some(folder) = std::env::var("LAMELLA_CONFORMANCE").ok() else { return };
    let data: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{folder}/logql/metric_cases.json")).unwrap()).unwrap();
    let (mut lowered, mut refused, mut total, mut agreed, mut unsupported) = (0, 0, 0, 0, 0);
    for case in data["cases"].as_array().unwrap() {
        let text = case["query"].as_str().unwrap();
        let params = logql::Params {
            text: text.into(),
            start_ns: 0,
            end_ns: 0,
            step_ns: 1,
            instant: case["type"] == "instant",
            newest_first: true,
            limit: 100,
            interval_ns: 0,
            approx_topk: true,
        };
        let plan = logql::parse(text).map_err(logql::Error::from).and_then(|expr| logql::lower(&expr, &params));
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) if error.to_string().contains("unsupported") => {
                unsupported += 1;
                continue;
            }
            Err(error) => {
                let wanted = case["expect"]["error"].as_str().unwrap_or("an answer");
                refused += usize::from(case["expect"]["error"].is_string());
                if !wanted.contains(&error.to_string()) {
                    println!("REFUSED {text}\n  want {wanted}\n  got  {error}");
                }
                continue;
            }
        };
        lowered += 1;
        let Node::LogWindow(window) = &plan.root else { continue };
        total += 1;
        let got = evaluate(case, window, &data["datasets"][case["dataset"].as_str().unwrap()]);
        let want = expected(case);
        let ok = match (&got, case["expect"]["error"].as_str()) {
            (Err(got), Some(want)) => got == want,
            (Ok(got), None) => got.len() == want.len() && want.iter().all(|(key, v)| got.get(key).is_some_and(|g| same(*v, *g))),
            _ => false,
        };
        agreed += usize::from(ok);
        if !ok {
            println!("{} {text}\n  want {want:?} {}\n  got  {got:?}", case["id"], case["expect"]["error"]);
        }
    }
    println!(
        "metric cases: lowered {lowered}, refused as expected {refused}, unsupported {unsupported}, one window {agreed}/{total}"
    );
    assert_eq!(agreed, total);
}
