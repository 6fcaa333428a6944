//! fn-compact: a Lambda function for scheduled events.

use fn_compact::{State, deadline, hints, run_once, stay};
use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use model::TimestampMs;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let host = boot::start("fn-compact").await?;
    let (state, clock) = (State::new(&host), host.clock.clone());
    run_concurrent(service_fn(move |event: LambdaEvent<Value>| {
        let (state, clock, began) = (state.clone(), clock.clone(), clock.now());
        async move {
            // The event says that it is time, and may say where to begin.
            let told = TimestampMs(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
            let deadline = deadline(told, began);
            let mut report = run_once(&state, deadline, &hints::parse(&event.payload)).await?;
            while let Some(rest) = stay(&report, began, clock.now()) {
                tokio::time::sleep(rest).await;
                report = run_once(&state, deadline, &[]).await?;
            }
            Ok::<Value, Error>(json!({ "jobs": report.jobs, "failed": report.failed, "outOfTime": report.out_of_time }))
        }
    }))
    .await
}
