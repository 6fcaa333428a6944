//! Templates beyond the recorded cases: syntax errors, bounds, hostile input.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Entry, Template};

fn render(text: &str) -> Result<String, String> {
    let labels = [("a", "Ab c"), ("n", "42"), ("t", "2023-01-15T10:20:30Z")];
    let labels: BTreeMap<String, String> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let entry = Entry { line: b"the line", timestamp_ns: 1_700_000_000_123_456_789, now_ns: 1_700_000_000_000_000_000 };
    let rendered = Template::parse("line", text)?.render(entry, labels)?;
    Ok(String::from_utf8_lossy(&rendered).into_owned())
}

#[test]
fn what_go_prints_is_printed() {
    for (text, want) in [
        ("{{.a}} {{- .n}}", "Ab c42"),
        ("{{with $x := .n}}{{$x}}{{end}}", "42"),
        ("{{$x := 1}}{{range $i, $c := fromJson `[1,2]`}}{{$x = add $x $c}}{{end}}{{$x}}", "4"),
        ("{{range $i := fromJson `{\"b\":1,\"a\":2}`}}{{$i}};{{else}}none{{end}}", "2;1;"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range $k, $v := .}}{{$k}}{{continue}}x{{end}}", "ant"),
        ("{{block `T` .n}}<{{.}}>{{end}}", "<42>"),
        ("{{if eq .n `1` `42`}}y{{else if .a}}z{{end}}", "y"),
        ("{{if eq .n `1`}}y{{else if .a}}z{{end}}", "z"),
        ("{{index (fromJson `{\"k\":[1,2]}`) `k` 1}}", "2"),
        ("{{(fromJson `{\"k\":{\"l\":\"v\"}}`).k.l}}", "v"),
        ("{{printf `%5.2f|%-4d|%04d|%q|%x|%v|%t` 3.14159 7 -7 `q` `hi` 1.5 true}}", " 3.14|7   |-007|\"q\"|6869|1.5|true"),
        ("{{printf `%s %d` `a`}}", "a %!d(MISSING)"),
        ("{{printf `%s` `a` 1}}", "a%!(EXTRA int=1)"),
        ("{{printf `%[2]s %[1]s` `a` `b`}}", "b a"),
        ("{{printf `%#v` `a`}}", "\"a\""),
        ("{{printf `%[1]d %d %[1]x` 10 11}}", "10 11 a"),
        ("{{printf `%[3]s|%[x]s|%s` `a` `b`}}", "%!s(BADINDEX)|%!s(BADINDEX)|a"),
        ("{{printf `%[1]s|%[s|%[1s` `a`}}", "a|%!s(BADINDEX)|%!s(BADINDEX)"),
        ("{{(fromJson `bad`).a.b}}", "<no value>"),
        ("{{printf `%05d|%.2f|%-5s|%+.1e` .n .a 1 7}}", "%!d(string=00042)|%!f(string=Ab)|%!s(int=1    )|%!e(int=+7)"),
        ("{{printf `%*d|%-*d|%.*s` 4 7 3 8 2 .a}}", "   7|8  |Ab"),
        ("{{printf `%*d` `x`}} {{printf `%.*d` -1 2}}", "%!(BADWIDTH)%!d(MISSING) %!(BADPREC)2"),
        ("{{printf `%#q|%#q|%+q|%q|%+q` .n `a\t` `é` 10 233}}", "`42`|`a\t`|\"\\u00e9\"|'\\n'|'\\u00e9'"),
        ("{{printf `%#x|% x|%# X|%.1x` `hi` `hi` `hi` `hi`}}", "0x6869|68 69|0X68 0X69|68"),
        ("{{printf `%O %#U` 8 65}}", "0o10 U+0041 'A'"),
        ("{{int 1e20}} {{maxf `NaN` 1}} {{minf `NaN` 1}} {{maxf `NaN` `+Inf`}}", "-9223372036854775808 NaN NaN +Inf"),
        ("{{regexReplaceAll `x*` `héx` `-`}} {{count `` `hé`}}", "-h-é- 3"),
        ("{{b64dec `1h30m`}}", "illegal base64 data at input byte 4"),
        ("{{print 1 2 `a` `b` 3}}", "1 2ab3"),
        ("{{(__timestamp__).Year}} {{__timestamp__ | date `Mon Jan _2 3:04PM 06 .000`}}", "2023 Tue Nov 14 10:13PM 23 .123"),
        ("{{toDate `2006-01-02T15:04:05Z07:00` .t | unixEpoch}}", "1673778030"),
        ("{{toDate `2006-02-01` `2023-31-02`}}", "0001-01-01 00:00:00 +0000 UTC"),
        ("{{toDateInZone `2006-01-02` `Europe/Paris` `2021-11-02`}}", "2021-11-02 00:00:00 +0100 CET"),
        ("{{toDateInZone `2006-01-02 15` `America/New_York` `2021-07-04 09` | unixEpoch}}", "1625403600"),
        ("{{toDateInZone `2006-01-02 15:04` `Europe/Paris` `2021-03-28 02:30`}}", "2021-03-28 03:30:00 +0200 CEST"),
        ("{{toDateInZone `2006-01-02 15:04` `Europe/Paris` `2021-10-31 02:30`}}", "2021-10-31 02:30:00 +0100 CET"),
        ("{{toDateInZone `2006-01-02T15Z07:00` `Europe/Paris` `2021-11-02T01Z`}}", "2021-11-02 01:00:00 +0000 UTC"),
        ("{{toDateInZone `2006-01-02T15Z07:00` `Europe/Paris` `2021-11-02T01+01:00`}}", "2021-11-02 01:00:00 +0100 CET"),
        ("{{toDateInZone `2006-01-02` `America/Sao_Paulo` `2021-11-02`}}", "2021-11-02 00:00:00 -0300 -03"),
        ("{{toDateInZone `2006-01-02` `Nowhere/At_All` `2021-11-02`}}", "2021-11-02 00:00:00 +0000 UTC"),
        ("{{(toDateInZone `2006-01-02 15` `Asia/Tokyo` `2021-11-02 01`).UTC}}", "2021-11-01 16:00:00 +0000 UTC"),
        ("{{divf 1 3}} {{addf 0.1 0.2}} {{mulf 1.1 1.1}}", "0.3333333333333333 0.3 1.21"),
        ("{{'a'}} {{0x10}} {{1e3}} {{-7}}", "97 16 1000 -7"),
    ] {
        assert_eq!(render(text).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn errors_are_those_of_go() {
    for (text, want) in [
        ("{{", "template: line:1: unclosed action"),
        ("a\n{{end}}", "template: line:2: unexpected {{end}}"),
        ("{{if}}x{{end}}", "template: line:1: missing value for if"),
        ("{{.a | }}", "template: line:1: missing value for command"),
        ("{{$x}}", "template: line:1: undefined variable \"$x\""),
        ("{{.a | 1}}", "template: line:1: non executable command in pipeline stage 2"),
        ("{{(.a}}", "template: line:1: unclosed left paren"),
        ("{{nil}}", "template: line:1:2: executing \"line\" at <nil>: nil is not a command"),
        ("{{1 2}}", "template: line:1:2: executing \"line\" at <1>: can't give argument to non-function 1"),
        (
            "{{add 1 2 | upper}}",
            "template: line:1:12: executing \"line\" at <upper>: wrong type for value; expected string; got int64",
        ),
        ("{{template `x`}}", "template: line:1:11: executing \"line\" at <{{template \"x\"}}>: template \"x\" not defined"),
    ] {
        assert_eq!(render(text), Err(want.to_owned()), "{text}");
    }
}

#[test]
fn nothing_runs_away() {
    let many = "{{range 1000}}".repeat(3) + "x" + &"{{end}}".repeat(3);
    let nested = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    let clones = "{{$x := repeat 1000000 `x`}}".to_owned() + &"{{if eq $x `y`}}{{end}}".repeat(1000);
    let prints = format!("{{{{$x := repeat 1000000 `x`}}}}{{{{print {}}}}}", "$x ".repeat(1000));
    for (text, want) in [
        ("{{define `T`}}{{template `T`}}{{end}}{{template `T`}}", "exceeded maximum template depth"),
        ("{{repeat 1000000000 `xxxxxxxxxx`}}", "more than"),
        ("{{indent 1000000000 .a}}", "more than"),
        ("{{alignLeft 1000000000 .a}}", "more than"),
        ("{{range 1000000000}}x{{end}}", "more than"),
        ("{{range 100000}}{{repeat 1000 `x`}}{{end}}", "more than"),
        ("{{$x := `xx`}}{{range 1000}}{{$x = printf `%s%s` $x $x}}{{end}}", "more than"),
        (&many, "more than"),
        (&clones, "more than"),
        (&prints, "more than"),
        (&nested, "nested deeper"),
    ] {
        let error = render(text).unwrap_err();
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(render("{{printf `%1000000d` 1}}").as_deref(), Ok("%!(NOVERB)%!(EXTRA int=1)"));
    assert!(render("{{substr 5 2 .a}}").unwrap_err().contains("slice bounds out of range [5:2]"));
}

const WORDS: [&str; 60] = [
    "{{",
    "}}",
    "{{-",
    " -}}",
    " ",
    " ",
    "|",
    "(",
    ")",
    ".a",
    ".n",
    ".",
    "$",
    "$x",
    ":=",
    "=",
    ",",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define ",
    "template ",
    "break",
    "1",
    "-3",
    "2.5",
    "`s`",
    "\"q\\n\"",
    "nil",
    "true",
    "index ",
    "slice ",
    "printf ",
    "`%+05.3d%x%g`",
    "substr ",
    "trunc ",
    "date ",
    "toDate ",
    "round ",
    "div ",
    "mod ",
    "divf ",
    "mulf ",
    "add ",
    "unixToTime ",
    "fromJson ",
    "b64dec ",
    "title ",
    "alignRight ",
    "repeat ",
    "js ",
    "html ",
    "urldecode ",
    "regexReplaceAll ",
    "duration ",
    "now",
    "__line__",
    "999999999999999999",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_template_breaks_anything(words in proptest::collection::vec(0usize..WORDS.len(), 0..16)) {
        let text: String = words.iter().map(|index| WORDS[*index]).collect();
        let _ = render(&text);
        let _ = render(&format!("{{{{{text}}}}}"));
    }

    #[test]
    fn no_argument_breaks_a_function(index in 24usize..WORDS.len(), args in proptest::collection::vec(0usize..8, 0..4)) {
        let values = [".a", ".n", "-1", "0", "9223372036854775807", "1.5", "`%zz\u{e9}`", "(fromJson `[1,{\"a\":null}]`)"];
        let args: Vec<&str> = args.iter().map(|index| values[*index]).collect();
        let _ = render(&format!("{{{{{} {}}}}}", WORDS[index], args.join(" ")));
    }
}
