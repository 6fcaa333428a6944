//! What a Loki push holds, and what must be found of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use load::answers::{Question, ask_loki};
use load::loki::{Entry, PushRequest, Stream, Timestamp};
use load::pages::{LINES_PER_PAGE, page};

use super::breach;
use super::check::Bounds;
use super::timeline::Timeline;

/// Lines of a request.
pub const LINES: usize = 3;

/// Encodes request `number` of a writer.
pub fn body(timeline: &Timeline, writer: usize, number: u64) -> Result<Vec<u8>> {
    let entry =
        |part: usize| Entry { timestamp: Some(Timestamp::of(at(timeline, number, part))), line: line(writer, number, part) };
    let labels = format!("{{job=\"sigkill\", writer=\"{writer}\"}}");
    PushRequest { streams: vec![Stream { labels, entries: (0..LINES).map(entry).collect() }] }.body()
}

/// Lines of a request that share a millisecond are nanoseconds apart.
fn at(timeline: &Timeline, number: u64, part: usize) -> i64 {
    timeline.time_of(number, part).to_ns().0 + part as i64
}

fn line(writer: usize, number: u64, part: usize) -> String {
    format!("level=info writer={writer} request={number} line={part} msg=\"order {} placed\"", number * 7919 % 10_007)
}

/// Pages through every stream and holds its lines against the bounds of its writer.
pub fn check(url: &str, timeline: &Timeline, bounds: impl Fn() -> Vec<Bounds>) -> Result<u64> {
    let before = bounds();
    let mut lines = 0;
    for (writer, before) in before.iter().enumerate() {
        let found = read(url, timeline, writer)?;
        let bounds = Bounds { acknowledged: before.acknowledged, attempted: bounds()[writer].attempted };
        stream(timeline, writer, &found, bounds).with_context(|| format!("writer {writer}"))?;
        lines += bounds.acknowledged * LINES as u64;
    }
    Ok(lines)
}

fn read(url: &str, timeline: &Timeline, writer: usize) -> Result<Vec<(i64, String)>> {
    let query = format!("{{job=\"sigkill\", writer=\"{writer}\"}}");
    let (mut start, end) = (timeline.range().start.to_ns().0, timeline.range().end.to_ns().0);
    let mut found = Vec::new();
    loop {
        let lines = page(url, &query, start, end)?;
        let last = lines.len() < LINES_PER_PAGE;
        if let Some((newest, _)) = lines.last() {
            start = newest + 1;
        }
        found.extend(lines);
        if last {
            return Ok(found);
        }
    }
}

/// The lines of one stream: each at its time, once.
fn stream(timeline: &Timeline, writer: usize, found: &[(i64, String)], bounds: Bounds) -> Result<()> {
    let parts = |number| (0..LINES).map(move |part| (at(timeline, number, part), (number, part)));
    let mut expected: BTreeMap<i64, (u64, usize)> = (0..bounds.attempted).flat_map(parts).collect();
    for (at, text) in found {
        match expected.remove(at) {
            Some((number, part)) if *text == line(writer, number, part) => {}
            Some((number, part)) => return breach(format!("line {part} of request {number} is {text:?}")),
            None => return breach(format!("{text:?} at {at} was never sent, or is there twice")),
        }
    }
    match expected.values().find(|(number, _)| *number < bounds.acknowledged) {
        Some((number, part)) => breach(format!("line {part} of request {number} is missing")),
        None => Ok(()),
    }
}

/// Counts lines by stream over all hours, as one aggregation, and holds the counts against the bounds.
pub fn count(url: &str, timeline: &Timeline, bounds: impl Fn() -> Vec<Bounds>) -> Result<()> {
    let before = bounds();
    let range = timeline.range();
    let seconds = (range.end.0 - range.start.0) / 1000;
    let text = format!("sum by (writer) (count_over_time({{job=\"sigkill\"}}[{seconds}s]))");
    let end = range.end.0 as f64 / 1000.0;
    let answer = ask_loki(url, &Question { text, start: end, end, step: None })?;
    let after = bounds();
    super::check::counts(&answer, LINES as u64, &before, &after)
}

#[cfg(test)]
mod tests {
    use model::TimestampMs;

    use super::*;

    #[test]
    fn what_is_missing_doubled_or_made_up_is_found() {
        let timeline = Timeline::before(TimestampMs(1_795_256_480_000));
        let bounds = Bounds { acknowledged: 5, attempted: 6 };
        let lines = |numbers: std::ops::Range<u64>| -> Vec<(i64, String)> {
            let of = |number| (0..LINES).map(move |part| (number, part));
            let mut lines: Vec<_> =
                numbers.flat_map(of).map(|(number, part)| (at(&timeline, number, part), line(0, number, part))).collect();
            lines.sort();
            lines
        };
        let verdict = |found: &[(i64, String)]| stream(&timeline, 0, found, bounds).is_ok();
        let all = lines(0..5);
        assert!(verdict(&all) && verdict(&lines(0..6)));
        assert!(!verdict(&all[1..]) && !verdict(&lines(0..4)) && !verdict(&lines(0..7)));
        let mut doubled = all.clone();
        doubled.push(all[3].clone());
        assert!(!verdict(&doubled));
        let mut wrong = all.clone();
        wrong[0].1.push('x');
        assert!(!verdict(&wrong));
    }
}
