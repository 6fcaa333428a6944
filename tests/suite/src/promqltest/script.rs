//! Test scripts: commands and their bodies, line by line.
//!
//! Owns: the line grammar of `load`, `clear`, `eval` and the expectation lines. Does not own: series lines ([`super::series`]),
//! what an expectation demands ([`super::expect`]).

use model::{MatchOp, Matcher};

use super::expect::{Expectation, Text};
use super::number;
use super::series::{self, Item};

/// One command of a script.
#[derive(Clone, Debug)]
pub enum Command {
    /// `load`, `load_with_nhcb`
    Load(Load),
    /// `clear`
    Clear,
    /// `eval …`
    Eval(Box<Eval>),
    /// A line that is no command, or a body that is not understood.
    Broken(Broken),
}

/// What could not be read.
#[derive(Clone, Debug)]
pub struct Broken {
    /// 1-based line.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// What is wrong.
    pub why: String,
}

/// Samples to load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Distance of the values of a series, milliseconds.
    pub step_ms: i64,
    /// Whether classic histograms are loaded as native ones too.
    pub with_nhcb: bool,
    /// The series.
    pub series: Vec<LoadSeries>,
}

/// One series of a load.
#[derive(Clone, Debug)]
pub struct LoadSeries {
    /// Its labels.
    pub labels: model::LabelSet,
    /// Its values; the first stands at time zero.
    pub items: Vec<Item>,
    /// Start timestamps relative to the samples, milliseconds; empty where none is given.
    pub start_offsets_ms: Vec<Option<i64>>,
}

/// When a query is evaluated, milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At one time.
    Instant(i64),
    /// At `start`, `start + step`, … up to `end`.
    Range {
        /// First evaluation time.
        start: i64,
        /// Last evaluation time, inclusive.
        end: i64,
        /// Distance.
        step: i64,
    },
}

/// One case.
#[derive(Clone, Debug)]
pub struct Eval {
    /// 1-based line of the command.
    pub line: usize,
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub when: When,
    /// What must come.
    pub expectation: Expectation,
}

/// Reads a script. What is not understood becomes [`Command::Broken`] in its place; an `eval` there counts as a case.
pub fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text.lines().map(str::trim).map(|line| if line.starts_with('#') { "" } else { line }).collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while let Some(line) = lines.get(at) {
        if line.is_empty() {
            at += 1;
            continue;
        }
        let rest = &lines[at + 1..];
        let body = &rest[..rest.iter().position(|line| line.is_empty()).unwrap_or(rest.len())];
        let (command, used) = match line.split_whitespace().next() {
            Some("clear") => (Ok(Command::Clear), 0),
            Some(word) if word.starts_with("load") => (load(line, body).map(Command::Load), body.len()),
            Some(word) if word.starts_with("eval") => match eval(line, at + 1, body) {
                Ok((eval, used)) => (Ok(Command::Eval(Box::new(eval))), used),
                Err(why) => (Err(why), body.len()),
            },
            _ => (Err("not a command".to_owned()), 0),
        };
        let broken = |why| Command::Broken(Broken { line: at + 1, text: (*line).to_owned(), why });
        commands.push(command.unwrap_or_else(broken));
        at += 1 + used;
    }
    commands
}

fn load(line: &str, body: &[&str]) -> Result<Load, String> {
    let (command, step) = word(line);
    let with_nhcb = match command {
        "load" => false,
        "load_with_nhcb" => true,
        other => return Err(format!("{other:?} is not a command")),
    };
    let (mut series, mut pending): (Vec<LoadSeries>, Option<series::SeriesLine>) = (Vec::new(), None);
    for text in body {
        let line = series::parse(text)?;
        if line.start_timestamps {
            pending = Some(line);
            continue;
        }
        let start_offsets_ms = pending.take().map_or(Ok(Vec::new()), |starts| start_offsets(&starts, &line))?;
        series.retain(|old| old.labels != line.labels);
        series.push(LoadSeries { labels: line.labels, items: line.items, start_offsets_ms });
    }
    if let Some(starts) = pending {
        return Err(format!("start timestamps of {} without samples", starts.labels));
    }
    Ok(Load { step_ms: number::milliseconds(step)?, with_nhcb, series })
}

fn start_offsets(starts: &series::SeriesLine, samples: &series::SeriesLine) -> Result<Vec<Option<i64>>, String> {
    if starts.labels != samples.labels {
        return Err(format!("start timestamps of {} before samples of {}", starts.labels, samples.labels));
    }
    if starts.items.len() != samples.items.len() {
        return Err(format!("{} start timestamps for {} samples", starts.items.len(), samples.items.len()));
    }
    let offset = |item: &Item| match item {
        Item::Gap => Ok(None),
        Item::Float(seconds) => Ok(Some((seconds * 1000.0).round() as i64)),
        Item::Histogram(..) => Err("a start timestamp cannot be a histogram".to_owned()),
    };
    starts.items.iter().map(offset).collect()
}

/// Reads a case and says how many lines of the body it takes: a bare number ends it.
fn eval(line: &str, number: usize, body: &[&str]) -> Result<(Eval, usize), String> {
    let (command, rest) = word(line);
    let (kind, rest) = word(rest);
    let mut expectation = Expectation::default();
    match command.strip_prefix("eval").unwrap_or(command) {
        "" => {}
        "_fail" => expectation.fail = Some(Text::Any),
        "_warn" => expectation.warnings.push(Text::Any),
        "_info" => expectation.infos.push(Text::Any),
        "_ordered" => expectation.ordered = true,
        _ => return Err(format!("{command:?} is not a command")),
    }
    let (when, query) = match kind {
        "instant" => instant(rest)?,
        "range" => range(rest)?,
        other => return Err(format!("{other:?} where instant or range should be")),
    };
    let mut eval = Eval { line: number, query: query.to_owned(), when, expectation };
    for (index, line) in body.iter().enumerate() {
        if !body_line(&mut eval, line)? {
            return Ok((eval, index + 1));
        }
    }
    Ok((eval, body.len()))
}

fn instant(rest: &str) -> Result<(When, &str), String> {
    match word(rest) {
        ("at", rest) => {
            let (at, query) = word(rest);
            Ok((When::Instant(number::milliseconds(at)?), query))
        }
        _ => Ok((When::Instant(0), rest)),
    }
}

fn range(rest: &str) -> Result<(When, &str), String> {
    let (mut times, mut rest) = ([0; 3], rest);
    for (time, keyword) in times.iter_mut().zip(["from", "to", "step"]) {
        let (found, after) = word(rest);
        if found != keyword {
            return Err(format!("{found:?} where {keyword} should be"));
        }
        let (written, after) = word(after);
        (*time, rest) = (number::milliseconds(written)?, after);
    }
    let [start, end, step] = times;
    if end < start || step <= 0 {
        return Err(format!("a range from {start} ms to {end} ms by steps of {step} ms"));
    }
    Ok((When::Range { start, end, step }, rest))
}

/// Reads one line of a case's body; false where the line ends the body.
fn body_line(eval: &mut Eval, line: &str) -> Result<bool, String> {
    let expectation = &mut eval.expectation;
    match word(line) {
        ("expected_fail_message", text) if expectation.fail.is_some() => {
            expectation.fail = Some(Text::Exact(text.to_owned()));
            Ok(false)
        }
        ("expected_fail_regexp", pattern) if expectation.fail.is_some() => {
            expectation.fail = Some(self::pattern(pattern)?);
            Ok(false)
        }
        ("expect", rest) => expect(eval, rest).map(|()| true),
        _ => match number::whole(line) {
            Some(value) => {
                expectation.scalar = Some(value);
                Ok(false)
            }
            None => result(eval, line).map(|()| true),
        },
    }
}

fn result(eval: &mut Eval, line: &str) -> Result<(), String> {
    let line = series::parse(line)?;
    let single = matches!(eval.when, When::Instant(_)) && eval.expectation.range_vector.is_none();
    if line.start_timestamps || line.items.is_empty() || (single && line.items.len() > 1) {
        return Err(format!("{} values expected of {}", line.items.len(), line.labels));
    }
    eval.expectation.series.push((line.labels, line.items));
    Ok(())
}

fn expect(eval: &mut Eval, rest: &str) -> Result<(), String> {
    let expectation = &mut eval.expectation;
    match word(rest) {
        ("ordered", "") => expectation.ordered = true,
        ("no_warn", "") => expectation.no_warnings = true,
        ("no_info", "") => expectation.no_infos = true,
        ("fail", rest) => expectation.fail = Some(text(rest)?),
        ("warn", rest) => expectation.warnings.push(text(rest)?),
        ("info", rest) => expectation.infos.push(text(rest)?),
        ("string", rest) => expectation.string = Some(string(rest)?),
        ("range", rest) => {
            let times = rest.strip_prefix("vector").ok_or_else(|| format!("expect range {rest:?}"))?;
            let (times, _) = range(times.trim_start())?;
            expectation.range_vector = Some(times);
            // Upstream evaluates at the end of the range expected.
            if let When::Range { end, .. } = times {
                eval.when = When::Instant(end);
            }
        }
        _ => return Err(format!("expect {rest:?} means nothing")),
    }
    Ok(())
}

fn text(rest: &str) -> Result<Text, String> {
    if let Some(message) = rest.strip_prefix("msg:") {
        return Ok(Text::Exact(message.trim().to_owned()));
    }
    match rest.strip_prefix("regex:") {
        Some(regex) => pattern(regex),
        None if rest.is_empty() => Ok(Text::Any),
        None => Err(format!("{rest:?} where msg: or regex: should be")),
    }
}

/// Reads a pattern that may match anywhere in a text.
fn pattern(regex: &str) -> Result<Text, String> {
    let anywhere = format!("(?s:.*)(?:{})(?s:.*)", regex.trim());
    Matcher::new("text", MatchOp::Regex, &anywhere).map(Text::Pattern).map_err(|error| format!("{error}"))
}

/// Reads a quoted string as the query language does.
fn string(rest: &str) -> Result<String, String> {
    match promql::parse(rest, &promql::Options::default()).map(|expr| expr.kind) {
        Ok(promql::ast::ExprKind::Text(text)) => Ok(text.to_lossy().into_owned()),
        _ => Err(format!("{rest:?} is not a quoted string")),
    }
}

/// Splits off the first word.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_where_they_end() {
        let script = "load 1m\n  m 1\n# between\n\neval instant at 1m 1\n  1\neval_fail range from 0 to 1m step 30s m\n expected_fail_message x y\n\
                      clear\nnonsense\neval instant at m\n";
        let commands = parse(script);
        let [
            Command::Load(load),
            Command::Eval(first),
            Command::Eval(second),
            Command::Clear,
            Command::Broken(_),
            Command::Broken(_),
        ] = commands.as_slice()
        else {
            panic!("{commands:?}")
        };
        assert_eq!((load.step_ms, load.series.len()), (60_000, 1));
        assert_eq!((first.line, first.when, first.expectation.scalar), (5, When::Instant(60_000), Some(1.0)));
        assert_eq!(second.when, When::Range { start: 0, end: 60_000, step: 30_000 });
        assert!(matches!(&second.expectation.fail, Some(Text::Exact(text)) if text == "x y"));
    }

    #[test]
    fn start_timestamps_belong_to_the_next_line() {
        let commands = parse("load 1m\n m@st _ -30s\n m 1 2\n");
        let [Command::Load(load)] = commands.as_slice() else { panic!("{commands:?}") };
        assert_eq!(load.series[0].start_offsets_ms, [None, Some(-30_000)]);
        assert!(matches!(parse("load 1m\n m@st -30s\n m 1 2\n").as_slice(), [Command::Broken(_)]));
    }
}
