//! Forms as `curl -F` sends them.
//!
//! Owns: which parts are parameters. Does not own: the bound on the body, or what a parameter means.

use std::convert::Infallible;

use bytes::Bytes;
use multer::{Error, Multipart, parse_boundary};

/// Reads the values of a `multipart/form-data` body as Go's `FormValue` does: files are no values, and a body that is broken anywhere
/// has none, so that what is missing is told as missing.
pub async fn values(content_type: &str, body: Bytes) -> Vec<(String, String)> {
    read(content_type, body).await.unwrap_or_default()
}

async fn read(content_type: &str, body: Bytes) -> Result<Vec<(String, String)>, Error> {
    let body = futures::stream::iter([Ok::<_, Infallible>(body)]);
    let mut parts = Multipart::new(body, parse_boundary(content_type)?);
    let mut values = Vec::new();
    while let Some(part) = parts.next_field().await? {
        let name = part.name().filter(|name| !name.is_empty() && part.file_name().is_none()).map(str::to_owned);
        let value = part.bytes().await?;
        values.extend(name.map(|name| (name, String::from_utf8_lossy(&value).into_owned())));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn part(disposition: &str, value: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    #[tokio::test]
    async fn values_are_parts_that_are_no_files() {
        let parts =
            [part("name=\"query\"", "up{a=\"b\"}"), part("name=\"f\"; filename=\"x\"", "file"), part("name=\"time\"", "")];
        let body = format!("{}--b--\r\n", parts.concat());
        let wanted = [("query", "up{a=\"b\"}"), ("time", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(values(TYPE, body.clone().into()).await, wanted);
        for (content_type, body) in [(TYPE, &body[..body.len() - 6]), ("multipart/form-data", body.as_str()), (TYPE, "")] {
            assert_eq!(values(content_type, Bytes::copy_from_slice(body.as_bytes())).await, [], "{content_type} {body:?}");
        }
    }
}
