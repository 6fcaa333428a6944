//! A record store that fails before or after the effect, delays, and breaks its promises on purpose.

use crate::SimulatedClock;
use async_trait::async_trait;
use bytes::Bytes;
use model::{Clock, TimestampMs};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Cas, Delete, Error, Put, Record, RecordKey, RecordStore, Records, Result};

/// What happens to one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails and had no effect.
    Before,
    /// It has its effect and the answer is lost.
    After,
    /// The caller dies before the effect: an error nobody retries.
    CrashBefore,
    /// The caller dies after the effect.
    CrashAfter,
}

/// How often what goes wrong, in thousandths of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// Fails before the effect.
    pub before: u32,
    /// Answer lost.
    pub after: u32,
    /// Caller dies.
    pub crash: u32,
    /// Caller is frozen, for up to `freeze_max`, before the effect.
    pub freeze: u32,
    /// Longest freeze.
    pub freeze_max: Duration,
    /// Broken promise: a get answers with the version before.
    pub stale_get: u32,
    /// Broken promise: an update is made whatever the version.
    pub blind_update: u32,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    chances: Chances,
    script: VecDeque<Fault>,
    previous: HashMap<RecordKey, Option<Record>>,
    calls: u64,
}

/// Wraps a record store. With no chances and no script it only counts.
#[derive(Clone, Debug)]
pub struct FaultyRecords {
    inner: Records,
    clock: SimulatedClock,
    state: Arc<Mutex<State>>,
}

impl FaultyRecords {
    /// Wraps `inner`; everything that happens follows from `seed`.
    pub fn new(inner: Records, clock: SimulatedClock, seed: u64) -> FaultyRecords {
        let random = StdRng::seed_from_u64(seed);
        let state = State { random, chances: Chances::default(), script: VecDeque::new(), previous: HashMap::new(), calls: 0 };
        FaultyRecords { inner, clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Lets things go wrong by chance from now on.
    pub fn set_chances(&self, chances: Chances) {
        self.state().chances = chances;
    }

    /// Decides the next calls one by one; after them, chance again.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script = faults.into_iter().collect();
    }

    /// Counts the calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the lock")
    }

    fn draw(&self, chance: impl Fn(&Chances) -> u32) -> bool {
        let mut state = self.state();
        let thousandths = chance(&state.chances);
        thousandths > 0 && state.random.random_range(0..1000) < thousandths
    }

    /// Lets others go first, for a while or for a freeze, and decides what happens to the call.
    async fn enter(&self) -> Fault {
        let (yields, until) = {
            let mut state = self.state();
            state.calls += 1;
            let (chances, now) = (state.chances, self.clock.now());
            let frozen = chances.freeze > 0 && state.random.random_range(0..1000) < chances.freeze;
            let freeze_ms = if frozen { state.random.random_range(0..=chances.freeze_max.as_millis() as i64) } else { 0 };
            (state.random.random_range(0..4u32), TimestampMs(now.0 + freeze_ms))
        };
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        while self.clock.now() < until {
            tokio::task::yield_now().await;
        }
        self.decide()
    }

    fn decide(&self) -> Fault {
        let mut state = self.state();
        if let Some(fault) = state.script.pop_front() {
            return fault;
        }
        let Chances { before, after, crash, .. } = state.chances;
        if before + after + crash == 0 {
            return Fault::None;
        }
        match state.random.random_range(0..1000) {
            n if n < before => Fault::Before,
            n if n < before + after => Fault::After,
            n if n < before + after + crash && n % 2 == 0 => Fault::CrashBefore,
            n if n < before + after + crash => Fault::CrashAfter,
            _ => Fault::None,
        }
    }

    async fn write<T: Send>(&self, key: &RecordKey, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = self.enter().await;
        match fault {
            Fault::Before => return Err(Error::Unavailable { operation: "write record", source: "injected".into() }),
            Fault::CrashBefore => return Err(crash()),
            _ => {}
        }
        let before = self.inner.get(key).await?;
        self.state().previous.insert(key.clone(), before);
        let outcome = call.await;
        match fault {
            Fault::After => Err(Error::UnknownOutcome { operation: "write record", source: "injected".into() }),
            Fault::CrashAfter => Err(crash()),
            _ => outcome,
        }
    }

    async fn read<T: Send>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.enter().await {
            Fault::None => call.await,
            Fault::Before | Fault::After => Err(Error::Unavailable { operation: "read record", source: "injected".into() }),
            Fault::CrashBefore | Fault::CrashAfter => Err(crash()),
        }
    }
}

fn crash() -> Error {
    Error::Refused { operation: "crash", source: "injected".into() }
}

#[async_trait]
impl RecordStore for FaultyRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        self.write(key, self.inner.put_if_absent(key, value)).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let stale = self.draw(|chances| chances.stale_get);
        let found = self.read(self.inner.get(key)).await?;
        let previous = self.state().previous.get(key).cloned();
        Ok(if stale { previous.unwrap_or(found) } else { found })
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        self.read(self.inner.query_prefix(partition, sort_prefix)).await
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        let blind = self.draw(|chances| chances.blind_update);
        let update = async {
            let current = self.inner.get(key).await?.map_or(version, |record| record.version);
            self.inner.cas_update(key, if blind { current } else { version }, value).await
        };
        self.write(key, update).await
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        self.write(key, self.inner.delete_if(key, version)).await
    }
}
