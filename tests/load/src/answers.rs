//! Asks a Prometheus-compatible server and compares two answers.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A query and its evaluation times; no step means an instant query at `end`.
#[derive(Clone, Debug)]
pub struct Question {
    /// PromQL or LogQL.
    pub text: String,
    /// First evaluation time, seconds.
    pub start: f64,
    /// Last evaluation time, seconds.
    pub end: f64,
    /// Step, seconds.
    pub step: Option<u32>,
}

/// An answer with a status other than success.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// What was asked, and the server's words.
    pub text: String,
}

impl Refusal {
    /// Reports whether the same request may succeed later (W4).
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 503)
    }
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}

/// What a server answered: any status, the body as JSON.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The envelope; `null` where the body is not JSON.
    pub body: Value,
    text: String,
}

impl Reply {
    /// Counts the series of the answer.
    pub fn series_count(&self) -> usize {
        series_count(&self.body)
    }

    /// Returns the beginning of the body.
    pub fn brief(&self) -> String {
        self.text.chars().take(300).collect()
    }
}

/// Asks one server in PromQL; a refusal is a reply too.
pub fn reply(url: &str, question: &Question) -> Result<Reply> {
    reply_of(url, "/api/v1", question)
}

fn reply_of(url: &str, api: &str, question: &Question) -> Result<Reply> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = match question.step {
        None => agent.get(format!("{url}{api}/query")).query("time", question.end.to_string()),
        Some(step) => agent
            .get(format!("{url}{api}/query_range"))
            .query("start", question.start.to_string())
            .query("end", question.end.to_string())
            .query("step", step.to_string()),
    };
    let mut response = request.query("query", &question.text).call()?;
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    Ok(Reply { status: response.status().as_u16(), body: serde_json::from_str(&text).unwrap_or_default(), text })
}

/// Asks one server in PromQL; anything but a 200 with JSON is a [`Refusal`] with the server's text.
pub fn ask(url: &str, question: &Question) -> Result<Value> {
    answer(url, "/api/v1", question)
}

/// Asks one server in LogQL, as [`ask`] does in PromQL.
pub fn ask_loki(url: &str, question: &Question) -> Result<Value> {
    answer(url, "/loki/api/v1", question)
}

/// Asks for what a selector matches: `path` is that of label values or of series.
pub fn look_up(url: &str, path: &str, selector: &str, (start, end): (f64, f64)) -> Result<Value> {
    let request = ureq::get(format!("{url}/api/v1/{path}")).query("match[]", selector);
    let mut response = request.query("start", start.to_string()).query("end", end.to_string()).call()?;
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    serde_json::from_str(&text).with_context(|| format!("{url} answered {text}"))
}

/// Compares two lists in any order.
pub fn same_lists(reference: &Value, answer: &Value) -> Result<()> {
    let sorted = |answer: &Value| {
        let mut items: Vec<String> = answer["data"].as_array().into_iter().flatten().map(Value::to_string).collect();
        items.sort_unstable();
        items
    };
    let (left, right) = (sorted(reference), sorted(answer));
    match left.iter().zip(&right).find(|(left, right)| left != right) {
        Some((left, right)) => bail!("{left} against {right}"),
        None if left.len() != right.len() => bail!("{} items against {}", left.len(), right.len()),
        None => Ok(()),
    }
}

fn answer(url: &str, api: &str, question: &Question) -> Result<Value> {
    let reply = reply_of(url, api, question)?;
    if reply.status != 200 || reply.body.is_null() {
        let text = format!("{url} answered {}: {}", question.text, reply.text);
        return Err(Refusal { status: reply.status, text }.into());
    }
    Ok(reply.body)
}

/// Counts the series of an answer, or the items of a list.
pub fn series_count(answer: &Value) -> usize {
    answer["data"]["result"].as_array().or(answer["data"].as_array()).map_or(0, Vec::len)
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
    for (many, one) in [("values", "value"), ("histograms", "histogram")] {
        let points = |series: &Value| match series[many].as_array() {
            Some(values) => values.clone(),
            None => series.get(one).cloned().into_iter().collect(),
        };
        let (left, right) = (points(left), points(right));
        if left.len() != right.len() {
            bail!("{} {many} against {}: first {:?} against {:?}", left.len(), right.len(), left.first(), right.first());
        }
        left.iter().zip(&right).try_for_each(|(left, right)| point_same(left, right, tolerance))?;
    }
    Ok(())
}

fn point_same(left: &Value, right: &Value, tolerance: f64) -> Result<()> {
    if left[0].as_f64() != right[0].as_f64() || !close(&left[1], &right[1], tolerance) {
        bail!("point {left} against {right}");
    }
    Ok(())
}

/// Compares two values: numbers come as text, histograms as objects and lists of them.
fn close(left: &Value, right: &Value, tolerance: f64) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| close(left, right, tolerance))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| close(left, right, tolerance)))
        }
        (Value::String(left), Value::String(right)) => match (number(left), number(right)) {
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()),
            _ => left == right,
        },
        _ => left == right,
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}
