//! A tail's WebSocket: the opening handshake of RFC 6455, and the loop between watch, session and client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use model::{Clock, LabelSet};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

use super::session::Session;
use crate::limits::{TAIL_FRAMES_MAX, TAIL_HEARD_BYTES_MAX, TAIL_TIME_MAX, TAIL_WRITE_MAX};
use crate::live::Watch;
use crate::request::header_text;

/// A client's socket.
pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What a server appends to a client's key (RFC 6455, section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How often a client is asked whether it is there (Loki: 1 s).
const PING_EVERY: Duration = Duration::from_secs(1);
/// How often entries whose time has come are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a close frame's reason (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

/// Returns the answer that opens a WebSocket, where a request asks for one.
pub fn handshake(headers: &HeaderMap) -> Option<Response> {
    let has = |name: HeaderName, word: &str| {
        let mut words = header_text(headers, name.as_str()).split(',').map(str::trim);
        words.any(|known| known.eq_ignore_ascii_case(word))
    };
    let key = header_text(headers, header::SEC_WEBSOCKET_KEY.as_str());
    let is_asked =
        has(header::UPGRADE, "websocket") && has(header::CONNECTION, "upgrade") && has(header::SEC_WEBSOCKET_VERSION, "13");
    if !is_asked || key.is_empty() {
        return None;
    }
    let accept = HeaderValue::try_from(accept(key)).expect("base64 is a header's text");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Some(response)
}

fn accept(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::from(key.as_bytes());
    hash.update(KEY_SUFFIX);
    STANDARD.encode(hash.digest().bytes())
}

/// Takes over a connection that was upgraded.
pub fn take(upgraded: Upgraded) -> Socket {
    let limits = Limits::default().max_payload_len(Some(TAIL_HEARD_BYTES_MAX));
    ServerBuilder::new().limits(limits).serve(TokioIo::new(upgraded))
}

/// Closes a socket and says why.
pub async fn refuse(mut socket: Socket, reason: &str) {
    // A client that is gone needs no reason.
    let _ = timeout(TAIL_WRITE_MAX, socket.send(closing(reason))).await;
}

fn closing(reason: &str) -> Message {
    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    Message::close(Some(CloseCode::INTERNAL_SERVER_ERROR), &reason[..end])
}

/// Tells a client what a session has, until either has enough. The client is written to by a task of its own, so that a slow one
/// holds up nothing; what it has no room for is dropped, and named in the next frame.
pub async fn run(socket: Socket, mut watch: Watch, mut session: Session, clock: Arc<dyn Clock>) {
    let (mut sink, mut source) = socket.split();
    let (frames, mut waiting) = mpsc::channel::<Message>(TAIL_FRAMES_MAX);
    let writer = tokio::spawn(async move {
        while let Some(message) = waiting.recv().await {
            if !matches!(timeout(TAIL_WRITE_MAX, sink.send(message)).await, Ok(Ok(()))) {
                break;
            }
        }
    });
    let end = sleep_until(Instant::now() + TAIL_TIME_MAX);
    tokio::pin!(end);
    let (mut look, mut ping) = (interval(LOOK_EVERY), interval(PING_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = source.next() => match heard {
                Some(Ok(message)) if !message.is_close() => {}
                _ => break,
            },
            batch = watch.next() => match batch {
                Some(batch) => session.learn(&batch),
                None => break,
            },
            _ = look.tick() => {}
            // A client with frames waiting is known to be there, or will be known not to be.
            _ = ping.tick() => {
                let _ = frames.try_send(Message::ping(""));
            }
            () = &mut end => {
                let _ = frames.try_send(closing("reached tail max duration limit"));
                break;
            }
        }
        let now_ns = clock.now().to_ns().0;
        if watch.missed() > 0 {
            // Which ones they were nobody has looked at.
            session.feed.drop_one(now_ns, LabelSet::empty());
        }
        if !tell(&mut session, &frames, now_ns) {
            break;
        }
    }
    drop(frames);
    // The writer ends with what it has; a client that left makes it end at once.
    let _ = writer.await;
}

/// Puts entries whose time has come into frames; reports whether there is still a client.
fn tell(session: &mut Session, frames: &mpsc::Sender<Message>, now_ns: i64) -> bool {
    while session.feed.is_ripe(now_ns) {
        match frames.try_reserve() {
            Ok(room) => room.send(Message::text(frame_text(session.feed.frame(now_ns)))),
            Err(mpsc::error::TrySendError::Full(())) => session.feed.drop_ripe(now_ns),
            Err(mpsc::error::TrySendError::Closed(())) => return false,
        }
    }
    !frames.is_closed()
}

fn frame_text(frame: Option<Vec<u8>>) -> String {
    String::from_utf8(frame.unwrap_or_default()).expect("frames are written as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_answered_as_the_standard_shows() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "a"),
        ] {
            assert!(handshake(&headers).is_none(), "before {name}");
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(handshake(&headers).unwrap().status(), 101);
    }

    #[test]
    fn reasons_fit_into_their_frame() {
        let message = closing(&"é".repeat(100));
        let (code, reason) = message.as_close().unwrap();
        assert_eq!((u16::from(code), reason.len()), (1011, 122));
    }
}
