//! Reads what of a request nobody has read, before its answer goes out.
//!
//! A refusal (401, 413, 429) is often ready before the body was read. Over HTTP/2 the stream is then reset behind the answer, over
//! HTTP/1.1 the connection is closed, and a client that is still sending may lose the answer: curl 7.88 shows no status at all.
//! Owns: taking a body back from a handler, how much of it is read. Does not own: what handlers read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Buf, Bytes};
use http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Bytes read of what nobody wants: more than senders put into a request (Promtail's pushes are of 1 MB), and nothing is kept of it.
const UNREAD_BYTES_MAX: usize = 4 << 20;
/// How long a sender has to get rid of them.
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// Lends a request's body to its handler, and reads on where the handler stopped.
pub async fn read_on(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (give_back, mut returned) = oneshot::channel();
    let lent = Lent { body, give_back: Some(give_back), is_awaited: parts.headers.contains_key(EXPECT) };
    let response = next.run(Request::from_parts(parts, Body::new(lent))).await;
    // Nothing comes back of what was read to its end, or is still read by somebody.
    if let Ok(rest) = returned.try_recv() {
        discard(rest, UNREAD_MAX).await;
    }
    response
}

/// Reads a body to its end, or up to the bounds: whether the sender came to an end or not, its answer goes out.
async fn discard(body: Body, most: Duration) {
    let _ = timeout(most, read_off(body)).await;
}

async fn read_off(mut body: Body) {
    let mut left = UNREAD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Buf::remaining);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A body that comes back when its reader lets go of it before the end.
struct Lent {
    body: Body,
    give_back: Option<oneshot::Sender<Body>>,
    /// Its sender waits for leave (`Expect: 100-continue`, RFC 9110 §10.1.1), which the first read gives: refused before, it sends nothing.
    is_awaited: bool,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_awaited = false;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.give_back = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back.take()
            && !self.is_awaited
            && !http_body::Body::is_end_stream(&self.body)
        {
            // Nobody waits where the request itself was dropped.
            let _ = give_back.send(std::mem::take(&mut self.body));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use axum::Router;
    use axum::body::to_bytes;
    use axum::routing::post;
    use futures::stream;
    use http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    /// Sends pieces of 64 KiB to a handler that refuses at once, or reads all; returns the status and how many pieces were taken.
    async fn taken(path: &str, pieces: usize) -> (StatusCode, usize) {
        taken_of(Request::post(path), pieces).await
    }

    async fn taken_of(request: http::request::Builder, pieces: usize) -> (StatusCode, usize) {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let piece = move |_| {
            counted.fetch_add(1, Relaxed);
            Ok::<_, axum::Error>(Bytes::from_static(&[0; 65_536]))
        };
        let body = Body::from_stream(futures::StreamExt::map(stream::iter(0..pieces), piece));
        let refuse = post(async || StatusCode::UNAUTHORIZED);
        let read = post(async |body: Body| to_bytes(body, usize::MAX).await.map(drop).map_err(|_| StatusCode::BAD_REQUEST));
        let app = Router::new().route("/refuse", refuse).route("/read", read).layer(axum::middleware::from_fn(read_on));
        let response = app.oneshot(request.body(body).unwrap()).await.unwrap();
        (response.status(), sent.load(Relaxed))
    }

    #[tokio::test]
    async fn a_refusal_waits_for_the_end_of_what_it_refuses() {
        assert_eq!(taken("/refuse", 3).await, (StatusCode::UNAUTHORIZED, 3));
        assert_eq!(taken("/read", 3).await, (StatusCode::OK, 3));
        assert_eq!(taken("/refuse", 0).await, (StatusCode::UNAUTHORIZED, 0));
        let (status, pieces) = taken("/refuse", 10_000).await;
        assert_eq!((status, pieces), (StatusCode::UNAUTHORIZED, UNREAD_BYTES_MAX / 65_536 + 1), "it does not wait for ever");
    }

    #[tokio::test]
    async fn a_sender_that_waits_for_leave_is_refused_without_it() {
        let waiting = |path| Request::post(path).header(EXPECT, "100-continue");
        assert_eq!(taken_of(waiting("/refuse"), 3).await, (StatusCode::UNAUTHORIZED, 0));
        assert_eq!(taken_of(waiting("/read"), 3).await, (StatusCode::OK, 3));
    }

    #[tokio::test]
    async fn a_sender_that_stalls_holds_nobody_up() {
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        discard(stalled, Duration::ZERO).await;
    }
}
