//! When segments are merged, rolled and dropped: plain data.

use std::time::Duration;

use model::{RetentionPolicy, TenantLimits};

/// When segments are merged (design §7, `docs/0012`). The defaults keep a last-hour query at 40 + 16 + 12 objects at two writes a
/// second: a merge of 40, then of 16, then of 12 writes a row as often as one of 64, 10 and 11, and leaves fewer objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// L0 segments of an hour that start a merge: by count rather than age, so that an idle tenant costs nothing.
    pub l0_files: usize,
    /// Bytes of L0 segments of an hour that start a merge.
    pub l0_bytes: u64,
    /// L1 segments of an hour that start a merge.
    pub l1_files: usize,
    /// Time between two L2 segments of an open hour: faster than that, L1 segments merge among themselves.
    pub l2_every: Duration,
    /// Time after its end at which an hour is merged into few parts.
    pub close_after: Duration,
    /// Age at which late L0 segments of a closed hour are merged although they are few.
    pub late_after: Duration,
    /// Time after its start at which a day's hours roll into it.
    pub roll_after: Duration,
    /// Parts of an hour that has just ended that start a merge, late parts of a day's hours that start another roll, and the most that a rolled hour may hold before its L0
    /// segments wait for the next roll: an hour must rest before its parts may leave.
    pub late_parts: usize,
    /// Age at which fewer late parts start another roll.
    pub late_roll_after: Duration,
    /// Bytes of inputs of one job: a bound on its time.
    pub input_bytes_max: u64,
    /// Bytes that the L0 inputs of one job may unpack to: blocks are unpacked whole, all at once.
    pub unpacked_bytes_max: u64,
    /// Inputs of one job, since each of them is an id in the head.
    pub inputs_max: usize,
    /// Bytes of one output.
    pub output_bytes: u64,
    /// What is kept for how long.
    pub retention: RetentionPolicy,
    /// Samples of a day whose replicas are merged: it is one job, which has to end within a run. A day of more is left as it is. As many take a
    /// minute of CPU, and about [`Policy::input_bytes_max`] encoded.
    pub replica_rows_max: u64,
    /// Whose replicas are merged when, and what tells them apart.
    pub limits: TenantLimits,
}

impl Default for Policy {
    fn default() -> Policy {
        const HOUR: u64 = 3600;
        Policy {
            l0_files: 40,
            l0_bytes: 32 << 20,
            l1_files: 16,
            l2_every: Duration::from_secs(5 * 60),
            close_after: Duration::from_secs(5 * 60),
            late_after: Duration::from_secs(5 * 60),
            roll_after: Duration::from_secs(26 * HOUR),
            late_parts: 8,
            late_roll_after: Duration::from_secs(3 * HOUR),
            input_bytes_max: 256 << 20,
            unpacked_bytes_max: 256 << 20,
            inputs_max: 1024,
            output_bytes: 128 << 20,
            retention: RetentionPolicy::default(),
            replica_rows_max: 128 << 20,
            limits: TenantLimits::default(),
        }
    }
}
