//! Line tests as automata, which can be run over a line in pieces, some of them not known yet.
//!
//! Owns: building an automaton from a test, walking it over bytes, and over all bytes that a variable may have. Does not own: what the
//! pieces of a line are, and what several filters make of it ([`super::sieve`]).

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{start, syntax};

use super::line_filter::LineTest;

/// Bytes of states one automaton may have before it gives up: lines are put together then.
const CACHE_BYTES: usize = 1 << 20;
/// The same of all automata of a query together, per worker: its text has room for thousands of filters.
const CACHE_BYTES_ALL: usize = 16 << 20;
/// Bytes of the program an automaton is made from; larger ones (Unicode classes, large repetitions) cost more than they save.
const PROGRAM_BYTES_MAX: usize = 1 << 18;
/// States followed at once through variables that are not known.
pub(super) const STATES_MAX: usize = 64;

/// A test ready to run over pieces. Shared between workers; each brings its own [`Cache`].
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: DFA,
    /// One byte of each class that the digits, hexadecimal digits and hyphens, the bytes of words, and all bytes fall into.
    digits: Vec<u8>,
    hex: Vec<u8>,
    words: Vec<u8>,
    all: Vec<u8>,
}

/// Which bytes a variable may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alphabet {
    /// Decimal digits, at least one.
    Digits,
    /// Hexadecimal digits and hyphens, at least one.
    Hex,
    /// Letters, digits, hyphens and bytes past ASCII, at least one.
    Words,
    /// Anything, or nothing.
    All,
}

/// Where walks may be after a part of a line.
#[derive(Clone, Default, Debug)]
pub(super) struct Front {
    /// Where it is open; no state twice.
    pub(super) states: Vec<LazyStateID>,
    /// Whether there may be a match already: what follows does not matter then.
    pub(super) matched: bool,
    /// Whether there may be none any more.
    pub(super) failed: bool,
}

impl Front {
    /// Counts the ways it may go on.
    pub(super) fn ways(&self) -> usize {
        self.states.len() + usize::from(self.matched) + usize::from(self.failed)
    }

    /// Adds a state; reports whether it is a new one that is open.
    pub(super) fn add(&mut self, state: LazyStateID) -> bool {
        if state.is_match() {
            self.matched = true;
        } else if state.is_dead() {
            self.failed = true;
        } else if !self.states.contains(&state) {
            self.states.push(state);
            return true;
        }
        false
    }
}

/// Returns the bytes of states that each of `tests` automata may have.
pub(super) fn cache_bytes(tests: usize) -> usize {
    CACHE_BYTES.min(CACHE_BYTES_ALL / tests.max(1))
}

impl Automaton {
    /// Builds the automaton of a test, whose states may have `cache_bytes`; `None` where there is none, or it would be too large.
    pub(super) fn of(test: &LineTest, cache_bytes: usize) -> Option<Automaton> {
        match test {
            LineTest::Contains(finder) => Automaton::containing(finder.needle(), cache_bytes),
            LineTest::Equals(text) => {
                Automaton::new(&format!("\\A{}\\z", regex::escape(std::str::from_utf8(text).ok()?)), cache_bytes)
            }
            LineTest::Matches(regex, _) => Automaton::new(regex.as_str(), cache_bytes),
            LineTest::Everything | LineTest::NotEmpty | LineTest::Shape(_) | LineTest::Ip(_) | LineTest::Any(_) => None,
        }
    }

    /// Builds an automaton that looks for bytes, which are text.
    pub(super) fn containing(needle: &[u8], cache_bytes: usize) -> Option<Automaton> {
        Automaton::new(&regex::escape(std::str::from_utf8(needle).ok()?), cache_bytes)
    }

    /// Builds an automaton that says what `regex::bytes::Regex` of the same pattern says.
    fn new(pattern: &str, cache_bytes: usize) -> Option<Automaton> {
        let config = DFA::config().cache_capacity(cache_bytes);
        let program =
            thompson::Config::new().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(PROGRAM_BYTES_MAX));
        let syntax = syntax::Config::new().utf8(false);
        let dfa = DFA::builder().configure(config).thompson(program).syntax(syntax).build(pattern).ok()?;
        let of = |wanted: &dyn Fn(u8) -> bool| {
            let mut bytes: Vec<u8> = Vec::new();
            for byte in (0..=u8::MAX).filter(|byte| wanted(*byte)) {
                let class = dfa.byte_classes().get(byte);
                if !bytes.iter().any(|known| dfa.byte_classes().get(*known) == class) {
                    bytes.push(byte);
                }
            }
            bytes
        };
        let digits = of(&|byte| byte.is_ascii_digit());
        let hex = of(&|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let words = of(&|byte| byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii());
        let all = of(&|_| true);
        Some(Automaton { dfa, digits, hex, words, all })
    }

    /// Makes memory for one worker.
    pub(super) fn memory(&self) -> Cache {
        self.dfa.create_cache()
    }

    /// Returns the state before a line; `None` where the automaton gives up, or has before.
    pub(super) fn start(&self, cache: &mut Cache) -> Option<LazyStateID> {
        if cache.clear_count() > 0 {
            return None;
        }
        self.dfa.start_state(cache, &start::Config::new()).ok()
    }

    /// Walks over bytes, up to where the answer is known; `None` where the automaton gives up: its states are not those of before.
    #[inline]
    pub(super) fn walk(&self, cache: &mut Cache, mut state: LazyStateID, bytes: &[u8]) -> Option<LazyStateID> {
        // The state itself may be one of before, which is not there any more.
        if cache.clear_count() > 0 {
            return None;
        }
        for byte in bytes {
            // Matches and dead ends are tagged, and so is what is not computed yet.
            if state.is_tagged() {
                break;
            }
            let next = self.dfa.next_state_untagged(cache, state, *byte);
            state = if next.is_unknown() { self.dfa.next_state(cache, state, *byte).ok()? } else { next };
        }
        (cache.clear_count() == 0 && !state.is_quit()).then_some(state)
    }

    /// Reports whether a line that ends here has a match.
    pub(super) fn ends_matched(&self, cache: &mut Cache, state: LazyStateID) -> Option<bool> {
        if state.is_match() || state.is_dead() {
            return Some(state.is_match());
        }
        if cache.clear_count() > 0 {
            return None;
        }
        let end = self.dfa.next_eoi_state(cache, state).ok()?;
        (cache.clear_count() == 0).then(|| end.is_match())
    }

    /// Walks all open states over bytes.
    pub(super) fn walk_all(&self, cache: &mut Cache, front: &Front, bytes: &[u8]) -> Option<Front> {
        let mut after = Front { states: Vec::new(), ..*front };
        for state in &front.states {
            after.add(self.walk(cache, *state, bytes)?);
        }
        Some(after)
    }

    /// Walks all open states over whatever a variable may be; `None` also where the states are too many.
    pub(super) fn walk_any(&self, cache: &mut Cache, front: &Front, alphabet: Alphabet) -> Option<Front> {
        let (bytes, mut after) = match alphabet {
            Alphabet::Digits => (&self.digits, Front { states: Vec::new(), ..*front }),
            Alphabet::Hex => (&self.hex, Front { states: Vec::new(), ..*front }),
            Alphabet::Words => (&self.words, Front { states: Vec::new(), ..*front }),
            Alphabet::All => (&self.all, front.clone()),
        };
        let mut open = front.states.clone();
        while let Some(state) = open.pop() {
            for byte in bytes {
                let next = self.walk(cache, state, &[*byte])?;
                if after.add(next) {
                    open.push(next);
                }
            }
            if after.states.len() > STATES_MAX {
                return None;
            }
        }
        Some(after)
    }
}
