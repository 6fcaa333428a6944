//! What goes wrong with a call, and how often it did.

use super::{Process, Schedule};
use rand::RngExt;
use rand::rngs::StdRng;
use std::sync::{Arc, Mutex};

/// Longest freeze of an environment, ms: 20 minutes.
pub const FREEZE_MS_MAX: u64 = 20 * 60_000;

/// Longest time a request may be under way and still take effect, ms: what a signature is valid for.
pub const LATE_MS_MAX: u64 = 15 * 60_000;

/// How often what goes wrong, in ten-thousandths of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// The store refuses for now (503, throttling): no effect, and the caller knows.
    pub throttle: u32,
    /// No effect, and the caller cannot know.
    pub vanish: u32,
    /// Takes effect; the answer is lost.
    pub lose: u32,
    /// Takes effect up to 15 minutes after the caller gave up.
    pub late: u32,
    /// Takes effect twice, as when a client library repeats it: the second answer is what the caller sees.
    pub double: u32,
    /// Takes effect and is answered, and once more up to 15 minutes later.
    pub echo: u32,
    /// The environment freezes before the call, or before its answer, for up to 20 minutes.
    pub freeze: u32,
    /// The process crashes before the call, or after its effect.
    pub crash: u32,
    /// Takes up to four seconds: nothing goes wrong, but others come in between. Not scaled.
    pub slow: u32,
}

impl Chances {
    /// Scales all chances by `percent`.
    pub fn scaled(self, percent: u32) -> Chances {
        let of = |chance: u32| chance * percent / 100;
        Chances {
            throttle: of(self.throttle),
            vanish: of(self.vanish),
            lose: of(self.lose),
            late: of(self.late),
            double: of(self.double),
            echo: of(self.echo),
            freeze: of(self.freeze),
            crash: of(self.crash),
            slow: self.slow,
        }
    }
}

/// Chances, and what came of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// How often what goes wrong.
    pub chances: Chances,
    /// Calls made.
    pub calls: u64,
    /// Faults injected, in the order of [`Chances`]' fields.
    pub injected: [u64; 8],
}

/// Names of the faults, in the order of [`Faults::injected`].
pub const FAULT_NAMES: [&str; 8] = ["throttled", "vanished", "answer lost", "late", "doubled", "echoed", "frozen", "crashed"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Fine,
    Throttle,
    Vanish,
    Lose,
    Late,
    Double,
    Echo,
}

/// Everything drawn for one call.
struct Draw {
    fate: Fate,
    send_ms: u64,
    network_ms: u64,
    answer_ms: u64,
    late_ms: u64,
    freeze: Option<(bool, u64)>,
    crash: Option<bool>,
}

/// Why a call was not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    Unavailable,
    Unknown,
}

/// One process's way to a store.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) process: Process,
}

impl Line {
    fn schedule(&self) -> &Schedule {
        self.process.schedule()
    }

    /// Carries a call to the store: `effect` happens never, once or twice, at a moment of its own.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        about: [&str; 2],
        is_write: bool,
        effect: impl Fn() -> (T, &'static str) + Send + Sync + 'static,
    ) -> Result<T, Failure> {
        let draw = self.draw(is_write);
        if let Some((true, for_ms)) = draw.freeze {
            self.process.freeze(for_ms);
        }
        if draw.crash == Some(true) {
            self.process.crash();
        }
        self.process.wait(draw.send_ms).await;
        let id = self.process.id();
        let answer: Arc<Mutex<Option<T>>> = Arc::default();
        let effect = {
            let (schedule, answer) = (self.schedule().clone(), Arc::clone(&answer));
            let about = about.map(str::to_owned);
            Arc::new(move || {
                let (value, outcome) = effect();
                schedule.note(id, what, [&about[0], &about[1]], outcome);
                *answer.lock().expect("no call panics while it holds the lock") = Some(value);
            })
        };
        match draw.fate {
            Fate::Throttle | Fate::Vanish => self.schedule().note(id, what, about, "no effect"),
            Fate::Late => self.schedule().after(draw.late_ms, move || effect()),
            Fate::Fine | Fate::Lose => self.schedule().after(draw.network_ms, move || effect()),
            Fate::Double => {
                let again = Arc::clone(&effect);
                self.schedule().after(draw.network_ms, move || effect());
                self.schedule().after(draw.network_ms + draw.answer_ms, move || again());
            }
            Fate::Echo => {
                let again = Arc::clone(&effect);
                self.schedule().after(draw.network_ms, move || effect());
                self.schedule().after(draw.late_ms, move || again());
            }
        }
        if draw.crash == Some(false) {
            let process = self.process.clone();
            self.schedule().after(draw.network_ms + draw.answer_ms + 1, move || process.crash());
        }
        if let Some((false, for_ms)) = draw.freeze {
            self.process.freeze(for_ms);
        }
        // One more than the answer takes, so that a second effect has happened.
        self.process.wait(draw.network_ms + 2 * draw.answer_ms + 2).await;
        match draw.fate {
            Fate::Throttle => Err(Failure::Unavailable),
            Fate::Vanish | Fate::Lose | Fate::Late => Err(Failure::Unknown),
            Fate::Fine | Fate::Double | Fate::Echo => {
                answer.lock().expect("no call panics while it holds the lock").take().ok_or(Failure::Unknown)
            }
        }
    }

    fn draw(&self, is_write: bool) -> Draw {
        let mut state = self.schedule().state();
        let chances = state.faults.chances;
        state.faults.calls += 1;
        let random = &mut state.random;
        let lot = random.random_range(0..10_000u32);
        let fates = [
            (chances.throttle, Fate::Throttle),
            (chances.vanish, Fate::Vanish),
            (chances.lose, Fate::Lose),
            (chances.late, Fate::Late),
            (chances.double, Fate::Double),
            (chances.echo, Fate::Echo),
        ];
        let mut bound = 0;
        let place = fates.iter().position(|(chance, _)| {
            bound += chance;
            lot < bound
        });
        let fate = match place {
            // A read has no effect that could come late or twice.
            Some(place) if is_write || place < 3 => fates[place].1,
            _ => Fate::Fine,
        };
        let frozen = random.random_range(0..10_000u32) < chances.freeze;
        let crashed = random.random_range(0..10_000u32) < chances.crash;
        let slow = random.random_range(0..10_000u32) < chances.slow;
        let draw = Draw {
            fate,
            send_ms: random.random_range(0..3),
            network_ms: if slow { random.random_range(50..4_000) } else { random.random_range(1..20) },
            answer_ms: random.random_range(0..8),
            late_ms: 5_000 + spread(random, LATE_MS_MAX - 5_000),
            freeze: frozen.then(|| (random.random(), spread(random, FREEZE_MS_MAX))),
            crash: crashed.then(|| random.random()),
        };
        let injected = &mut state.faults.injected;
        if let (Some(place), true) = (place, fate != Fate::Fine) {
            injected[place] += 1;
        }
        injected[6] += u64::from(frozen);
        injected[7] += u64::from(crashed);
        draw
    }
}

/// Draws up to `max_ms`, small numbers as often as large ones.
fn spread(random: &mut StdRng, max_ms: u64) -> u64 {
    let bits = random.random_range(0..=max_ms.ilog2());
    random.random_range(0..=(2u64 << bits)).min(max_ms)
}
