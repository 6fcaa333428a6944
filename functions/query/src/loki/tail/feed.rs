//! What a tail is about to tell: entries until their time has come, in order, and those dropped meanwhile.

use std::collections::BTreeMap;

use model::LabelSet;
use wire::json_text::comma;
use wire::loki_api::envelope::Line;
use wire::loki_api::tail;

use crate::limits::{TAIL_DROPPED_MAX, TAIL_ENTRIES_MAX, TAIL_FRAME_ENTRIES_MAX};

/// An entry as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its labels; those of the stream alone where `categories` holds the others.
    pub stream: LabelSet,
    /// When, nanoseconds.
    pub timestamp_ns: i64,
    /// Its line.
    pub line: Vec<u8>,
    /// Structured metadata and parsed labels, where they were asked for.
    pub categories: Option<(LabelSet, LabelSet)>,
}

/// Entries on their way to one client.
#[derive(Debug, Default)]
pub struct Feed {
    /// By time, then in the order they came.
    waiting: BTreeMap<(i64, u64), Told>,
    came: u64,
    dropped: Vec<(i64, LabelSet)>,
    delay_ns: i64,
    categorized: bool,
}

impl Feed {
    /// Makes a feed that tells entries `delay_ns` after their time.
    pub fn new(delay_ns: i64, categorized: bool) -> Feed {
        Feed { delay_ns, categorized, ..Feed::default() }
    }

    /// Adds an entry; where there is no room it is dropped.
    pub fn push(&mut self, told: Told) {
        if self.waiting.len() >= TAIL_ENTRIES_MAX {
            return self.drop_one(told.timestamp_ns, told.stream);
        }
        self.came += 1;
        self.waiting.insert((told.timestamp_ns, self.came), told);
    }

    /// Names an entry that the client will not see.
    pub fn drop_one(&mut self, timestamp_ns: i64, stream: LabelSet) {
        if self.dropped.len() < TAIL_DROPPED_MAX {
            self.dropped.push((timestamp_ns, stream));
        }
    }

    /// Reports whether the time of some entry has come.
    pub fn is_ripe(&self, now_ns: i64) -> bool {
        self.waiting.first_key_value().is_some_and(|((at, _), _)| at.saturating_add(self.delay_ns) < now_ns)
    }

    fn ripe(&mut self, now_ns: i64) -> Option<Told> {
        self.is_ripe(now_ns).then(|| self.waiting.pop_first()).flatten().map(|(_, told)| told)
    }

    /// Drops the entries whose time has come: the client is too slow for them.
    pub fn drop_ripe(&mut self, now_ns: i64) {
        while let Some(told) = self.ripe(now_ns) {
            self.drop_one(told.timestamp_ns, told.stream);
        }
    }

    /// Returns a frame of the entries whose time has come, if there are any.
    pub fn frame(&mut self, now_ns: i64) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        tail::frame_head(&mut out);
        let mut entries = 0;
        while entries < TAIL_FRAME_ENTRIES_MAX {
            let Some(told) = self.ripe(now_ns) else { break };
            comma(&mut out, entries);
            let categories = told.categories.as_ref().map(|(metadata, parsed)| (metadata, parsed));
            tail::frame_line(&mut out, &told.stream, &Line { timestamp_ns: told.timestamp_ns, line: &told.line, categories });
            entries += 1;
        }
        if entries == 0 {
            return None;
        }
        tail::frame_tail(&mut out, &std::mem::take(&mut self.dropped), self.categorized);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(timestamp_ns: i64, line: &str) -> Told {
        let stream = LabelSet::from_pairs([("app", "a")]);
        Told { stream, timestamp_ns, line: line.as_bytes().to_vec(), categories: None }
    }

    fn lines(frame: &[u8]) -> Vec<String> {
        let json: serde_json::Value = serde_json::from_slice(frame).unwrap();
        let streams = json["streams"].as_array().unwrap().iter();
        streams.map(|stream| stream["values"][0][1].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn entries_wait_for_their_time_and_come_in_order() {
        let mut feed = Feed::new(5, false);
        [(10, "b"), (3, "a"), (10, "c"), (99, "later")].into_iter().for_each(|(at, line)| feed.push(told(at, line)));
        assert_eq!(feed.frame(8), None, "not before its time and the delay have passed");
        assert_eq!(lines(&feed.frame(16).unwrap()), ["a", "b", "c"]);
        assert_eq!(feed.frame(16), None);
        assert_eq!(lines(&feed.frame(105).unwrap()), ["later"]);
    }

    #[test]
    fn frames_are_bounded() {
        let mut feed = Feed::new(0, false);
        (0..250).for_each(|i| feed.push(told(i, "x")));
        let sizes: Vec<usize> = std::iter::from_fn(|| feed.frame(1_000)).map(|frame| lines(&frame).len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn what_is_dropped_is_named_in_the_next_frame() {
        let mut feed = Feed::new(0, true);
        (0..TAIL_ENTRIES_MAX as i64 + 2).for_each(|i| feed.push(told(i, "x")));
        let json: serde_json::Value = serde_json::from_slice(&feed.frame(5).unwrap()).unwrap();
        assert_eq!(json["dropped_entries"].as_array().unwrap().len(), 2);
        assert_eq!(json["dropped_entries"][0].to_string(), r#"{"labels":{"app":"a"},"timestamp":"10000"}"#);
        assert_eq!(json["encodingFlags"][0], "categorize-labels");
        feed.drop_ripe(i64::MAX);
        assert_eq!(feed.dropped.len(), TAIL_DROPPED_MAX, "no more are named than this");
        feed.push(told(0, "y"));
        assert_eq!(lines(&feed.frame(1).unwrap()), ["y"]);
        assert!(feed.dropped.is_empty());
    }
}
