use crate::{Options, parse, parse_metric, parse_selector, prettify, print};

fn error(text: &str, options: &Options) -> String {
    parse(text, options).map_or_else(|error| error.to_string(), |expr| format!("accepted as {}", print(&expr)))
}

#[test]
fn prints_the_canonical_form() {
    for (text, wanted) in [
        ("-2^2", "-2 ^ 2"),
        ("0755 + 0x1f + 1_000", "493 + 31 + 1000"),
        ("5m", "5m"),
        ("foo[300]", "foo[5m]"),
        ("sum by(a, `b.c`) (x)", "sum by (a, \"b.c\") (x)"),
        ("x @ 1 offset -5m", "x @ 1.000 offset -5m"),
        ("-inf ^ x", "-+Inf ^ x"),
        ("{a='\u{e000}'}", r#"{a="\ue000"}"#),
        ("{\"a.b\", c!=\"d\"}", "{__name__=\"a.b\",c!=\"d\"}"),
        ("offset + by", "offset + by"),
        ("a + on(b) fill_left(1) group", "a + on (b) fill_left (1) group"),
        ("x offset 5m ^ 2", "x offset 5m ^ 2"),
        ("x[min_of(step(), 2*(1m+5))] smoothed", "x[min_of(step(), 2 * (1m + 5))] smoothed"),
        ("\"\\xff\"", "\"\\xff\""),
    ] {
        let expr = parse(text, &Options::all()).unwrap();
        assert_eq!(print(&expr), wanted, "{text}");
    }
}

#[test]
fn splits_long_lines() {
    let text = format!("sum by (job) (rate({}[5m])) / 2", "m".repeat(90));
    let wanted = format!("  sum by (job) (\n    rate({}[5m])\n  )\n/\n  2", "m".repeat(90));
    assert_eq!(prettify(&parse(&text, &Options::all()).unwrap()), wanted);
}

#[test]
fn a_stock_server_refuses_experiments() {
    let flag = "--enable-feature=promql-experimental-functions";
    for (text, wanted) in [
        ("info(x)", "1:1: parse error: function \"info\" is not enabled".to_owned()),
        ("limitk(1, x)", format!("1:1: parse error: limitk() is experimental and must be enabled with {flag}")),
        ("x[1m] smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled".to_owned()),
        ("a + fill(1) b", "1:1: parse error: binop fill modifiers are experimental and not enabled".to_owned()),
        ("x[1m+1m]", "accepted as x[1m + 1m]".to_owned()),
    ] {
        assert_eq!(error(text, &Options::default()), wanted, "{text}");
    }
    let old = Options { duration_expressions: false, ..Options::default() };
    assert_eq!(error("x[1m+1m]", &old), "1:3: parse error: experimental duration expression is not enabled");
}

#[test]
fn labels_of_a_group_are_wanted_where_no_operand_begins() {
    for (rest, found) in [("", "end of input"), ("=", "\"=\""), (", x", "\",\""), ("bool x", "<bool>")] {
        let wanted = format!("1:23: parse error: unexpected {found} in grouping opts, expected \"(\"");
        assert_eq!(error(&format!("a + on (b) group_left {rest}"), &Options::all()).replace("1:22", "1:23"), wanted);
    }
    for text in ["a + on (b) group_left by", "a + on (b) group_left -x", "a + on (b) group_left fill (1) {c=\"d\"}"] {
        assert!(parse(text, &Options::all()).is_ok(), "{text}");
    }
}

#[test]
fn what_cannot_be_read_comes_before_what_is_wrong_with_the_rest() {
    for (text, wanted) in [
        ("topk(a) }", "1:9: parse error: unexpected character: '}'"),
        ("sum(a, b)) x", "1:11: parse error: unexpected right parenthesis ')'"),
        ("x[- 3", "1:6: parse error: unclosed left bracket"),
        ("abs(x, on)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("topk(1, [x)", "1:7: parse error: trailing commas not allowed in function call args"),
        ("x[5s%0d;]", "1:8: parse error: unexpected character: ';'"),
        // What is complete is judged without reading on.
        ("(count() by (job)", "1:2: parse error: no arguments for aggregate expression provided"),
        ("x[:1m]", "1:4: parse error: unexpected colon before duration in duration expression"),
        (
            "rate(x[1m])[:1m]",
            "1:13: parse error: unexpected \":\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("abs(0_, 5)", "1:5: parse error: error parsing number: strconv.ParseFloat: parsing \"0_\": invalid syntax"),
    ] {
        assert_eq!(error(text, &Options::all()), wanted, "{text}");
    }
    assert_eq!(error("a + fill(1) b)", &Options::default()), "1:15: parse error: unexpected right parenthesis ')'");
}

#[test]
fn errors_count_lines() {
    assert_eq!(error("a +\n  b c", &Options::default()), "2:5: parse error: unexpected identifier \"c\"");
}

#[test]
fn selectors_and_series_stand_alone() {
    assert_eq!(parse_selector("up{a=~\"b\"}", &Options::default()).unwrap().len(), 2);
    for text in ["", "sum(x)", "x[5m]", "{a}", "1"] {
        assert!(parse_selector(text, &Options::default()).is_err(), "{text}");
    }
    let labels = parse_metric("x{a=\"1\", \"b.c\"=\"2\"}").unwrap();
    let wanted = [("a", "1"), ("b.c", "2"), ("__name__", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(labels, wanted);
    let message = parse_metric("{a=1}").unwrap_err().to_string();
    assert_eq!(message, "1:4: parse error: unexpected character inside braces: '1'");
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "1" + &close.repeat(100_000);
    for text in [deep("(", ")"), deep("-", ""), deep("abs(", ")"), deep("x[(", ")]"), deep("1+", ""), deep("1^", "")] {
        assert!(error(&text, &Options::all()).contains("parse error"), "{}", &text[..20]);
    }
    assert!(error(&("x".to_owned() + &"[5m:]".repeat(100_000)), &Options::all()).contains("operators"));
    let chain = vec!["x"; crate::limits::CHAIN_MAX + 1].join(" or ");
    assert_eq!(error(&chain, &Options::all()), format!("accepted as {chain}"));
}

/// Words thrown together by a seeded generator: no panic, and what parses prints as a fixpoint.
#[test]
fn anything_is_answered() {
    const WORDS: &[&str] = &[
        "x", "sum", "by", "(", ")", "(", ")", "[", "]", "5m", ":", "1", "+", "-", "^", "{", "}", "a", "=", "\"b\"", ",",
        "offset", "@", "start", "step", "()", "rate", "x[5m]", "on", "bool", "<", "</", "inf", "0x", "\u{e9}", "'", "\\",
        "smoothed", "fill", "#", "\n", "!",
    ];
    let (mut state, mut parsed) = (7u64, 0);
    for _ in 0..60_000 {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let text: String = (0..next() % 9 + 1).map(|_| WORDS[next() % WORDS.len()].to_owned() + [" ", ""][next() % 2]).collect();
        let Ok(expr) = parse(&text, &Options::all()) else { continue };
        let printed = print(&expr);
        // Upstream prints infinity with a sign, which binds looser than `^`.
        if printed.contains("+Inf ^") {
            continue;
        }
        let again = parse(&printed, &Options::all()).unwrap_or_else(|error| panic!("{text:?} prints as {printed:?}: {error}"));
        assert_eq!(print(&again), printed, "{text:?}");
        parsed += 1;
    }
    assert!(parsed > 1000, "{parsed} parsed");
}

fn lowered(text: &str) -> plan::LogicalPlan {
    let ms = model::TimestampMs;
    let options = plan::EvalOptions::default();
    let params = crate::EvalParams { start: ms(0), end: ms(600_000), step_ms: 60_000, lookback_ms: 300_000, options };
    crate::lower(text, &parse(text, &Options::all()).unwrap(), &params).unwrap()
}

#[test]
fn lowering_resolves_times() {
    for (text, wanted) in [
        ("x offset (step() * 2)", (120_000, None)),
        ("x offset -1.5", (-1_500, None)),
        ("x offset range()", (600_000, None)),
        ("x offset +-1m", (-60_000, None)),
        ("x offset --1m * 2", (120_000, None)),
        ("x @ end()", (0, Some(600_000))),
        ("x @ 1.5 offset 1m", (60_000, Some(1_500))),
    ] {
        let plan = lowered(text);
        let (plan::Node::Instant(select), fixed) = (match plan.root {
            plan::Node::StepInvariant(node) => (*node, true),
            node => (node, false),
        }) else {
            panic!("{text} is no selector")
        };
        assert_eq!((select.offset_ms, select.at.map(|at| at.0)), wanted, "{text}");
        assert_eq!(fixed, wanted.1.is_some(), "{text}");
    }
}

#[test]
fn a_selector_behind_a_plus_is_none_for_the_function_around_it() {
    for (text, wanted) in [("absent(+x)", true), ("absent(x)", false), ("absent((x))", false), ("absent(+(x + 1))", false)] {
        let plan::Node::Call(call) = lowered(text).root else { panic!("{text} is no call") };
        assert_eq!(matches!(call.args[0], plan::Node::Plus(_)), wanted, "{text}");
    }
}

#[test]
fn what_does_not_change_is_evaluated_once() {
    for (text, wanted) in [
        ("timestamp((x @ 1))", true),
        ("timestamp(abs(x @ 1))", false),
        ("hour(x @ 1)", false),
        ("vector(range())", true),
        ("vector(time())", false),
        ("topk(scalar(y), x @ 1)", true),
        ("topk(1, x)", false),
        ("x @ 1 + time()", false),
    ] {
        assert_eq!(matches!(lowered(text).root, plan::Node::StepInvariant(_)), wanted, "{text}");
    }
}

#[test]
fn range_queries_are_of_values_per_step() {
    let error = |text| {
        let ms = model::TimestampMs;
        let options = plan::EvalOptions::default();
        let params = crate::EvalParams { start: ms(0), end: ms(0), step_ms: 60_000, lookback_ms: 300_000, options };
        crate::lower(text, &parse(text, &Options::all()).unwrap(), &params).unwrap_err().to_string()
    };
    let wanted = |kind| format!("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector");
    assert_eq!(error("x[5m]"), wanted("range vector"));
    assert_eq!(error("\"x\""), wanted("string"));
}

#[test]
fn an_offset_out_of_range_is_told_at_its_sign() {
    for (text, at) in [
        ("foo offset -10000000000", "1:12"),
        ("foo offset +Inf + bar", "1:12"),
        ("foo offset 10000000000", "1:12"),
        ("foo offset --10000000000", "1:14"),
    ] {
        assert_eq!(error(text, &Options::all()), format!("{at}: parse error: duration out of range"), "{text}");
    }
}

#[test]
fn lowering_refuses_windows_of_no_length() {
    let ms = model::TimestampMs;
    let options = plan::EvalOptions::default();
    let params = crate::EvalParams { start: ms(0), end: ms(0), step_ms: 0, lookback_ms: 300_000, options };
    for (text, wanted) in [
        ("rate(x[1m - 1m])", "7:14: duration must be greater than 0"),
        ("x[step()]", "2:8: duration must be greater than 0"),
        ("x[(0)]", "2:4: duration must be greater than 0"),
        ("x[5m:(range())]", "6:13: duration must be greater than 0"),
        ("x[-step()]", "2:9: duration must be greater than 0"),
        ("x[min_of(1m, 0)]", "9:14: duration must be greater than 0"),
        ("x[1m ^ 1000]", "2:11: duration is NaN or infinite"),
        ("x offset (1m % NaN)", "10:18: duration is NaN or infinite"),
        ("x offset (2 ^ 40)", "10:16: duration is out of range"),
        ("x[1m / (0)]", "2:9: division by zero"),
        ("x offset (1 + 1m % step())", "14:25: modulo by zero"),
        ("x[(0 - 2 ^ 40)]", "3:13: duration must be greater than 0"),
        // Of several the outer one is told; of one window offset, step, range; of an aggregation its input.
        ("rate(rate(up[-1*step()])[1h:(step())] offset (1%step()))", "46:54: modulo by zero"),
        ("rate(rate(up[-1*step()])[(range()):(step())])", "36:42: duration must be greater than 0"),
        ("rate(up[(0*1)] offset (1/step()))", "9:12: duration must be greater than 0"),
        ("topk(scalar(sum_over_time(up[step()])), rate(gauge[step()*1]))", "51:59: duration must be greater than 0"),
    ] {
        let expr = parse(text, &Options::all()).unwrap();
        assert_eq!(crate::lower(text, &expr, &params).unwrap_err().to_string(), wanted, "{text}");
    }
}
