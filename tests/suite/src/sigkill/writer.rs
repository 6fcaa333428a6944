//! Clients that never give up on a request: the same bytes until they are acknowledged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use load::client::Client;

use super::timeline::{REQUESTS_MAX, Timeline};
use super::{breach, logs, metrics};

/// What a writer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Remote write.
    Metrics,
    /// Loki pushes.
    Logs,
}

/// What one writer knows.
#[derive(Debug)]
pub struct Writer {
    /// What it sends.
    pub kind: Kind,
    /// Its number among those of its kind.
    pub index: usize,
    /// Requests `0..acknowledged` were answered with a 2xx.
    acknowledged: AtomicU64,
    /// Requests `0..attempted` were sent at least once.
    attempted: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

/// All writers of a run.
#[derive(Debug)]
pub struct Writers {
    /// The writers.
    pub all: Vec<Writer>,
    /// When their rows lie.
    pub timeline: Timeline,
    stopped: AtomicBool,
    broken: Mutex<Option<String>>,
}

/// Pause before the same request is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// Times in a row that a request may be left without a 2xx: at [`PAUSE`] far longer than any start of the server takes.
const ATTEMPTS_MAX: u32 = 3_000;

impl Writers {
    /// Makes `count` writers of each kind.
    pub fn new(count: usize, timeline: Timeline) -> Writers {
        let of = |kind| (0..count).map(move |index| Writer::new(kind, index));
        let all = of(Kind::Metrics).chain(of(Kind::Logs)).collect();
        Writers { all, timeline, stopped: AtomicBool::new(false), broken: Mutex::new(None) }
    }

    /// Returns the writers of one kind, by index.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Writer> {
        self.all.iter().filter(move |writer| writer.kind == kind)
    }

    /// Lets every writer finish its request and end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Reports whether the writers were told to end.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Remembers the first thing that must not happen, and ends the run.
    pub fn broke(&self, what: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
        self.stop();
    }

    /// Fails where something happened that must not.
    pub fn verdict(&self) -> Result<()> {
        match &*self.broken.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(what) => breach(what),
            None => Ok(()),
        }
    }
}

impl Writer {
    fn new(kind: Kind, index: usize) -> Writer {
        let zero = || AtomicU64::new(0);
        Writer { kind, index, acknowledged: zero(), attempted: zero(), unknown: zero(), refused: zero() }
    }

    /// Returns how many requests were acknowledged, from the first on.
    pub fn acknowledged_count(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Returns how many requests were sent, acknowledged or not.
    pub fn attempted_count(&self) -> u64 {
        self.attempted.load(Ordering::SeqCst)
    }

    /// Returns how many sends had no answer.
    pub fn unknown_count(&self) -> u64 {
        self.unknown.load(Ordering::SeqCst)
    }

    /// Returns how many sends were answered with a 429 or a 5xx.
    pub fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Sends request after request until told to stop; the last one is acknowledged.
    pub fn write(&self, writers: &Writers, url: &str) {
        let client = self.client(url);
        while !writers.is_stopped() {
            if let Err(error) = self.write_next(&client, &writers.timeline) {
                return writers.broke(format!("{:?} writer {}: {error:#}", self.kind, self.index));
            }
        }
    }

    fn client(&self, url: &str) -> Client {
        let protobuf = ("Content-Type", "application/x-protobuf");
        match self.kind {
            Kind::Metrics => Client::new(format!("{url}/api/v1/write"), vec![protobuf, ("Content-Encoding", "snappy")]),
            Kind::Logs => Client::new(format!("{url}/loki/api/v1/push"), vec![protobuf]),
        }
    }

    fn write_next(&self, client: &Client, timeline: &Timeline) -> Result<()> {
        let number = self.acknowledged_count();
        if number > REQUESTS_MAX {
            bail!("no time is left in the hour for request {number}");
        }
        let body = match self.kind {
            Kind::Metrics => metrics::body(timeline, self.index, number)?,
            Kind::Logs => logs::body(timeline, self.index, number)?,
        };
        self.attempted.store(number + 1, Ordering::SeqCst);
        for _ in 0..ATTEMPTS_MAX {
            match client.post_once(&body) {
                Ok(answer) if answer.is_success() => {
                    self.acknowledged.store(number + 1, Ordering::SeqCst);
                    return Ok(());
                }
                Ok(answer) if answer.may_be_retried() => drop(self.refused.fetch_add(1, Ordering::SeqCst)),
                Ok(answer) => bail!("request {number} can never succeed: {} {}", answer.status, answer.text),
                Err(_) => drop(self.unknown.fetch_add(1, Ordering::SeqCst)),
            }
            std::thread::sleep(PAUSE);
        }
        bail!("request {number} was not acknowledged in {ATTEMPTS_MAX} attempts")
    }
}
