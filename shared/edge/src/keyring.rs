//! Accounts as they are now: read at first need, and again every so often.
//!
//! No task runs beside requests, since a function's environment stands still between them: a request that finds the accounts old
//! reads them anew, the others go on with what is there. Where reading fails, what was read before stays in force (and the failure
//! is logged); where nothing was read yet, nobody is let in.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, TimestampMs};
use tokio::sync::Mutex;

use crate::Accounts;
use crate::limits::REFRESH;

/// Why accounts could not be read. The text holds no secret.
pub type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// Where accounts are kept.
#[async_trait]
pub trait CredentialSource: Send + Sync + std::fmt::Debug {
    /// Reads all of them.
    async fn read(&self) -> Result<Accounts, ReadError>;
}

/// The accounts of a process.
#[derive(Debug)]
pub struct Keyring {
    source: Box<dyn CredentialSource>,
    clock: Arc<dyn Clock>,
    read: RwLock<Option<Read>>,
    /// Held by whoever reads; what the last attempt failed with.
    reading: Mutex<Option<String>>,
    /// Attempts that failed.
    failures: AtomicU64,
}

#[derive(Clone, Debug)]
struct Read {
    accounts: Arc<Accounts>,
    at: TimestampMs,
}

impl Keyring {
    /// Makes a keyring that has read nothing yet.
    pub fn new(source: Box<dyn CredentialSource>, clock: Arc<dyn Clock>) -> Keyring {
        Keyring { source, clock, read: RwLock::default(), reading: Mutex::default(), failures: AtomicU64::new(0) }
    }

    /// Returns the accounts, at most [`REFRESH`] and one read old as long as they can be read.
    ///
    /// # Errors
    /// Only where nothing was ever read.
    pub async fn accounts(&self) -> Result<Arc<Accounts>, ReadError> {
        match self.known() {
            Some(read) if self.is_fresh(&read) => Ok(read.accounts),
            Some(read) => match self.reading.try_lock() {
                Ok(_reading) => Ok(self.again(read).await),
                Err(_) => Ok(read.accounts),
            },
            None => self.first().await,
        }
    }

    /// Reads, or has the outcome of who reads already: requests that wait do not each try again, one after the other.
    async fn first(&self) -> Result<Arc<Accounts>, ReadError> {
        let failures = self.failures.load(Relaxed);
        let mut failed = self.reading.lock().await;
        if let Some(read) = self.known() {
            return Ok(read.accounts);
        }
        match &*failed {
            Some(reason) if self.failures.load(Relaxed) != failures => return Err(reason.clone().into()),
            _ => {}
        }
        match self.source.read().await {
            Ok(accounts) => Ok(self.keep(Arc::new(accounts))),
            Err(error) => {
                *failed = Some(error.to_string());
                self.failures.fetch_add(1, Relaxed);
                Err(error)
            }
        }
    }

    async fn again(&self, before: Read) -> Arc<Accounts> {
        match self.source.read().await {
            Ok(accounts) => self.keep(Arc::new(accounts)),
            Err(error) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "credentials cannot be read again, those before stay");
                self.keep(before.accounts)
            }
        }
    }

    fn keep(&self, accounts: Arc<Accounts>) -> Arc<Accounts> {
        let read = Read { accounts: Arc::clone(&accounts), at: self.clock.now() };
        *self.read.write().expect("no call panics while it holds the lock") = Some(read);
        accounts
    }

    fn known(&self) -> Option<Read> {
        self.read.read().expect("no call panics while it holds the lock").clone()
    }

    /// A clock that was set back makes them old too.
    fn is_fresh(&self, read: &Read) -> bool {
        let age = Duration::from_millis(self.clock.now().0.abs_diff(read.at.0));
        age < REFRESH
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::sync::atomic::{AtomicI64, AtomicUsize};

    use super::*;
    use crate::{Account, Role, SecretHash, Tenants};

    /// Gives what it was told to, in order; `None` is a failure.
    #[derive(Debug)]
    struct Told(std::sync::Mutex<VecDeque<Option<usize>>>);

    #[async_trait]
    impl CredentialSource for Told {
        async fn read(&self) -> Result<Accounts, ReadError> {
            let count = self.0.lock().unwrap().pop_front().flatten().ok_or("not there")?;
            let account = |n: usize| Account {
                name: n.to_string(),
                tenants: Tenants::All,
                roles: BTreeSet::from([Role::Read]),
                secrets: vec![SecretHash::of(&[n as u8])],
            };
            Ok(Accounts::new((0..count).map(account).collect())?)
        }
    }

    #[derive(Debug, Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> TimestampMs {
            TimestampMs(self.0.load(Relaxed))
        }
    }

    #[tokio::test]
    async fn accounts_are_read_again_and_kept_where_that_fails() {
        let clock = Arc::new(Hand::default());
        let told = Told(std::sync::Mutex::new([None, Some(1), Some(2), None, Some(3), Some(4)].into()));
        let keyring = Keyring::new(Box::new(told), clock.clone());
        let step = REFRESH.as_millis() as i64;
        assert!(keyring.accounts().await.is_err(), "nothing was read yet: nobody is let in");
        for (at, count) in [(0, 1), (step - 1, 1), (step, 2), (2 * step, 2), (2 * step + 1, 2), (3 * step, 3), (step, 4)] {
            clock.0.store(at, Relaxed);
            assert_eq!(keyring.accounts().await.unwrap().len(), count, "at {at} ms");
        }
    }

    /// Fails, once it is told to.
    #[derive(Debug, Default)]
    struct Stuck {
        reads: AtomicUsize,
        go: tokio::sync::Notify,
    }

    #[async_trait]
    impl CredentialSource for Arc<Stuck> {
        async fn read(&self) -> Result<Accounts, ReadError> {
            self.reads.fetch_add(1, Relaxed);
            self.go.notified().await;
            Err("not there".into())
        }
    }

    #[tokio::test]
    async fn who_waits_for_an_attempt_has_its_outcome() {
        let stuck = Arc::new(Stuck::default());
        let keyring = Keyring::new(Box::new(Arc::clone(&stuck)), Arc::new(Hand::default()));
        let ask = async || keyring.accounts().await.map(drop).map_err(|error| error.to_string());
        let told = async { stuck.go.notify_one() };
        let (first, second, third, ()) = tokio::join!(ask(), ask(), ask(), told);
        assert_eq!([first, second, third], [(); 3].map(|()| Err("not there".to_owned())));
        assert_eq!(stuck.reads.load(Relaxed), 1);
        stuck.go.notify_one();
        assert!(ask().await.is_err());
        assert_eq!(stuck.reads.load(Relaxed), 2, "who comes later tries again");
    }
}
