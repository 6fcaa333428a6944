//! What pipelines do to entries, written as text: the stages live in `plan`, their syntax here.

#![allow(clippy::unwrap_used)]

use logql::ast::Expr;
use model::LabelSet;
use plan::pipeline::{Category, Outcome, Pipeline, Scratch};
use proptest::prelude::*;

fn compile(stages: &str) -> Pipeline {
    match logql::parse(&format!("{{job=\"x\"}} {stages}")).unwrap() {
        Expr::Log(log) => Pipeline::compile(&log.stages).unwrap(),
        Expr::Metric(_) => unreachable!(),
    }
}

fn run(stages: &str, line: &str) -> Option<String> {
    let stream = LabelSet::from_pairs([("app", "a")]);
    let metadata = LabelSet::from_pairs([("trace", "t")]);
    let mut scratch = Scratch::default();
    match compile(stages).process(&mut scratch, 0, line.as_bytes(), &stream, &metadata) {
        Outcome::Drop => None,
        Outcome::Keep { line, labels } => Some(format!("{} {}", String::from_utf8_lossy(&line), labels.merged())),
    }
}

#[test]
fn entries_pass_stages() {
    for (stages, line, want) in [
        (r#"|= "x" or "y""#, "y", Some(r#"y {app="a", trace="t"}"#)),
        (r#"!= "x" or "y""#, "y", None),
        (
            r#"| json"#,
            r#"{"app":"b","n":{"x":1},"l":[1]}"#,
            Some(r#"{"app":"b","n":{"x":1},"l":[1]} {app="a", app_extracted="b", n_x="1", trace="t"}"#),
        ),
        (r#"| logfmt | n > 1 | drop trace"#, "n=2 n=9", Some(r#"n=2 n=9 {app="a", n="2"}"#)),
        (r#"| logfmt | n > 1"#, "m=2", None),
        (r#"| regexp "(?P<v>\\d+)" | keep v"#, "a 12 b", Some(r#"a 12 b {v="12"}"#)),
        (r#"| pattern "<v> <_>" | v="a" | line_format "{{.v}}-{{.trace}}""#, "a b", Some(r#"a-t {app="a", trace="t", v="a"}"#)),
        (r#"| unpack | label_format b=app"#, r#"{"_entry":"l","k":"v"}"#, Some(r#"l {b="a", k="v", trace="t"}"#)),
        (r#"| decolorize"#, "\u{1b}[31mred\u{1b}[0m", Some(r#"red {app="a", trace="t"}"#)),
        (
            r#"| logfmt | addr = ip("10.0.0.0/8")"#,
            "addr=10.1.2.3",
            Some(r#"addr=10.1.2.3 {addr="10.1.2.3", app="a", trace="t"}"#),
        ),
    ] {
        assert_eq!(run(stages, line).as_deref(), want, "{stages} on {line}");
    }
}

#[test]
fn details_without_an_error_show_beside_another_change_only() {
    let stream = LabelSet::from_pairs([("app", "a")]);
    let labels = |stages: &str, metadata: &LabelSet| {
        let mut scratch = Scratch::default();
        match compile(stages).process(&mut scratch, 0, b"no json", &stream, metadata) {
            Outcome::Keep { labels, .. } => (labels.merged().to_string(), labels.of(Category::Parsed).len()),
            Outcome::Drop => unreachable!(),
        }
    };
    let (empty, trace) = (LabelSet::empty(), LabelSet::from_pairs([("trace", "t")]));
    assert_eq!(labels("| json | drop __error__", &empty), (r#"{app="a"}"#.to_owned(), 0));
    for (stages, metadata) in [("| json | drop __error__", &trace), ("| json | drop __error__, none!=\"x\"", &empty)] {
        let (shown, parsed) = labels(stages, metadata);
        assert!(shown.contains("__error_details__") && parsed == 1, "{stages}: {shown}");
    }
}

#[test]
fn logfmt_expressions_have_rules_of_their_own() {
    for (stages, line, want) in [
        ("| logfmt x=`a`", "a=1", r#"a=1 {app="a", trace="t", x="1"}"#),
        ("| logfmt x=`a`, x=`b`", "a=1 b=2", r#"a=1 b=2 {app="a", trace="t", x="2"}"#),
        // A key that is a label already is not read again.
        ("| logfmt | logfmt x=`a`", "a=1", r#"a=1 {a="1", app="a", trace="t", x=""}"#),
        ("| logfmt x=`a`", "a=1\u{fffd}", "a=1\u{fffd} {app=\"a\", trace=\"t\", x=\"\"}"),
    ] {
        assert_eq!(run(stages, line).as_deref(), Some(want), "{stages} on {line}");
    }
}

#[test]
fn captures_keep_what_is_no_text() {
    let stream = LabelSet::from_pairs([("app", "a")]);
    for stages in ["| pattern `<v> <_>`", "| regexp `^(?P<v>x.y) `"] {
        let mut scratch = Scratch::default();
        let Outcome::Keep { labels, .. } = compile(stages).process(&mut scratch, 0, b"x\xc3y z", &stream, &LabelSet::empty())
        else {
            unreachable!()
        };
        assert_eq!(labels.get("v"), Some(("x\u{fffd}y", Category::Parsed)), "{stages}");
    }
}

#[test]
fn filters_tell_the_scan_what_lines_must_have() {
    let literals = |stages: &str| -> Vec<Vec<String>> {
        let pipeline = compile(stages);
        let text = |literal: &Vec<u8>| String::from_utf8_lossy(literal).into_owned();
        pipeline.required_literals().iter().map(|any| any.iter().map(text).collect()).collect()
    };
    assert_eq!(literals(r#"|= "a" or "b" != "c" |> "<_>lit<_>l""#), [vec!["a", "b"], vec!["lit"]]);
    assert_eq!(literals(r#"| json |= "a" | line_format "x" |= "b""#), [["a"]]);
    assert_eq!(literals(r#"|~ "a.bc|d" |~ "(?i)x" |= """#), [["bc", "d"]]);
}

const STAGES: [&str; 14] = [
    "| json",
    "| json a=\"x.y[0]\", b=\"[\\\"k\\\"]\"",
    "| logfmt",
    "| logfmt --strict --keep-empty",
    "| logfmt a=\"b\"",
    "| regexp \"(?P<v>.*)=\"",
    "| pattern \"<a>=<b> \"",
    "| unpack",
    "| decolorize",
    "|= ip(\"::1/64\")",
    "|~ \"a.c|\\\\d\"",
    "|> \"<_>a<_>\"",
    "| logfmt | a>1 or b>1s or c>1KB or d=ip(\"1.1.1.1\")",
    "| json | line_format \"{{.a}}\" | logfmt | label_format c=a,d=\"{{.b}}\" | keep c,d | drop d=~\".+\"",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_breaks_a_stage(index in 0usize..STAGES.len(), line in proptest::collection::vec(any::<u8>(), 0..64)) {
        let pipeline = compile(STAGES[index]);
        let labels = LabelSet::from_pairs([("a", "b")]);
        let mut scratch = Scratch::default();
        if let Outcome::Keep { labels, .. } = pipeline.process(&mut scratch, 0, &line, &labels, &LabelSet::empty()) {
            let _ = labels.merged();
        }
    }

    #[test]
    fn no_text_breaks_a_stage(index in 0usize..STAGES.len(), line in "[{}\\[\\]\":,=a0. \\\\u\n-]{0,40}") {
        let pipeline = compile(STAGES[index]);
        let mut scratch = Scratch::default();
        let empty = LabelSet::empty();
        let _ = pipeline.process(&mut scratch, 0, line.as_bytes(), &empty, &empty);
    }

    #[test]
    fn a_pattern_that_translates_also_compiles(pattern in "[\\[\\](){}|*+?^$.\\\\a-cdpLwsbQEPx0-3:,<>!i-]{0,24}") {
        if model::re2::translate(&pattern).is_ok() {
            let compiled = model::re2::compile_bytes(&pattern);
            let fine = compiled.as_ref().err().is_none_or(|error| error.message == "expression too large");
            prop_assert!(fine, "{pattern}: {compiled:?}");
        }
    }
}
