//! Which group owns which slot, and how few slots change hands when groups come or go (R1).

use super::{GROUPS_MAX, SLOTS};
use model::SlotRange;

/// Which group owns each slot.
///
/// # Invariants
/// Groups are `0..groups`; their sizes differ by at most two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    groups: u16,
    owners: Vec<u16>,
}

impl Assignment {
    /// Returns the assignment of a single group: epoch 0, implicit.
    pub fn single() -> Assignment {
        Assignment { groups: 1, owners: vec![0; SLOTS] }
    }

    /// Makes an assignment of read values; `None` where they are none.
    pub(super) fn of(groups: u16, owners: Vec<u16>) -> Option<Assignment> {
        let valid = owners.len() == SLOTS && (1..=GROUPS_MAX).contains(&groups) && owners.iter().all(|owner| *owner < groups);
        valid.then_some(Assignment { groups, owners })
    }

    /// Returns the owner of each slot.
    pub(super) fn owners(&self) -> &[u16] {
        &self.owners
    }

    /// Counts the groups.
    pub fn groups(&self) -> u16 {
        self.groups
    }

    /// Returns the group that owns a slot.
    pub fn owner(&self, slot: model::Slot) -> u16 {
        self.owners[usize::from(slot.0)]
    }

    /// Returns the slots of a group as runs, ascending.
    pub fn runs(&self, group: u16) -> Vec<SlotRange> {
        let mut runs: Vec<SlotRange> = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.owners[*slot] == group).map(|slot| slot as u16) {
            match runs.last_mut() {
                Some(run) if run.hi == slot => run.hi += 1,
                _ => runs.push(SlotRange { lo: slot, hi: slot + 1 }),
            }
        }
        runs
    }

    /// Returns the runs of slots that have one owner, ascending: they cover the ring, each slot once. Merges cut their outputs
    /// here, so that a series lies in one part of a generation (R3).
    pub fn cuts(&self) -> Vec<SlotRange> {
        let mut cuts: Vec<SlotRange> = Vec::new();
        for slot in 0..SLOTS {
            let (lo, hi) = (slot as u16, slot as u16 + 1);
            match cuts.last_mut() {
                Some(run) if self.owners[slot - 1] == self.owners[slot] => run.hi = hi,
                _ => cuts.push(SlotRange { lo, hi }),
            }
        }
        cuts
    }

    /// Counts the slots of each group.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; usize::from(self.groups)];
        for owner in &self.owners {
            sizes[usize::from(*owner)] += 1;
        }
        sizes
    }

    /// Adds groups. R1: growing n → n+k moves k/(n+k) of the slots (±1), all of them to new groups.
    ///
    /// Each slot moved comes from the group that is largest then, from its end, so that old groups stay contiguous where
    /// they were; the new groups fill one after the other. `None` past [`GROUPS_MAX`].
    pub fn grow(&self, added: u16) -> Option<Assignment> {
        let groups = self.groups.checked_add(added).filter(|groups| *groups <= GROUPS_MAX)?;
        let moved = SLOTS * usize::from(added) / usize::from(groups);
        let mut grown = Assignment { groups, owners: self.owners.clone() };
        let mut sizes = self.sizes();
        let mut given = Vec::with_capacity(moved);
        for _ in 0..moved {
            let largest = (0..sizes.len()).max_by_key(|group| (sizes[*group], *group))?;
            let slot = grown.owners.iter().rposition(|owner| usize::from(*owner) == largest)?;
            sizes[largest] -= 1;
            // Marked as taken: no group has this number.
            grown.owners[slot] = u16::MAX;
            given.push(slot);
        }
        given.sort_unstable();
        for (index, slot) in given.into_iter().enumerate() {
            grown.owners[slot] = self.groups + (index * usize::from(added) / moved) as u16;
        }
        Some(grown)
    }

    /// Removes the last groups. R1: shrinking n → n-k moves the slots of the k groups removed and no other.
    ///
    /// Each slot goes to the owner of a neighbouring slot while that one has room, so that runs stay long, otherwise to the
    /// first group that has. `None` below one group.
    pub fn shrink(&self, removed: u16) -> Option<Assignment> {
        let groups = self.groups.checked_sub(removed).filter(|groups| *groups > 0)?;
        let mut room = rooms(&self.sizes(), usize::from(groups));
        let mut shrunk = Assignment { groups, owners: self.owners.clone() };
        for slot in 0..SLOTS {
            if shrunk.owners[slot] < groups {
                continue;
            }
            let before = slot.checked_sub(1).map(|slot| shrunk.owners[slot]);
            let after = shrunk.owners[slot..].iter().find(|owner| **owner < groups).copied();
            let near = [before, after].into_iter().flatten().find(|owner| room[usize::from(*owner)] > 0);
            let owner = near.map(usize::from).or_else(|| room.iter().position(|room| *room > 0))?;
            room[owner] -= 1;
            shrunk.owners[slot] = owner as u16;
        }
        Some(shrunk)
    }

    /// Counts the slots whose owner differs.
    pub fn moved(&self, other: &Assignment) -> usize {
        self.owners.iter().zip(&other.owners).filter(|(a, b)| a != b).count()
    }
}

/// Returns how many slots each of the first groups takes over, so that sizes come out even.
fn rooms(sizes: &[usize], groups: usize) -> Vec<usize> {
    let mut filled = sizes[..groups].to_vec();
    for _ in 0..sizes[groups..].iter().sum() {
        let smallest = (0..groups).min_by_key(|group| filled[*group]).expect("one group at least");
        filled[smallest] += 1;
    }
    filled.iter().zip(sizes).map(|(filled, size)| filled - size).collect()
}
