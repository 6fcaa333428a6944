//! Runs a script.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use model::{Histogram, LabelSet};
use plan::Series;
use plan::value::{HistogramSample, StepValue, Value};

use super::compare;
use super::evaluator::{Evaluator, Query};
use super::items::{Item, duration, expand, series};
use super::script::{Case, Command, Text, case, commands};

/// A case that failed.
#[derive(Debug)]
pub struct Failure {
    /// Where.
    pub line: usize,
    /// What.
    pub query: String,
    /// Why.
    pub reason: String,
}

/// The outcome of a file.
#[derive(Debug)]
pub struct FileReport {
    /// File name.
    pub name: String,
    /// Cases passed.
    pub passed: usize,
    /// Cases failed.
    pub failed: Vec<Failure>,
}

/// Runs a script file.
pub fn run(path: &Path, engine: &mut dyn Evaluator) -> Result<FileReport> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let mut report = FileReport { name, passed: 0, failed: Vec::new() };
    engine.clear();
    for command in commands(&text) {
        let result = match command.head.split_whitespace().next() {
            Some("clear") => {
                engine.clear();
                continue;
            }
            Some("load") => load(&command, engine, false),
            Some("load_with_nhcb") => load(&command, engine, true),
            _ => {
                let result = eval(&command, engine);
                report.passed += usize::from(result.is_ok());
                result
            }
        };
        if let Err(error) = result {
            report.failed.push(Failure { line: command.line, query: command.head.clone(), reason: format!("{error:#}") });
        }
    }
    Ok(report)
}

fn load(command: &Command, engine: &mut dyn Evaluator, nhcb: bool) -> Result<()> {
    let step = duration(command.head.split_whitespace().nth(1).context("step of load")?)?;
    let mut starts: Option<Vec<Option<i64>>> = None;
    let mut loaded: Vec<Series> = Vec::new();
    for line in &command.body {
        if line.split_whitespace().next().is_some_and(|_| is_start_line(line)) {
            starts = Some(start_offsets(series(line)?.1)?);
            continue;
        }
        let (labels, rest) = series(line)?;
        let offsets = starts.take();
        let items = expand(rest)?;
        if let Some(offsets) = &offsets {
            ensure!(offsets.len() == items.len(), "{} start timestamps for {} samples: {line}", offsets.len(), items.len());
        }
        let start = |k: usize, t: i64| offsets.as_ref().and_then(|o| o[k]).map_or(0, |offset| t + offset);
        let mut out = Series { labels, timestamps: vec![], values: vec![], start_timestamps: vec![], histograms: vec![] };
        for (k, item) in items.into_iter().enumerate() {
            let t = k as i64 * step;
            match item {
                Item::Gap => {}
                Item::Float(value) => {
                    out.timestamps.push(t);
                    out.values.push(value);
                    out.start_timestamps.push(start(k, t));
                }
                Item::Histogram(histogram, _) => {
                    out.histograms.push(HistogramSample { timestamp: t, start_timestamp: start(k, t), histogram });
                }
            }
        }
        loaded.push(out);
    }
    if nhcb {
        to_custom_buckets(&loaded)?.into_iter().for_each(|s| engine.load(s));
    }
    loaded.into_iter().for_each(|s| engine.load(s));
    Ok(())
}

fn is_start_line(line: &str) -> bool {
    let head = match line.rfind('}') {
        Some(end) => &line[end + 1..],
        None => line,
    };
    head.split_whitespace().next().is_some_and(|word| word.ends_with("@st")) && (line.contains("}@st") || !line.contains('}'))
        || line.contains("}@st ")
}

fn start_offsets(text: &str) -> Result<Vec<Option<i64>>> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        if let Some(count) = word.strip_prefix("_x") {
            out.extend(std::iter::repeat_n(None, count.parse::<usize>()?));
        } else if word == "_" {
            out.push(None);
        } else {
            let (head, count) = match word.split_once('x') {
                Some((head, count)) => (head, count.parse::<usize>()?),
                None => (word, 0),
            };
            let split = head[1..].find(['+', '-']).map(|i| i + 1);
            let (first, step) = match split {
                Some(at) => (duration(&head[..at])?, duration(&head[at..])?),
                None => (duration(head)?, 0),
            };
            out.extend((0..=count as i64).map(|k| Some(first + k * step)));
        }
    }
    Ok(out)
}

/// Every classic histogram as one with custom buckets.
fn to_custom_buckets(loaded: &[Series]) -> Result<Vec<Series>> {
    use std::collections::BTreeMap;
    #[derive(Default)]
    struct Parts {
        buckets: Vec<(f64, f64)>,
        count: Option<f64>,
        sum: Option<f64>,
    }
    let mut groups: BTreeMap<LabelSet, BTreeMap<i64, Parts>> = BTreeMap::new();
    let mut bucketed = std::collections::HashSet::new();
    for series in loaded {
        let Some(name) = series.labels.metric_name() else { continue };
        let Some((base, part)) = name.rsplit_once('_').filter(|(_, part)| matches!(*part, "bucket" | "count" | "sum")) else { continue };
        let mut builder = series.labels.without("le").to_builder();
        builder.set("__name__", base);
        let labels = builder.build();
        let le = series.labels.get("le").and_then(|le| super::items::number(le).ok());
        if part == "bucket" && le.is_none() {
            continue;
        }
        if part == "bucket" {
            bucketed.insert(labels.clone());
        }
        let group = groups.entry(labels).or_default();
        for (t, v) in series.timestamps.iter().zip(&series.values) {
            let parts = group.entry(*t).or_default();
            match part {
                "count" => parts.count = Some(*v),
                "sum" => parts.sum = Some(*v),
                _ => parts.buckets.push((le.unwrap_or(f64::NAN), *v)),
            }
        }
    }
    let mut out = Vec::new();
    for (labels, times) in groups.into_iter().filter(|(labels, _)| bucketed.contains(labels)) {
        let mut histograms = Vec::new();
        for (timestamp, mut parts) in times.into_iter().filter(|(_, parts)| !parts.buckets.is_empty()) {
            parts.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let last = parts.buckets[parts.buckets.len() - 1];
            let count = parts.count.unwrap_or(last.1);
            if last.0 != f64::INFINITY {
                parts.buckets.push((f64::INFINITY, count));
            }
            let mut previous = 0.0;
            let counts: Vec<f64> = parts.buckets.iter().map(|(_, c)| c - std::mem::replace(&mut previous, *c)).collect();
            let mut histogram = Histogram {
                schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
                count,
                sum: parts.sum.unwrap_or(0.0),
                positive_spans: vec![model::Span { offset: 0, length: counts.len() as u32 }],
                positive_buckets: counts,
                custom_values: parts.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
                ..Histogram::default()
            };
            plan::functions::histogram::compact(&mut histogram);
            histograms.push(HistogramSample { timestamp, start_timestamp: 0, histogram: Arc::new(histogram) });
        }
        out.push(Series { labels, timestamps: vec![], values: vec![], start_timestamps: vec![], histograms });
    }
    Ok(out)
}

fn eval(command: &Command, engine: &dyn Evaluator) -> Result<()> {
    let case = case(command)?;
    let (start, end, step) = case.times;
    let query = Query { text: case.query.clone(), start, end, step };
    check(&case, engine, &query)?;
    if step == 0 && case.string.is_none() && case.range_vector.is_none() && case.fail.is_empty() && !bound_to_query(&case.query) {
        as_range(&case, engine, &query)?;
    }
    Ok(())
}

fn bound_to_query(query: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|call| query.replace(' ', "").contains(call))
}

fn check(case: &Case, engine: &dyn Evaluator, query: &Query) -> Result<()> {
    let answer = match engine.eval(query) {
        Err(_) if case.fail.iter().any(|t| matches!(t, Text::Any)) => return Ok(()),
        Err(error) if !case.fail.is_empty() => {
            let bare = error.split_once("parse error: ").map_or(error.as_str(), |(_, text)| text);
            ensure!(case.fail.iter().all(|t| t.fits(&error) || t.fits(bare)), "error {:?} expected, got {error:?}", case.fail);
            return Ok(());
        }
        Err(error) => bail!("failed: {error}"),
        Ok(answer) => answer,
    };
    ensure!(case.fail.is_empty(), "failure expected, got {:?}", answer.value);
    let annotations = [("warning", &answer.warnings, &case.warn, case.no_warn), ("info", &answer.infos, &case.info, case.no_info)];
    for (kind, got, expected, none) in annotations {
        ensure!(!none || got.is_empty(), "no {kind} expected, got {got:?}");
        for text in expected {
            ensure!(got.iter().any(|g| text.fits(g)), "{kind} {text:?} expected, got {got:?}");
        }
        if !expected.is_empty() {
            ensure!(got.iter().all(|g| expected.iter().any(|t| t.fits(g))), "unexpected {kind} in {got:?}");
        }
    }
    let times: Vec<i64> = (0..).map(|k| query.start + k * query.step.max(1)).take_while(|t| *t <= query.end).collect();
    compare::check(case, &answer.value, &times)
}

/// The point at `t` of a range query around it must be the instant result.
fn as_range(case: &Case, engine: &dyn Evaluator, query: &Query) -> Result<()> {
    let (t, minute) = (query.start, 60_000);
    let range = Query { text: query.text.clone(), start: t - minute, end: t + minute, step: minute };
    let answer = engine.eval(&range).map_err(|e| anyhow::anyhow!("as a range query: {e}"))?;
    let value = match answer.value {
        Value::Scalar(values) => Value::Scalar(vec![values[1]]),
        Value::Vector(series) => {
            let cut = series.into_iter().filter_map(|mut s| {
                let value: StepValue = s.values.get(1)?;
                s.values = plan::StepValues::absent(1);
                s.values.set(0, value);
                Some(s)
            });
            Value::Vector(cut.collect())
        }
        other => other,
    };
    let unordered = Case { ordered: false, results: case.results.clone(), times: case.times, ..Case::default() };
    compare::check(&unordered, &value, &[t]).context("as a range query")
}
