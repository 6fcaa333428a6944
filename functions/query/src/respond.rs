//! Responses: JSON whole or in pieces, plain text, compression, CORS.
//!
//! Owns: bodies and headers. Does not own: what stands in them (`wire`).

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use wire::compress::{Compressor, Encoding};

use crate::limits::{COMPRESSED_BYTES_MIN, PIECE_BYTES};
use crate::request::header_text;

/// Writes the next piece of an answer and says whether more will follow.
pub type Pieces = Box<dyn FnMut(&mut Vec<u8>) -> bool + Send>;

/// Prometheus's content type.
pub const JSON: &str = "application/json";

/// Makes a plain-text response.
pub fn text(status: StatusCode, body: String) -> Response {
    response(status, "text/plain; charset=utf-8", Body::from(body))
}

/// Makes a response of bytes at hand.
pub fn whole(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    response(status, content_type, Body::from(body))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Makes a 200 response that is written while it is sent: no more than a piece of the text exists at a time.
pub fn pieces(content_type: &'static str, mut write: Pieces) -> Response {
    let mut first = Vec::with_capacity(4096);
    let body = match fill(&mut write, &mut first) {
        false => Body::from(first),
        true => streamed(stream::iter(std::iter::once(first).chain(rest(write)))),
    };
    response(StatusCode::OK, content_type, body)
}

/// Fills a buffer up to a piece's size; reports whether more will follow.
fn fill(write: &mut Pieces, out: &mut Vec<u8>) -> bool {
    while out.len() < PIECE_BYTES {
        if !write(out) {
            return false;
        }
    }
    true
}

/// Returns the pieces after the first; a writer that said "no more" is not asked again.
fn rest(mut write: Pieces) -> impl Iterator<Item = Vec<u8>> + Send {
    let mut more = true;
    std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
        if more {
            more = fill(&mut write, &mut piece);
        }
        (!piece.is_empty()).then_some(piece)
    })
}

fn streamed(pieces: impl Stream<Item = Vec<u8>> + Send + 'static) -> Body {
    Body::from_stream(pieces.map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece))))
}

/// Compresses answers as the client prefers, piece by piece. Small ones are sent as they are.
pub async fn compressed(request: Request, next: Next) -> Response {
    let encoding = Encoding::negotiate(header_text(request.headers(), header::ACCEPT_ENCODING.as_str()));
    let mut response = next.run(request).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let small = response.body().size_hint().exact().is_some_and(|bytes| bytes < COMPRESSED_BYTES_MIN);
    let Some(encoding) = encoding.filter(|_| !small && !response.headers().contains_key(header::CONTENT_ENCODING)) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from_stream(compressed_stream(body, encoding)))
}

fn compressed_stream(body: Body, encoding: Encoding) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
    let state = (body.into_data_stream(), Some(Compressor::new(encoding)));
    stream::try_unfold(state, async |(mut pieces, mut compressor)| {
        let Some(open) = &mut compressor else { return Ok(None) };
        while let Some(piece) = pieces.try_next().await? {
            let sent = open.push(&piece);
            if !sent.is_empty() {
                return Ok(Some((Bytes::from(sent), (pieces, compressor))));
            }
        }
        let last = compressor.take().map(Compressor::finish).unwrap_or_default();
        Ok(Some((Bytes::from(last), (pieces, None))))
    })
}

/// Sets a response header; a value that is no header is left out.
pub fn set_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

const CORS: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin, X-Scope-OrgID"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, X-Lamella-Cost, Server-Timing"),
];

/// Answers `OPTIONS` on any path and lets browsers read every answer, as Prometheus does with its default `web.cors.origin`.
pub async fn cors(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.extend(CORS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    }
    response
}

/// Refuses `HEAD`, which Prometheus's API does not know and the router would answer as `GET` without a body.
pub async fn without_head(request: Request, next: Next) -> Response {
    match *request.method() {
        Method::HEAD => method_not_allowed().await,
        _ => next.run(request).await,
    }
}

/// Answers a method that a path does not know, in Go's words.
pub async fn method_not_allowed() -> Response {
    plain_error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

/// Makes the response of Go's `http.Error`.
pub fn plain_error(status: StatusCode, message: &str) -> Response {
    let mut response = text(status, format!("{message}\n"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Answers a path nobody serves.
pub async fn not_found() -> Response {
    plain_error(StatusCode::NOT_FOUND, "404 page not found")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn body(accept: &str, items: usize) -> (http::HeaderMap, Bytes) {
        let handler = move || async move {
            let mut left = items;
            let write: Pieces = Box::new(move |out| {
                out.extend_from_slice(&[b'x'; 1000]);
                left -= 1;
                left > 0
            });
            pieces(JSON, write)
        };
        let app: Router = Router::new().route("/", get(handler)).layer(axum::middleware::from_fn(compressed));
        let request = Request::get("/").header(header::ACCEPT_ENCODING, accept).body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        (headers, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn pieces_are_sent_once_and_in_full() {
        for items in [1, 2, 65, 66, 67, 1000] {
            assert_eq!(body("", items).await.1.len(), items * 1000, "{items} pieces");
        }
        let (headers, zipped) = body("gzip", 1000).await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert!(zipped.len() < 20_000);
        assert_eq!(u32::from_le_bytes(zipped[zipped.len() - 4..].try_into().unwrap()), 1_000_000, "gzip's own length");
        assert_eq!(body("zstd, gzip", 1000).await.0[header::CONTENT_ENCODING], "zstd");
        assert!(body("gzip", 1).await.0.get(header::CONTENT_ENCODING).is_none(), "a small answer is sent as it is");
    }
}
