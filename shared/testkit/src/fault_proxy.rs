//! An HTTP proxy that does to real clients what networks and services do: refuses, resets, hangs, tears, throttles.
//!
//! ```text
//! client ─▶ proxy ─ reads one request ─▶ fault of the script ─▶ server ─▶ answer, whole or torn ─▶ client
//! ```
//! Plain HTTP/1.1 with content lengths, as the SDKs speak it to local endpoints, one request a connection. Faults before the effect never reach the server; faults after it do, and lose the
//! answer.

mod message;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use message::Request;
use message::{read_request, read_to_end};

/// What happens to one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WireFault {
    /// Nothing.
    None,
    /// The connection is reset; the server never saw the request.
    ResetBefore,
    /// The server did it; then the connection is reset.
    ResetAfter,
    /// No answer, ever; the server never saw the request.
    HangBefore,
    /// The server did it; no answer, ever.
    HangAfter,
    /// An answer of ours in the server's place; the server never saw the request.
    AnswerBefore(Answer),
    /// The server did it; an answer of ours in its place.
    AnswerAfter(Answer),
    /// The server's answer ends in the middle of its body, or of its head where it has no body.
    Torn,
    /// The server's answer comes a byte at a time, with a pause before each byte of the body.
    Slow(Duration),
}

/// A status with a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// S3's way to say "slow down".
    pub fn s3(status: u16, code: &str) -> Answer {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>");
        Answer { status, content_type: "application/xml", body }
    }

    /// An error as DynamoDB answers it.
    pub fn dynamodb(status: u16, code: &str) -> Answer {
        let body = format!("{{\"__type\":\"com.amazonaws.dynamodb.v20120810#{code}\",\"message\":\"injected\"}}");
        Answer { status, content_type: "application/x-amz-json-1.0", body }
    }

    /// What a load balancer says in a server's place.
    pub fn gateway(status: u16) -> Answer {
        Answer { status, content_type: "text/html", body: "<html>injected</html>".into() }
    }

    fn encode(&self) -> Vec<u8> {
        let Answer { status, content_type, body } = self;
        let len = body.len();
        format!("HTTP/1.1 {status} Injected\r\ncontent-type: {content_type}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}")
            .into_bytes()
    }
}

type Decide = Box<dyn FnMut(&Request) -> WireFault + Send>;

#[derive(Default)]
struct State {
    script: VecDeque<WireFault>,
    decide: Option<Decide>,
    requests: u64,
    hit: u64,
}

impl State {
    fn next(&mut self, request: &Request) -> WireFault {
        self.requests += 1;
        let fault = match self.script.pop_front() {
            Some(fault) => fault,
            None => self.decide.as_mut().map_or(WireFault::None, |decide| decide(request)),
        };
        self.hit += u64::from(fault != WireFault::None);
        fault
    }
}

/// A running proxy; it ends when dropped.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultProxy({})", self.address)
    }
}

impl FaultProxy {
    /// Listens on `listen` (port 0: any) in front of `upstream`, an `http://host:port` without a path. Without a script nothing fails.
    pub async fn start(listen: SocketAddr, upstream: &str) -> std::io::Result<FaultProxy> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn(accept(listener, upstream, state.clone()));
        Ok(FaultProxy { address, state, task })
    }

    /// Returns the URL that clients are given.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no request panics while it holds the lock")
    }

    /// Decides the next requests one by one; after them [`FaultProxy::decide`] does.
    pub fn script(&self, faults: impl IntoIterator<Item = WireFault>) {
        self.state().script = faults.into_iter().collect();
    }

    /// Decides what happens to each request from now on.
    pub fn decide(&self, decide: impl FnMut(&Request) -> WireFault + Send + 'static) {
        self.state().decide = Some(Box::new(decide));
    }

    /// Lets everything pass from now on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.script.clear();
        state.decide = None;
    }

    /// Counts the requests that came, and those of them that met a fault.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.requests, state.hit)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, upstream: String, state: Arc<Mutex<State>>) {
    // Connections end with the proxy.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let (upstream, state) = (upstream.clone(), state.clone());
                connections.spawn(async move {
                    // A broken connection is what this is for.
                    let _ = serve(client, &upstream, &state).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut client: TcpStream, upstream: &str, state: &Mutex<State>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let Some(request) = read_request(&mut client).await? else { return Ok(()) };
    let fault = state.lock().expect("no request panics while it holds the lock").next(&request);
    match fault {
        WireFault::ResetBefore => return reset(client),
        WireFault::HangBefore => return hang(client).await,
        WireFault::AnswerBefore(answer) => client.write_all(&answer.encode()).await?,
        after => {
            let answer = forward(&request, upstream).await?;
            match after {
                WireFault::ResetAfter => return reset(client),
                WireFault::HangAfter => return hang(client).await,
                WireFault::AnswerAfter(instead) => client.write_all(&instead.encode()).await?,
                WireFault::Torn => client.write_all(&answer[..torn_at(&answer)]).await?,
                WireFault::Slow(pause) => trickle(&mut client, &answer, pause).await?,
                _ => client.write_all(&answer).await?,
            }
        }
    }
    // The answer said that the connection closes.
    client.shutdown().await
}

/// Returns the server's whole answer.
async fn forward(request: &Request, upstream: &str) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(&request.closing()).await?;
    read_to_end(&mut server).await
}

fn reset(client: TcpStream) -> std::io::Result<()> {
    client.set_zero_linger()
}

/// Holds the connection until the client has enough of it.
async fn hang(mut client: TcpStream) -> std::io::Result<()> {
    read_to_end(&mut client).await.map(drop)
}

fn body_at(answer: &[u8]) -> usize {
    answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4)
}

/// Returns where to cut so that the client must notice.
fn torn_at(answer: &[u8]) -> usize {
    let body = body_at(answer);
    if body < answer.len() { body + (answer.len() - body) / 2 } else { body / 2 }
}

async fn trickle(client: &mut TcpStream, answer: &[u8], pause: Duration) -> std::io::Result<()> {
    let (head, body) = answer.split_at(body_at(answer));
    client.write_all(head).await?;
    for byte in body.chunks(1) {
        tokio::time::sleep(pause).await;
        client.write_all(byte).await?;
    }
    Ok(())
}
