//! Asks a Prometheus-compatible server and compares two answers.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A query and its evaluation times; no step means an instant query at `end`.
#[derive(Clone, Debug)]
pub struct Question {
    /// PromQL.
    pub text: String,
    /// First evaluation time, seconds.
    pub start: f64,
    /// Last evaluation time, seconds.
    pub end: f64,
    /// Step, seconds.
    pub step: Option<u32>,
}

/// Asks one server; anything but a 200 is an error with the server's text.
pub fn ask(url: &str, question: &Question) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = match question.step {
        None => agent
            .get(format!("{url}/api/v1/query"))
            .query("query", &question.text)
            .query("time", question.end.to_string())
            .call()?,
        Some(step) => agent
            .get(format!("{url}/api/v1/query_range"))
            .query("query", &question.text)
            .query("start", question.start.to_string())
            .query("end", question.end.to_string())
            .query("step", step.to_string())
            .call()?,
    };
    let status = response.status();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    if !status.is_success() {
        bail!("{url} answered {status} to {}: {text}", question.text);
    }
    serde_json::from_str(&text).with_context(|| format!("parse the answer to {}", question.text))
}

/// Counts the series of an answer.
pub fn series_count(answer: &Value) -> usize {
    answer["data"]["result"].as_array().map_or(0, Vec::len)
}

/// Compares two answers: the same series in any order, the same points, floats within a relative `tolerance`.
pub fn same(reference: &Value, answer: &Value, tolerance: f64) -> Result<()> {
    if reference["data"]["resultType"] != answer["data"]["resultType"] {
        bail!("{} against {}", reference["data"]["resultType"], answer["data"]["resultType"]);
    }
    if reference["data"]["resultType"] == "scalar" {
        return point_same(&reference["data"]["result"], &answer["data"]["result"], tolerance);
    }
    let (left, right) = (sorted(reference), sorted(answer));
    if left.len() != right.len() {
        let only = |a: &[(String, Value)], b: &[(String, Value)]| -> Vec<String> {
            a.iter()
                .map(|(labels, _)| labels.clone())
                .filter(|labels| !b.iter().any(|(other, _)| other == labels))
                .take(3)
                .collect()
        };
        bail!(
            "{} series against {}; only left {:?}, only right {:?}",
            left.len(),
            right.len(),
            only(&left, &right),
            only(&right, &left)
        );
    }
    for ((left_labels, left), (right_labels, right)) in left.iter().zip(&right) {
        if left_labels != right_labels {
            bail!("series {left_labels} against {right_labels}");
        }
        points_same(left, right, tolerance).with_context(|| left_labels.clone())?;
    }
    Ok(())
}

fn sorted(answer: &Value) -> Vec<(String, Value)> {
    let mut list: Vec<(String, Value)> = answer["data"]["result"]
        .as_array()
        .map(|result| result.iter().map(|series| (series["metric"].to_string(), series.clone())).collect())
        .unwrap_or_default();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    list
}

fn points_same(left: &Value, right: &Value, tolerance: f64) -> Result<()> {
    let points = |series: &Value| match series["values"].as_array() {
        Some(values) => values.clone(),
        None => vec![series["value"].clone()],
    };
    let (left, right) = (points(left), points(right));
    if left.len() != right.len() {
        bail!("{} points against {}: first {:?} against {:?}", left.len(), right.len(), left.first(), right.first());
    }
    left.iter().zip(&right).try_for_each(|(left, right)| point_same(left, right, tolerance))
}

fn point_same(left: &Value, right: &Value, tolerance: f64) -> Result<()> {
    let number = |point: &Value| match point[1].as_str().unwrap_or_default() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse::<f64>().unwrap_or(f64::NAN),
    };
    let (a, b) = (number(left), number(right));
    let close = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs());
    if left[0].as_f64() != right[0].as_f64() || !close {
        bail!("point {left} against {right}");
    }
    Ok(())
}
