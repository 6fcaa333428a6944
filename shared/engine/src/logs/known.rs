//! What became of lines: excerpts of lines repeat where lines do not, over all streams that are the same to an extraction.

use hashbrown::HashMap;

/// Lines remembered by one worker.
const LINES_MAX: usize = 1 << 14;
/// Bytes of all of them: long lines are remembered as long as there is room.
const BYTES_MAX: usize = 8 << 20;
/// Lines after which it is known whether they repeat: of the first so many, one in so many at least has to have been met before.
const TRIALS: [(u32, u32); 2] = [(1 << 10, 8), (1 << 13, 2)];

/// Series and value of lines met before, by class of stream and metadata, and text. Ends by itself where lines hardly repeat.
#[derive(Default)]
pub(crate) struct KnownLines {
    /// Whether it remembers anything.
    on: bool,
    known: HashMap<Vec<u8>, Option<(u32, f64)>>,
    /// Bytes of the lines remembered.
    bytes: usize,
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

    /// Reports whether it remembers anything.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Returns what became of a line, if it was met before.
    pub(crate) fn get(&mut self, class: u32, line: &[u8]) -> Option<Option<(u32, f64)>> {
        self.key.clear();
        self.key.extend_from_slice(&class.to_le_bytes());
        self.key.extend_from_slice(line);
        let known = self.known.get(&self.key).copied();
        self.asked += 1;
        self.found += u32::from(known.is_some());
        if let Some((_, one_in)) = TRIALS.iter().find(|(lines, _)| *lines == self.asked) {
            self.on = self.found * one_in > self.asked;
        }
        known
    }

    /// Remembers what became of the line asked for last.
    pub(crate) fn insert(&mut self, found: Option<(u32, f64)>) {
        let bytes = self.bytes + self.key.len();
        if self.on && self.known.len() < LINES_MAX && bytes <= BYTES_MAX {
            self.bytes = bytes;
            self.known.insert(self.key.clone(), found);
        }
    }
}

/// Which streams and sets of metadata are the same to an extraction: numbered as they come.
#[derive(Default)]
pub(crate) struct Classes {
    /// By what tells them apart.
    numbers: HashMap<Vec<u8>, u32>,
    /// By set: the stream it was met with last, and their class. Rows of a stream follow each other.
    of_sets: Vec<Option<(u32, u32)>>,
}

impl Classes {
    /// Returns the class of a stream and a set, where that was the stream of the set before as well.
    pub(crate) fn get(&self, stream: u32, set: u32) -> Option<u32> {
        let known = self.of_sets.get(set as usize).copied().flatten();
        known.filter(|(of, _)| *of == stream).map(|(_, class)| class)
    }

    /// Returns the class of a stream and a set that `bytes` tell from others.
    pub(crate) fn add(&mut self, stream: u32, set: u32, bytes: Vec<u8>) -> u32 {
        let (next, set) = (self.numbers.len() as u32, set as usize);
        let class = *self.numbers.entry(bytes).or_insert(next);
        self.of_sets.resize(self.of_sets.len().max(set + 1), None);
        self.of_sets[set] = Some((stream, class));
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_their_bytes() {
        let mut classes = Classes::default();
        assert_eq!((classes.get(0, 3), classes.add(0, 3, vec![1])), (None, 0));
        assert_eq!((classes.get(0, 3), classes.get(1, 3), classes.get(0, 2)), (Some(0), None, None));
        assert_eq!((classes.add(1, 3, vec![2]), classes.add(1, 2, vec![1])), (1, 0));
        assert_eq!((classes.get(1, 3), classes.get(0, 3)), (Some(1), None));
    }

    #[test]
    fn long_lines_do_not_take_more_than_their_room() {
        let mut lines = KnownLines::new(true);
        let line = |n: u32| [n.to_le_bytes().as_slice(), &[b'x'; 256 << 10]].concat();
        for n in 0..64 {
            assert_eq!(lines.get(0, &line(n)), None);
            lines.insert(None);
        }
        assert!(lines.known.len() == 31 && lines.bytes <= BYTES_MAX, "{}", lines.known.len());
        assert_eq!((lines.get(0, &line(0)), lines.get(0, &line(40))), (Some(None), None));
    }

    #[test]
    fn lines_that_repeat_are_known_and_others_are_not_kept() {
        let mut lines = KnownLines::new(true);
        for n in 0..2 * TRIALS[1].0 {
            let line = (n % 7).to_le_bytes();
            let known = lines.get(n % 2, &line);
            assert_eq!(known.is_some(), n >= 14, "{n}");
            match known {
                Some(known) => assert_eq!(known, Some((n % 7, 1.5))),
                None => lines.insert(Some((n % 7, 1.5))),
            }
        }
        assert!(lines.on && lines.get(2, &0u32.to_le_bytes()).is_none(), "a line of another class is another line");
        for (repeats, trial) in [(1, 0), (6, 1)] {
            let mut lines = KnownLines::new(true);
            for n in 0..TRIALS[trial].0 {
                // Of six lines in five, none came before, or one.
                let line = if n % repeats == 1 { n - 1 } else { n };
                if lines.get(1, &line.to_le_bytes()).is_none() {
                    lines.insert(None);
                }
                assert!(lines.on || n + 1 == TRIALS[trial].0, "{n}");
            }
            assert!(!lines.on, "too few lines came twice");
        }
    }
}
