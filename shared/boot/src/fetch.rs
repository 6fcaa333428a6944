//! One GET of plain HTTP to this machine or network: the secrets extension, a running Lamella.
//!
//! What lies behind TLS is asked with curl.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take for all of it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer, head included: a page of metrics is some KB.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Returns the body of `path` at `url`, such as `http://127.0.0.1:9009`. Headers are not part of any error.
///
/// # Errors
/// Any status but 200, an answer above 4 MiB or one that takes more than five seconds.
pub async fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> Result<String> {
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("{url} is not an http:// URL")))?;
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let told = |error: Error| Error::new(error.kind(), format!("ask {url}: {error}"));
    let late = |_| Error::new(ErrorKind::TimedOut, format!("{url} takes too long"));
    let answer = timeout(TIMEOUT, exchange(&address, authority, path, headers)).await.map_err(late)?;
    answer.and_then(|answer| body(&answer)).map_err(told)
}

async fn exchange(address: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    if headers.iter().map(|(_, value)| *value).chain([path]).any(|text| text.contains(['\r', '\n'])) {
        return Err(Error::new(ErrorKind::InvalidInput, "a line break in a path or a header"));
    }
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // 1.0: the answer ends with the connection, and comes in one piece.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    match (read as u64) < ANSWER_BYTES_MAX {
        true => Ok(answer),
        false => Err(Error::other(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes"))),
    }
}

fn body(answer: &str) -> Result<String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| Error::other("the answer is not HTTP"))?;
    match head.split_whitespace().nth(1).unwrap_or_default() {
        "200" => Ok(body.to_owned()),
        status => Err(Error::other(format!("status {status}: {}", body.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_200_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\na: b\r\n\r\nready\n").expect("200"), "ready\n");
        for (answer, error) in [("HTTP/1.0 503 x\r\n\r\nbusy\n", "status 503: busy"), ("hello", "the answer is not HTTP")] {
            assert_eq!(body(answer).expect_err(answer).to_string(), error);
        }
    }

    #[tokio::test]
    async fn https_and_broken_headers_are_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let error = get(&url, "/", &[("a", "b\r\nc: d")]).await.expect_err("two headers").to_string();
        assert!(error.ends_with("a line break in a path or a header"), "{error}");
        assert_eq!(get("https://x", "/", &[]).await.expect_err("no TLS").to_string(), "https://x is not an http:// URL");
    }
}
