//! fn-query: a Lambda function for HTTP requests.

use fn_query::respond::not_found;
use fn_query::{Options, State, router};
use http_body_util::BodyExt;
use lambda_http::{Body, Error, Request, Response, run_concurrent, service_fn};
use tower::ServiceExt;

/// Stack of each worker: nested queries are evaluated by recursion, within the languages' depth limits.
const STACK_BYTES: usize = 8 << 20;

fn main() -> Result<(), Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    let host = boot::start("fn-query").await?;
    let routes = router(State::over(&host, Options::default())).fallback(not_found);
    run_concurrent(service_fn(move |request: Request| {
        let routes = routes.clone();
        async move {
            // The runtime asks for a body that may be shared.
            let (parts, body) = routes.oneshot(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            Ok::<_, Error>(Response::from_parts(parts, text(bytes.into())))
        }
    }))
    .await
}

/// Text travels as it is, anything else as base64: a third more of the 6 MB that an answer may have.
fn text(bytes: Vec<u8>) -> Body {
    String::from_utf8(bytes).map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text)
}
