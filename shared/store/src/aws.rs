//! One credential chain, one TLS stack, one retry policy for S3 and DynamoDB.

use aws_config::{BehaviorVersion, Region, SdkConfig};

/// What the AWS clients share. Load once per process, in `boot`.
#[derive(Clone, Debug)]
pub struct AwsConfig {
    pub(crate) sdk: SdkConfig,
}

impl AwsConfig {
    /// Loads region and credentials by the usual chain (environment, profile, container, instance); `region` overrides.
    pub async fn load(region: Option<String>) -> AwsConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        AwsConfig { sdk: loader.load().await }
    }
}
