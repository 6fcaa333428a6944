//! Cutting candidates into jobs that are bounded.

use manifest::Part;
use segment::merge::MergeOptions;

use crate::Policy;

/// Bytes a sample takes unpacked: time, value, start time.
const ROW_BYTES: u64 = 24;
/// How much a block unpacks to at most, in multiples of its size, where rows say less (log lines).
const UNPACKED_RATIO: u64 = 8;

/// Estimates what an L0 block takes in memory. Merged parts are read in pieces and count nothing.
fn unpacked_bytes(part: &Part) -> u64 {
    if part.level > 0 { 0 } else { (part.stats.rows * ROW_BYTES).max(part.location.len_bytes() * UNPACKED_RATIO) }
}

/// Returns the bytes of parts.
pub fn size_bytes(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.location.len_bytes()).sum()
}

/// Reports whether a part is less than half an output, so that two of them are one afterwards. Friendly samples fill an output by
/// rows first: 200 million of 0.21 bytes are a third of 128 MiB.
pub fn is_small(part: &Part, policy: &Policy) -> bool {
    let rows_max = MergeOptions::default().output_rows_max;
    part.location.len_bytes() < policy.output_bytes / 2 && part.stats.rows < rows_max / 2
}

/// Cuts inputs into jobs that fit into time and memory, keeping their order.
pub fn cut(inputs: Vec<Part>, policy: &Policy) -> Vec<Vec<Part>> {
    let mut jobs: Vec<Vec<Part>> = Vec::new();
    let (mut bytes, mut unpacked) = (0, 0);
    for part in inputs {
        let (len, more) = (part.location.len_bytes(), unpacked_bytes(&part));
        let fits = bytes + len <= policy.input_bytes_max && unpacked + more <= policy.unpacked_bytes_max;
        match jobs.last_mut() {
            Some(job) if fits && job.len() < policy.inputs_max => {
                (bytes, unpacked) = (bytes + len, unpacked + more);
                job.push(part);
            }
            _ => {
                (bytes, unpacked) = (len, more);
                jobs.push(vec![part]);
            }
        }
    }
    jobs
}

/// Cuts inputs into jobs each of which takes something fresh: one of older parts alone may come out as it went in, be the first
/// again at the next look, and keep what is fresh waiting.
pub fn cut_fresh(inputs: Vec<Part>, policy: &Policy, is_fresh: impl Fn(&Part) -> bool) -> Vec<Vec<Part>> {
    cut(inputs, policy).into_iter().filter(|inputs| inputs.iter().any(&is_fresh)).collect()
}

/// A single merged part is not rewritten into itself.
pub fn worthwhile(inputs: &[Part]) -> bool {
    inputs.len() > 1 || inputs.iter().any(|input| input.level == 0)
}

/// Chooses the small parts that merge without rewriting a large one for each of them: in order of size, each is taken as long
/// as it is no larger than what is taken already. Sizes of the parts left at least double, so that they are few, and a row
/// is rewritten once per doubling.
pub fn tier(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| (part.location.len_bytes(), part.level, part.minted_at, part.id));
    let (mut sum, mut taken) = (0, 0);
    for (index, part) in parts.iter().enumerate() {
        if index == 0 || part.location.len_bytes() <= sum {
            taken = index + 1;
        }
        sum += part.location.len_bytes();
    }
    parts.truncate(taken);
    parts
}

/// Returns `fresh`, all of it, with those of the older parts that are small enough to be rewritten for it.
pub fn joined(fresh: Vec<Part>, older: Vec<Part>) -> Vec<Part> {
    let mut inputs = tier([&fresh[..], &older].concat());
    let left: Vec<Part> = fresh.into_iter().filter(|part| inputs.iter().all(|input| input.id != part.id)).collect();
    inputs.extend(left);
    inputs
}
