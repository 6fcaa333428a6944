//! What this process uses, as `/proc` says; nothing where there is no `/proc`.

/// CPU time and memory.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    /// User and system time since start, seconds.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

/// Clock ticks per second: 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the usage of this process.
pub fn usage() -> Option<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    parse(&stat, &status, descriptors)
}

fn parse(stat: &str, status: &str, descriptors: u64) -> Option<Usage> {
    // The second field, the name in parentheses, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let resident_kib: u64 = line("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Usage {
        cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        resident_bytes: resident_kib * 1024,
        threads: ticks(17)? as u64,
        descriptors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 100 1 2";
        let usage = parse(stat, "Name:\tx\nVmRSS:\t    2048 kB\n", 3).expect("valid");
        assert_eq!(usage, Usage { cpu_seconds: 2.0, resident_bytes: 2 << 20, threads: 9, descriptors: 3 });
        assert_eq!(parse("", "", 0), None);
    }
}
