//! A process, or the environment of a function: a clock of its own, freezes, and an end at any await.

use super::Schedule;
use super::schedule::Waiting;
use model::{Clock, TimestampMs};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A process. Cheap to clone; the copies are one.
#[derive(Clone)]
pub struct Process {
    schedule: Schedule,
    id: u32,
}

/// The process crashed; its operations are dropped where they stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Died;

#[derive(Default)]
pub(super) struct State {
    pub(super) skew_ms: i64,
    pub(super) frozen_until_ms: i64,
    pub(super) dead: bool,
    pub(super) waits: BTreeMap<u64, Waiting>,
    /// Operations under way.
    pub(super) operations: u32,
    /// Waits among its own tasks for longer than any call: a group that lingers.
    pub(super) lingers: bool,
    pub(super) mourners: Vec<Waker>,
}

impl State {
    pub(super) fn is_working_elsewhere(&self) -> bool {
        !self.dead && !self.lingers && self.operations > 0 && self.waits.is_empty()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.id)
    }
}

impl Process {
    pub(super) fn new(schedule: Schedule, id: u32) -> Process {
        Process { schedule, id }
    }

    /// Returns its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the schedule it lives by.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Waits for `delay_ms` of simulated time, and for the end of a freeze; for ever if it crashes.
    pub fn wait(&self, delay_ms: u64) -> Wait {
        Wait { wait: self.schedule.enter_wait(self.id, delay_ms), process: self.clone() }
    }

    /// Says that its operations may wait for each other.
    pub fn lingers(&self) {
        self.with(|state| state.lingers = true);
    }

    /// Crashes it: none of its waits ends any more.
    pub fn crash(&self) {
        let mourners = self.with(|state| {
            state.dead = true;
            state.waits.clear();
            std::mem::take(&mut state.mourners)
        });
        self.schedule.note(self.id, "crash", ["", ""], "");
        mourners.into_iter().for_each(Waker::wake);
    }

    /// Stops all its waits for a while; others go on.
    pub fn freeze(&self, for_ms: u64) {
        let until = self.schedule.now().0 + for_ms as i64;
        self.with(|state| state.frozen_until_ms = state.frozen_until_ms.max(until));
        self.schedule.note(self.id, "freeze", ["", ""], &for_ms.to_string());
    }

    /// Reports whether it crashed.
    pub fn is_dead(&self) -> bool {
        self.with(|state| state.dead)
    }

    /// Carries out an operation in the process. A crash drops it at the await where it stands.
    ///
    /// # Errors
    /// `Died` where the process crashed before the end.
    pub async fn run<T>(&self, operation: impl Future<Output = T>) -> Result<T, Died> {
        self.with(|state| state.operations += 1);
        let _running = Running(self);
        let mut operation = std::pin::pin!(operation);
        std::future::poll_fn(|context| {
            let dead = self.with(|state| {
                if !state.dead {
                    state.mourners.retain(|waker| !waker.will_wake(context.waker()));
                    state.mourners.push(context.waker().clone());
                }
                state.dead
            });
            if dead {
                return Poll::Ready(Err(Died));
            }
            operation.as_mut().poll(context).map(Ok)
        })
        .await
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.schedule.state().processes[self.id as usize])
    }
}

impl Clock for Process {
    fn now(&self) -> TimestampMs {
        let skew_ms = self.with(|state| state.skew_ms);
        TimestampMs(self.schedule.now().0 + skew_ms)
    }
}

struct Running<'p>(&'p Process);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.operations -= 1);
    }
}

/// A wait of a process.
#[derive(Debug)]
pub struct Wait {
    process: Process,
    wait: u64,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.process.with(|state| match state.waits.get_mut(&self.wait) {
            Some(waiting) if waiting.ended => Poll::Ready(()),
            Some(waiting) => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
            // The process crashed.
            None => Poll::Pending,
        })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.process.with(|state| state.waits.remove(&self.wait));
    }
}
