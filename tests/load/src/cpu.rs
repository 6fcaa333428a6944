//! What a process cost, read from outside.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks per second of `/proc/PID/stat` on Linux (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time (user and system) and memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time since the process began.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

/// Returns the CPU time of a process's living threads, more finely than ticks do; for what is over before a thread ends.
pub fn fine(pid: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("list the threads of process {pid}"))?;
    let mut nanoseconds = 0;
    for task in tasks {
        // A thread may end while the list is read.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next().context("schedstat has a time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Reads the usage of a process.
pub fn usage(pid: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("read the usage of process {pid}"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat has a command in parentheses")?.1.split_whitespace().collect();
    let ticks: f64 =
        fields.get(11).context("stat has utime")?.parse::<f64>()? + fields.get(12).context("stat has stime")?.parse::<f64>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident_kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .context("status has VmRSS")?;
    Ok(Usage { cpu: Duration::from_secs_f64(ticks / TICKS_PER_SECOND), resident_bytes: resident_kib * 1024 })
}
