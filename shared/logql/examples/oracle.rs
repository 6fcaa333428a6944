//! (never committed) our side of the oracle protocol
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use logql::ast::Expr;
use model::{LabelSet, Matcher, TimeRangeMs, TimeRangeNs, TimestampNs};
use plan::pipeline::{Category, Extractor, Outcome, Pipeline, Scratch};
use plan::logical::{LogWindow, Node};
use plan::reference::Source;
use plan::value::{Entry, StepValue};
use plan::{EvalError, Series, StreamEntries, Value as Answered};
use serde_json::{Value, json};

fn decode(text: &str) -> Vec<u8> {
    let mut out = vec![]; let (mut acc, mut bits) = (0u32, 0);
    for b in text.bytes() {
        let v = match b { b'A'..=b'Z' => b - b'A', b'a'..=b'z' => b - b'a' + 26, b'0'..=b'9' => b - b'0' + 52, b'+' => 62, b'/' => 63, _ => continue };
        acc = acc << 6 | u32::from(v); bits += 6;
        if bits >= 8 { bits -= 8; out.push((acc >> bits) as u8); acc &= (1 << bits) - 1; }
    }
    out
}
fn encode(bytes: &[u8]) -> String {
    const T: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut s = String::new();
    for c in bytes.chunks(3) {
        let n = u32::from(c[0]) << 16 | u32::from(*c.get(1).unwrap_or(&0)) << 8 | u32::from(*c.get(2).unwrap_or(&0));
        for i in 0..4 { if i <= c.len() { s.push(T[(n >> (18 - 6 * i) & 63) as usize] as char) } else { s.push('=') } }
    }
    s
}
fn set(v: &Value) -> LabelSet {
    LabelSet::from_pairs_with_empty(v.as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v.as_str().unwrap())))
}
fn map(l: &LabelSet) -> BTreeMap<String, String> { l.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
fn num(v: &Value) -> i64 { v.as_str().and_then(|t| t.parse().ok()).unwrap_or(0) }
fn params(q: &str) -> logql::Params {
    logql::Params { text: q.into(), start_ns: 0, end_ns: 0, step_ns: 1, instant: false, newest_first: true, limit: 100, interval_ns: 0, approx_topk: true }
}
fn first_window(node: &Node) -> Option<&LogWindow> {
    match node {
        Node::LogWindow(w) => Some(w), Node::Aggregate(a) => first_window(&a.input),
        Node::Binary(b) => first_window(&b.left).or_else(|| first_window(&b.right)),
        Node::Call(c) => c.args.iter().find_map(first_window), _ => None,
    }
}
struct Streams(Vec<StreamEntries>);
impl Source for Streams {
    fn series(&self, _: &[Matcher], _: TimeRangeMs) -> Result<Vec<Series>, EvalError> { Ok(vec![]) }
    fn streams(&self, m: &[Matcher], r: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(self.0.iter().filter(|s| m.iter().all(|m| m.matches_labels(&s.labels))).map(|s| {
            let mut e: Vec<Entry> = s.entries.iter().filter(|e| r.contains(TimestampNs(e.timestamp))).cloned().collect();
            e.sort_by_key(|e| e.timestamp);
            StreamEntries { labels: s.labels.clone(), entries: e }
        }).filter(|s| !s.entries.is_empty()).collect())
    }
}
fn fl(v: f64) -> String { if v.is_nan() { "NaN".into() } else if v.is_infinite() { if v > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { format!("{v:e}") } }
fn run(r: &Value) -> Value {
    let q = r["query"].as_str().unwrap();
    let expr = match logql::parse(q) { Ok(e) => e, Err(e) => return json!({"valid": false, "error": e.to_string()}) };
    match r["op"].as_str().unwrap() {
        "parse" => {
            let kind = if matches!(expr, Expr::Log(_)) { "log" } else { "metric" };
            let mut out = json!({"valid": true, "kind": kind, "canonical": logql::print(&expr), "pretty": logql::pretty(&expr)});
            if let Err(e) = logql::lower(&expr, &params(q)) { out["build_error"] = e.to_string().into(); }
            out
        }
        "stage" => {
            let Expr::Log(log) = expr else { return json!({"error": "not a log query"}) };
            let p = match Pipeline::compile(&log.stages) { Ok(p) => p, Err(e) => return json!({"error": e.to_string()}) };
            let (line, l, m) = (decode(r["line"].as_str().unwrap()), set(&r["labels"]), set(&r["sm"]));
            let mut s = Scratch::at(1_700_000_000_000_000_000);
            match p.process(&mut s, num(&r["ts"]), &line, &l, &m) {
                Outcome::Drop => json!({"keep": false}),
                Outcome::Keep { line, labels } => json!({"keep": true, "line": encode(&line), "labels": map(&labels.merged()),
                    "stream": map(&labels.of(Category::Stream)), "structured_metadata": map(&labels.of(Category::Metadata)), "parsed": map(&labels.of(Category::Parsed))}),
            }
        }
        "sample" => {
            let plan = match logql::lower(&expr, &params(q)) { Ok(p) => p, Err(e) => return json!({"error": e.to_string()}) };
            let Some(w) = first_window(&plan.root) else { return json!({"error": "no window"}) };
            let x = match Extractor::compile(w) { Ok(x) => x, Err(e) => return json!({"error": e.to_string()}) };
            let (line, l, m) = (decode(r["line"].as_str().unwrap()), set(&r["labels"]), set(&r["sm"]));
            match x.extract(&mut Scratch::at(1_700_000_000_000_000_000), num(&r["ts"]), &line, &l, &m) {
                None => json!({"keep": false}),
                Some(s) => json!({"keep": true, "value": fl(s.value), "labels": map(&s.labels)}),
            }
        }
        _ => {
            let mut streams: Vec<StreamEntries> = r["streams"].as_array().into_iter().flatten().map(|s| StreamEntries {
                labels: set(&s["labels"]),
                entries: s["entries"].as_array().into_iter().flatten().map(|e| Entry { timestamp: num(&e["ts"]), line: decode(e["line"].as_str().unwrap()), metadata: set(&e["sm"]), parsed: LabelSet::empty() }).collect(),
            }).collect();
            streams.sort_by(|a, b| a.labels.cmp(&b.labels));
            let instant = r["instant"] == true;
            let p = logql::Params { start_ns: if instant { num(&r["end"]) } else { num(&r["start"]) }, end_ns: num(&r["end"]), step_ns: num(&r["step"]).max(1), instant,
                newest_first: r["forward"] != true, limit: r["limit"].as_u64().unwrap_or(100) as usize, interval_ns: num(&r["interval"]), ..params(q) };
            let plan = match logql::lower(&expr, &p) { Ok(p) => p, Err(e) => return json!({"error": e.to_string()}) };
            match plan::reference::evaluate(&plan, &Streams(streams)) {
                Err(e) => json!({"error": e.to_string()}),
                Ok(a) => match a.value {
                    Answered::Scalar(v) if instant => json!({"type": "scalar", "value": fl(v[0])}),
                    Answered::Scalar(v) => json!({"type": "matrix", "result": [{"metric": {}, "values": v.iter().enumerate().map(|(i, v)| json!([plan.grid.at(i) / 1_000_000, fl(*v)])).collect::<Vec<_>>()}]}),
                    Answered::Vector(s) => {
                        let result: Vec<Value> = s.iter().map(|s| {
                            let pts: Vec<Value> = (0..plan.grid.len()).filter_map(|i| match s.values.get(i)? { StepValue::Float(v) => Some(json!([plan.grid.at(i) / 1_000_000, fl(v)])), _ => None }).collect();
                            if instant { json!({"metric": map(&s.labels), "value": pts.first().map(|p| p[1].clone())}) } else { json!({"metric": map(&s.labels), "values": pts}) }
                        }).collect();
                        json!({"type": if instant { "vector" } else { "matrix" }, "result": result})
                    }
                    Answered::Streams(s) => json!({"type": "streams", "result": s.iter().map(|s| json!({"labels": s.labels.to_string(), "values": s.entries.iter().map(|e| json!([e.timestamp.to_string(), encode(&e.line)])).collect::<Vec<_>>()})).collect::<Vec<_>>()}),
                    other => json!({"error": format!("{other:?}")}),
                },
            }
        }
    }
}
fn main() {
    let mut out = std::io::BufWriter::new(std::io::stdout());
    for line in std::io::stdin().lock().lines() {
        let r: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let a = std::panic::catch_unwind(|| run(&r)).unwrap_or_else(|_| json!({"panic": "ours"}));
        writeln!(out, "{a}").unwrap();
    }
}
