//! Whole lines to whole patterns.

use super::*;

fn mined(step_ms: i64, lines: impl IntoIterator<Item = (i64, &'static str, String)>) -> Vec<Pattern> {
    let mut miner = Miner::new(step_ms);
    let stream = LabelSet::from_pairs([("app", "a")]);
    for (at, level, line) in lines {
        miner.learn(&stream, &LabelSet::from_pairs([("detected_level", level)]), at, line.as_bytes(), 1.0);
    }
    miner.finish()
}

/// Level, text and samples of a pattern.
type Told<'p> = (&'p str, &'p str, &'p [(i64, u64)]);

#[test]
fn patterns_are_counted_by_level_and_step() {
    let served = (0..100).map(|i| (i * 1_000, "info", format!("GET /users/{i} took {}ms with status 200", i % 7)));
    let failed = (0..40).map(|i| (i * 1_000, "ERROR", format!("cannot reach db-{i}.internal: timeout after {i}s")));
    let rare = (0..29).map(|i| (i, "info", format!("seldom seen line of text {i}")));
    let patterns = mined(60_000, served.chain(failed).chain(rare));
    let told: Vec<Told<'_>> = patterns.iter().map(|one| (one.level, one.text.as_str(), one.samples.as_slice())).collect();
    let want: [Told<'_>; 2] = [
        ("info", "GET <_> took <_> with status 200", &[(0, 60), (60_000, 40)]),
        ("error", "cannot reach <_> timeout after <_>", &[(0, 40)]),
    ];
    assert_eq!(told, want);
}

#[test]
fn logfmt_keeps_what_does_not_vary() {
    let lines = (0..50).map(|i| (i, "x", format!("ts={i} level=info msg=\"request done\" id={i} status=200")));
    let patterns = mined(0, lines);
    assert_eq!(patterns.len(), 1);
    assert_eq!((patterns[0].level, patterns[0].samples.as_slice()), ("unknown", [(0, 50)].as_slice()));
    assert_eq!(patterns[0].text, "ts=<_> level=info msg=\"request done\" id=<_> status=200");
}

#[test]
fn silent_steps_count_zero_but_at_the_finest() {
    let line = |at: i64| (at, "info", "the same words every time".to_owned());
    let at = |step: i64| (0..40).map(move |i| line(if i < 20 { 0 } else { 3 * step }));
    assert_eq!(mined(60_000, at(60_000))[0].samples, [(0, 20), (60_000, 0), (120_000, 0), (180_000, 20)]);
    assert_eq!(mined(10_000, at(10_000))[0].samples, [(0, 20), (30_000, 20)]);
}

#[test]
fn sampled_lines_count_for_those_they_stand_for() {
    let mut miner = Miner::new(60_000);
    for stream in ["a", "b"] {
        let stream = LabelSet::from_pairs([("app", stream)]);
        (0..10).for_each(|_| miner.learn(&stream, &LabelSet::empty(), 0, b"one two three four", 2.5));
    }
    let patterns = miner.finish();
    assert_eq!(patterns.len(), 1, "streams of one text are one pattern");
    assert_eq!(patterns[0].samples, [(0, 50)]);
}

#[test]
fn lines_that_are_no_text_are_left_out() {
    let mut miner = Miner::new(0);
    (0..40).for_each(|_| miner.learn(&LabelSet::empty(), &LabelSet::empty(), 0, b"\xff\xfe a b c d", 1.0));
    assert!(miner.finish().is_empty());
}
