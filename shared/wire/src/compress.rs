//! gzip of responses, chunk by chunk, so that a large answer is never held twice.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Compresses a response as it is produced.
pub struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
}

impl Default for Gzip {
    fn default() -> Gzip {
        Gzip { encoder: GzEncoder::new(Vec::new(), Compression::fast()) }
    }
}

impl Gzip {
    /// Takes the next bytes and returns what is ready to be sent, possibly nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.encoder.write_all(bytes).expect("a vector takes every byte");
        std::mem::take(self.encoder.get_mut())
    }

    /// Returns the rest.
    pub fn finish(self) -> Vec<u8> {
        self.encoder.finish().expect("a vector takes every byte")
    }
}

/// Reports whether an `Accept-Encoding` header admits gzip.
pub fn accepts_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn chunks_make_one_stream() {
        let mut gzip = Gzip::default();
        let mut sent = gzip.push(b"hello ");
        sent.extend(gzip.push(b"world"));
        sent.extend(gzip.finish());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&sent[..]).read_to_string(&mut text).expect("valid gzip");
        assert_eq!(text, "hello world");
    }

    #[test]
    fn header_is_understood() {
        assert!(accepts_gzip("deflate, gzip;q=0.5"));
        assert!(accepts_gzip("*"));
        assert!(!accepts_gzip("gzip;q=0, br"));
        assert!(!accepts_gzip(""));
    }
}
