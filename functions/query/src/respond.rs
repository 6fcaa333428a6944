//! Responses: JSON whole or in pieces, plain text, gzip, CORS.
//!
//! Owns: bodies and headers. Does not own: what stands in them (`wire`).

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use wire::compress::{Gzip, accepts_gzip};

use crate::limits::PIECE_BYTES;
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

/// Makes a 200 response that is written while it is sent, compressed where the client accepts it.
pub fn pieces(request: &HeaderMap, content_type: &'static str, mut write: Pieces) -> Response {
    let mut first = Vec::with_capacity(4096);
    let more = fill(&mut write, &mut first);
    let gzip = first.len() > 1024 && accepts_gzip(header_text(request, header::ACCEPT_ENCODING.as_str()));
    let body = match (gzip, more) {
        (false, false) => Body::from(first),
        (false, true) => stream(std::iter::once(first).chain(rest(write))),
        (true, more) => stream(compressed(first, more, write)),
    };
    let mut response = response(StatusCode::OK, content_type, body);
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
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

fn compressed(first: Vec<u8>, mut more: bool, mut write: Pieces) -> impl Iterator<Item = Vec<u8>> + Send {
    let (mut gzip, mut piece) = (Some(Gzip::default()), first);
    std::iter::from_fn(move || {
        let mut sent = gzip.as_mut()?.push(&piece);
        while sent.is_empty() && more {
            piece.clear();
            more = fill(&mut write, &mut piece);
            sent = gzip.as_mut()?.push(&piece);
        }
        piece.clear();
        if !more {
            sent.extend(gzip.take()?.finish());
        }
        Some(sent)
    })
}

fn stream(pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    Body::from_stream(futures::stream::iter(pieces.map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))))
}

/// Sets a response header; a value that is no header is left out.
pub fn set_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

const CORS: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin, X-Scope-OrgID"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date, X-Lamella-Cost, Server-Timing"),
];

/// Answers `OPTIONS` on any path and lets browsers read every answer, as Prometheus does.
pub async fn cors(request: Request, next: Next) -> Response {
    let from_browser = request.headers().contains_key(header::ORIGIN);
    let mut response = match *request.method() {
        Method::OPTIONS => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => next.run(request).await,
    };
    if from_browser {
        response.headers_mut().extend(CORS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    }
    response
}

/// Answers a path nobody serves.
pub async fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn body(accept: &str, items: usize) -> (HeaderMap, Bytes) {
        let mut left = items;
        let write: Pieces = Box::new(move |out| {
            out.extend_from_slice(&[b'x'; 1000]);
            left -= 1;
            left > 0
        });
        let request = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accept.parse().unwrap())]);
        let response = pieces(&request, JSON, write);
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
    }
}
