//! One tail: the lines of the past, then batches as they become durable, through the query's pipeline into the feed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::{LabelSet, LogBatch, Matcher};
use plan::StreamEntries;
use plan::pipeline::{Category, Labels, Outcome, Pipeline, Scratch};

use super::feed::{Feed, Told};

/// What is tailed, and what of it was told.
pub struct Session {
    /// Which streams; `None` where nothing is told at all.
    matchers: Option<Vec<Matcher>>,
    pipeline: Pipeline,
    scratch: Scratch,
    categorized: bool,
    /// Lines of the past, each as often as it was told: they may come again as live ones.
    past: HashMap<u64, usize>,
    hasher: RandomState,
    /// What is about to be told.
    pub feed: Feed,
}

impl Session {
    /// Makes a session without a past.
    pub fn new(matchers: Vec<Matcher>, pipeline: Pipeline, delay_ns: i64, categorized: bool) -> Session {
        let (scratch, past, hasher) = (Scratch::default(), HashMap::new(), RandomState::new());
        let (matchers, feed) = (Some(matchers), Feed::new(delay_ns, categorized));
        Session { matchers, pipeline, scratch, categorized, past, hasher, feed }
    }

    /// Makes a session that tells nothing: that of a query of numbers, as in Loki.
    pub fn silent(pipeline: Pipeline) -> Session {
        Session { matchers: None, ..Session::new(Vec::new(), pipeline, 0, false) }
    }

    /// Tells the lines of the past.
    pub fn remember(&mut self, streams: Vec<StreamEntries>) {
        for StreamEntries { labels, entries } in streams {
            for entry in entries {
                *self.past.entry(self.hasher.hash_one((entry.timestamp, &entry.line))).or_default() += 1;
                let categories = self.categorized.then_some((entry.metadata, entry.parsed));
                self.feed.push(Told { stream: labels.clone(), timestamp_ns: entry.timestamp, line: entry.line, categories });
            }
        }
    }

    /// Tells what of a batch the query wants.
    pub fn learn(&mut self, batch: &LogBatch) {
        for index in 0..batch.streams_len() {
            // A batch was verified when it was decoded.
            let Ok(stream) = LabelSet::from_encoded(batch.labels.get(index)) else { continue };
            let is_wanted = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches_labels(&stream));
            if !self.matchers.as_ref().is_some_and(is_wanted) {
                continue;
            }
            for row in batch.entry_range(index) {
                let Ok(metadata) = LabelSet::from_encoded(batch.metadata.get(row)) else { continue };
                self.learn_entry(&stream, &metadata, batch.timestamps[row], batch.lines.get(row));
            }
        }
    }

    fn learn_entry(&mut self, stream: &LabelSet, metadata: &LabelSet, timestamp_ns: i64, line: &[u8]) {
        let Outcome::Keep { line, labels } = self.pipeline.process(&mut self.scratch, timestamp_ns, line, stream, metadata)
        else {
            return;
        };
        if was_told(&mut self.past, self.hasher.hash_one((timestamp_ns, &*line))) {
            return;
        }
        let told = match self.categorized {
            true => {
                let categories = Some((labels.of(Category::Metadata), labels.of(Category::Parsed)));
                Told { stream: labels.of(Category::Stream), timestamp_ns, line: line.into_owned(), categories }
            }
            // As Loki tells them: without a pipeline nobody has looked at the metadata.
            false => {
                let labels = if self.pipeline.is_identity() { stream.clone() } else { Labels::merged(labels) };
                Told { stream: labels, timestamp_ns, line: line.into_owned(), categories: None }
            }
        };
        self.feed.push(told);
    }
}

fn was_told(past: &mut HashMap<u64, usize>, entry: u64) -> bool {
    let Some(times) = past.get_mut(&entry) else { return false };
    *times -= 1;
    if *times == 0 {
        past.remove(&entry);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimestampNs;
    use plan::value::Entry;

    fn session(query: &str, categorized: bool) -> Session {
        let Ok(logql::Expr::Log(log)) = logql::parse(query) else { panic!("{query}") };
        Session::new(log.matchers, Pipeline::compile(&log.stages).unwrap(), 0, categorized)
    }

    fn batch(app: &str, lines: &[(i64, &str)]) -> LogBatch {
        let mut batch = LogBatch::default();
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", app)]).encoded()));
        let metadata = LabelSet::from_pairs([("trace", "t")]);
        lines.iter().for_each(|(at, line)| batch.push_entry(TimestampNs(*at), line.as_bytes(), metadata.encoded()));
        batch
    }

    fn streams(session: &mut Session) -> String {
        let frame = session.feed.frame(1_000).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_slice(&frame).unwrap_or_default();
        json["streams"].to_string()
    }

    #[test]
    fn the_query_chooses_and_changes_lines() {
        let mut tail = session(r#"{app="a"} |= "k" | logfmt | line_format "{{.k}}""#, false);
        tail.learn(&batch("b", &[(1, "k=1")]));
        tail.learn(&batch("a", &[(2, "k=2"), (3, "x=3")]));
        assert_eq!(streams(&mut tail), r#"[{"stream":{"app":"a","k":"2","trace":"t"},"values":[["2","2"]]}]"#);
    }

    #[test]
    fn metadata_is_told_by_a_pipeline_or_by_category() {
        let entry = || batch("a", &[(1, "x")]);
        let mut bare = session(r#"{app="a"}"#, false);
        bare.learn(&entry());
        assert_eq!(streams(&mut bare), r#"[{"stream":{"app":"a"},"values":[["1","x"]]}]"#);
        let mut categorized = session(r#"{app="a"}"#, true);
        categorized.learn(&entry());
        let want = r#"[{"stream":{"app":"a"},"values":[["1","x",{"structuredMetadata":{"trace":"t"}}]]}]"#;
        assert_eq!(streams(&mut categorized), want);
    }

    #[test]
    fn a_query_of_numbers_tells_nothing() {
        let mut silent = Session::silent(Pipeline::compile(&[]).unwrap());
        silent.learn(&batch("a", &[(1, "x")]));
        assert_eq!(silent.feed.frame(1_000), None);
    }

    #[test]
    fn a_line_of_the_past_is_told_once() {
        let mut tail = session(r#"{app="a"}"#, false);
        let entry =
            |at: i64| Entry { timestamp: at, line: b"x".to_vec(), metadata: LabelSet::empty(), parsed: LabelSet::empty() };
        tail.remember(vec![StreamEntries { labels: LabelSet::from_pairs([("app", "a")]), entries: vec![entry(1)] }]);
        tail.learn(&batch("a", &[(1, "x"), (1, "x"), (2, "x")]));
        let told: serde_json::Value = serde_json::from_str(&streams(&mut tail)).unwrap();
        let times: Vec<&str> = told.as_array().unwrap().iter().map(|stream| stream["values"][0][0].as_str().unwrap()).collect();
        assert_eq!(times, ["1", "1", "2"]);
    }
}
