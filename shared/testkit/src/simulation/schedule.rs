//! Simulated time and the queue of what happens next.

use super::process::{Process, State as ProcessState};
use super::{Faults, Trace};
use model::TimestampMs;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

/// Time, chance and the queue. Cheap to clone; the copies are one.
#[derive(Clone)]
pub struct Schedule {
    shared: Arc<Shared>,
}

struct Shared {
    now_ms: AtomicI64,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) random: StdRng,
    pub(super) trace: Trace,
    pub(super) faults: Faults,
    pub(super) processes: Vec<ProcessState>,
    sequence: u64,
    /// By due time, then by lot, then by order of entry.
    queue: BTreeMap<(i64, u32, u64), Event>,
}

enum Event {
    /// A wait of a process ends.
    Resume { process: u32, wait: u64 },
    /// A call takes effect.
    Effect(Box<dyn FnOnce() + Send>),
}

/// A wait that has not ended; its process is the one that holds it.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) ended: bool,
    pub(super) waker: Option<Waker>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule at {}", self.now().0)
    }
}

impl Schedule {
    /// Makes a schedule that starts at `now`; everything drawn follows from `seed`.
    pub fn new(seed: u64, now: TimestampMs, trace: Trace) -> Schedule {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            trace,
            faults: Faults::default(),
            processes: vec![ProcessState::default()],
            sequence: 0,
            queue: BTreeMap::new(),
        };
        Schedule { shared: Arc::new(Shared { now_ms: AtomicI64::new(now.0), state: Mutex::new(state) }) }
    }

    /// Returns the true time.
    pub fn now(&self) -> TimestampMs {
        TimestampMs(self.shared.now_ms.load(Ordering::Relaxed))
    }

    /// Returns the process of the harness itself, which never freezes or crashes.
    pub fn harness(&self) -> Process {
        Process::new(self.clone(), 0)
    }

    /// Starts a process whose clock is wrong by `skew_ms`.
    pub fn start_process(&self, skew_ms: i64) -> Process {
        let mut state = self.state();
        state.processes.push(ProcessState { skew_ms, ..ProcessState::default() });
        Process::new(self.clone(), state.processes.len() as u32 - 1)
    }

    /// Draws a number of `range`.
    pub fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        self.state().random.random_range(range)
    }

    /// Lets `effect` happen after `delay_ms`, whatever becomes of whoever asked for it.
    pub fn after(&self, delay_ms: u64, effect: impl FnOnce() + Send + 'static) {
        let due = self.now().0 + delay_ms as i64;
        self.state().enter(due, Event::Effect(Box::new(effect)));
    }

    /// Notes a step.
    pub fn note(&self, process: u32, what: &str, about: [&str; 2], outcome: &str) {
        let now = self.now().0;
        self.state().trace.add(now, process, what, about, outcome);
    }

    /// Keeps the text of the steps as it is: what led here is what somebody wants to read.
    pub fn end_trace_text(&self) {
        self.state().trace.end();
    }

    /// Returns the hash and the number of steps so far, and the last of them as text where the trace is verbose.
    pub fn trace(&self) -> (u64, u64, Vec<String>) {
        let state = self.state();
        (state.trace.hash(), state.trace.steps(), state.trace.tail())
    }

    /// Changes what goes wrong from now on, or reads what did.
    pub fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.state().faults)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no call panics while it holds the lock")
    }

    /// Ends the next wait or lets the next effect happen; `false` where nothing is due ever.
    pub(super) fn step(&self) -> bool {
        loop {
            let mut state = self.state();
            let Some(((due, _, _), event)) = state.queue.pop_first() else { return false };
            match event {
                Event::Effect(effect) => {
                    drop(state);
                    self.advance(due);
                    effect();
                    return true;
                }
                Event::Resume { process, wait } => {
                    let until = {
                        let of = &state.processes[process as usize];
                        if of.dead || !of.waits.contains_key(&wait) {
                            continue;
                        }
                        of.frozen_until_ms
                    };
                    if until > due {
                        state.enter(until, Event::Resume { process, wait });
                        continue;
                    }
                    self.advance(due);
                    let waiting = state.processes[process as usize].waits.get_mut(&wait).expect("it was there a moment ago");
                    waiting.ended = true;
                    let waker = waiting.waker.take();
                    drop(state);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return true;
                }
            }
        }
    }

    fn advance(&self, to_ms: i64) {
        self.shared.now_ms.fetch_max(to_ms, Ordering::Relaxed);
    }

    /// Reports whether some process works on something that no event of the queue will end: a thread of its own.
    pub(super) fn is_working_elsewhere(&self) -> bool {
        self.state().processes.iter().any(|process| process.is_working_elsewhere())
    }

    pub(super) fn enter_wait(&self, process: u32, delay_ms: u64) -> u64 {
        let due = self.now().0 + delay_ms as i64;
        let mut state = self.state();
        let wait = state.sequence;
        state.processes[process as usize].waits.insert(wait, Waiting::default());
        state.enter(due, Event::Resume { process, wait });
        wait
    }
}

impl State {
    fn enter(&mut self, due_ms: i64, event: Event) {
        let lot = self.random.random();
        self.queue.insert((due_ms, lot, self.sequence), event);
        self.sequence += 1;
    }
}
