//! A bounded number of queries at once, each bounded in time, each cancelled when its client goes away.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::limits::WAITING_PER_PLACE;

/// Places for queries.
#[derive(Debug)]
pub struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Why a query did not finish.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Every place is taken and the queue is full.
    #[error("too many outstanding requests")]
    Busy,
    /// The time is over, waiting included.
    #[error("query timed out")]
    TimedOut,
    /// The time was over before there was a place.
    #[error("query timed out while it waited")]
    TimedOutInQueue,
    /// The query's task panicked: a fault of ours.
    #[error("query failed unexpectedly")]
    Panicked,
}

/// A query that finished, and how long it took.
#[derive(Debug)]
pub struct Timed<T> {
    /// What it returned.
    pub value: T,
    /// Time until it had a place.
    pub queued: Duration,
    /// Time from then on.
    pub took: Duration,
}

impl Gate {
    /// Makes a gate with room for `places` queries at once, at least one.
    pub fn new(places: usize) -> Gate {
        let places = places.max(1);
        Gate { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), waiting_max: places * WAITING_PER_PLACE }
    }

    /// Runs a query when there is a place. Dropping the returned future cancels the query.
    pub async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        query: impl Future<Output = T> + Send + 'static,
    ) -> Result<Timed<T>, Refusal> {
        let arrived = Instant::now();
        let deadline = arrived + limit;
        let place = {
            let _waiting = Waiting::enter(&self.waiting, self.waiting_max)?;
            timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await.map_err(|_| Refusal::TimedOutInQueue)?
        };
        let began = Instant::now();
        let mut task = Task(tokio::spawn(async move {
            let _place = place;
            query.await
        }));
        match timeout_at(deadline, &mut task.0).await {
            Err(_) => Err(Refusal::TimedOut),
            Ok(Err(_)) => Err(Refusal::Panicked),
            Ok(Ok(value)) => Ok(Timed { value, queued: began - arrived, took: began.elapsed() }),
        }
    }
}

/// Aborts its task when dropped.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One in the queue, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Result<Waiting<'a>, Refusal> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let entered = Waiting(waiting);
        if before < most { Ok(entered) } else { Err(Refusal::Busy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_client_that_leaves_cancels_its_query_and_frees_the_place() {
        let gate = Gate::new(1);
        let began = Arc::new(Notify::new());
        let signal = Arc::clone(&began);
        let endless = gate.run(LONG, async move {
            signal.notify_one();
            std::future::pending::<()>().await
        });
        tokio::select! {
            _ = endless => unreachable!("it never ends"),
            () = began.notified() => {}
        }
        assert_eq!(gate.run(LONG, async { 7 }).await.unwrap().value, 7);
    }

    #[tokio::test]
    async fn refusals() {
        let gate = Gate::new(1);
        assert_eq!(gate.run(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err(), Refusal::TimedOut);
        assert_eq!(
            gate.run(LONG, async { panic!("ours") }).await.map(|timed: Timed<()>| timed.value).unwrap_err(),
            Refusal::Panicked
        );
        gate.waiting.store(gate.waiting_max, Ordering::Relaxed);
        assert_eq!(gate.run(LONG, async {}).await.unwrap_err(), Refusal::Busy);
    }
}
