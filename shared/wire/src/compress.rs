//! Compression of responses, chunk by chunk, so that a large answer is never held twice.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// A content encoding of responses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Fastest and densest, where a client knows it.
    Zstd,
    /// What every client knows.
    Gzip,
    /// zlib, as Prometheus offers it.
    Deflate,
}

/// In order of preference.
const ENCODINGS: [Encoding; 3] = [Encoding::Zstd, Encoding::Gzip, Encoding::Deflate];
/// Denser levels cost more time than a local network saves; the window stays far below what browsers take.
const ZSTD_LEVEL: i32 = 1;

impl Encoding {
    /// Returns the name in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        }
    }

    /// Returns the encoding an `Accept-Encoding` header likes best among ours; `None` is no compression.
    pub fn negotiate(accept_encoding: &str) -> Option<Encoding> {
        let mut best = None;
        for encoding in ENCODINGS {
            let quality = quality(accept_encoding, encoding.as_str());
            if quality > best.map_or(0, |(most, _)| most) {
                best = Some((quality, encoding));
            }
        }
        best.map(|(_, encoding)| encoding)
    }
}

/// Returns the weight of a coding in thousandths, 0 where it is not accepted. `*` stands for gzip alone, which everybody knows.
fn quality(accept_encoding: &str, name: &str) -> u32 {
    let of = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let named = coding.eq_ignore_ascii_case(name) || (coding == "*" && name == "gzip");
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f64>().ok());
        named.then_some((weight.unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u32)
    };
    accept_encoding.split(',').find_map(of).unwrap_or(0)
}

/// Compresses a response as it is produced.
pub enum Compressor {
    /// gzip
    Gzip(GzEncoder<Vec<u8>>),
    /// zlib
    Deflate(ZlibEncoder<Vec<u8>>),
    /// zstd
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    /// Makes a compressor.
    pub fn new(encoding: Encoding) -> Compressor {
        match encoding {
            Encoding::Gzip => Compressor::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Deflate => Compressor::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL);
                Compressor::Zstd(encoder.expect("the level is one of zstd's"))
            }
        }
    }

    /// Takes the next bytes and returns what is ready to be sent, possibly nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        const TAKEN: &str = "a vector takes every byte";
        match self {
            Compressor::Gzip(encoder) => {
                encoder.write_all(bytes).expect(TAKEN);
                std::mem::take(encoder.get_mut())
            }
            Compressor::Deflate(encoder) => {
                encoder.write_all(bytes).expect(TAKEN);
                std::mem::take(encoder.get_mut())
            }
            Compressor::Zstd(encoder) => {
                encoder.write_all(bytes).expect(TAKEN);
                std::mem::take(encoder.get_mut())
            }
        }
    }

    /// Returns the rest.
    pub fn finish(self) -> Vec<u8> {
        let rest = match self {
            Compressor::Gzip(encoder) => encoder.finish(),
            Compressor::Deflate(encoder) => encoder.finish(),
            Compressor::Zstd(encoder) => encoder.finish(),
        };
        rest.expect("a vector takes every byte")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn chunks_make_one_stream() {
        for encoding in ENCODINGS {
            let mut compressor = Compressor::new(encoding);
            let mut sent = compressor.push(b"hello ");
            sent.extend(compressor.push(b"world"));
            sent.extend(compressor.finish());
            let mut text = String::new();
            let read = match encoding {
                Encoding::Gzip => flate2::read::GzDecoder::new(&sent[..]).read_to_string(&mut text),
                Encoding::Deflate => flate2::read::ZlibDecoder::new(&sent[..]).read_to_string(&mut text),
                Encoding::Zstd => zstd::stream::read::Decoder::new(&sent[..]).and_then(|mut d| d.read_to_string(&mut text)),
            };
            assert_eq!((read.ok(), text.as_str()), (Some(11), "hello world"), "{encoding:?}");
        }
    }

    #[test]
    fn header_is_understood() {
        let table = [
            ("deflate, gzip;q=0.5", Some(Encoding::Deflate)),
            ("gzip, deflate, br, zstd", Some(Encoding::Zstd)),
            ("gzip", Some(Encoding::Gzip)),
            ("*", Some(Encoding::Gzip)),
            ("gzip;q=0, br", None),
            ("", None),
        ];
        for (header, encoding) in table {
            assert_eq!(Encoding::negotiate(header), encoding, "{header}");
        }
    }
}
