//! One GET to a Lamella on this machine or network, for tools that look at a running server.
//!
//! Plain HTTP only: what lies behind TLS is asked with curl.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take for all of it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer, head included: a page of metrics is some KB.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Returns the body of `path` at `url`, such as `http://127.0.0.1:9009`.
///
/// # Errors
/// Any status but 200, an answer above 4 MiB or one that takes more than five seconds.
pub async fn get(url: &str, path: &str) -> Result<String> {
    let Some(authority) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
        bail!("{url} is not an http:// URL");
    };
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let answer = timeout(TIMEOUT, exchange(&address, authority, path)).await.with_context(|| format!("{url} takes too long"))?;
    body(&answer.with_context(|| format!("ask {url}{path}"))?).with_context(|| format!("answer of {url}{path}"))
}

async fn exchange(address: &str, host: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // 1.0: the answer ends with the connection, and comes in one piece.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    ensure!((read as u64) < ANSWER_BYTES_MAX, "it is longer than {ANSWER_BYTES_MAX} bytes");
    Ok(answer)
}

fn body(answer: &str) -> Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").context("it is not HTTP")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "status {status}: {}", body.trim());
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_200_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\na: b\r\n\r\nready\n").expect("200"), "ready\n");
        for (answer, error) in [("HTTP/1.0 503 x\r\n\r\nbusy\n", "status 503: busy"), ("hello", "it is not HTTP")] {
            assert_eq!(body(answer).expect_err(answer).to_string(), error);
        }
    }

    #[tokio::test]
    async fn https_is_refused_by_name() {
        assert_eq!(get("https://x", "/").await.expect_err("no TLS").to_string(), "https://x is not an http:// URL");
    }
}
