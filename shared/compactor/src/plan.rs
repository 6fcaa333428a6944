//! What to compact: pure decisions over a snapshot.

use std::collections::BTreeMap;
use std::time::Duration;

use manifest::{Part, Snapshot, Window};
use model::{Hour, Resolution, TimestampMs};

/// When segments are merged (design §7).
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// L0 segments of an hour that start a merge: by count, so that a slow tenant never has more.
    pub l0_files: usize,
    /// Bytes of L0 segments of an hour that start a merge.
    pub l0_bytes: u64,
    /// L1 segments of an hour that start a merge to L2.
    pub l1_files: usize,
    /// Time after its end at which an hour counts as closed.
    pub close_after: Duration,
    /// Time after closing in which the whole hour is rewritten into few parts; later data is merged by itself.
    pub settle_for: Duration,
    /// Bytes of inputs of one job, since they are held in memory.
    pub input_bytes_max: u64,
    /// Bytes of L0 inputs of one job: they unpack to about ten times as much.
    pub l0_input_bytes_max: u64,
    /// Inputs of one job, since each of them is an id in the head.
    pub inputs_max: usize,
    /// Bytes of one output.
    pub output_bytes: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            l0_files: 64,
            l0_bytes: 32 << 20,
            l1_files: 10,
            close_after: Duration::from_secs(5 * 60),
            settle_for: Duration::from_secs(60 * 60),
            input_bytes_max: 256 << 20,
            l0_input_bytes_max: 64 << 20,
            inputs_max: 1024,
            output_bytes: 128 << 20,
        }
    }
}

/// One merge: `inputs` become segments of `level` in `window`.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The hour.
    pub window: Window,
    /// The generation of the hour's head in the snapshot.
    pub generation: u64,
    /// Segments to merge, two or more, or at least one of level 0.
    pub inputs: Vec<Part>,
    /// Level of the outputs.
    pub level: u8,
}

/// The parts of one hour by level.
#[derive(Default)]
struct HourParts {
    l0: Vec<Part>,
    l1: Vec<Part>,
    l2: Vec<Part>,
}

/// Decides what to merge, oldest hour first; jobs of one hour have disjoint inputs.
pub fn plan(snapshot: &Snapshot, policy: &Policy, now: TimestampMs) -> Vec<Job> {
    let mut hours: BTreeMap<i64, HourParts> = BTreeMap::new();
    for part in snapshot.parts.iter().filter(|part| part.resolution == Resolution::Raw) {
        if let Window::Hour(hour) = part.window {
            let parts = hours.entry(hour.0).or_default();
            match part.level {
                0 => parts.l0.push(part.clone()),
                1 => parts.l1.push(part.clone()),
                _ => parts.l2.push(part.clone()),
            }
        }
    }
    let mut jobs = Vec::new();
    for (hour, parts) in hours {
        let window = Window::Hour(Hour(hour));
        let sealed = snapshot.heads.iter().any(|head| head.window == window && head.resolution == Resolution::Raw && head.sealed);
        let generation = snapshot.generation(window, Resolution::Raw);
        let merges = if sealed { merge_l0(parts.l0, policy) } else { plan_hour(Hour(hour), parts, policy, now) };
        jobs.extend(merges.into_iter().map(|(level, inputs)| Job { window, generation, inputs, level }));
    }
    jobs
}

type Merge = (u8, Vec<Part>);

fn plan_hour(hour: Hour, parts: HourParts, policy: &Policy, now: TimestampMs) -> Vec<Merge> {
    let closed_at = hour.end().plus(policy.close_after);
    let small = |part: &Part| part.location.len_bytes() < policy.output_bytes / 2;
    let small_l2: Vec<Part> = parts.l2.into_iter().filter(small).collect();
    if now < closed_at {
        return plan_open(parts.l0, parts.l1, policy);
    }
    let settling = now < closed_at.plus(policy.settle_for);
    let l0_bytes = size_bytes(&parts.l0);
    if l0_bytes > policy.l0_input_bytes_max || (!settling && !parts.l0.is_empty()) {
        return merge_l0(parts.l0, policy);
    }
    let fresh = parts.l0.len() + parts.l1.len();
    if fresh == 0 && small_l2.len() < 2 || parts.l0.is_empty() && fresh + small_l2.len() < 2 {
        return Vec::new();
    }
    let inputs = [parts.l0, parts.l1, small_l2].concat();
    cut(inputs, policy.input_bytes_max, policy.inputs_max)
        .into_iter()
        .filter(|inputs| worthwhile(inputs))
        .map(|inputs| (2, inputs))
        .collect()
}

fn plan_open(l0: Vec<Part>, l1: Vec<Part>, policy: &Policy) -> Vec<Merge> {
    let mut merges = Vec::new();
    if l0.len() >= policy.l0_files || size_bytes(&l0) >= policy.l0_bytes {
        merges.extend(merge_l0(l0, policy));
    }
    if l1.len() >= policy.l1_files {
        let cuts = cut(l1, policy.input_bytes_max, policy.inputs_max).into_iter().filter(|inputs| worthwhile(inputs));
        merges.extend(cuts.map(|inputs| (2, inputs)));
    }
    merges
}

fn merge_l0(l0: Vec<Part>, policy: &Policy) -> Vec<Merge> {
    cut(l0, policy.l0_input_bytes_max, policy.inputs_max).into_iter().map(|inputs| (1, inputs)).collect()
}

/// A single merged part is not rewritten into itself.
fn worthwhile(inputs: &[Part]) -> bool {
    inputs.len() > 1 || inputs.iter().any(|input| input.level == 0)
}

fn size_bytes(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.location.len_bytes()).sum()
}

/// Cuts inputs into jobs that fit into memory, lowest level and oldest first.
fn cut(mut inputs: Vec<Part>, bytes_max: u64, inputs_max: usize) -> Vec<Vec<Part>> {
    inputs.sort_by_key(|part| (part.level, part.minted_at, part.id));
    let mut jobs: Vec<Vec<Part>> = Vec::new();
    let mut bytes = 0;
    for part in inputs {
        let len = part.location.len_bytes();
        match jobs.last_mut() {
            Some(job) if bytes + len <= bytes_max && job.len() < inputs_max => {
                bytes += len;
                job.push(part);
            }
            _ => {
                bytes = len;
                jobs.push(vec![part]);
            }
        }
    }
    jobs
}

/// Chooses the hours one run looks at: recent ones always, older ones once an hour, spread over the minutes.
pub fn due_hours(hours: Vec<Hour>, now: TimestampMs) -> Vec<Hour> {
    const RECENT: Duration = Duration::from_secs(2 * 60 * 60);
    let minute = now.0.div_euclid(60_000).rem_euclid(60);
    hours.into_iter().filter(|hour| hour.end().plus(RECENT) > now || hour.0.rem_euclid(60) == minute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::{HeadState, Location, PartStats};
    use model::{SegmentId, SlotRange};

    fn part(id: u128, level: u8, len: u64) -> Part {
        let hour = Hour(100);
        Part {
            id: SegmentId(id),
            level,
            resolution: Resolution::Raw,
            window: Window::Hour(hour),
            location: Location::Object { key: format!("k{id}"), len },
            tail_offset: 0,
            stats: PartStats {
                rows: 1,
                series: 1,
                time_range: Window::Hour(hour).range(),
                slots: SlotRange::ALL,
                epoch: 0,
                names: bytes::Bytes::new(),
            },
            minted_at: hour.start(),
            sources: Vec::new(),
            applied: Vec::new(),
        }
    }

    /// (level of the outputs, levels of the inputs) of each job.
    fn jobs(levels: &[(u8, usize, u64)], minutes: u64, sealed: bool) -> Vec<(u8, Vec<u8>)> {
        let mut parts = Vec::new();
        for (level, count, len) in levels {
            (0..*count).for_each(|_| parts.push(part(parts.len() as u128, *level, *len)));
        }
        let head = HeadState {
            window: Window::Hour(Hour(100)),
            resolution: Resolution::Raw,
            generation: 7,
            sealed,
            rollable_from: TimestampMs(0),
            lease: None,
        };
        let now = Hour(100).start().plus(Duration::from_secs(60 * minutes));
        let snapshot = Snapshot { parts, heads: vec![head], ..Snapshot::empty(now) };
        let jobs = plan(&snapshot, &Policy::default(), now);
        assert!(jobs.iter().all(|job| job.generation == 7));
        jobs.into_iter().map(|job| (job.level, job.inputs.iter().map(|input| input.level).collect())).collect()
    }

    #[test]
    fn policy_table() {
        let mib = 1 << 20;
        let none: Vec<(u8, Vec<u8>)> = Vec::new();
        // Open: by count or by bytes.
        assert_eq!(jobs(&[(0, 63, 1000)], 30, false), none);
        assert_eq!(jobs(&[(0, 64, 1000)], 30, false), [(1, vec![0; 64])]);
        assert_eq!(jobs(&[(0, 4, 9 * mib)], 30, false), [(1, vec![0; 4])]);
        assert_eq!(jobs(&[(1, 9, mib), (0, 3, 5)], 30, false), none);
        assert_eq!(jobs(&[(1, 10, mib), (0, 3, 5)], 30, false), [(2, vec![1; 10])]);
        // Closed: everything into few parts, then rest.
        assert_eq!(jobs(&[(0, 1, 5)], 64, false), none);
        assert_eq!(jobs(&[(0, 1, 5)], 65, false), [(2, vec![0])]);
        assert_eq!(jobs(&[(0, 1, 5), (1, 2, 5), (2, 1, 5)], 66, false), [(2, vec![0, 1, 1, 2])]);
        assert_eq!(jobs(&[(2, 1, 5)], 66, false), none);
        assert_eq!(jobs(&[(1, 1, 5)], 66, false), none);
        assert_eq!(jobs(&[(2, 3, 100 * mib)], 66, false), none);
        // Late data is merged by itself.
        assert_eq!(jobs(&[(0, 2, 5), (2, 1, 5)], 600, false), [(1, vec![0, 0])]);
        assert_eq!(jobs(&[(1, 2, 5), (2, 1, 5)], 600, false), [(2, vec![1, 1, 2])]);
        // A sealed hour's merged parts are left to the day.
        assert_eq!(jobs(&[(0, 2, 5), (1, 20, 5)], 600, true), [(1, vec![0, 0])]);
        // Memory is bounded.
        assert_eq!(jobs(&[(0, 4, 30 * mib)], 30, false), [(1, vec![0, 0]), (1, vec![0, 0])]);
    }

    #[test]
    fn old_hours_take_turns() {
        let hours: Vec<Hour> = (0..1000).map(Hour).collect();
        let now = Hour(1000).start();
        let seen: std::collections::BTreeSet<Hour> =
            (0..60).flat_map(|minute| due_hours(hours.clone(), now.plus(Duration::from_secs(60 * minute)))).collect();
        assert_eq!(seen.len(), 1000);
        assert!(due_hours(hours, now).len() < 25);
    }
}
