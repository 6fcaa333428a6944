//! What is fuzzed: every parser and decoder that reads what others wrote. No input may panic, hang or take memory that its size
//! does not justify; what a target asserts beyond that stands beside it.
//!
//! `tests/fuzz.sh SECONDS [TARGET…]` runs libFuzzer (nightly, cargo-fuzz). An ordinary `cargo test` runs every seed and some thousand
//! mutations of the seeds, so that what was found once stays found: an input that broke something becomes a seed.
//! Does not own: what the right answer is (conformance, golden and property tests do).

mod evaluate;
mod files;
mod languages;
mod records;
mod requests;
mod tsdb;

/// One entry point.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What `FUZZ_TARGET` and the folder of its seeds are called.
    pub name: &'static str,
    /// Takes any bytes; a panic is a finding.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($module:ident::$name:ident),+ $(,)?) => { &[$(Target { name: stringify!($name), run: $module::$name }),+] };
}

/// All of them.
pub const TARGETS: &[Target] = targets![
    languages::promql,
    languages::promql_metric,
    languages::logql,
    languages::pipeline,
    languages::template,
    languages::re2,
    evaluate::promql_evaluate,
    requests::remote_write_1,
    requests::remote_write_2,
    requests::remote_read,
    requests::otlp_protobuf,
    requests::otlp_json,
    requests::otlp_logs_protobuf,
    requests::otlp_logs_json,
    requests::loki_protobuf,
    requests::loki_json,
    requests::loki_labels,
    requests::decompression,
    requests::parameters,
    files::block,
    files::parquet,
    records::manifest_records,
    tsdb::tsdb_chunk,
    tsdb::tsdb_block,
];

/// Cuts the input at the first zero byte.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}

/// The longest prefix that is text.
fn text(data: &[u8]) -> &str {
    match std::str::from_utf8(data) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&data[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Edits bytes in one place: a byte comes in, goes, grows, or is another.
fn edit(bytes: &mut Vec<u8>, place: [u8; 2], how: u8, with: u8) {
    let at = usize::from(u16::from_be_bytes(place));
    match how % 4 {
        0 => bytes.insert(at % (bytes.len() + 1), with),
        _ if bytes.is_empty() => {}
        1 => drop(bytes.remove(at % bytes.len())),
        how => change(bytes, at, how, with),
    }
}

/// As [`edit`], where the length must stay.
fn change(bytes: &mut [u8], at: usize, how: u8, with: u8) {
    if !bytes.is_empty() {
        let at = at % bytes.len();
        bytes[at] = if how.is_multiple_of(2) { bytes[at].wrapping_add(with) } else { with };
    }
}

#[cfg(test)]
mod tests;
