//! Loki's verdicts, texts and printing, read from the folder `LAMELLA_CONFORMANCE` names; nothing is tested without it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};

use logql::ast::Expr;
use model::LabelSet;
use plan::logical::Node;
use plan::pipeline::{Category, Extractor, Outcome, Pipeline, Scratch};
use serde_json::Value;

type Pairs = BTreeMap<String, String>;

fn cases(file: &str) -> Option<Value> {
    let folder = std::env::var("LAMELLA_CONFORMANCE").ok()?;
    let text = std::fs::read_to_string(format!("{folder}/logql/{file}")).ok()?;
    serde_json::from_str(&text).ok()
}

fn query(case: &Value) -> Option<String> {
    if let Some(query) = case["query"].as_str() {
        return Some(query.to_owned());
    }
    let parts = case["query_parts"].as_array()?;
    Some(
        parts
            .iter()
            .map(|part| match part.as_str() {
                Some(text) => text.to_owned(),
                None => part["repeat"].as_str().unwrap().repeat(part["times"].as_u64().unwrap() as usize),
            })
            .collect(),
    )
}

/// Drops the line number, which Loki itself loses after some tokens.
fn without_line(text: &str) -> String {
    match text.strip_prefix("parse error at line ").and_then(|tail| tail.split_once(',')) {
        Some((_, tail)) => format!("parse error at line ?,{tail}"),
        None => text.to_owned(),
    }
}

#[test]
fn parse_cases() {
    let Some(data) = cases("parse_cases.json") else { return };
    let verbose = std::env::var("LAMELLA_VERBOSE").is_ok();
    let (mut total, mut verdicts, mut errors, mut texts, mut valid, mut canonical, mut pretty) = (0, 0, 0, 0, 0, 0, 0);
    for case in data["cases"].as_array().unwrap() {
        let Some(query) = query(case) else { continue };
        total += 1;
        let got = logql::parse(&query);
        if got.is_ok() == case["valid"].as_bool().unwrap() {
            verdicts += 1;
        } else {
            println!("VERDICT {} {query:.200} want {} got {:?}", case["id"], case["valid"], got.as_ref().err());
        }
        match (got, case["error"].as_str()) {
            (Err(error), Some(want)) => {
                errors += 1;
                if without_line(&error.to_string()) == without_line(want) {
                    texts += 1;
                } else {
                    println!("TEXT {query:.200}\n  want {want}\n  got  {error}");
                }
            }
            (Ok(expr), None) => {
                valid += 1;
                let want = case["canonical"].as_str().unwrap();
                let got = logql::print(&expr);
                if got == want {
                    canonical += 1;
                } else if verbose {
                    println!("CANONICAL\n  want {want}\n  got  {got}");
                }
                let want = case["pretty"].as_str().unwrap_or(want);
                let got = logql::pretty(&expr);
                if got == want {
                    pretty += 1;
                } else if verbose {
                    println!("PRETTY want\n{want}\ngot\n{got}");
                }
            }
            _ => {}
        }
    }
    println!(
        "parse cases {total}: verdicts {verdicts}, texts {texts}/{errors}, canonical {canonical}/{valid}, pretty {pretty}/{valid}"
    );
    assert_eq!(verdicts, total);
    assert!(texts * 100 >= errors * 95, "texts {texts}/{errors}");
}

fn pairs(value: &Value) -> Pairs {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn label_set(value: &Value) -> LabelSet {
    let pairs = pairs(value);
    LabelSet::from_pairs_with_empty(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// What a case expects and what came out, in one shape.
#[derive(Debug, PartialEq, Default)]
struct Result {
    error: Option<String>,
    kept: bool,
    line: Option<Vec<u8>>,
    value: Option<String>,
    labels: Pairs,
    categories: [Pairs; 3],
}

fn expected(case: &Value) -> Result {
    let expect = &case["expect"];
    let categories = ["stream", "structured_metadata", "parsed"].map(|name| pairs(&expect["categories"][name]));
    Result {
        error: expect["error"].as_str().map(str::to_owned),
        kept: expect["keep"].as_bool().unwrap_or(false),
        line: expect["line"].as_str().map(|line| line.as_bytes().to_vec()),
        value: expect["value"].as_str().map(str::to_owned),
        labels: pairs(&expect["labels"]),
        categories,
    }
}

fn run_pipeline(case: &Value) -> Result {
    let query = format!("{{job=\"x\"}} {}", case["pipeline"].as_str().unwrap());
    let failed = |error: String| Result { error: Some(error), ..Result::default() };
    let stages = match logql::parse(&query) {
        Ok(Expr::Log(log)) => log.stages,
        Ok(Expr::Metric(_)) => unreachable!(),
        Err(error) => return failed(error.to_string()),
    };
    let pipeline = match Pipeline::compile(&stages) {
        Ok(pipeline) => pipeline,
        Err(error) => return failed(error.to_string()),
    };
    let mut scratch = Scratch::at(1_788_220_800_000_000_000);
    let timestamp = case["timestamp_ns"].as_str().unwrap().parse().unwrap();
    let (stream, metadata) = (label_set(&case["stream_labels"]), label_set(&case["structured_metadata"]));
    match pipeline.process(&mut scratch, timestamp, case["line"].as_str().unwrap().as_bytes(), &stream, &metadata) {
        Outcome::Drop => Result::default(),
        Outcome::Keep { line, labels } => {
            let mut result = Result { kept: true, line: Some(line.into_owned()), ..Result::default() };
            labels.for_each(|name, value, category| {
                result.labels.insert(name.to_owned(), value.to_owned());
                let index = match category {
                    Category::Stream => 0,
                    Category::Metadata => 1,
                    Category::Parsed => 2,
                };
                result.categories[index].insert(name.to_owned(), value.to_owned());
            });
            result
        }
    }
}

fn first_window(node: &Node) -> Option<&plan::logical::LogWindow> {
    match node {
        Node::LogWindow(window) => Some(window),
        Node::Aggregate(aggregate) => first_window(&aggregate.input),
        Node::Binary(binary) => first_window(&binary.left).or_else(|| first_window(&binary.right)),
        Node::Call(call) => call.args.iter().find_map(first_window),
        _ => None,
    }
}

fn run_sample(case: &Value) -> Result {
    let text = case["query"].as_str().unwrap();
    let failed = |error: String| Result { error: Some(error), ..Result::default() };
    let expr = match logql::parse(text) {
        Ok(expr) => expr,
        Err(error) => return failed(error.to_string()),
    };
    let params = logql::Params {
        text: text.into(),
        start_ns: 0,
        end_ns: 0,
        step_ns: 1,
        instant: true,
        newest_first: true,
        limit: 100,
        interval_ns: 0,
        approx_topk: false,
    };
    let plan = match logql::lower(&expr, &params) {
        Ok(plan) => plan,
        Err(error) => return failed(error.to_string()),
    };
    let extractor = Extractor::compile(first_window(&plan.root).unwrap()).unwrap();
    let mut scratch = Scratch::default();
    let (stream, metadata) = (label_set(&case["stream_labels"]), label_set(&case["structured_metadata"]));
    match extractor.extract(&mut scratch, 0, case["line"].as_str().unwrap().as_bytes(), &stream, &metadata) {
        None => Result::default(),
        Some(sample) => Result {
            kept: true,
            value: Some(plan::pipeline::units::format_float(sample.value)),
            labels: sample.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..Result::default()
        },
    }
}

#[test]
fn stage_cases() {
    let Some(data) = cases("stage_cases.json") else { return };
    let verbose = std::env::var("LAMELLA_VERBOSE").unwrap_or_default();
    let mut groups: HashMap<String, [usize; 2]> = HashMap::new();
    for case in data["cases"].as_array().unwrap() {
        let group = case["group"].as_str().unwrap();
        let (mut want, got) = (expected(case), if group == "sample" { run_sample(case) } else { run_pipeline(case) });
        if case["expect"]["line_base64"].is_string() {
            want.line.clone_from(&got.line);
        }
        let counts = groups.entry(group.to_owned()).or_default();
        counts[0] += 1;
        counts[1] += usize::from(got == want);
        if got != want && (verbose == "1" || verbose == group) {
            println!(
                "{} {group} {}{} on {}\n  want {want:?}\n  got  {got:?}",
                case["id"], case["pipeline"], case["query"], case["line"]
            );
        }
    }
    let mut names: Vec<_> = groups.keys().collect();
    names.sort();
    let mut total = [0; 2];
    for name in names {
        let counts = groups[name];
        println!("stage cases {name}: {}/{}", counts[1], counts[0]);
        (0..2).for_each(|i| total[i] += counts[i]);
    }
    println!("stage cases: {}/{}", total[1], total[0]);
    assert_eq!(total[1], total[0]);
}
