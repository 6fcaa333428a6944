use proptest::prelude::*;

use super::*;
use crate::pipeline::stage::{LineFilter, LineOp, LineTerm};

/// Variables by column, the same columns for numbers and texts.
struct Values(Vec<String>);

impl Variables for Values {
    fn put_digits(&self, column: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0[column].as_bytes());
    }

    fn text(&self, column: usize) -> &[u8] {
        self.0[column].as_bytes()
    }
}

fn filter(op: LineOp, texts: &[&str]) -> LineFilter {
    LineFilter { op, terms: texts.iter().map(|text| LineTerm::Text((*text).to_owned())).collect() }
}

fn sifter(filters: &[LineFilter]) -> Sifter {
    Sifter::new(Arc::new(Sieve::new(&CompiledLineFilter::all(filters).unwrap())))
}

fn verdict(op: LineOp, texts: &[&str], pieces: &[Piece<'_>]) -> Verdict {
    sifter(&[filter(op, texts)]).shape(pieces)
}

#[test]
fn pieces_mostly_settle_it() {
    use LineOp::{Contains, Matches, NotContains, NotMatches, Pattern};
    let order = [
        Piece::Constant(b"INFO order "),
        Piece::Number(0),
        Piece::Constant(b" handled in "),
        Piece::Number(1),
        Piece::Constant(b" ms trace="),
        Piece::Word(0),
    ];
    for (op, texts, expected) in [
        (Contains, &["needle in"][..], Verdict::Never),
        (Contains, &[" handled"], Verdict::Always),
        (Contains, &["handled", "x y"], Verdict::Always),
        (NotContains, &["order"], Verdict::Never),
        (NotContains, &[" needle"], Verdict::Always),
        (Contains, &["error"], Verdict::Texts),
        (Contains, &["trace=f"], Verdict::Texts),
        (Contains, &["in 17"], Verdict::Variables),
        (Contains, &["4711"], Verdict::Variables),
        (Matches, &["handled in [0-9]+ ms"], Verdict::Always),
        (Matches, &["(?i)HANDLED"], Verdict::Always),
        (NotMatches, &["handled in [0-9]+ ms"], Verdict::Never),
        (Matches, &["handled in [0-9]{3} ms"], Verdict::Variables),
        (Matches, &["^order"], Verdict::Never),
        (Matches, &["^INFO .* ms trace=[^ ]"], Verdict::Texts),
        (Matches, &["trace=[0-9]+$"], Verdict::Texts),
        (Matches, &["^$"], Verdict::Never),
        (Pattern, &["<_>no such<_>"], Verdict::Never),
        (Pattern, &["<_> order <_>"], Verdict::Line),
    ] {
        assert_eq!(verdict(op, texts, &order), expected, "{op:?} {texts:?}");
    }
    assert_eq!(verdict(Contains, &["x y"], &[Piece::Constant(b"a"), Piece::Rest(0)]), Verdict::Texts);
    let traced = [Piece::Constant(b"{\"trace\":\""), Piece::Hex(0), Piece::Constant(b"\"}")];
    for (op, texts, expected) in [
        (Matches, &["(?i)error"][..], Verdict::Never),
        (Contains, &["e\"}"], Verdict::Texts),
        (Contains, &["DEAD"], Verdict::Texts),
        (Matches, &["\"[0-9a-fA-F-]+\"}$"], Verdict::Always),
        (NotContains, &["x"], Verdict::Always),
    ] {
        assert_eq!(verdict(op, texts, &traced), expected, "{op:?} {texts:?}");
    }
    assert_eq!(verdict(Matches, &[r"\pL{90}.{900}"], &order), Verdict::Line, "an automaton would be too large");
}

#[test]
fn an_automaton_that_outgrows_its_memory_gives_up_for_good() {
    let mut sifter = sifter(&[filter(LineOp::Matches, &["[ab].{15}$"])]);
    assert_eq!(sifter.shape(&[Piece::Word(0), Piece::Constant(b"="), Piece::Number(1)]), Verdict::Variables);
    let (mut random, mut answers) = (1u64, Vec::new());
    for _ in 0..4000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word: String = (0..24).map(|bit| if random >> (40 + bit) & 1 == 1 { 'a' } else { 'x' }).collect();
        let number = (random >> 32 & 0xff).to_string();
        let expected = sifter.accepts_line(format!("{word}={number}").as_bytes());
        let found = sifter.accepts(0, &Values(vec![word, number]));
        assert!(found.is_none_or(|found| found == expected));
        answers.push(found);
    }
    let answered = answers.iter().take_while(|answer| answer.is_some()).count();
    assert!(0 < answered && answered < answers.len(), "{answered}");
    assert!(answers[answered..].iter().all(Option::is_none));
    assert_eq!(sifter.shape(&[Piece::Word(0)]), Verdict::Line, "other lines have to be asked too");
}

#[test]
fn many_filters_share_their_memory() {
    assert_eq!((cache_bytes(0), cache_bytes(1), cache_bytes(16)), (1 << 20, 1 << 20, 1 << 20));
    assert!([17, 500, 100_000].into_iter().all(|tests| cache_bytes(tests) * tests <= 16 << 20));
    assert!(Automaton::containing(b"error", cache_bytes(100)).is_some());
    assert!(Automaton::containing(b"error", cache_bytes(100_000)).is_none(), "its lines are asked");
}

const WORDS: [&str; 9] = ["a", "error", "1x", "é3", "-", "ab12", "550e8400-e29b", "ERRor7", "x0"];
const HEX: [&str; 7] = ["ab12", "550e8400-e29b", "E", "e77", "1-1", "00", "4711b"];
const CONSTANTS: [&str; 9] = ["id=", " ", "err", "a b", "or\"", "é", "\n", "1", "ms order-"];
const RESTS: [&str; 4] = ["", " 1 b", "error\n", "12"];
const NUMBERS: [&str; 6] = ["0", "7", "12", "007", "4711", "90"];
const TESTS: [(LineOp, &[&str]); 20] = [
    (LineOp::Contains, &["error"]),
    (LineOp::Contains, &["id=1"]),
    (LineOp::Contains, &["7"]),
    (LineOp::Contains, &["12x", "a b"]),
    (LineOp::NotContains, &["err", "00"]),
    (LineOp::Contains, &["11"]),
    (LineOp::Matches, &["(?i)error"]),
    (LineOp::Matches, &["^id=[0-9]+"]),
    (LineOp::Matches, &["[0-9]+ms|ab1$"]),
    (LineOp::Matches, &["(?m)^a|b$"]),
    (LineOp::NotMatches, &[r"\b1"]),
    (LineOp::Matches, &[r"id=\S+ "]),
    (LineOp::NotMatches, &["^.{7}$"]),
    (LineOp::Matches, &["[^\\x00-\\x7f]1?e"]),
    (LineOp::Matches, &[".+"]),
    (LineOp::Matches, &["^$"]),
    (LineOp::Pattern, &["<_>id=<_>"]),
    (LineOp::NotPattern, &["a b<_>"]),
    (LineOp::Contains, &[""]),
    (LineOp::Matches, &["err.*order-[0-9]{2}"]),
];

fn pieces() -> impl Strategy<Value = Vec<(u8, usize)>> {
    proptest::collection::vec((0u8..5, 0usize..CONSTANTS.len()), 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// What pieces say, and what variables say, is what the line says.
    #[test]
    fn verdicts_are_those_of_the_line(
        pieces in pieces(),
        tests in proptest::collection::vec(0..TESTS.len(), 1..3),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        let last = pieces.len() - 1;
        let shape: Vec<Piece<'_>> = pieces
            .iter()
            .enumerate()
            .map(|(at, (kind, constant))| match kind {
                0 => Piece::Number(at),
                1 => Piece::Word(at),
                2 if at == last => Piece::Rest(at),
                3 => Piece::Hex(at),
                _ => Piece::Constant(CONSTANTS[*constant].as_bytes()),
            })
            .collect();
        let filters: Vec<LineFilter> = tests.iter().map(|test| filter(TESTS[*test].0, TESTS[*test].1)).collect();
        let mut sifter = sifter(&filters);
        let verdict = sifter.shape(&shape);
        for picks in picks.chunks_exact(6) {
            let values: Vec<String> = shape
                .iter()
                .enumerate()
                .map(|(at, piece)| match piece {
                    Piece::Number(_) => *picks[at % 6].get(&NUMBERS),
                    Piece::Word(_) => *picks[at % 6].get(&WORDS),
                    Piece::Hex(_) => *picks[at % 6].get(&HEX),
                    Piece::Rest(_) => *picks[at % 6].get(&RESTS),
                    Piece::Constant(_) => "",
                }.to_owned())
                .collect();
            let line: String = shape
                .iter()
                .zip(&values)
                .map(|(piece, value)| match piece {
                    Piece::Constant(bytes) => std::str::from_utf8(bytes).unwrap(),
                    _ => value,
                })
                .collect();
            let expected = sifter.accepts_line(line.as_bytes());
            match verdict {
                Verdict::Never => prop_assert!(!expected, "{filters:?} {line:?} of {shape:?}"),
                Verdict::Always => prop_assert!(expected, "{filters:?} {line:?} of {shape:?}"),
                Verdict::Texts | Verdict::Variables => {
                    let found = sifter.accepts(0, &Values(values));
                    prop_assert_eq!(found, Some(expected), "{:?} {:?} of {:?}", filters, line, shape);
                }
                Verdict::Line => {}
            }
        }
    }
}
