//! fn-query: a Lambda function for HTTP requests.

use fn_query::respond::not_found;
use fn_query::{Options, State, router};
use lambda_http::{Error, run_concurrent};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let host = boot::start("fn-query").await?;
    let options = Options { require_tenant: host.config.require_tenant, ..Options::default() };
    run_concurrent(router(State::over(&host, options)).fallback(not_found)).await
}
