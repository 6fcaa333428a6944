//! The label sets queries have met, each once in memory and by number, so that series of many segments are joined and sorted
//! by integers.
//!
//! Owns: the numbering of a tenant's label sets and their order. Does not own: which series a segment holds (`segment`).

use std::sync::{Arc, Mutex};

use hashbrown::{HashMap, HashTable};
use model::{LabelSet, SeriesId, TenantId};
use segment::metrics::Index;

/// Stands for a number that nobody has asked for.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// Numbered label sets of all tenants, bounded by bytes: past the bound numbering starts anew.
#[derive(Debug)]
pub(crate) struct Registry {
    bytes_max: usize,
    tenants: Mutex<HashMap<TenantId, Arc<Names>>>,
}

impl Registry {
    pub(crate) fn new(bytes_max: usize) -> Registry {
        Registry { bytes_max, tenants: Mutex::new(HashMap::new()) }
    }

    /// Returns the numbering of a tenant, for one query: whoever holds it keeps it, even where others start anew.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Names> {
        let mut tenants = self.tenants.lock().expect("no call panics while it holds the lock");
        if tenants.values().map(|names| names.bytes()).sum::<usize>() > self.bytes_max {
            tenants.clear();
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}

/// One numbering of one tenant's label sets.
#[derive(Debug, Default)]
pub(crate) struct Names {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    numbers: HashTable<u32>,
    labels: Vec<LabelSet>,
    bytes: usize,
    /// Numbers in the order of their labels, as far as they are sorted.
    order: Vec<u32>,
    /// Place of each number in `order`.
    ranks: Arc<Vec<u32>>,
}

impl Names {
    fn bytes(&self) -> usize {
        self.state.lock().expect("no call panics while it holds the lock").bytes
    }

    /// Writes the numbers of some series of a segment into `by_ordinal`, where they are [`UNKNOWN`].
    pub(crate) fn number(&self, index: &Index, ordinals: &[u32], by_ordinal: &mut [u32]) {
        let mut state = self.state.lock().expect("no call panics while it holds the lock");
        let mut encoded = Vec::with_capacity(256);
        for ordinal in ordinals {
            let number = &mut by_ordinal[*ordinal as usize];
            if *number == UNKNOWN {
                encoded.clear();
                index.encode_labels(*ordinal, &mut encoded);
                *number = state.number(&encoded);
            }
        }
    }

    /// Returns the labels of some numbers.
    pub(crate) fn labels(&self, numbers: &[u32]) -> Vec<LabelSet> {
        let state = self.state.lock().expect("no call panics while it holds the lock");
        numbers.iter().map(|number| state.labels[*number as usize].clone()).collect()
    }

    /// Sorts numbers by their labels.
    pub(crate) fn sort(&self, numbers: &mut [u32]) {
        let mut state = self.state.lock().expect("no call panics while it holds the lock");
        let unranked = state.labels.len() - state.order.len();
        // Ranking everything pays once a query wants much of it; a few are compared by their labels.
        if unranked > 0 && numbers.len() < state.labels.len() / 16 {
            let labels = &state.labels;
            numbers.sort_unstable_by(|a, b| labels[*a as usize].cmp(&labels[*b as usize]));
            return;
        }
        state.rank();
        let ranks = Arc::clone(&state.ranks);
        drop(state);
        numbers.sort_unstable_by_key(|number| ranks[*number as usize]);
    }
}

impl State {
    fn number(&mut self, encoded: &[u8]) -> u32 {
        let hash = SeriesId::of_encoded(encoded).0;
        let labels = &self.labels;
        if let Some(number) = self.numbers.find(hash, |number| labels[*number as usize].encoded() == encoded) {
            return *number;
        }
        let number = self.labels.len() as u32;
        self.labels.push(LabelSet::from_encoded(encoded).expect("segments verified order, text and emptiness"));
        let labels = &self.labels;
        self.numbers.insert_unique(hash, number, |number| SeriesId::of(&labels[*number as usize]).0);
        self.bytes += encoded.len() + 64;
        number
    }

    fn rank(&mut self) {
        let ranked = self.order.len() as u32;
        if ranked as usize == self.labels.len() {
            return;
        }
        // A stable sort finds the sorted run there is and merges what is new into it.
        let labels = &self.labels;
        let mut fresh: Vec<u32> = (ranked..labels.len() as u32).collect();
        fresh.sort_unstable_by(|a, b| labels[*a as usize].cmp(&labels[*b as usize]));
        self.order.extend(fresh);
        self.order.sort_by(|a, b| labels[*a as usize].cmp(&labels[*b as usize]));
        let mut ranks = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(rank, number)| ranks[*number as usize] = rank as u32);
        self.ranks = Arc::new(ranks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_have_one_number_and_sort_as_labels_do() {
        let names = Names::default();
        let sets: Vec<LabelSet> = ["b", "aa", "a", "b"].iter().map(|value| LabelSet::from_pairs([("x", *value)])).collect();
        let mut numbers: Vec<u32> = {
            let mut state = names.state.lock().unwrap();
            sets.iter().map(|set| state.number(set.encoded())).collect()
        };
        assert_eq!(numbers, [0, 1, 2, 0]);
        names.sort(&mut numbers);
        assert_eq!(names.labels(&numbers), [&sets[2], &sets[1], &sets[0], &sets[0]].map(LabelSet::clone));
    }
}
