//! Sends what no honest client would, and says whether the server answered it rightly and stayed alive.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cpu;

/// Which server.
#[derive(Args)]
pub struct Options {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1:9009")]
    address: String,
    /// Process id of the server: its memory must stay below `resident_mib_max`.
    #[arg(long)]
    pid: Option<u32>,
    /// Bound on the server's resident memory, MiB.
    #[arg(long, default_value_t = 512)]
    resident_mib_max: u64,
}

/// One request, and the status codes that are right answers to it.
struct Case {
    name: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    right: &'static [u16],
}

const WRITE: &str = "/api/v1/write";
const PUSH: &str = "/loki/api/v1/push";
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const V2: (&str, &str) = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
const SNAPPY: (&str, &str) = ("Content-Encoding", "snappy");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const MIB: usize = 1 << 20;

fn case(name: &'static str, path: &str, headers: &[(&'static str, &'static str)], body: Vec<u8>, right: &'static [u16]) -> Case {
    Case { name, method: "POST", path: path.to_owned(), headers: headers.to_vec(), body, right }
}

fn query(name: &'static str, text: &str, right: &'static [u16]) -> Case {
    let body = format!("query={}&time=1700000000", escape(text)).into_bytes();
    case(name, "/api/v1/query", &[("Content-Type", "application/x-www-form-urlencoded")], body, right)
}

fn logql(name: &'static str, text: &str, right: &'static [u16]) -> Case {
    let body = format!("query={}", escape(text)).into_bytes();
    case(name, "/loki/api/v1/query_range", &[("Content-Type", "application/x-www-form-urlencoded")], body, right)
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("a few mebibytes compress")
}

fn cases() -> Vec<Case> {
    // A snappy block that claims a billion bytes: varint(10^9), then nothing.
    let billion = vec![0x80, 0x94, 0xeb, 0xdc, 0x03, 0x00];
    let nameless = snappy(&[
        0x0a, 0x1a, 0x0a, 0x06, 0x0a, 0x01, b'a', 0x12, 0x01, b'b', 0x12, 0x10, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x01,
    ]);
    vec![
        case("remote write: truncated protobuf", WRITE, &[PROTOBUF, SNAPPY], snappy(&[0x0a, 0x7f, 0x0a]), &[400]),
        case("remote write: not snappy", WRITE, &[PROTOBUF, SNAPPY], b"plain text".to_vec(), &[400]),
        case("remote write: a snappy header of a billion bytes", WRITE, &[PROTOBUF, SNAPPY], billion.clone(), &[400, 413]),
        case("remote write: a body of 33 MiB", WRITE, &[PROTOBUF, SNAPPY], vec![0; 33 * MIB], &[413]),
        case(
            "remote write: 256 MiB behind 12 MiB of snappy",
            WRITE,
            &[PROTOBUF, SNAPPY],
            snappy(&vec![0; 256 * MIB]),
            &[400, 413],
        ),
        case("remote write: JSON", WRITE, &[JSON], b"{}".to_vec(), &[415]),
        case("remote write: gzip", WRITE, &[PROTOBUF, ("Content-Encoding", "gzip")], vec![0x1f, 0x8b], &[415]),
        case(
            "remote write 2.0: symbols out of range",
            WRITE,
            &[V2, SNAPPY],
            snappy(&[0x2a, 0x04, 0x0a, 0x02, 0x63, 0x64]),
            &[400],
        ),
        case("remote write: a series without a name is left out", WRITE, &[PROTOBUF, SNAPPY], nameless, &[204, 400]),
        Case { method: "GET", ..case("remote write: GET", WRITE, &[], Vec::new(), &[405]) },
        case("loki: empty JSON", PUSH, &[JSON], Vec::new(), &[400]),
        case("loki: broken JSON", PUSH, &[JSON], b"{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"1".to_vec(), &[400]),
        case("loki: deep JSON", PUSH, &[JSON], "[".repeat(1_000_000).into_bytes(), &[400]),
        case("loki: a snappy header of a billion bytes", PUSH, &[PROTOBUF], billion, &[400, 413]),
        case(
            "loki: bad labels",
            PUSH,
            &[JSON],
            br#"{"streams":[{"stream":{"a-b":"c"},"values":[["1700000000000000000","x"]]}]}"#.to_vec(),
            &[400],
        ),
        case("loki: zstd", PUSH, &[JSON, ("Content-Encoding", "zstd")], b"{}".to_vec(), &[400]),
        query("promql: garbage", "sum(((", &[400]),
        query("promql: 100,000 parentheses", &"(".repeat(100_000), &[400]),
        query("promql: 100,000 minus signs", &format!("{}1", "-".repeat(100_000)), &[400]),
        query("promql: 2 MB of text", &"a".repeat(2_000_000), &[400, 413]),
        query("promql: a regular expression that explodes", "{a=~\"((a{1,1000}){1,1000}){1,1000}\"}", &[400]),
        case("promql: 100 million steps", "/api/v1/query_range?query=1&start=0&end=100000000&step=1", &[], Vec::new(), &[400]),
        case("promql: a parameter that is not UTF-8", "/api/v1/query?query=%ff%fe", &[], Vec::new(), &[400]),
        logql("logql: garbage", "{a=\"b\"} |= ", &[400]),
        logql("logql: 100,000 minus signs", &"-".repeat(100_000), &[400]),
        logql("logql: matches every stream", "{a=~\".*\"}", &[400]),
        Case {
            method: "GET",
            ..case(
                "a URL of 100 KB",
                &format!("/api/v1/query?query={}", "a".repeat(100_000)),
                &[],
                Vec::new(),
                &[200, 400, 414, 431],
            )
        },
        Case { method: "GET", ..case("an unknown path", "/nothing/here", &[], Vec::new(), &[404]) },
        case("a tenant with a slash", PUSH, &[JSON, ("X-Scope-OrgID", "../other")], b"{\"streams\":[]}".to_vec(), &[400, 401]),
    ]
}

/// Sends every case; an error if an answer is wrong, if the server is gone, or if it holds too much memory.
pub fn run(options: &Options) -> Result<()> {
    let mut wrong = 0;
    for case in cases() {
        let status = send(options, &case).with_context(|| case.name)?;
        let verdict = if case.right.contains(&status) { "right" } else { "WRONG" };
        wrong += usize::from(verdict == "WRONG");
        println!("{verdict} {status}  {}", case.name);
        let alive = Case { method: "GET", ..self::case("alive", "/-/ready", &[], Vec::new(), &[200]) };
        if send(options, &alive).context("ask whether the server is alive")? != 200 {
            bail!("the server is not ready after: {}", case.name);
        }
    }
    if let Some(pid) = options.pid {
        let resident = cpu::usage(pid)?.resident_bytes >> 20;
        println!("{resident} MiB resident");
        if resident > options.resident_mib_max {
            bail!("{resident} MiB resident, limit is {} MiB", options.resident_mib_max);
        }
    }
    if wrong > 0 {
        bail!("{wrong} wrong answers");
    }
    Ok(())
}

/// Writes one request byte by byte as the case says and returns the status; a client library would refuse some of them.
fn send(options: &Options, case: &Case) -> Result<u16> {
    let mut stream = TcpStream::connect(&options.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        case.method,
        case.path,
        options.address,
        case.body.len()
    );
    for (name, value) in &case.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    // A server may answer and hang up before it has read everything.
    let _ = stream.write_all(&case.body);
    let mut answer = [0; 64];
    let mut filled = 0;
    while filled < 12 {
        match stream.read(&mut answer[filled..])? {
            0 => bail!("the connection ended without an answer"),
            read => filled += read,
        }
    }
    let text = String::from_utf8_lossy(&answer[..filled]).into_owned();
    text.split(' ')
        .nth(1)
        .and_then(|status| status.get(..3))
        .and_then(|status| status.parse().ok())
        .context("the answer has a status")
}
