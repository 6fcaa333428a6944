use plan::logical::Node;
use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    parse(text).map(|expr| print(&expr)).unwrap_err().to_string()
}

#[test]
fn printing_is_canonical() {
    for (text, want) in [
        (r#"{a="b",c!~"d"} |= "x" or ip("10.0.0.1") |~ `\d`"#, r#"{a="b", c!~"d"} |= "x" or ip("10.0.0.1") |~ "\\d""#),
        (r#"{a="b"} != "x" or "y""#, r#"{a="b"} != "x" != "y""#),
        (r#"{a="b"} | x=1, y=2 or z>3s"#, r#"{a="b"} | ( x==1 , ( y==2 or z>3s ) )"#),
        (r#"{a="b"} | x=1 and y=2 or z>3KB"#, r#"{a="b"} | ( ( x==1 , y==2 ) or z>3.0kB )"#),
        (r#"{a="b"} | LOGFMT --keep-empty --strict x, y="z""#, r#"{a="b"} | logfmt --strict --keep-empty x="x",y="z""#),
        (r#"sum(rate({a="b"}[90s])) by (x)"#, r#"sum by (x)(rate({a="b"}[1m30s]))"#),
        (r#"rate({a="b"}[1m] offset -1h |= "x")"#, r#"rate({a="b"} |= "x"[1m] offset -1h0m0s)"#),
        (r#"1 + 2 * 3 ^ 2"#, "19"),
        // Its last digit is that of Go.
        (r#"1.1 ^ 10.3"#, "2.668975929897942"),
        (r#"vector(1) - vector(2) - 3"#, "((vector(1.000000) - vector(2.000000)) - 3)"),
        (
            r#"sum(vector(1)) > bool on (a) group_left (b) vector(2)"#,
            "(sum(vector(1.000000)) > bool on (a) group_left (b) vector(2.000000))",
        ),
        (
            r#"quantile_over_time(.5, ({a="b"} | json | unwrap bytes(x) | y="z")[1m]) by (c)"#,
            r#"quantile_over_time(0.5,{a="b"} | json | unwrap bytes(x) | y="z"[1m]) by (c)"#,
        ),
        ("{a=\"b\"} # comment\n| json // more\n", r#"{a="b"} | json"#),
        (r#"{rate="b", sum="c"} | duration > 1h"#, r#"{rate="b", sum="c"} | duration>1h0m0s"#),
    ] {
        assert_eq!(parse(text).map(|expr| print(&expr)).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn printed_queries_mean_the_same() {
    for text in [
        r#"{a="b"} |= "x" or "y" | json | x="1" or y>2 | line_format "{{.z}}" | drop a, b="c""#,
        r#"topk(2, rate({a="b"}[1h])) / 3"#,
    ] {
        let once = print(&parse(text).unwrap());
        assert_eq!(print(&parse(&once).unwrap()), once);
    }
}

#[test]
fn faults_are_lokis() {
    for (text, want) in [
        ("", "parse error : syntax error: unexpected $end"),
        (r#"{a="b""#, "parse error at line 1, col 7: syntax error: unexpected $end, expecting } or ,"),
        (r#"{a="b"} |= 1"#, "parse error at line 1, col 12: syntax error: unexpected NUMBER, expecting STRING or ip"),
        (r#"rate({a="b"})"#, "parse error at line 1, col 13: syntax error: unexpected )"),
        (r#"rate({a="b"}[1x])"#, "parse error at line 0, col 13: unknown unit \"x\" in duration \"1x\""),
        (
            "{a=~\".*\"}",
            "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will",
        ),
        ("1__0", "parse error at line 1, col 1: '_' must separate successive digits"),
        (r#"{a="b"} | c > 1EB"#, "parse error at line 1, col 15: exponent has no digits"),
        (r#"{a="b"} | c > 08"#, "parse error at line 1, col 15: invalid digit '8' in octal literal"),
        (
            r#"{a="b"} | c > -1e | d="#,
            "parse error : unable to parse literal as a float: strconv.ParseFloat: parsing \"1e\": invalid syntax",
        ),
        (r#"{a='b'}"#, "parse error at line 1, col 4: syntax error: unexpected IDENTIFIER, expecting STRING"),
        (r#"{a='bc'}"#, "parse error at line 1, col 4: invalid char literal"),
        (r#"{a='b"#, "parse error at line 1, col 4: literal not terminated"),
        (r#"{a="b"} | c > 0B"#, "parse error at line 1, col 15: decimal literal has no digits"),
        (r#"sum by (a)"#, "parse error at line 1, col 11: syntax error: unexpected $end, expecting ("),
        (r#"topk(0, vector(1))"#, "parse error : invalid parameter (must be greater than 0) topk(0"),
        (r#"{a="b"} | json | unwrap x"#, "parse error at line 1, col 18: syntax error: unexpected unwrap"),
    ] {
        assert_eq!(error(text), want, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    for text in [
        "(".repeat(100_000),
        format!("{{a=\"b\"}} | {}", "(".repeat(100_000)),
        format!("{{a=\"b\"}} | {}", "a=1,".repeat(20_000)),
        "vector(1)^".repeat(10_000),
        "vector(1)+".repeat(10_000),
        "sum(".repeat(30_000),
        format!("rate({}", "(".repeat(100_000)),
        format!("{{a=\"b\"}} |= \"x\"{}", " or \"x\"".repeat(10_000)),
        "1+".repeat(60_000),
    ] {
        let _ = parse(&text);
    }
}

#[test]
fn matchers_alone() {
    assert_eq!(parse_matchers("{}").map(|m| m.len()), Ok(0));
    assert_eq!(parse_matchers(r#"{a="b",c=~"d"}"#).map(|m| m.len()), Ok(2));
    assert_eq!(parse_matchers(r#"{a="b"} |= "x""#).unwrap_err().to_string(), "only label matchers are supported");
}

fn at_instant() -> Params {
    Params {
        text: "".into(),
        start_ns: 0,
        end_ns: 0,
        step_ns: 1,
        instant: true,
        newest_first: true,
        limit: 1,
        interval_ns: 0,
        approx_topk: false,
    }
}

#[test]
fn lines_that_nobody_reads_are_not_formatted() {
    for (text, want) in [
        (r#"rate({a="b"} | line_format "{{ if }}" | label_format x="{{.y}}" [1m])"#, r#"[LabelFormat"#),
        (r#"rate({a="b"} | logfmt | line_format "x" | json x="a" [1m])"#, "[Logfmt, LineFormat, Json]"),
        (r#"rate({a="b"} | line_format "x" |= "x" | line_format "{{ if }}" [1m])"#, "[LineFormat, LineFilters]"),
        (r#"bytes_rate({a="b"} | line_format "x" [1m])"#, "[LineFormat]"),
    ] {
        let mut expr = parse(text).unwrap();
        optimize(&mut expr);
        let Node::LogWindow(window) = lower(&expr, &at_instant()).unwrap().root else { panic!("{text}") };
        let names: Vec<String> = window.select.stages.iter().map(|stage| format!("{stage:?}")).collect();
        let names: Vec<&str> = names.iter().map(|name| name.split(['(', '{', ' ']).next().unwrap_or_default()).collect();
        let shown = format!("[{}]", names.join(", "));
        assert!(shown.starts_with(want), "{text}: {shown}");
    }
}

#[test]
fn sum_tells_the_parser_what_it_needs() {
    let params = at_instant();
    for (text, want) in [
        (r#"sum by (x) (count_over_time({a="b"} | json [1m]))"#, Some(vec!["x".to_owned()])),
        (r#"sum(rate({a="b"}[1m]))"#, Some(vec![])),
        (r#"sum without (x) (rate({a="b"}[1m]))"#, None),
        (r#"max by (x) (rate({a="b"}[1m]))"#, None),
    ] {
        let plan = lower(&parse(text).unwrap(), &params).unwrap();
        let Node::Aggregate(aggregate) = plan.root else { panic!("{text}") };
        let Node::LogWindow(window) = aggregate.input else { panic!("{text}") };
        assert_eq!(window.required_labels, want, "{text}");
    }
    let refused = lower(&parse(r#"{a="b"} | line_format "{{ .x | nosuch }}""#).unwrap(), &Params { instant: false, ..params });
    assert_eq!(
        refused.unwrap_err().to_string(),
        r#"parse error : stage '| line_format "{{ .x | nosuch }}"' : invalid line template: template: line:1: function "nosuch" not defined"#
    );
}

const WORDS: [&str; 48] = [
    "{",
    "}",
    "(",
    ")",
    "[5m]",
    "[",
    ",",
    "=",
    "!=",
    "=~",
    "|=",
    "|~",
    "|",
    "|>",
    "\"x\"",
    "`y`",
    "a",
    "b",
    "rate",
    "sum",
    "by",
    "without",
    "json",
    "logfmt",
    "unwrap",
    "1",
    "1.5",
    "5m",
    "2KB",
    "or",
    "and",
    "ip",
    "offset",
    "topk",
    "+",
    "-",
    "^",
    "label_replace",
    "vector",
    "drop",
    "--strict",
    "line_format",
    "\"(\"",
    "bool",
    "on",
    "group_left",
    "quantile_over_time",
    "#",
];

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_words_are_parsed_or_refused(words in proptest::collection::vec(0usize..WORDS.len(), 0..30)) {
        let text: Vec<&str> = words.iter().map(|index| WORDS[*index]).collect();
        if let Ok(expr) = parse(&text.join(" ")) {
            let once = print(&expr);
            let _ = pretty(&expr);
            // The canonical form of a valid query is one, too.
            let again = parse(&once).map(|expr| print(&expr));
            prop_assert_eq!(again, Ok(once));
        }
    }
}
