//! What a remote-write request holds, and what must be found of it.

use std::collections::HashMap;

use anyhow::{Context, Result};
use load::answers::{Question, ask};
use load::remote_write::{self, Label, Sample, TimeSeries, WriteRequest};
use model::{Hour, TimestampMs};
use serde_json::Value;

use super::breach;
use super::check::Bounds;
use super::timeline::Timeline;

/// Series of a writer, and so samples of a request: one of each.
pub const SERIES: usize = 4;

/// Encodes request `number` of a writer.
pub fn body(timeline: &Timeline, writer: usize, number: u64) -> Result<Vec<u8>> {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let series = |part: usize| TimeSeries {
        labels: vec![
            label("__name__", "sigkill".to_owned()),
            label("part", part.to_string()),
            label("writer", writer.to_string()),
        ],
        samples: vec![Sample { value: number as f64, timestamp: timeline.time_of(number, part).0 }],
        ..TimeSeries::default()
    };
    remote_write::body(&WriteRequest { timeseries: (0..SERIES).map(series).collect() })
}

/// Holds every sample of every series against the bounds of its writer.
pub fn check(url: &str, timeline: &Timeline, bounds: impl Fn() -> Vec<Bounds>) -> Result<u64> {
    let before = bounds();
    let mut answers = Vec::new();
    for hour in timeline.hours() {
        answers.push((*hour, hour_of(url, *hour)?));
    }
    let after = bounds();
    let mut samples = 0;
    for (writer, (before, after)) in before.iter().zip(&after).enumerate() {
        let bounds = Bounds { acknowledged: before.acknowledged, attempted: after.attempted };
        for (hour, found) in &answers {
            for part in 0..SERIES {
                let points = found.get(&(writer, part)).map_or(&[][..], Vec::as_slice);
                let what = || format!("writer {writer}, series {part}, hour {}", hour.0);
                series(timeline, *hour, part, points, bounds).with_context(what)?;
            }
        }
        samples += bounds.acknowledged * SERIES as u64;
    }
    Ok(samples)
}

type Points = Vec<(TimestampMs, f64)>;

fn hour_of(url: &str, hour: Hour) -> Result<HashMap<(usize, usize), Points>> {
    let end = hour.end().0 as f64 / 1000.0;
    let answer = ask(url, &Question { text: "sigkill[1h]".to_owned(), start: end, end, step: None })?;
    whole(&answer)?;
    let number = |series: &Value, name: &str| series["metric"][name].as_str().and_then(|text| text.parse::<usize>().ok());
    let mut found = HashMap::new();
    for series in answer["data"]["result"].as_array().context("an answer has a result")? {
        let writer = number(series, "writer").context("a series has a writer")?;
        let part = number(series, "part").context("a series has a part")?;
        let values = series["values"].as_array().context("a series has values")?;
        let points = values.iter().map(point).collect::<Option<Points>>().context("a point is a time and a value")?;
        if found.insert((writer, part), points).is_some() {
            return breach(format!("series {} is answered twice", series["metric"]));
        }
    }
    Ok(found)
}

/// An answer with a warning misses something.
fn whole(answer: &Value) -> Result<()> {
    if answer["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()) {
        return breach(format!("the answer has warnings: {}", answer["warnings"]));
    }
    Ok(())
}

fn point(value: &Value) -> Option<(TimestampMs, f64)> {
    Some((TimestampMs((value[0].as_f64()? * 1000.0).round() as i64), value[1].as_str()?.parse().ok()?))
}

/// The samples of one series in one hour: one after the other, each with its value, from the first to the newest.
fn series(timeline: &Timeline, hour: Hour, part: usize, points: &[(TimestampMs, f64)], bounds: Bounds) -> Result<()> {
    let mut points = points.iter();
    for number in timeline.numbers(hour, part, bounds.attempted.checked_sub(1)) {
        let expected = (timeline.time_of(number, part), number as f64);
        match points.clone().next() {
            Some(point) if *point == expected => drop(points.next()),
            // Not acknowledged: it may be missing.
            _ if number >= bounds.acknowledged => {}
            point => return breach(format!("sample {number}: expected {expected:?}, found {point:?}")),
        }
    }
    match points.next() {
        Some(point) => breach(format!("{point:?} was never sent, or is there twice")),
        None => Ok(()),
    }
}

/// Counts samples by series over all hours, as one aggregation, and holds the counts against the bounds.
pub fn count(url: &str, timeline: &Timeline, bounds: impl Fn() -> Vec<Bounds>) -> Result<()> {
    let before = bounds();
    let range = timeline.range();
    let seconds = (range.end.0 - range.start.0) / 1000;
    let text = format!("sum by (writer) (count_over_time(sigkill[{seconds}s]))");
    let end = range.end.0 as f64 / 1000.0;
    let answer = ask(url, &Question { text, start: end, end, step: None })?;
    whole(&answer)?;
    let after = bounds();
    super::check::counts(&answer, SERIES as u64, &before, &after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_doubled_or_made_up_is_found() {
        let timeline = Timeline::before(TimestampMs(1_795_256_480_000));
        let hour = timeline.hours()[0];
        let bounds = Bounds { acknowledged: 9, attempted: 10 };
        let all: Points = timeline.numbers(hour, 0, Some(8)).map(|n| (timeline.time_of(n, 0), n as f64)).collect();
        let verdict = |points: &[(TimestampMs, f64)]| series(&timeline, hour, 0, points, bounds).is_ok();
        assert!(verdict(&all));
        assert!(!verdict(&all[1..]) && !verdict(&all[..all.len() - 1]) && !verdict(&[]));
        let mut doubled = all.clone();
        doubled.insert(1, all[0]);
        assert!(!verdict(&doubled));
        let mut wrong = all.clone();
        wrong[0].1 += 1.0;
        assert!(!verdict(&wrong));
        let mut more = all.clone();
        more.push((timeline.time_of(12, 0), 12.0));
        assert!(!verdict(&more));
    }
}
