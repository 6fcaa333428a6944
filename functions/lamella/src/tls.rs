//! TLS on the listener: handshakes beside each other, certificates that change while the process runs.
//!
//! Owns: certificate and key, their reload, the handshake. Does not own: HTTP, which `axum::serve` speaks on what comes out.
//!
//! ```text
//! accept ─▶ a task per handshake, bounded in time and number ─▶ channel ─▶ axum
//! files ─▶ read again every so often ─▶ Certificate, used by the next handshake
//! ```
//! A client that does not finish its handshake holds up nobody but itself.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take: slow links need a second or two.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes under way at once; each is some 50 KB and a millisecond of CPU.
const HANDSHAKES_MAX: usize = 512;
/// How often the files are looked at.
const RELOAD: Duration = Duration::from_secs(10);
/// What to wait after a failure to accept, which mostly means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// What a handshake offers, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of certificate and key, PEM.
#[derive(Clone, Debug)]
pub struct Files {
    /// Certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// What is in the files.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(&self) -> Result<Pem> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
        Ok(Pem { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }
}

impl Pem {
    /// Parses both and checks that they belong together. Errors name what is wrong, never the key.
    fn parse(&self) -> Result<CertifiedKey> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<_, _>>().context("read the certificate chain")?;
        ensure!(!chain.is_empty(), "the certificate's file holds no certificate");
        let key = PrivateKeyDer::from_pem_slice(&self.key).ok().context("the key's file holds no private key in PEM")?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).context("use certificate and key")
    }
}

/// The certificate that handshakes use now.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    fn replace(&self, by: CertifiedKey) {
        *self.0.write().expect("no call panics while it holds the lock") = Arc::new(by);
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().expect("no call panics while it holds the lock")))
    }
}

/// A listener whose connections are encrypted.
pub struct TlsListener {
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    tasks: [AbortHandle; 2],
}

impl TlsListener {
    /// Begins to accept.
    ///
    /// # Errors
    /// Where the files cannot be read or do not belong together.
    pub fn new(listener: TcpListener, files: Files) -> Result<TlsListener> {
        let address = listener.local_addr().context("read the listener's address")?;
        let pem = files.read()?;
        let certificate = Arc::new(Certificate(RwLock::new(Arc::new(pem.parse()?))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = versions.context("choose TLS versions")?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(certificate.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // One that waits is enough: the connection itself holds a place until it is taken.
        let (taken, connections) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), taken));
        let reloading = tokio::spawn(reload(files, pem, certificate));
        Ok(TlsListener { connections, address, tasks: [accepting.abort_handle(), reloading.abort_handle()] })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The accepting task has ended, which only dropping the listener does.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, taken: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, taken) = (acceptor.clone(), taken.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                // An error means that the server is gone.
                Ok(Ok(encrypted)) => drop(taken.send((encrypted, address)).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "handshake failed"),
                Err(_) => tracing::debug!(%address, "handshake took too long"),
            }
        });
    }
}

/// Looks at the files every so often. New ones that cannot be used (half written, a certificate without its key) change nothing.
async fn reload(files: Files, mut used: Pem, certificate: Arc<Certificate>) {
    let mut ticks = interval(RELOAD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (read, place) = (files.clone(), files.certificate.display());
        match tokio::task::spawn_blocking(move || read.read()).await.context("read").flatten() {
            Ok(pem) if pem == used => {}
            Ok(pem) => match pem.parse() {
                Ok(parsed) => {
                    certificate.replace(parsed);
                    used = pem;
                    tracing::info!(certificate = %place, "certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "the new certificate cannot be used, the one before stays")
                }
            },
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the certificate cannot be read again, the one before stays")
            }
        }
    }
}
