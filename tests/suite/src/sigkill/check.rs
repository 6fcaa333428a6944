//! Everything that was acknowledged against everything that is answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use load::answers::Refusal;
use serde_json::Value;

use super::writer::{Kind, Writers};
use super::{breach, logs, metrics};

/// What must be there of a writer, and what may be: requests by number, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Requests below this were acknowledged.
    pub acknowledged: u64,
    /// Requests below this were sent.
    pub attempted: u64,
}

/// Rows found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Acknowledged samples.
    pub samples: u64,
    /// Acknowledged lines.
    pub lines: u64,
}

/// Asks and compares.
#[derive(Debug)]
pub struct Checker<'a> {
    url: String,
    writers: &'a Writers,
}

/// Pause of a reader whose question found no server.
const PAUSE: Duration = Duration::from_millis(20);
/// A server whose stores are slow answers 503, and is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(120);

impl Checker<'_> {
    /// Makes a checker of what the writers know.
    pub fn new(url: String, writers: &Writers) -> Checker<'_> {
        Checker { url, writers }
    }

    fn bounds(&self, kind: Kind) -> Vec<Bounds> {
        let of =
            |writer: &super::Writer| Bounds { acknowledged: writer.acknowledged_count(), attempted: writer.attempted_count() };
        self.writers.of(kind).map(of).collect()
    }

    /// Checks every row while writers go on: what was acknowledged before the question is there, what was not sent before the
    /// answer is not.
    pub fn at_least(&self) -> Result<Found> {
        let timeline = &self.writers.timeline;
        let samples = patiently(|| metrics::check(&self.url, timeline, || self.bounds(Kind::Metrics))).context("metrics")?;
        let lines = patiently(|| logs::check(&self.url, timeline, || self.bounds(Kind::Logs))).context("logs")?;
        Ok(Found { samples, lines })
    }

    /// Checks every row and every count after the writers have ended: nothing is open any more.
    pub fn exact(&self) -> Result<()> {
        let open = self.writers.all.iter().find(|writer| writer.acknowledged_count() != writer.attempted_count());
        if let Some(writer) = open {
            return breach(format!("{:?} writer {} ended without an acknowledgement", writer.kind, writer.index));
        }
        self.at_least()?;
        patiently(|| self.counts())
    }

    fn counts(&self) -> Result<()> {
        let timeline = &self.writers.timeline;
        metrics::count(&self.url, timeline, || self.bounds(Kind::Metrics)).context("count of samples")?;
        logs::count(&self.url, timeline, || self.bounds(Kind::Logs)).context("count of lines")
    }

    /// Asks for counts until the writers are told to end. A kill or a slow store may leave a question without an answer; an answer must hold.
    pub fn read_on(&self, answers: &AtomicU64, unanswered: &AtomicU64) {
        while !self.writers.is_stopped() {
            match self.counts() {
                Ok(()) => drop(answers.fetch_add(2, Ordering::SeqCst)),
                Err(error) if error.chain().any(|cause| cause.is::<ureq::Error>()) || is_passing(&error) => {
                    unanswered.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(PAUSE);
                }
                Err(error) => self.writers.broke(format!("a query beside: {error:#}")),
            }
        }
    }
}

/// Asks until the answer is no passing refusal, which says nothing about rows.
fn patiently<T>(ask: impl Fn() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(error) if is_passing(&error) && started.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<Refusal>()).any(Refusal::is_passing)
}

/// Holds an answer of counts by writer against the bounds.
pub fn counts(answer: &Value, rows: u64, before: &[Bounds], after: &[Bounds]) -> Result<()> {
    let result = answer["data"]["result"].as_array().context("an answer has a result")?;
    for (writer, (before, after)) in before.iter().zip(after).enumerate() {
        let series = result.iter().find(|series| series["metric"]["writer"].as_str() == Some(&writer.to_string()));
        let count = series.and_then(|series| series["value"][1].as_str()).map_or(Ok(0.0), str::parse::<f64>)?;
        let (least, most) = (before.acknowledged * rows, after.attempted * rows);
        if count < least as f64 || count > most as f64 {
            return breach(format!("writer {writer}: {count} rows counted, {least} acknowledged, {most} sent"));
        }
    }
    Ok(())
}
