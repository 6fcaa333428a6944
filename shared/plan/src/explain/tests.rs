//! Plans built by hand, and what they look like.

use std::sync::Arc;

use expect_test::{Expect, expect};
use model::{MatchOp, Matcher, TimestampMs};

use crate::logical::*;
use crate::pipeline::{CompareOp, Conversion, LabelFilter, LineFilter, LineOp, LineTerm, Logfmt, Stage, Unwrap};

const MINUTE_MS: i64 = 60_000;
const SECOND_NS: i64 = 1_000_000_000;

fn check(plan: LogicalPlan, expect: Expect) {
    expect.assert_eq(&plan.explain());
}

fn promql(root: Node) -> LogicalPlan {
    let grid = Grid::range_ms(TimestampMs(0), TimestampMs(3_600_000), MINUTE_MS);
    LogicalPlan { grid, root, options: EvalOptions::default(), text: Arc::from("") }
}

fn logql(root: Node) -> LogicalPlan {
    let grid = Grid { start: 0, end: 600 * SECOND_NS, step: 10 * SECOND_NS, unit: TimeUnit::Nanoseconds };
    let options = EvalOptions { dialect: Dialect::LogQl, ..EvalOptions::default() };
    LogicalPlan { grid, root, options, text: Arc::from("") }
}

fn select(name: &str) -> Select {
    Select {
        matchers: vec![Matcher::equal("__name__", name)],
        offset_ms: 0,
        at: None,
        lookback_ms: 5 * MINUTE_MS,
        extension: Extension::None,
        span: Span::default(),
    }
}

fn range(select: Select) -> Node {
    Node::Range(RangeInput::Select { select, range_ms: 5 * MINUTE_MS, span: Span::default() })
}

fn call(function: Function, args: Vec<Node>) -> Node {
    let arg_spans = vec![Span::default(); args.len()];
    Node::Call(Call { function, args, arg_spans, span: Span::default() })
}

fn aggregate(op: AggregateOp, without: bool, labels: &[&str], param: Option<Node>, input: Node) -> Node {
    let span = Span::default();
    let grouping = Grouping { without, labels: strings(labels) };
    Node::Aggregate(Box::new(Aggregate { op, grouping, param, input, span, param_span: span, input_span: span }))
}

fn binary(op: BinaryOp, return_bool: bool, matching: Matching, left: Node, right: Node) -> Node {
    let span = Span::default();
    Node::Binary(Box::new(Binary { op, return_bool, matching, left, right, span, left_span: span, right_span: span }))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn streams(stages: Vec<Stage>) -> LogSelect {
    LogSelect { matchers: vec![Matcher::equal("app", "shop")], stages, span: Span::default() }
}

fn contains(text: &str) -> Stage {
    Stage::LineFilters(vec![LineFilter { op: LineOp::Contains, terms: vec![LineTerm::Text(text.to_owned())] }])
}

#[test]
fn rate_summed_by_job() {
    let rate = call(Function::Rate, vec![range(select("requests_total"))]);
    check(
        promql(aggregate(AggregateOp::Sum, false, &["job", "http.route"], None, rate)),
        expect![[r#"
            promql range 0ms to 3600000ms step 1m
              aggregate sum by (job, "http.route")
                call rate
                  range {__name__="requests_total"}[5m]
        "#]],
    );
}

#[test]
fn selectors_say_when_and_how_they_read() {
    let mut early = select("m");
    early.matchers.push(Matcher::new("code", MatchOp::NotRegex, "5..|\"").unwrap());
    early.offset_ms = 90 * MINUTE_MS;
    early.at = Some(TimestampMs(1_500));
    let anchored = Select { offset_ms: -MINUTE_MS, extension: Extension::Anchored, ..select("c") };
    let mut plan = promql(binary(
        BinaryOp::Or,
        false,
        Matching { cardinality: Cardinality::ManyToMany, ..Matching::default() },
        Node::StepInvariant(Box::new(Node::Instant(early))),
        call(Function::Increase, vec![range(anchored)]),
    ));
    plan.grid = Grid::instant_ms(TimestampMs(7));
    plan.options = EvalOptions { instant: true, delayed_name_removal: true, ..EvalOptions::default() };
    check(
        plan,
        expect![[r#"
            promql instant at 7ms delayed_name_removal
              binary or
                step invariant
                  instant {__name__="m", code!~"5..|\""} lookback 5m offset 1h30m @ 1500ms
                call increase
                  range {__name__="c"}[5m] offset -1m anchored
        "#]],
    );
}

#[test]
fn subquery_with_parameter() {
    let subquery = Node::Range(RangeInput::Subquery {
        node: Box::new(Node::Negate(Box::new(Node::Instant(select("m"))), Span::default())),
        range_ms: 60 * MINUTE_MS,
        step_ms: 15_000,
        offset_ms: 250,
        at: Some(TimestampMs(0)),
        span: Span::default(),
    });
    let quantile = call(Function::QuantileOverTime, vec![Node::Literal(0.99), subquery]);
    check(
        promql(aggregate(AggregateOp::TopK, true, &[], Some(Node::Literal(3.0)), quantile)),
        expect![[r#"
            promql range 0ms to 3600000ms step 1m
              aggregate topk without ()
                param literal 3
                call quantile_over_time
                  literal 0.99
                  subquery [1h:15s] offset 250ms @ 0ms
                    negate
                      instant {__name__="m"} lookback 5m
        "#]],
    );
}

#[test]
fn matching_is_printed_between_vectors_only() {
    let vectors = Matching {
        cardinality: Cardinality::ManyToOne,
        on: true,
        labels: strings(&["instance"]),
        include: strings(&["version"]),
        fill_left: None,
        fill_right: Some(f64::NAN),
    };
    let joined = binary(BinaryOp::Mul, false, vectors.clone(), Node::Instant(select("up")), Node::Instant(select("build_info")));
    check(
        promql(binary(BinaryOp::Gt, true, vectors, joined, Node::Literal(f64::INFINITY))),
        expect![[r#"
            promql range 0ms to 3600000ms step 1m
              binary > bool
                binary * on (instance) group_left (version) fill_right NaN
                  instant {__name__="up"} lookback 5m
                  instant {__name__="build_info"} lookback 5m
                literal +Inf
        "#]],
    );
}

#[test]
fn arguments_of_every_type() {
    let texts = ["dst", "$1", "src", "(.*)\n"].map(|text| Node::Text(text.into()));
    let vector = call(Function::Vector, vec![call(Function::Time, Vec::new())]);
    check(
        promql(call(Function::LabelReplace, std::iter::once(vector).chain(texts).collect())),
        expect![[r#"
            promql range 0ms to 3600000ms step 1m
              call label_replace
                call vector
                  call time
                text "dst"
                text "$1"
                text "src"
                text "(.*)\n"
        "#]],
    );
}

#[test]
fn log_window_with_what_the_parser_must_find() {
    let status = LabelFilter::Number { name: "status".to_owned(), op: CompareOp::GreaterOrEqual, value: 500.0 };
    let window = Node::LogWindow(Box::new(LogWindow {
        function: LogRangeFunction::CountOverTime,
        select: streams(vec![contains("error"), Stage::Logfmt(Logfmt::default()), Stage::LabelFilter(status)]),
        range_ns: 60 * SECOND_NS,
        offset_ns: 3_600 * SECOND_NS,
        param: None,
        grouping: None,
        required_labels: Some(strings(&["level", "status"])),
        span: Span::default(),
    }));
    check(
        logql(aggregate(AggregateOp::Sum, false, &["level"], None, window)),
        expect![[r#"
            logql range 0ns to 600000000000ns step 10s
              aggregate sum by (level)
                log window count_over_time[1m] offset 1h requires (level, status)
                  streams {app="shop"} |= "error" | logfmt | status>=500
        "#]],
    );
}

#[test]
fn unwrapped_quantile() {
    let unwrap = Unwrap { label: "took".to_owned(), conversion: Conversion::Duration, filters: Vec::new() };
    check(
        logql(Node::LogWindow(Box::new(LogWindow {
            function: LogRangeFunction::QuantileOverTime,
            select: streams(vec![Stage::Json(Vec::new()), Stage::Unwrap(unwrap)]),
            range_ns: 1_500,
            offset_ns: 0,
            param: Some(0.95),
            grouping: Some(Grouping { without: false, labels: strings(&["path"]) }),
            required_labels: None,
            span: Span::default(),
        }))),
        expect![[r#"
            logql range 0ns to 600000000000ns step 10s
              log window quantile_over_time[1500ns] param 0.95 by (path)
                streams {app="shop"} | json | unwrap duration(took)
        "#]],
    );
}

#[test]
fn log_query_keeps_a_node_on_its_line() {
    let raw = LabelFilter::Text(Matcher::new("msg", MatchOp::Regex, "a\n.?").unwrap());
    let stages = vec![contains("a\nb"), Stage::LabelFilter(raw), Stage::LineFormat("{{.msg}}".to_owned())];
    check(
        logql(Node::Logs(Box::new(LogQuery { select: streams(stages), newest_first: true, limit: 100, interval_ns: SECOND_NS }))),
        expect![[r#"
            logql range 0ns to 600000000000ns step 10s
              logs newest first limit 100 interval 1s
                streams {app="shop"} |= "a\nb" | msg=~`a\n.?` | line_format "{{.msg}}"
        "#]],
    );
}
