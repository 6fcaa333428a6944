use super::*;
use model::TimestampMs;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// A clock that moves by a step at every look.
#[derive(Debug)]
struct Steps {
    now_ms: AtomicI64,
    step_ms: i64,
}

impl Clock for Steps {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.now_ms.fetch_add(self.step_ms, Ordering::Relaxed))
    }
}

fn retry(policy: RetryPolicy, step_ms: i64) -> Retry {
    Retry::new(policy, Arc::new(Steps { now_ms: AtomicI64::new(0), step_ms }), Arc::new(Nonces::seeded(1)))
}

/// The numbers of records without their waits.
const AT_ONCE: RetryPolicy = RetryPolicy { wait_first: Duration::ZERO, ..RetryPolicy::RECORDS };

/// Runs a call that fails `failures` times in passing; returns the attempts and whether it succeeded in the end.
async fn attempts(retry: &Retry, failures: u32, passes: bool) -> (u32, bool) {
    let made = AtomicU32::new(0);
    let call = || async {
        let attempt = made.fetch_add(1, Ordering::Relaxed);
        if attempt < failures { Err("failed") } else { Ok(()) }
    };
    let outcome = retry.run("test", Duration::from_secs(1), call, |_| passes, || "lost").await;
    (made.load(Ordering::Relaxed), outcome.is_ok())
}

#[test]
fn waits_are_jittered_doubled_and_bounded() {
    let policy = RetryPolicy::RECORDS;
    let ends: Vec<u128> = (1..=6).map(|attempt| policy.wait(attempt, policy.wait_end_draw(attempt)).as_micros() + 1).collect();
    assert_eq!(ends, [50_000, 100_000, 200_000, 400_000, 500_000, 500_000]);
    assert_eq!(policy.wait(3, 0), Duration::ZERO);
    assert_eq!(policy.wait(u32::MAX, 7), Duration::from_micros(7));
    let none = RetryPolicy { wait_first: Duration::ZERO, ..policy };
    assert_eq!(none.wait(1, u64::MAX), Duration::ZERO);
}

impl RetryPolicy {
    /// The draw that gives the longest wait.
    fn wait_end_draw(&self, attempt: u32) -> u64 {
        (0..32)
            .map(|doublings| self.wait_first.as_micros() as u64 * (1 << doublings))
            .nth(attempt as usize - 1)
            .unwrap()
            .min(self.wait_max.as_micros() as u64)
            - 1
    }
}

#[test]
fn a_transfer_has_time_by_its_size() {
    let policy = RetryPolicy::OBJECTS;
    assert_eq!(policy.attempt_max_of(0), Duration::from_secs(5));
    assert_eq!(policy.attempt_max_of(64 << 20), Duration::from_secs(21));
}

#[tokio::test]
async fn attempts_are_bounded_and_only_what_passes_is_repeated() {
    let retry = retry(AT_ONCE, 0);
    for (failures, passes, expected) in
        [(0, true, (1, true)), (1, true, (2, true)), (4, true, (5, true)), (5, true, (5, false)), (1, false, (1, false))]
    {
        assert_eq!(attempts(&retry, failures, passes).await, expected, "{failures} failures, passing: {passes}");
    }
}

#[tokio::test]
async fn a_call_from_before_a_freeze_is_not_sent_again() {
    // Every look at the clock finds it six seconds on, and a record's call has ten.
    assert_eq!(attempts(&retry(AT_ONCE, 6_000), 9, true).await, (1, false));
    assert_eq!(attempts(&retry(AT_ONCE, 4_000), 9, true).await, (2, false));
    assert_eq!(attempts(&retry(AT_ONCE, 3_600_000), 9, true).await, (1, false));
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_lost() {
    let retry = retry(RetryPolicy { attempts_max: 3, ..AT_ONCE }, 0);
    let made = AtomicU32::new(0);
    let call = || async {
        made.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<(), &str>>().await
    };
    assert_eq!(retry.run("test", Duration::from_millis(1), call, |_| true, || "lost").await, Err("lost"));
    assert_eq!(made.load(Ordering::Relaxed), 3);
}
