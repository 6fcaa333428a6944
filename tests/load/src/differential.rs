//! The same random series on two servers, the same random queries to both: every answer must be the same.
//!
//! Owns: sending, asking, comparing. Does not own: the series (`data`), the queries (`expression`).

mod data;
mod expression;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::answers::{Question, Reply, reply, same};
use crate::client::Client;
use crate::remote_write::body;
use expression::Generator;

/// Which Prometheus the other server is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// 2.42 to 2.55: no functions, native histograms, annotations or error texts of 3.x.
    V2,
    /// 3.x, whose error texts, warnings and infos must be the same too.
    V3,
}

/// What to send, and how much to ask.
#[derive(Args)]
pub struct Options {
    /// Server under test.
    #[arg(long)]
    url: String,
    /// A real Prometheus with its remote-write receiver on and an empty database.
    #[arg(long)]
    against: String,
    /// Which language the other server speaks.
    #[arg(long, value_enum, default_value = "v2")]
    dialect: Dialect,
    /// Where series and queries start: the same seed asks the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Queries to ask.
    #[arg(long, default_value_t = 1_000)]
    queries: u64,
    /// Samples per series, 15 s apart.
    #[arg(long, default_value_t = 480)]
    steps: usize,
    /// Do not send series: an earlier run with the same seed and `--end-ms` has.
    #[arg(long)]
    only_ask: bool,
    /// Time of the last sample, milliseconds since the epoch.
    #[arg(long)]
    end_ms: i64,
    /// Relative difference of two floats that still counts as equal: versions differ in compensated summation.
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
}

/// Sends the series to both servers, asks, and fails if any answer differs or if hardly any query had an answer.
pub fn run(options: &Options) -> Result<()> {
    let end_ms = options.end_ms;
    if !options.only_ask {
        send(options, end_ms)?;
    }
    let mut tally = Tally::default();
    for number in 0..options.queries {
        let mut random = StdRng::seed_from_u64(options.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let question = question(&mut random, options, end_ms);
        tally.count(&question, compare(options, &question)?);
    }
    println!("seed {} end {end_ms}: {tally}", options.seed);
    if tally.different > 0 || tally.answered * 4 < options.queries {
        bail!("{} of {} queries differ, {} had an answer", tally.different, options.queries, tally.answered);
    }
    Ok(())
}

fn send(options: &Options, end_ms: i64) -> Result<()> {
    let headers = || {
        vec![
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
            ("User-Agent", "lamella-load"),
        ]
    };
    let clients = [&options.url, &options.against].map(|url| Client::new(format!("{url}/api/v1/write"), headers()));
    for request in data::requests(options.seed, options.steps, end_ms, options.dialect == Dialect::V3) {
        let body = body(&request).context("compress a request")?;
        clients.iter().try_for_each(|client| client.post(&body))?;
    }
    Ok(())
}

/// Times lie off full seconds, for 3.x only half of them: before 3.0 ranges and subqueries were closed on the left, which only shows on a
/// boundary.
fn question(random: &mut StdRng, options: &Options, end_ms: i64) -> Question {
    let newest = options.dialect == Dialect::V3;
    let text = Generator::new(random, newest).query();
    let covered_s = options.steps as i64 * data::STEP_MS / 1000;
    let back_s = random.random_range(0..covered_s);
    let end = match newest && random.random_bool(0.5) {
        true => (end_ms / 1000 - back_s / 15 * 15) as f64,
        false => (end_ms / 1000 - back_s) as f64 + 0.437,
    };
    let step = [None, Some(15), Some(37), Some(60), Some(300)][random.random_range(0..5)];
    let points = random.random_range(1..60);
    let start = end - f64::from(step.unwrap_or(0) * points);
    Question { text, start, end, step }
}

/// How two answers to one query compare.
enum Outcome {
    /// Both have the same series and points.
    Equal {
        series: usize,
    },
    /// Both refuse.
    BothRefuse,
    Different(String),
}

fn compare(options: &Options, question: &Question) -> Result<Outcome> {
    let (theirs, ours) = (reply(&options.against, question)?, reply(&options.url, question)?);
    let exact = options.dialect == Dialect::V3;
    let difference = difference(&theirs, &ours, exact, options.tolerance).or_else(|| order_differs(question, &theirs, &ours));
    Ok(match difference {
        Some(text) => Outcome::Different(text),
        None if theirs.status == 200 => Outcome::Equal { series: theirs.series_count() },
        None => Outcome::BothRefuse,
    })
}

fn difference(theirs: &Reply, ours: &Reply, exact: bool, tolerance: f64) -> Option<String> {
    if theirs.status != ours.status {
        return Some(format!("status {} against {}: {} against {}", theirs.status, ours.status, theirs.brief(), ours.brief()));
    }
    if theirs.status != 200 {
        let texts = ["errorType", "error"].map(|field| (portable(&theirs.body[field]), portable(&ours.body[field])));
        let unequal = texts.iter().find(|(a, b)| exact && a != b);
        return unequal.map(|(a, b)| format!("{a} against {b}"));
    }
    if let Err(error) = same(&theirs.body, &ours.body, tolerance) {
        return Some(format!("{error:#}"));
    }
    let annotations = ["warnings", "infos"].map(|field| (sorted(&theirs.body[field]), sorted(&ours.body[field])));
    annotations.iter().find(|(a, b)| exact && a != b).map(|(a, b)| format!("annotations {a:?} against {b:?}"))
}

/// Prometheus keeps annotations in a map: they come in any order.
fn sorted(texts: &serde_json::Value) -> Vec<String> {
    let mut texts: Vec<String> =
        texts.as_array().map(|texts| texts.iter().map(ToString::to_string).collect()).unwrap_or_default();
    texts.sort_unstable();
    texts
}

/// Which two of several duplicates an error names, and in which order, follows the order of series in storage: the group is compared.
fn portable(text: &serde_json::Value) -> String {
    let text = text.as_str().unwrap_or_default();
    match text.split_once(": [{") {
        Some((group, _)) if text.starts_with("found duplicate series for the match group") => group.to_owned(),
        _ => text.to_owned(),
    }
}

/// `sort` promises an order where values differ; ties come in any order.
fn order_differs(question: &Question, theirs: &Reply, ours: &Reply) -> Option<String> {
    if question.step.is_some() || !question.text.starts_with("sort") || theirs.status != 200 {
        return None;
    }
    let values = |reply: &Reply| -> Vec<String> {
        let result = reply.body["data"]["result"].as_array().cloned().unwrap_or_default();
        result.iter().map(|series| series["value"][1].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (a, b) = (values(theirs), values(ours));
    let close = |a: &str, b: &str| {
        a == b || a.parse::<f64>().ok().zip(b.parse().ok()).is_some_and(|(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * a.abs())
    };
    let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| close(a, b));
    (!same).then(|| format!("order {a:?} against {b:?}"))
}

#[derive(Default)]
struct Tally {
    equal: u64,
    refused: u64,
    different: u64,
    answered: u64,
    series: usize,
}

impl Tally {
    fn count(&mut self, question: &Question, outcome: Outcome) {
        match outcome {
            Outcome::Equal { series } => {
                self.equal += 1;
                self.answered += u64::from(series > 0);
                self.series += series;
            }
            Outcome::BothRefuse => self.refused += 1,
            Outcome::Different(text) => {
                self.different += 1;
                let step =
                    question.step.map_or_else(|| "instant".to_owned(), |step| format!("from {} step {step}", question.start));
                println!("DIFFERS {}\n        {step} at {}\n        {text}", question.text, question.end);
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { equal, refused, different, answered, series } = self;
        write!(f, "{equal} equal ({answered} not empty, {series} series), {refused} refused by both, {different} different")
    }
}
