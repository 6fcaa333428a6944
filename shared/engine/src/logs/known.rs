//! What became of lines: excerpts of lines repeat where lines do not.

use hashbrown::HashMap;

/// Lines remembered by one worker.
const LINES_MAX: usize = 1 << 14;
/// Lines after which it is known whether they repeat.
const LINES_TRIED: u32 = 1 << 10;

/// Series and value of lines met before, by stream, set of metadata and text. Ends by itself where lines hardly repeat.
#[derive(Default)]
pub(crate) struct KnownLines {
    /// Whether it remembers anything.
    on: bool,
    known: HashMap<Vec<u8>, Option<(u32, f64)>>,
    /// The line asked for last.
    key: Vec<u8>,
    asked: u32,
    found: u32,
}

impl KnownLines {
    /// Remembers nothing unless `on`.
    pub(crate) fn new(on: bool) -> KnownLines {
        KnownLines { on, ..KnownLines::default() }
    }

    /// Returns what became of a line, if it was met before.
    pub(crate) fn get(&mut self, stream: u32, set: u32, line: &[u8]) -> Option<Option<(u32, f64)>> {
        if !self.on {
            return None;
        }
        self.key.clear();
        self.key.extend_from_slice(&stream.to_le_bytes());
        self.key.extend_from_slice(&set.to_le_bytes());
        self.key.extend_from_slice(line);
        let known = self.known.get(&self.key).copied();
        self.asked += 1;
        self.found += u32::from(known.is_some());
        if self.asked == LINES_TRIED {
            self.on = self.found * 2 > self.asked;
        }
        known
    }

    /// Remembers what became of the line asked for last.
    pub(crate) fn insert(&mut self, found: Option<(u32, f64)>) {
        if self.on && self.known.len() < LINES_MAX {
            self.known.insert(self.key.clone(), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_repeat_are_known_and_others_are_not_kept() {
        let mut lines = KnownLines::new(true);
        for n in 0..2 * LINES_TRIED {
            let line = (n % 7).to_le_bytes();
            let known = lines.get(1, n % 2, &line);
            assert_eq!(known.is_some(), n >= 14, "{n}");
            match known {
                Some(known) => assert_eq!(known, Some((n % 7, 1.5))),
                None => lines.insert(Some((n % 7, 1.5))),
            }
        }
        assert!(lines.on && lines.get(2, 0, &0u32.to_le_bytes()).is_none(), "another stream's line is another line");
        let mut lines = KnownLines::new(true);
        for n in 0..LINES_TRIED {
            assert_eq!(lines.get(1, 0, &n.to_le_bytes()), None);
            lines.insert(None);
        }
        assert!(!lines.on, "no line came twice");
    }
}
