use model::{LabelSet, Matcher};
use proptest::prelude::*;

use super::*;
use crate::logical::Span;
use crate::logical::{LogRangeFunction, LogSelect, LogWindow};
use crate::pipeline::stage::{CompareOp, Conversion, LabelFilter, Logfmt, Stage, Unwrap};
use crate::pipeline::{Extractor, Scratch};

fn extractor(stages: Vec<Stage>, groups: &[&str]) -> Extractor {
    let unwraps = matches!(stages.last(), Some(Stage::Unwrap(_)));
    Extractor::compile(&LogWindow {
        function: if unwraps { LogRangeFunction::SumOverTime } else { LogRangeFunction::CountOverTime },
        select: LogSelect { matchers: Vec::new(), stages, span: Span::default() },
        range_ns: 1,
        offset_ns: 0,
        param: None,
        grouping: None,
        required_labels: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
        span: Span::default(),
    })
    .unwrap()
}

fn logfmt(keep_empty: bool) -> Stage {
    Stage::Logfmt(Logfmt { strict: false, keep_empty, extractions: Vec::new() })
}

fn at_least(name: &str, value: f64) -> Stage {
    Stage::LabelFilter(LabelFilter::Number { name: name.into(), op: CompareOp::GreaterOrEqual, value })
}

fn unwrap(label: &str) -> Stage {
    Stage::Unwrap(Unwrap { label: label.into(), conversion: Conversion::Number, filters: Vec::new() })
}

fn put(pieces: &[Piece<'_>], values: &[&str]) -> String {
    let one = |piece: &Piece<'_>| match piece {
        Piece::Constant(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Piece::Number(column) | Piece::Word(column) | Piece::Hex(column) | Piece::Rest(column) => values[*column].to_owned(),
    };
    pieces.iter().map(one).collect()
}

fn excerpt_of(extractor: &Extractor, pieces: &[Piece<'_>], values: &[&str]) -> Option<String> {
    let mut sample = Vec::new();
    extractor.excerpt()?.of(pieces, &mut sample).map(|pieces| put(&pieces, values))
}

#[test]
fn fields_that_nobody_asks_for_go() {
    let json = [
        Piece::Constant(br#"{"level":"info","status":"#),
        Piece::Number(0),
        Piece::Constant(br#","user":{"name":"x","id":"#),
        Piece::Number(1),
        Piece::Constant(br#"},"trace":""#),
        Piece::Word(2),
        Piece::Constant(br#"","status":[1]}"#),
    ];
    let values = ["200", "7", "3f2a"];
    let of = |stages: Vec<Stage>, groups: &[&str]| excerpt_of(&extractor(stages, groups), &json, &values);
    let parsed = Stage::Json(Vec::new());
    assert_eq!(of(vec![parsed.clone(), at_least("status", 400.0)], &["app"]).unwrap(), r#"{"status":200}"#);
    assert_eq!(of(vec![parsed.clone(), unwrap("status")], &["user_id"]).unwrap(), r#"{"status":200,"user":{"name":"x","id":7}}"#);
    assert_eq!(of(vec![parsed.clone()], &["trace_extracted"]).unwrap(), r#"{"trace":"3f2a"}"#);
    assert_eq!(of(vec![parsed.clone()], &["app"]).unwrap(), "{}");
    assert_eq!(of(vec![parsed.clone()], &[]).unwrap(), "", "the parser has nothing to do");
    let broken = [Piece::Constant(br#"{"a":1,"b":"#), Piece::Word(0), Piece::Constant(b"}")];
    assert_eq!(excerpt_of(&extractor(vec![parsed], &["a"]), &broken, &values), None, "a bare word may be a number");

    let pairs = [
        Piece::Constant(b"level=info took="),
        Piece::Number(0),
        Piece::Constant(b"ms msg=\"a b\" "),
        Piece::Word(2),
        Piece::Constant(b" "),
        Piece::Word(2),
        Piece::Constant(b"=1 x=\"\\u00"),
        Piece::Number(1),
        Piece::Constant(b"\" took=2"),
    ];
    let of = |stages: Vec<Stage>, groups: &[&str]| excerpt_of(&extractor(stages, groups), &pairs, &values).unwrap();
    let kept = r#"took=200ms  3f2a=1  x="\u007""#;
    assert_eq!(of(vec![logfmt(false)], &["took"]).split_whitespace().collect::<Vec<_>>(), {
        let mut words: Vec<&str> = kept.split_whitespace().collect();
        words.push("took=2");
        words
    });
}

/// With a key that is none (U+FFFD), `b` is skipped with it.
#[test]
fn what_hangs_on_a_value_stays_there() {
    let pieces = [Piece::Constant(b"y=1 "), Piece::Word(0), Piece::Constant(br#"="x"b=7 z=1 b=8"#)];
    let excerpt = excerpt_of(&extractor(vec![logfmt(true)], &["b"]), &pieces, &["\u{fffd}"]);
    assert_eq!(excerpt.as_deref(), Some(" \u{fffd}=\"x\"b=7 b=8"));
}

const JSON: [&str; 14] = [
    "{",
    "}",
    r#""a":"#,
    r#""b":"#,
    r#","c":"#,
    r#"{"d":"#,
    "\"",
    ",",
    r#""a":"x","#,
    r#""b":true,"#,
    "[1,",
    "]",
    r#"\"#,
    "null",
];
const LOGFMT: [&str; 12] = ["a=", "b=", " ", "c=\"", "\"", " a=1 ", "d ", "=", "\\", "\\u00", " b_extracted=2 ", "x"];
const NUMBERS: [&str; 4] = ["0", "41", "0041", "7"];
const WORDS: [&str; 6] = ["a", "1e3", "é", "\u{fffd}", "true", "d"];

/// A whole object with variables in it, so that not all are broken.
fn members() -> impl Strategy<Value = Vec<(u8, usize)>> {
    proptest::collection::vec((0u8..5, 0usize..JSON.len()), 0..9)
}

fn shape<'t>(parts: &[(u8, usize)], texts: &'t [&'t str], around: bool) -> Vec<Piece<'t>> {
    let mut pieces: Vec<Piece<'t>> = Vec::new();
    if around {
        pieces.push(Piece::Constant(br#"{"a":"1","#));
    }
    for (at, (kind, text)) in parts.iter().enumerate() {
        match kind {
            0 => pieces.push(Piece::Number(at)),
            1 => pieces.push(Piece::Word(at)),
            2 if around => pieces.extend([Piece::Constant(br#""b":"#), Piece::Number(at), Piece::Constant(b",")]),
            3 if around => pieces.extend([Piece::Constant(br#""c":"x"#), Piece::Word(at), Piece::Constant(b"\",")]),
            _ => pieces.push(Piece::Constant(texts[text % texts.len()].as_bytes())),
        }
    }
    if around {
        pieces.push(Piece::Constant(br#""d":{"b":2}}"#));
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// An excerpt gives the sample that its line gives, errors among it.
    #[test]
    fn excerpts_give_the_same_samples(
        parts in members(),
        is_json: bool,
        around: bool,
        keep_empty: bool,
        asked in 0usize..6,
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 27),
        has_metadata: bool,
    ) {
        let (texts, parser) = match is_json {
            true => (&JSON[..], Stage::Json(Vec::new())),
            false => (&LOGFMT[..], logfmt(keep_empty)),
        };
        let error = Stage::LabelFilter(LabelFilter::Text(Matcher::equal("__error__", "")));
        let (stages, groups): (Vec<Stage>, &[&str]) = match asked {
            0 => (vec![parser], &["a"]),
            1 => (vec![parser, at_least("b", 2.0)], &["app", "c"]),
            2 => (vec![parser, unwrap("b")], &["d_b", "a_extracted"]),
            3 => (vec![parser, error, unwrap("a")], &["c"]),
            4 => (vec![parser], &["__error__", "b_extracted"]),
            _ => (vec![parser, Stage::LabelFilter(LabelFilter::Text(Matcher::equal("c", "x")))], &[]),
        };
        let extractor = extractor(stages, groups);
        let shape = shape(&parts, texts, is_json && around);
        let stream = LabelSet::from_pairs([("app", "web"), ("a", "stream")]);
        let metadata = if has_metadata { LabelSet::from_pairs([("b", "9")]) } else { LabelSet::empty() };
        for picks in picks.chunks_exact(9) {
            let values: Vec<&str> = (0..parts.len())
                .map(|at| if shape.contains(&Piece::Word(at)) { *picks[at % 9].get(&WORDS) } else { *picks[at % 9].get(&NUMBERS) })
                .collect();
            let line = put(&shape, &values);
            let Some(short) = excerpt_of(&extractor, &shape, &values) else { continue };
            let sample = |line: &str| extractor.extract(&mut Scratch::default(), 1, line.as_bytes(), &stream, &metadata);
            // What an error says of the place it was found at is no label of a sample.
            prop_assert_eq!(format!("{:?}", sample(&short)), format!("{:?}", sample(&line)), "{} of {}", short, line);
        }
    }
}
