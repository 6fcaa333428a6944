//! A fault proxy by itself, to stand between a running server and its stores:
//!
//! `cargo run --release -p testkit --example fault_proxy -- 127.0.0.1:5105 http://127.0.0.1:5005 20 7`
//! listens, forwards, and lets about 20 of 1,000 requests meet a fault, drawn from seed 7. Prints its counts every ten seconds.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::fault_proxy::Answer;
use testkit::{FaultProxy, WireFault};

const USAGE: &str = "usage: fault_proxy LISTEN UPSTREAM PER_THOUSAND SEED";

/// Returns every kind of fault, as the service behind the proxy would show it.
fn kinds(is_dynamodb: bool) -> Vec<WireFault> {
    let (error, throttled) = if is_dynamodb {
        (Answer::dynamodb(500, "InternalServerError"), Answer::dynamodb(400, "ProvisionedThroughputExceededException"))
    } else {
        (Answer::s3(500, "InternalError"), Answer::s3(503, "SlowDown"))
    };
    vec![
        WireFault::ResetBefore,
        WireFault::ResetAfter,
        WireFault::HangBefore,
        WireFault::HangAfter,
        WireFault::AnswerBefore(error.clone()),
        WireFault::AnswerAfter(error),
        WireFault::AnswerBefore(throttled),
        WireFault::AnswerAfter(Answer::gateway(504)),
        WireFault::Torn,
        WireFault::Slow(Duration::from_millis(1)),
    ]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, per_thousand, seed] = &arguments[..] else { return Err(USAGE.into()) };
    let (per_thousand, seed): (u32, u64) = (per_thousand.parse()?, seed.parse()?);
    let proxy = FaultProxy::start(listen.parse()?, upstream).await?;
    let mut random = StdRng::seed_from_u64(seed);
    proxy.decide(move |request| {
        if random.random_range(0..1000) >= per_thousand {
            return WireFault::None;
        }
        let kinds = kinds(request.header("x-amz-target").is_some());
        kinds[random.random_range(0..kinds.len())].clone()
    });
    eprintln!("{} -> {upstream}, {per_thousand} of 1,000 requests", proxy.url());
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (requests, hit) = proxy.counts();
        eprintln!("{requests} requests, {hit} faults");
    }
}
