//! What every process has once it is up.

use crate::config::{AwsStorage, Config, Storage};
use crate::directory::OpenDirectory;
use crate::{Error, Result, SystemClock, clock, credentials};
use edge::Guard;
use manifest::Manifest;
use model::usage::Meter;
use model::{Clock, Nonces, TenantLimits};
use std::sync::Arc;
use std::time::Duration;
use store::aws::AwsConfig;
use store::objects::s3::S3Objects;
use store::objects::{self, Counters, S3Config};
use store::records::dynamodb::DynamoDbRecords;
use store::{Objects, Records, Retry, RetryPolicy, records};

/// Clients and state of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host {
    /// What it was told.
    pub config: Config,
    /// Immutable blobs, counted.
    pub objects: Objects,
    /// Counts of every request to `objects` since start.
    pub object_counters: Arc<Counters>,
    /// Small items.
    pub records: Records,
    /// Which segments are live.
    pub manifest: Manifest,
    /// The system's clock.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids, seeded from the system.
    pub nonces: Arc<Nonces>,
    /// Bounds on what tenants may send and ask.
    pub limits: TenantLimits,
    /// What tenants cost.
    pub meter: Arc<Meter>,
    /// Who is let in.
    pub guard: Guard,
}

impl Host {
    /// Opens the stores a configuration names, those of a directory by `open_directory`.
    pub async fn open(config: Config, open_directory: OpenDirectory) -> Result<Host> {
        let (objects, records) = match &config.storage {
            Storage::Local { directory } => open_directory(directory)?,
            Storage::Aws(aws) => open_aws(aws).await?,
            Storage::Memory => (objects::memory(), records::memory()),
        };
        let host = Host::over(config, objects, records, Arc::new(SystemClock), clock::seed());
        host.check_credentials().await?;
        Ok(host)
    }

    /// Reads accounts where they are there already, so that a mistake ends the start and not the first request.
    async fn check_credentials(&self) -> Result<()> {
        let Some(credentials) = self.config.credentials.as_ref().filter(|credentials| credentials.is_there_at_start()) else {
            return Ok(());
        };
        let failed = |source| Error::Credentials { place: credentials.to_string(), source };
        self.guard.check().await.map(drop).map_err(failed)
    }

    /// Logs whether requests are authenticated, and by what.
    pub fn say_who_may_enter(&self) {
        match &self.config.credentials {
            Some(credentials) => tracing::info!(%credentials, "authentication is on"),
            None => tracing::warn!("authentication is off: whoever can send a request here reads and writes every tenant"),
        }
    }

    /// Puts a host together over stores and a clock of the caller's, as simulations do.
    pub fn over(config: Config, objects: Objects, records: Records, clock: Arc<dyn Clock>, seed: u128) -> Host {
        let (objects, object_counters) = objects::counted(objects);
        let nonces = Arc::new(Nonces::seeded(seed));
        let manifest = Manifest::new(records.clone(), clock.clone(), nonces.clone());
        let limits = config.limits.clone();
        let guard = credentials::guard(config.credentials.as_ref(), &clock);
        Host { config, objects, object_counters, records, manifest, clock, nonces, limits, meter: Arc::default(), guard }
    }
}

/// Makes a client of another bucket than the host's own, such as one to import from; its passing failures are repeated.
pub async fn open_bucket(s3: S3Config, region: Option<String>) -> Objects {
    let aws = AwsConfig::load(region).await;
    let retry = Retry::new(RetryPolicy::OBJECTS, Arc::new(SystemClock), Arc::new(Nonces::seeded(clock::seed())));
    objects::retried(Arc::new(S3Objects::new(s3, &aws)), retry)
}

/// Time a bucket or table may take to stand.
const CREATE_MAX: Duration = Duration::from_secs(70);

async fn open_aws(storage: &AwsStorage) -> Result<(Objects, Records)> {
    let aws = AwsConfig::load(storage.region.clone()).await;
    let objects = S3Objects::new(storage.s3.clone(), &aws);
    let records = DynamoDbRecords::new(storage.dynamodb.clone(), &aws);
    let draws = Arc::new(Nonces::seeded(clock::seed()));
    let retry = |policy| Retry::new(policy, Arc::new(SystemClock), draws.clone());
    if storage.create {
        let lost = || store::Error::Unavailable { operation: "create storage", source: "no answer in time".into() };
        let create = retry(RetryPolicy::OBJECTS);
        let bucket = create.run("create bucket", CREATE_MAX, || objects.create_bucket(), |_| true, lost);
        bucket.await.map_err(Error::Store)?;
        let table = create.run("create table", CREATE_MAX, || records.create_table(), |_| true, lost);
        table.await.map_err(Error::Store)?;
    }
    let objects = objects::retried(Arc::new(objects), retry(RetryPolicy::OBJECTS));
    Ok((objects, records::retried(Arc::new(records), retry(RetryPolicy::RECORDS))))
}
