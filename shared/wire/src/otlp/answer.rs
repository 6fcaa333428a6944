//! What a request is answered: `ExportMetricsServiceResponse`, or `google.rpc.Status` where nothing was stored.

use super::{Decoded, Encoding};
use crate::json_text::{html_string, integer, write_to};
use crate::protobuf::write::{bytes, int, message};

/// An answer with a body in the request's encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Decoded {
    /// Returns the answer that is due once the batch is durable: success, partial success, or 400 where every point was refused.
    pub fn answer(&self, encoding: Encoding) -> Answer {
        let text = self.reasons.join("; ");
        match self.refused {
            refused if refused > 0 && refused == self.points => failure(400, &text, encoding),
            0 if self.reasons.is_empty() => Answer { status: 200, body: success(encoding, None) },
            refused => Answer { status: 200, body: success(encoding, Some((refused, &text))) },
        }
    }
}

fn success(encoding: Encoding, partial: Option<(usize, &str)>) -> Vec<u8> {
    let mut out = Vec::new();
    match (encoding, partial) {
        (Encoding::Protobuf, None) => {}
        (Encoding::Json, None) => out.extend_from_slice(b"{}"),
        (Encoding::Protobuf, Some((refused, text))) => message(&mut out, 1, |out| {
            int(out, 1, refused as i64);
            bytes(out, 2, text.as_bytes());
        }),
        (Encoding::Json, Some((refused, text))) => {
            // 64-bit numbers are strings in protobuf's JSON.
            write_to(&mut out, format_args!("{{\"partialSuccess\":{{\"rejectedDataPoints\":\"{refused}\",\"errorMessage\":"));
            html_string(&mut out, text);
            out.extend_from_slice(b"}}");
        }
    }
    out
}

/// Returns the answer of a request that failed as a whole.
pub fn failure(status: u16, text: &str, encoding: Encoding) -> Answer {
    let code = code(status);
    let mut body = Vec::new();
    match encoding {
        Encoding::Protobuf => {
            int(&mut body, 1, code);
            bytes(&mut body, 2, text.as_bytes());
        }
        Encoding::Json => {
            body.extend_from_slice(b"{\"code\":");
            integer(&mut body, code);
            body.extend_from_slice(b",\"message\":");
            html_string(&mut body, text);
            body.push(b'}');
        }
    }
    Answer { status, body }
}

/// Returns the gRPC code of a status.
fn code(status: u16) -> i64 {
    const INVALID_ARGUMENT: i64 = 3;
    const RESOURCE_EXHAUSTED: i64 = 8;
    const INTERNAL: i64 = 13;
    const UNAVAILABLE: i64 = 14;
    const UNAUTHENTICATED: i64 = 16;
    match status {
        401 => UNAUTHENTICATED,
        413 | 429 => RESOURCE_EXHAUSTED,
        502..=504 => UNAVAILABLE,
        400..500 => INVALID_ARGUMENT,
        _ => INTERNAL,
    }
}
