//! fn-ingest: a Lambda function for HTTP requests.

use fn_ingest::{State, router};
use http_body_util::BodyExt;
use lambda_http::{Body, Error, Request, Response, run_concurrent, service_fn};
use tower::ServiceExt;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let routes = router(State::function(&boot::start("fn-ingest").await?));
    run_concurrent(service_fn(move |request: Request| {
        let routes = routes.clone();
        async move {
            // The runtime asks for a body that may be shared; answers of ingest are a line at most.
            let (parts, body) = routes.oneshot(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            Ok::<_, Error>(Response::from_parts(parts, Body::from(bytes.to_vec())))
        }
    }))
    .await
}
