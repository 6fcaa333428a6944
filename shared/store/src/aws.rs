//! One credential chain, one TLS stack, one bound on connecting for S3 and DynamoDB. Retries are ours ([`crate::retry`]).

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use std::time::Duration;

/// Time a connection may take to stand. Attempts have bounds of their own.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Time any request may take: for those that no policy bounds (pages of a listing, parts of an upload), above all that one does.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// What the AWS clients share. Load once per process, in `boot`.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    pub(crate) sdk: SdkConfig,
}

impl AwsConfig {
    /// Loads region and credentials by the usual chain (environment, profile, container, instance); `region` overrides.
    pub async fn load(region: Option<String>) -> AwsConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_MAX).operation_attempt_timeout(REQUEST_MAX).build());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        AwsConfig { sdk: loader.load().await }
    }
}
