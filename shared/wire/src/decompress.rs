//! The only decompressors of request bodies. Every output is bounded before it is allocated.

use std::io::Read;

use crate::error::Error;

/// Largest window of a zstd frame, 32 MiB as a power of two: what the frame's header asks for is allocated.
const WINDOW_LOG_MAX: u32 = 25;

/// Decompresses a snappy block; its declared length is checked first.
#[expect(clippy::disallowed_methods, reason = "bounded by the declared length, which was checked")]
pub fn snappy_block(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let corrupt = |_| Error::body("snappy: corrupt input");
    if body.is_empty() {
        return Err(Error::body("snappy: corrupt input"));
    }
    if snap::raw::decompress_len(body).map_err(corrupt)? > bytes_max {
        return Err(Error::DecodedTooLarge { limit_bytes: bytes_max });
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(corrupt)
}

/// Decompresses gzip, all members.
pub fn gzip(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    if body.get(..2).is_some_and(|magic| magic != [0x1f, 0x8b]) {
        return Err(Error::body("gzip: invalid header"));
    }
    bounded(flate2::read::MultiGzDecoder::new(body), bytes_max, "unexpected EOF")
}

/// Decompresses raw deflate, without the zlib header.
pub fn deflate(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    bounded(flate2::read::DeflateDecoder::new(body), bytes_max, "EOF")
}

/// Decompresses zstd, all frames.
pub fn zstd(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let unreadable = |_| Error::body("invalid input: magic number mismatch");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(unreadable)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(unreadable)?;
    bounded(decoder, bytes_max, "unexpected EOF")
}

/// Decompresses a frame of LZ4.
pub fn lz4(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let decoder = lz4::Decoder::new(body).map_err(|_| Error::body("lz4: out of memory"))?;
    bounded(decoder, bytes_max, "lz4: bad magic number")
}

fn bounded(reader: impl Read, bytes_max: usize, failed: &str) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut out).map_err(|_| Error::body(failed))?;
    if out.len() > bytes_max {
        return Err(Error::DecodedTooLarge { limit_bytes: bytes_max });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_before_it_is_held() {
        let declared = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(snappy_block(&declared, 1024), Err(Error::DecodedTooLarge { limit_bytes: 1024 }));
        let mut gzip_of_zeros = crate::compress::Compressor::new(crate::compress::Encoding::Gzip);
        let mut body = gzip_of_zeros.push(&vec![0; 100_000]);
        body.extend(gzip_of_zeros.finish());
        assert_eq!(gzip(&body, 99_999), Err(Error::DecodedTooLarge { limit_bytes: 99_999 }));
        assert_eq!(gzip(&body, 100_000).map(|out| out.len()), Ok(100_000));
        let zeros = zstd::encode_all(&[0; 100_000][..], 1).unwrap();
        assert_eq!(zstd(&zeros, 99_999), Err(Error::DecodedTooLarge { limit_bytes: 99_999 }));
        assert_eq!(lz4(b"not lz4 at all", 9), Err(Error::body("lz4: bad magic number")));
        assert_eq!(snappy_block(b"", 1), Err(Error::body("snappy: corrupt input")));
        assert_eq!(gzip(b"{}", 9), Err(Error::body("gzip: invalid header")));
        assert_eq!(deflate(b"\x78\x9c\xab\x56\x2a", 9), Err(Error::body("EOF")));
    }
}
