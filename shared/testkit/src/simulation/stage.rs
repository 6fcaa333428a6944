//! Runs actors on one thread until they are done, one event at a time.

use super::Schedule;
use futures::future::BoxFuture;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

/// Jobs of threads that are awaited in a row before a process counts as stuck.
const JOBS_IN_A_ROW_MAX: u32 = 100_000;

/// Actors wait for something that never comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck;

/// One thread that runs actors by a schedule. Between two events everything that can run has run; a job on a thread of its own
/// takes no simulated time.
#[derive(Debug)]
pub struct Stage {
    schedule: Schedule,
    runtime: Runtime,
    idle: Arc<Idle>,
}

/// Wakes the stage when no task can run.
#[derive(Debug, Default)]
struct Idle {
    waker: Mutex<Option<Waker>>,
}

impl Idle {
    fn parked(&self) {
        if let Some(waker) = self.waker.lock().expect("no call panics while it holds the lock").take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        let mut asked = false;
        poll_fn(|context| {
            if asked && self.waker.lock().expect("no call panics while it holds the lock").is_none() {
                return Poll::Ready(());
            }
            asked = true;
            *self.waker.lock().expect("no call panics while it holds the lock") = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Stage {
    /// Makes a stage for a schedule.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn new(schedule: Schedule) -> std::io::Result<Stage> {
        let idle = Arc::new(Idle::default());
        let parked = Arc::clone(&idle);
        // One thread for blocking jobs: they end in the order they began.
        let runtime = Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .on_thread_park(move || parked.parked())
            .build()?;
        Ok(Stage { schedule, runtime, idle })
    }

    /// Runs actors until all are done.
    ///
    /// # Errors
    /// `Stuck` where nothing is due and they are not done.
    ///
    /// # Panics
    /// Where an actor panicked.
    pub fn play(&self, actors: Vec<BoxFuture<'static, ()>>) -> Result<(), Stuck> {
        self.runtime.block_on(async {
            let tasks: Vec<_> = actors.into_iter().map(tokio::spawn).collect();
            loop {
                self.settle().await?;
                if tasks.iter().all(|task| task.is_finished()) {
                    break;
                }
                if !self.schedule.step() {
                    return Err(Stuck);
                }
            }
            for task in tasks {
                if let Err(error) = task.await
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            Ok(())
        })
    }

    /// Runs something to its end at this very moment: what it calls must not wait for simulated time.
    pub fn at_once<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Lets everything run that can, jobs on threads included.
    async fn settle(&self) -> Result<(), Stuck> {
        self.idle.wait().await;
        for _ in 0..JOBS_IN_A_ROW_MAX {
            if !self.schedule.is_working_elsewhere() {
                return Ok(());
            }
            let _ = spawn_blocking(|| ()).await;
            self.idle.wait().await;
        }
        Err(Stuck)
    }
}
