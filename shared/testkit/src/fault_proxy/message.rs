//! As much of HTTP/1.1 as a proxy between an SDK and a local server needs.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a head: the SDKs' are below two thousand.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a message.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// Returns the method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or("")
    }

    /// Returns the path with its query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or("")
    }

    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(of, _)| of.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// Returns the operation of DynamoDB, such as `PutItem`; of S3 the method.
    pub fn operation(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or(self.method())
    }

    /// Returns the request with word that the connection closes after the answer.
    pub(super) fn closing(&self) -> Vec<u8> {
        let kept = |line: &&str| {
            let name = line.split(':').next().unwrap_or("");
            !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case("expect") && !line.is_empty()
        };
        let mut bytes: Vec<u8> = Vec::with_capacity(self.head.len() + self.body.len() + 32);
        for line in self.head.split("\r\n").filter(kept) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Reads one request; `None` where the client closed instead.
pub(super) async fn read_request(client: &mut TcpStream) -> Result<Option<Request>> {
    let mut bytes = Vec::new();
    let body_at = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidData, "head is too long"));
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let mut body = bytes.split_off(body_at);
    let head = String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "head is not text"))?;
    let mut request = Request { head, body: Vec::new() };
    if request.header("transfer-encoding").is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "chunked requests are not proxied"));
    }
    let len: usize = request.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    if len > BODY_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidData, "body is too long"));
    }
    if request.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) && body.len() < len {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while body.len() < len {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    request.body = body;
    Ok(Some(request))
}

/// Reads until the other side closes.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(BODY_BYTES_MAX as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}
