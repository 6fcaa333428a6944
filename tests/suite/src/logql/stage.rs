//! `stage_cases.json`: what a pipeline, or the extraction of a sample, makes of one entry.

use logql::Expr;
use plan::logical::{LogWindow, Node};
use plan::pipeline::{Category, Extractor, Outcome, Pipeline, Scratch};
use serde_json::Value;

use super::{
    Pairs, Tally, Verdict, base64, cases, equal, integer, label_set, number, pairs, pairs_of, params, same_error, same_number,
    text,
};

/// When the queries are asked: 2026-09-01, the season in which the answers were recorded.
const NOW_NS: i64 = 1_788_220_800_000_000_000;

/// Runs the file.
pub(super) fn run(data: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    for case in cases(data)? {
        let is_sample = case["group"] == "sample";
        let subject = text(case, if is_sample { "query" } else { "pipeline" }).unwrap_or_default();
        let verdict = if is_sample { check_sample(case) } else { check_pipeline(case) };
        tally.add(case, subject, verdict);
    }
    Ok(())
}

/// Decides what can be decided before the entry itself is looked at: whether an error was due, whether the line stays.
fn settled(case: &Value, got: Result<bool, String>) -> Option<Verdict> {
    let expect = &case["expect"];
    match (got, expect["error"].as_str()) {
        (Err(got), Some(want)) => Some(same_error(want, &got)),
        (Err(got), None) => Some(Err(format!("refused: {got}"))),
        (Ok(_), Some(want)) => Some(Err(format!("built, want {want}"))),
        (Ok(kept), None) => {
            let verdict = equal("kept", &expect["keep"].as_bool().unwrap_or(false), &kept);
            (verdict.is_err() || !kept).then_some(verdict)
        }
    }
}

fn compile(query: &str) -> Result<Pipeline, String> {
    match logql::parse(query).map_err(|error| error.to_string())? {
        Expr::Log(log) => Pipeline::compile(&log.stages).map_err(|error| error.to_string()),
        Expr::Metric(_) => Err("the case is not a pipeline".to_owned()),
    }
}

fn check_pipeline(case: &Value) -> Verdict {
    let pipeline = match compile(&format!("{{job=\"x\"}} {}", text(case, "pipeline")?)) {
        Ok(pipeline) => pipeline,
        Err(error) => return settled(case, Err(error)).unwrap_or(Ok(())),
    };
    let (stream, metadata) = (label_set(&case["stream_labels"]), label_set(&case["structured_metadata"]));
    let (timestamp, line) = (integer(case, "timestamp_ns")?, text(case, "line")?);
    let mut scratch = Scratch::at(NOW_NS);
    let outcome = pipeline.process(&mut scratch, timestamp, line.as_bytes(), &stream, &metadata);
    if let Some(verdict) = settled(case, Ok(matches!(outcome, Outcome::Keep { .. }))) {
        return verdict;
    }
    let Outcome::Keep { line, labels } = outcome else { return Ok(()) };
    let mut got = Labelled::default();
    labels.for_each(|name, value, category| got.add(name, value, category));
    check_line(&case["expect"], &line)?;
    equal("labels", &pairs(&case["expect"]["labels"]), &got.union)?;
    let want = CATEGORIES.map(|name| pairs(&case["expect"]["categories"][name]));
    equal("categories (stream, structured metadata, parsed)", &want, &got.categories)
}

fn check_line(expect: &Value, got: &[u8]) -> Verdict {
    let want = match (expect["line"].as_str(), expect["line_base64"].as_str()) {
        (Some(line), _) => line.as_bytes().to_vec(),
        (None, Some(encoded)) => base64::decode(encoded).ok_or("line_base64 is not base64")?,
        (None, None) => return Ok(()),
    };
    if want == got {
        return Ok(());
    }
    equal("line", &String::from_utf8_lossy(&want), &String::from_utf8_lossy(got))
}

const CATEGORIES: [&str; 3] = ["stream", "structured_metadata", "parsed"];

/// The labels of a processed entry, together and by category.
#[derive(Debug, Default)]
struct Labelled {
    union: Pairs,
    categories: [Pairs; 3],
}

impl Labelled {
    fn add(&mut self, name: &str, value: &str, category: Category) {
        let index = match category {
            Category::Stream => 0,
            Category::Metadata => 1,
            Category::Parsed => 2,
        };
        self.union.insert(name.to_owned(), value.to_owned());
        self.categories[index].insert(name.to_owned(), value.to_owned());
    }
}

fn first_window(node: &Node) -> Option<&LogWindow> {
    match node {
        Node::LogWindow(window) => Some(window),
        Node::Aggregate(aggregate) => first_window(&aggregate.input),
        Node::Binary(binary) => first_window(&binary.left).or_else(|| first_window(&binary.right)),
        Node::Call(call) => call.args.iter().find_map(first_window),
        _ => None,
    }
}

fn extractor(query: &str) -> Result<Extractor, String> {
    let expr = logql::parse(query).map_err(|error| error.to_string())?;
    let plan = logql::lower(&expr, &params(query)).map_err(|error| error.to_string())?;
    let window = first_window(&plan.root).ok_or("the query has no range aggregation")?;
    Extractor::compile(window).map_err(|error| error.to_string())
}

fn check_sample(case: &Value) -> Verdict {
    let extractor = match extractor(text(case, "query")?) {
        Ok(extractor) => extractor,
        Err(error) => return settled(case, Err(error)).unwrap_or(Ok(())),
    };
    let (stream, metadata) = (label_set(&case["stream_labels"]), label_set(&case["structured_metadata"]));
    let mut scratch = Scratch::at(NOW_NS);
    let line = text(case, "line")?.as_bytes();
    let sample = extractor.extract(&mut scratch, integer(case, "timestamp_ns")?, line, &stream, &metadata);
    if let Some(verdict) = settled(case, Ok(sample.is_some())) {
        return verdict;
    }
    let Some(sample) = sample else { return Ok(()) };
    let want = number(text(&case["expect"], "value")?)?;
    if !same_number(want, sample.value) {
        return Err(format!("value\nwant {want}\ngot  {}", sample.value));
    }
    equal("labels", &pairs(&case["expect"]["labels"]), &pairs_of(&sample.labels))
}
