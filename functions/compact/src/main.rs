//! fn-compact: a Lambda function for scheduled events.

use fn_compact::{State, deadline, hints, run_once};
use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use model::TimestampMs;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let host = boot::start("fn-compact").await?;
    let (state, clock) = (State::new(&host), host.clock.clone());
    run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
        let (state, now) = (state.clone(), clock.now());
        async move {
            // The event says that it is time, and may say where to begin.
            let told = TimestampMs(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
            let report = run_once(&state, deadline(told, now), &hints::parse(&event.payload)).await?;
            Ok::<Value, Error>(json!({ "jobs": report.jobs, "failed": report.failed, "outOfTime": report.out_of_time }))
        }
    }))
    .await
}
