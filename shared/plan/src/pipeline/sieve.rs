//! Line filters on lines that are not put together yet: what their pieces say.
//!
//! Stored lines are constants that many lines share and variables between them. A filter is an automaton that is run over the pieces,
//! first with variables that may be anything of their kind: mostly all lines of a shape pass, or none does. Where that does not
//! settle it, it is run over the variables of each line; constants cost nothing then. Only what is no automaton needs the line.
//!
//! Owns: those verdicts, which must be what the filters say of whole lines. Does not own: how pieces are stored.

use std::ops::Range;
use std::sync::Arc;

use model::batch::Arena;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::Cache;

use super::automaton::{Alphabet, Automaton, Front, STATES_MAX, cache_bytes};
use super::line_filter::{CompiledLineFilter, LineTest, filter_lines};

/// A piece of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'p> {
    /// These bytes.
    Constant(&'p [u8]),
    /// Decimal digits, at least one: the number of this column.
    Number(usize),
    /// Letters, digits, hyphens and bytes past ASCII, at least one: the text of this column.
    Word(usize),
    /// Hexadecimal digits and hyphens, at least one: the text of this column.
    Hex(usize),
    /// Anything: the text of this column.
    Rest(usize),
}

/// The variables of one line.
pub trait Variables {
    /// Appends the digits of a number.
    fn put_digits(&self, column: usize, out: &mut Vec<u8>);

    /// Returns a text.
    fn text(&self, column: usize) -> &[u8];
}

/// What is known of the lines of one shape, which are UTF-8 as a whole; the more has to be asked the later it stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// None passes.
    Never,
    /// All pass.
    Always,
    /// The texts of a line tell.
    Texts,
    /// The texts and numbers of a line tell.
    Variables,
    /// Only the line tells.
    Line,
}

/// The line filters in front of a pipeline. Shared between workers; each brings its own [`Sifter`].
#[derive(Debug)]
pub struct Sieve {
    filters: Vec<CompiledLineFilter>,
    /// By filter.
    tests: Vec<Vec<Test>>,
}

/// One of the texts that a filter looks for.
#[derive(Debug)]
enum Test {
    /// Accepts every line that is not empty.
    NotEmpty,
    /// Accepts what the automaton accepts.
    Exactly(Box<Automaton>),
    /// Accepts nothing else than what the automaton accepts; without one nothing is known.
    AtMost(Option<Box<Automaton>>),
}

impl Test {
    fn of(test: &LineTest, cache_bytes: usize) -> Test {
        let exactly = |automaton| Test::Exactly(Box::new(automaton));
        match (test, Automaton::of(test, cache_bytes)) {
            (_, Some(automaton)) => exactly(automaton),
            (LineTest::NotEmpty, None) => Test::NotEmpty,
            // The empty text stands in every line.
            (LineTest::Everything, None) => Automaton::containing(b"", cache_bytes).map_or(Test::AtMost(None), exactly),
            (LineTest::Shape(pattern), None) => {
                let longest = pattern.literals().max_by_key(|literal| literal.len());
                Test::AtMost(longest.and_then(|literal| Automaton::containing(literal, cache_bytes)).map(Box::new))
            }
            (_, None) => Test::AtMost(None),
        }
    }

    fn automaton(&self) -> Option<&Automaton> {
        match self {
            Test::Exactly(automaton) | Test::AtMost(Some(automaton)) => Some(automaton),
            Test::NotEmpty | Test::AtMost(None) => None,
        }
    }
}

impl Sieve {
    /// Takes filters over.
    pub(super) fn new(filters: &[CompiledLineFilter]) -> Sieve {
        let tests: Vec<Vec<&LineTest>> = filters.iter().map(CompiledLineFilter::tests).collect();
        let cache_bytes = cache_bytes(tests.iter().map(Vec::len).sum());
        let of_filter = |tests: Vec<&LineTest>| tests.into_iter().map(|test| Test::of(test, cache_bytes)).collect();
        let tests = tests.into_iter().map(of_filter).collect();
        Sieve { filters: filters.to_vec(), tests }
    }
}

impl Verdict {
    /// Joins verdicts of which one has to hold.
    fn or(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Always, _) | (_, Verdict::Always) => Verdict::Always,
            (Verdict::Never, open) | (open, Verdict::Never) => open,
            (one, other) => one.max(other),
        }
    }

    /// Joins verdicts of which all have to hold.
    fn and(self, other: Verdict) -> Verdict {
        match (self, other) {
            (Verdict::Never, _) | (_, Verdict::Never) => Verdict::Never,
            (Verdict::Always, open) | (open, Verdict::Always) => open,
            (one, other) => one.max(other),
        }
    }

    fn turned(self, negative: bool) -> Verdict {
        match self {
            Verdict::Never if negative => Verdict::Always,
            Verdict::Always if negative => Verdict::Never,
            other => other,
        }
    }
}

/// A piece that is kept.
#[derive(Debug)]
enum Kept {
    Constant(Box<[u8]>),
    Number(usize),
    Text(usize),
}

/// What is left to ask of the lines of a shape.
#[derive(Debug)]
struct Shape {
    pieces: Vec<Kept>,
    /// Whether numbers may be asked.
    has_numbers: bool,
    /// (filter, its tests that may hold).
    asked: Vec<(usize, Vec<Asked>)>,
}

/// A test that some lines of a shape may pass.
#[derive(Debug)]
struct Asked {
    test: usize,
    /// Per piece that is no text, from where to where it leads: nowhere known where that depends on the line.
    known: Vec<Steps>,
}

type Steps = Vec<(LazyStateID, Option<LazyStateID>)>;

/// Steps remembered per piece: where every line brings other states, looking them up would cost more than walking.
const STEPS_MAX: usize = 16;

/// Works on the lines of one worker.
#[derive(Debug)]
pub struct Sifter {
    sieve: Arc<Sieve>,
    /// By filter and test.
    memories: Vec<Vec<Option<Cache>>>,
    /// In the order in which they were named; none where nothing is left to ask.
    shapes: Vec<Option<Shape>>,
    digits: Vec<u8>,
}

impl Sifter {
    /// Makes a worker.
    pub fn new(sieve: Arc<Sieve>) -> Sifter {
        let memory = |test: &Test| test.automaton().map(Automaton::memory);
        let memories = sieve.tests.iter().map(|tests| tests.iter().map(memory).collect()).collect();
        Sifter { sieve, memories, shapes: Vec::new(), digits: Vec::new() }
    }

    /// Names a shape: they are numbered from 0 on. Returns what is known of its lines.
    pub fn shape(&mut self, pieces: &[Piece<'_>]) -> Verdict {
        let (mut verdict, mut asked) = (Verdict::Always, Vec::new());
        for (filter, (tests, memories)) in self.sieve.tests.iter().zip(&mut self.memories).enumerate() {
            let (mut found, mut open) = (Verdict::Never, Vec::new());
            for (test, memory) in memories.iter_mut().enumerate() {
                let one = tests[test].verdict(memory.as_mut(), pieces);
                if one != Verdict::Never {
                    open.push(Asked { test, known: vec![Vec::new(); pieces.len()] });
                }
                found = found.or(one);
                if found == Verdict::Always {
                    break;
                }
            }
            let found = found.turned(self.sieve.filters[filter].is_negative());
            verdict = verdict.and(found);
            if verdict == Verdict::Never {
                break;
            }
            if found > Verdict::Always {
                asked.push((filter, open));
            }
        }
        let kept = |piece: &Piece<'_>| match piece {
            Piece::Constant(bytes) => Kept::Constant((*bytes).into()),
            Piece::Number(column) => Kept::Number(*column),
            Piece::Word(column) | Piece::Hex(column) | Piece::Rest(column) => Kept::Text(*column),
        };
        let is_open = matches!(verdict, Verdict::Texts | Verdict::Variables);
        self.shapes.push(is_open.then(|| Shape {
            pieces: pieces.iter().map(kept).collect(),
            has_numbers: verdict == Verdict::Variables,
            asked,
        }));
        verdict
    }

    /// Reports whether a line of a shape passes, whose verdict was to ask variables; `None` where the line has to be asked after all.
    ///
    /// # Panics
    /// If there is no such shape.
    #[inline]
    pub fn accepts(&mut self, shape: usize, variables: &impl Variables) -> Option<bool> {
        let Shape { pieces, has_numbers, asked } = self.shapes[shape].as_mut()?;
        for (filter, tests) in asked {
            let mut any = false;
            for Asked { test, known } in tests {
                let Test::Exactly(automaton) = &self.sieve.tests[*filter][*test] else { return None };
                let cache = self.memories[*filter][*test].as_mut()?;
                let digits = has_numbers.then_some(&mut self.digits);
                any = automaton.accepts(cache, (pieces, known), variables, digits)?;
                if any {
                    break;
                }
            }
            if any == self.sieve.filters[*filter].is_negative() {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Reports whether a whole line passes.
    pub fn accepts_line(&self, line: &[u8]) -> bool {
        self.sieve.filters.iter().all(|filter| filter.accepts(line))
    }

    /// Appends those of `rows` to `out` whose lines pass, ascending.
    pub fn filter_lines(&self, lines: &Arena, rows: Range<usize>, out: &mut Vec<u32>) {
        filter_lines(&self.sieve.filters, lines, rows, out);
    }
}

impl Test {
    /// Returns what pieces say about the lines that have them.
    fn verdict(&self, memory: Option<&mut Cache>, pieces: &[Piece<'_>]) -> Verdict {
        let outlook = match (self, self.automaton().zip(memory)) {
            (Test::NotEmpty, _) if pieces.iter().any(|piece| !matches!(piece, Piece::Rest(_))) => Some(Verdict::Always),
            (_, Some((automaton, cache))) => automaton.outlook(cache, pieces),
            _ => None,
        };
        match (self, outlook) {
            (Test::Exactly(_) | Test::NotEmpty, Some(verdict)) => verdict,
            (Test::AtMost(_), Some(Verdict::Never)) => Verdict::Never,
            _ => Verdict::Line,
        }
    }
}

impl Automaton {
    /// Returns what pieces say about the lines that have them; `None` where the automaton gives up.
    fn outlook(&self, cache: &mut Cache, pieces: &[Piece<'_>]) -> Option<Verdict> {
        let start = self.start(cache)?;
        let mut front = Front::default();
        front.add(start);
        for piece in pieces {
            let Some(after) = self.pass(cache, &front, *piece) else { return self.asks(cache, start, pieces) };
            front = after;
        }
        for state in std::mem::take(&mut front.states) {
            match self.ends_matched(cache, state)? {
                true => front.matched = true,
                false => front.failed = true,
            }
        }
        match (front.matched, front.failed) {
            (false, _) => Some(Verdict::Never),
            (true, false) => Some(Verdict::Always),
            (true, true) => self.asks(cache, start, pieces),
        }
    }

    fn pass(&self, cache: &mut Cache, front: &Front, piece: Piece<'_>) -> Option<Front> {
        match piece {
            Piece::Constant(bytes) => self.walk_all(cache, front, bytes),
            Piece::Number(_) => self.walk_any(cache, front, Alphabet::Digits),
            Piece::Word(_) => self.walk_any(cache, front, Alphabet::Words),
            Piece::Hex(_) => self.walk_any(cache, front, Alphabet::Hex),
            Piece::Rest(_) => self.walk_any(cache, front, Alphabet::All),
        }
    }

    /// Returns which variables tell. Numbers need not be known where, from wherever texts may lead, all digits lead to one state.
    fn asks(&self, cache: &mut Cache, start: LazyStateID, pieces: &[Piece<'_>]) -> Option<Verdict> {
        let mut open = Front::default();
        open.add(start);
        for piece in pieces {
            let mut after = Front::default();
            for state in open.states {
                let mut one = Front::default();
                one.add(state);
                let Some(led) = self.pass(cache, &one, *piece) else {
                    return (cache.clear_count() == 0).then_some(Verdict::Variables);
                };
                if matches!(piece, Piece::Number(_)) && led.ways() > 1 {
                    return Some(Verdict::Variables);
                }
                led.states.into_iter().for_each(|state| {
                    after.add(state);
                });
                if after.states.len() > STATES_MAX {
                    return Some(Verdict::Variables);
                }
            }
            open = after;
        }
        Some(Verdict::Texts)
    }

    /// Reports whether the line with these variables matches; `None` where the automaton gives up.
    #[inline]
    fn accepts(
        &self,
        cache: &mut Cache,
        (pieces, known): (&[Kept], &mut [Steps]),
        variables: &impl Variables,
        mut digits: Option<&mut Vec<u8>>,
    ) -> Option<bool> {
        let mut state = self.start(cache)?;
        for (piece, known) in pieces.iter().zip(known) {
            if state.is_match() || state.is_dead() {
                break;
            }
            if let Kept::Text(column) = piece {
                state = self.walk(cache, state, variables.text(*column))?;
                continue;
            }
            let led = match known.iter().find(|(from, _)| *from == state) {
                Some((_, led)) => *led,
                None => {
                    let is_full = known.len() >= STEPS_MAX;
                    let led = match piece {
                        Kept::Constant(bytes) => Some(self.walk(cache, state, bytes)?),
                        // Where digits are at hand, to follow them costs less than to find out where all of them lead.
                        Kept::Number(_) if !is_full || digits.is_none() => self.walk_digits(cache, state),
                        Kept::Number(_) | Kept::Text(_) => None,
                    };
                    if !is_full {
                        known.push((state, led));
                    }
                    led
                }
            };
            state = match (led, piece) {
                (Some(led), _) => led,
                (None, Kept::Number(column)) => {
                    let digits = digits.as_mut()?;
                    digits.clear();
                    variables.put_digits(*column, digits);
                    self.walk(cache, state, digits)?
                }
                (None, Kept::Constant(_) | Kept::Text(_)) => return None,
            };
        }
        self.ends_matched(cache, state)
    }

    /// Returns where all numbers lead, if that is one state.
    fn walk_digits(&self, cache: &mut Cache, state: LazyStateID) -> Option<LazyStateID> {
        let mut front = Front::default();
        front.add(state);
        let led = self.walk_any(cache, &front, Alphabet::Digits)?;
        match led.states.as_slice() {
            _ if led.ways() != 1 => None,
            [one] => Some(*one),
            // The first digit settles it.
            _ => self.walk(cache, state, b"0"),
        }
    }
}

#[cfg(test)]
mod tests;
