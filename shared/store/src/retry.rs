//! The one retry policy of both ports: bounded attempts, full jitter, nothing after a bound on the whole call.
//!
//! ```text
//! attempt ─ fails in passing ─▶ wait, drawn from [0, first · 2^n) ─▶ attempt ─▶ ... ─▶ the last error
//! ```
//! Owns: how often, how long. Does not own: which errors pass (`error`), what a lost answer means (the ports' wrappers).
//! The SDK's own retries are off, so that attempts do not multiply. Its policy knows neither the body of a get nor that the
//! process was frozen between two attempts; this one looks at the clock before each, so that a call begun before a freeze is
//! not sent again after it (the manifest's deadline of a write attempt relies on that).

use model::{Clock, Nonces};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of one call. Plain numbers, so that tests can shrink the waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// Attempts of a call, the first one included.
    pub attempts_max: u32,
    /// Upper end of the first wait; each further one is twice as long.
    pub wait_first: Duration,
    /// Upper end of every wait.
    pub wait_max: Duration,
    /// Time after which an attempt without an answer is given up.
    pub attempt_max: Duration,
    /// Bytes per second that a slow transfer must reach: each of them adds its time to `attempt_max`.
    pub bytes_per_second_min: u64,
    /// Wall-clock time since its beginning after which a call is not sent again.
    pub call_max: Duration,
}

impl RetryPolicy {
    /// Records: DynamoDB answers in milliseconds, and splits a throttled partition in seconds to minutes, which is for the
    /// client of the client to wait for.
    pub const RECORDS: RetryPolicy = RetryPolicy {
        attempts_max: 5,
        wait_first: Duration::from_millis(50),
        wait_max: Duration::from_millis(500),
        attempt_max: Duration::from_secs(3),
        bytes_per_second_min: 1 << 20,
        call_max: Duration::from_secs(10),
    };

    /// Objects: S3 answers in tens to hundreds of milliseconds and asks for patience with 503 SlowDown.
    pub const OBJECTS: RetryPolicy = RetryPolicy {
        attempts_max: 5,
        wait_first: Duration::from_millis(100),
        wait_max: Duration::from_secs(1),
        attempt_max: Duration::from_secs(5),
        bytes_per_second_min: 4 << 20,
        call_max: Duration::from_secs(20),
    };

    /// Returns the wait after a failed attempt, counted from 1: full jitter, since clients that wait alike collide again.
    pub fn wait(&self, attempt: u32, draw: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let end = self.wait_first.saturating_mul(1 << doublings).min(self.wait_max);
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(if micros == 0 { 0 } else { draw % micros })
    }

    /// Returns the time an attempt that carries `bytes` may take.
    pub fn attempt_max_of(&self, bytes: u64) -> Duration {
        self.attempt_max + Duration::from_millis(bytes.saturating_mul(1000) / self.bytes_per_second_min.max(1))
    }
}

/// A policy with what carries it out.
#[derive(Clone)]
pub struct Retry {
    policy: RetryPolicy,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retry({:?})", self.policy)
    }
}

impl Retry {
    /// Makes a policy that waits by tokio's time, watches `clock` and draws from `nonces`.
    pub fn new(policy: RetryPolicy, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Retry {
        Retry { policy, clock, nonces }
    }

    /// Returns its numbers.
    pub fn policy(&self) -> &RetryPolicy {
        &self.policy
    }

    /// Attempts a call until it succeeds, fails for good, or the policy is used up; then the last error is the answer.
    ///
    /// An attempt that is not answered within `attempt_max` is dropped and counts as `lost()`.
    pub async fn run<T, E, F>(
        &self,
        operation: &'static str,
        attempt_max: Duration,
        call: impl Fn() -> F,
        passes: impl Fn(&E) -> bool,
        lost: impl Fn() -> E,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        let begun_at = self.clock.now();
        let give_up_at = begun_at.plus(self.policy.call_max);
        let mut attempt = 1;
        loop {
            let outcome = tokio::time::timeout(attempt_max, call()).await.unwrap_or_else(|_| Err(lost()));
            let error = match outcome {
                Err(error) if passes(&error) => error,
                other => return other,
            };
            let wait = self.policy.wait(attempt, self.nonces.next() as u64);
            if attempt >= self.policy.attempts_max || self.clock.now().plus(wait) > give_up_at {
                return Err(error);
            }
            tracing::warn!(operation, attempt, wait_ms = wait.as_millis() as u64, %error, "call is repeated");
            tokio::time::sleep(wait).await;
            // Looked at again: the wait may have been a freeze.
            if self.clock.now() > give_up_at {
                return Err(error);
            }
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests;
