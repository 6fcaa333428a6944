//! The server's process: started, awaited, killed.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use boot::SystemClock;
use model::Clock;

use super::{Options, Storage};

/// How servers of a run are started: all on one address and one storage.
#[derive(Debug)]
pub struct Setup {
    /// Data and logs.
    pub dir: PathBuf,
    binary: PathBuf,
    address: String,
    environment: Vec<(&'static str, String)>,
}

/// How long a server may take to be ready; it reads nothing at start that grows with the data.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to stop by itself.
const STOP_MAX: Duration = Duration::from_secs(30);

impl Setup {
    /// Makes the folder, and names a bucket and a table that no other run has.
    pub fn new(options: &Options, store: u32) -> Result<Setup> {
        let name = format!("sigkill-{}-{}-{store}", SystemClock.now().0, std::process::id());
        let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir).join(&name);
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().context("find this program")?.with_file_name("lamella"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
        let address = listener.local_addr().context("read the free port")?.to_string();
        let mut environment = vec![
            ("LAMELLA_LISTEN", address.clone()),
            ("LAMELLA_LINGER_MS", "10".to_owned()),
            ("LAMELLA_COMPACT_INTERVAL_SECONDS", "1".to_owned()),
            // Small numbers, so that every level is merged several times between two kills.
            ("LAMELLA_COMPACT_L0_FILES", "4".to_owned()),
            ("LAMELLA_COMPACT_L1_FILES", "3".to_owned()),
        ];
        match options.storage {
            Storage::Local => environment
                .extend([("LAMELLA_STORAGE", "local".to_owned()), ("LAMELLA_DATA_DIR", dir.join("data").display().to_string())]),
            Storage::Aws => environment.extend(aws(&name)?),
        }
        Ok(Setup { dir, binary, address, environment })
    }

    /// Returns the server's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Removes the folder.
    pub fn remove(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.dir).with_context(|| format!("remove {}", self.dir.display()))
    }
}

fn aws(name: &str) -> Result<Vec<(&'static str, String)>> {
    let endpoint =
        |name| std::env::var(name).with_context(|| format!("{name} is not set: eval \"$(localstack/servers.sh start)\" sets it"));
    Ok(vec![
        ("LAMELLA_STORAGE", "aws".to_owned()),
        ("LAMELLA_BUCKET", name.to_owned()),
        ("LAMELLA_TABLE", name.to_owned()),
        ("LAMELLA_CREATE", "true".to_owned()),
        ("LAMELLA_S3_ENDPOINT", endpoint("LAMELLA_TEST_S3_ENDPOINT")?),
        ("LAMELLA_DYNAMODB_ENDPOINT", endpoint("LAMELLA_TEST_DYNAMODB_ENDPOINT")?),
    ])
}

/// One process. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts a server; does not wait for it.
    pub fn start(setup: &Setup) -> Result<Server> {
        let log =
            File::options().create(true).append(true).open(setup.dir.join("server.log")).context("open the server's log")?;
        let child = Command::new(&setup.binary)
            .arg("serve")
            .envs(setup.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", setup.binary.display()))?;
        Ok(Server { child, address: setup.address.clone() })
    }

    /// Waits until the server says that it is ready.
    pub fn ready(&mut self) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://{}/-/ready", self.address);
        let started = Instant::now();
        while started.elapsed() < READY_MAX {
            if agent.get(&url).call().is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("look at the server")? {
                bail!("the server ended by itself: {status}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server was not ready after {} s", READY_MAX.as_secs())
    }

    /// Kills the process, or asks it to stop, and waits for its end.
    pub fn end(&mut self, terminate: bool) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("look at the server")? {
            bail!("the server ended by itself: {status}");
        }
        if !terminate {
            self.child.kill().context("kill the server")?;
            self.child.wait().context("wait for the killed server")?;
            return Ok(());
        }
        Command::new("kill").arg(self.child.id().to_string()).status().context("ask the server to stop")?;
        let status = self.wait(STOP_MAX)?;
        // Before it has set up its signal handling a process ends by the signal itself.
        if status.success() || status.code().is_none() { Ok(()) } else { bail!("the server stopped with {status}") }
    }

    fn wait(&mut self, max: Duration) -> Result<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < max {
            if let Some(status) = self.child.try_wait().context("wait for the server")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server had not stopped {} s after it was asked to", max.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A run that fails leaves no process behind; one that is gone already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
