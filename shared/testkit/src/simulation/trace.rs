//! What happened, as a hash of every step, and as text where somebody reads it.

use std::collections::VecDeque;
use std::fmt::Write;

/// Lines kept for a failure's report.
const LINES_MAX: usize = 400;

/// The steps of a run. Two runs of one seed have the same hash, or something in them was not drawn from the seed.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    steps: u64,
    lines: Option<VecDeque<String>>,
    has_ended: bool,
}

impl Trace {
    /// Makes a trace that also keeps the last steps as text.
    pub fn verbose() -> Trace {
        Trace { lines: Some(VecDeque::new()), ..Trace::default() }
    }

    /// Returns the hash of all steps so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Counts the steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the last steps as text; empty unless verbose.
    pub fn tail(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }

    pub(super) fn add(&mut self, now_ms: i64, process: u32, what: &str, about: [&str; 2], outcome: &str) {
        self.steps += 1;
        self.mix(&now_ms.to_le_bytes());
        self.mix(&process.to_le_bytes());
        [what, about[0], about[1], outcome].iter().for_each(|text| self.mix(text.as_bytes()));
        let Some(lines) = self.lines.as_mut().filter(|_| !self.has_ended) else { return };
        let mut line = String::new();
        let (day, rest) = (now_ms.div_euclid(86_400_000), now_ms.rem_euclid(86_400_000));
        let (hours, minutes, millis) = (rest / 3_600_000, rest / 60_000 % 60, rest % 60_000);
        write!(
            line,
            "{day} {hours:02}:{minutes:02}:{:06.3} p{process} {what} {} {} {outcome}",
            millis as f64 / 1e3,
            about[0],
            about[1]
        )
        .expect("a string takes all");
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    fn mix(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word) ^ (chunk.len() as u64) << 61;
            self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
}
