//! Both clients behind a proxy each, with the waits of a test.

use std::sync::Arc;
use std::time::Duration;

use manifest::Manifest;
use model::{Clock, Nonces, TimestampMs};
use store::aws::AwsConfig;
use store::objects::s3::S3Objects;
use store::objects::{self, S3Config};
use store::records::dynamodb::{DynamoDbConfig, DynamoDbRecords};
use store::{Objects, Records, Retry, RetryPolicy, records};
use testkit::FaultProxy;

/// The shape of the real policy with short waits: five attempts, of which each may take a while on a busy machine.
pub const POLICY: RetryPolicy = RetryPolicy {
    attempts_max: 5,
    wait_first: Duration::from_millis(1),
    wait_max: Duration::from_millis(4),
    attempt_max: Duration::from_millis(1_500),
    bytes_per_second_min: 4 << 20,
    call_max: Duration::from_secs(60),
};

#[derive(Debug)]
pub struct Now;

impl Clock for Now {
    #[allow(clippy::disallowed_methods, reason = "real servers look at the time a request was signed")]
    fn now(&self) -> TimestampMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        TimestampMs(since.as_millis() as i64)
    }
}

/// A bucket and a table of this test's own.
pub struct Setup {
    pub s3: FaultProxy,
    pub dynamodb: FaultProxy,
    pub objects: Objects,
    pub records: Records,
    /// Both without proxies: what is really there.
    pub plain: (Objects, Records),
    pub clock: Arc<Now>,
    pub nonces: Arc<Nonces>,
}

fn endpoint(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Setup {
    /// Returns `None`, and says that `test` is skipped, where no servers are named.
    pub async fn start(test: &str, policy: RetryPolicy) -> Option<Setup> {
        let endpoints = (endpoint("LAMELLA_TEST_S3_ENDPOINT"), endpoint("LAMELLA_TEST_DYNAMODB_ENDPOINT"));
        let (Some(s3_url), Some(dynamodb_url)) = endpoints else {
            eprintln!("skipped {test}: LAMELLA_TEST_S3_ENDPOINT and LAMELLA_TEST_DYNAMODB_ENDPOINT are not set");
            return None;
        };
        let any = "127.0.0.1:0".parse().unwrap();
        let s3 = FaultProxy::start(any, &s3_url).await.unwrap();
        let dynamodb = FaultProxy::start(any, &dynamodb_url).await.unwrap();
        let aws = AwsConfig::load(Some("us-east-1".into())).await;
        let name = format!("faults-{:x}", random());
        let bucket = |url: String| S3Objects::new(S3Config { bucket: name.clone(), endpoint: Some(url), path_style: true }, &aws);
        let table = |url: String| DynamoDbRecords::new(DynamoDbConfig { table: name.clone(), endpoint: Some(url) }, &aws);
        let plain = (bucket(s3_url), table(dynamodb_url));
        plain.0.create_bucket().await.unwrap();
        plain.1.create_table().await.unwrap();
        let nonces = Arc::new(Nonces::seeded(u128::from(random())));
        let retry = || Retry::new(policy, Arc::new(Now), nonces.clone());
        let objects = objects::retried(Arc::new(bucket(s3.url())), retry());
        let records = records::retried(Arc::new(table(dynamodb.url())), retry());
        let plain: (Objects, Records) = (Arc::new(plain.0), Arc::new(plain.1));
        Some(Setup { s3, dynamodb, objects, records, plain, clock: Arc::new(Now), nonces })
    }

    /// The manifest as a process has it, through the proxy.
    pub fn manifest(&self) -> Manifest {
        Manifest::new(self.records.clone(), self.clock.clone(), self.nonces.clone())
    }

    /// The manifest as it really is.
    pub fn plain_manifest(&self) -> Manifest {
        Manifest::new(self.plain.1.clone(), self.clock.clone(), self.nonces.clone())
    }
}

fn random() -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(std::process::id())
}
