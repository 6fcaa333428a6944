//! One suite per port, run over every implementation. Servers' tests run where their endpoint is named
//! (`localstack/servers.sh start`), and otherwise say that they were skipped.

#![allow(clippy::unwrap_used)]

mod objects;
mod records;

use std::sync::Arc;

use model::{Nonces, TimestampMs};
use store::aws::AwsConfig;
use store::{Retry, RetryPolicy};
use testkit::SimulatedClock;

/// Returns the endpoint in `name`, or says that `test` is skipped.
fn endpoint(name: &str, test: &str) -> Option<String> {
    let found = std::env::var(name).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        eprintln!("skipped {test}: {name} is not set");
    }
    found
}

async fn aws() -> AwsConfig {
    AwsConfig::load(Some("us-east-1".into())).await
}

/// Returns a policy as a process has it.
fn retry(policy: RetryPolicy) -> Retry {
    Retry::new(policy, Arc::new(SimulatedClock::at(TimestampMs(0))), Arc::new(Nonces::seeded(1)))
}

/// Returns a name no other run has used.
fn fresh(prefix: &str) -> String {
    format!("{prefix}-{:x}", random())
}

fn random() -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(std::process::id())
}
