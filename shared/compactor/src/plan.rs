//! What to merge: pure decisions over a snapshot.
//!
//! ```text
//! open hour     40 L0 or 32 MB ─▶ L1;  16 L1 ─▶ L2, at most every 5 min, else 16 L1 ─▶ one larger L1
//! ended hour    8 of L0 and L1 ─▶ L2
//! closed hour   everything ─▶ few L2;  late data by itself, with parts no larger than what joins them
//! rolled hour   L0 ─▶ L1, which rolls
//! day           parts of sealed hours that have rested ─▶ few parts
//! closed day    all of it, without what replicas have more than one of, where that is asked for
//! ```
//! Owns: which parts make one job, its level, its bounds, where its outputs are cut. Does not own: doing it (`rewrite`).

mod coarse;
mod cut;
mod day;
mod hour;
mod replicas;

use manifest::ring::Epoch;
use manifest::{Deletion, Part, Snapshot, Window};
use model::{Resolution, SlotRange};

pub use coarse::{CoarseJob, Copy, plan_coarse};
pub use day::{DayPlan, plan_day};
pub use hour::plan_hour;
pub use replicas::{MERGED_LEVEL, ReplicaPlan, plan_replicas};

/// One merge: `inputs` become segments of `level` in `window`.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The hour or day of the outputs.
    pub window: Window,
    /// The window whose head lists them: the same, or the month of a packed day.
    pub home: Window,
    /// The generation of that head in the snapshot.
    pub generation: u64,
    /// Segments to merge.
    pub inputs: Vec<Part>,
    /// Level of the outputs.
    pub level: u8,
    /// Slots of the outputs: each lies within one of these (R3).
    pub runs: Vec<SlotRange>,
    /// Number of the ring's epoch that the runs are of.
    pub epoch: u32,
    /// Deletions whose rows are left out of the inputs they apply to.
    pub deletions: Vec<Deletion>,
    /// Deletions that the outputs need no more.
    pub applied: Vec<u128>,
}

/// Inputs of a job yet to be, and the level of its outputs.
type Merge = (u8, Vec<Part>);

/// Makes jobs of merges. L1 is not cut: it is read once more within minutes, and cutting it would multiply its objects.
fn jobs(merges: Vec<Merge>, (window, home): (Window, Window), snapshot: &Snapshot, epoch: &Epoch) -> Vec<Job> {
    let generation = snapshot.generation(home, Resolution::Raw);
    let runs = epoch.assignment.cuts();
    let job = |(level, inputs): Merge| Job {
        window,
        home,
        generation,
        level,
        runs: if level < 2 { vec![SlotRange::ALL] } else { touched(&runs, &inputs) },
        epoch: epoch.number,
        deletions: applying(snapshot, &inputs),
        applied: snapshot.applied(),
        inputs,
    };
    merges.into_iter().map(job).collect()
}

fn touched(runs: &[SlotRange], inputs: &[Part]) -> Vec<SlotRange> {
    let touches = |run: &&SlotRange| inputs.iter().any(|input| input.stats.slots.overlaps(**run));
    runs.iter().filter(touches).copied().collect()
}

fn applying(snapshot: &Snapshot, inputs: &[Part]) -> Vec<Deletion> {
    let applies = |deletion: &&Deletion| inputs.iter().any(|input| deletion.applies_to(input));
    snapshot.deletions.iter().filter(applies).cloned().collect()
}

/// Returns the place of the run that holds the slots of a part; those that lie in several come first.
fn run_of(runs: &[SlotRange], part: &Part) -> Option<usize> {
    let slots = part.stats.slots;
    runs.iter().position(|run| run.lo <= slots.lo && slots.hi <= run.hi)
}

/// Rewrites of parts that a deletion still applies to and that no other merge takes: each alone, so that they are bounded.
fn deletions(parts: &[Part], merges: &[Merge], snapshot: &Snapshot) -> Vec<Merge> {
    let taken = |part: &Part| merges.iter().any(|(_, inputs)| inputs.iter().any(|input| input.id == part.id));
    let lacking = |part: &&Part| part.level > 0 && !taken(part) && snapshot.deletions.iter().any(|of| of.applies_to(part));
    parts.iter().filter(lacking).map(|part| (part.level, vec![part.clone()])).collect()
}

#[cfg(test)]
mod tests;
