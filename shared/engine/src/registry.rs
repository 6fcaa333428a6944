//! The label sets queries have met, each once in memory and by number, so that series of many segments are joined, sorted and
//! grouped by integers.
//!
//! A label set is a list of numbered label pairs. A segment's own numbers of pairs are translated once per pair, so that finding
//! a series' number hashes a few integers; the label set itself is built when somebody asks for it, which most aggregations
//! never do. Owns: the numbering of a tenant's label sets and their order. Does not own: which series a segment holds (`segment`).

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use model::labels::{Iter, encode_label};
use model::{LabelSet, TenantId};
use segment::Interned;
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
        if tenants.values().map(|names| names.bytes.load(Relaxed)).sum::<usize>() > self.bytes_max {
            tenants.clear();
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}

/// One numbering of one tenant's label sets.
#[derive(Debug, Default)]
pub(crate) struct Names {
    state: Mutex<State>,
    /// What the state takes, for whoever must not wait until it is free.
    bytes: AtomicUsize,
}

/// The numbers of a segment's pairs and series, [`UNKNOWN`] where nobody has asked yet.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pairs: Vec<u32>,
    series: Vec<u32>,
}

impl Numbers {
    pub(crate) fn of(index: &Index) -> Numbers {
        Numbers { pairs: vec![UNKNOWN; index.pairs_len()], series: vec![UNKNOWN; index.series_len()] }
    }

    fn pair(&mut self, state: &mut State, index: &Index, pair: u32) -> u32 {
        let number = &mut self.pairs[pair as usize];
        if *number == UNKNOWN {
            *number = state.pair(index.pair(pair));
        }
        *number
    }
}

/// Series by what they have in common.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The group of each series.
    pub(crate) of: Vec<u32>,
    /// The first series of each group, by number.
    pub(crate) heads: Vec<u32>,
}

#[derive(Debug, Default)]
struct State {
    hasher: DefaultHashBuilder,
    /// Label pairs, canonically encoded, and the name of each.
    pairs: Interned,
    pair_names: Vec<u32>,
    names: Interned,
    /// The pairs of all label sets, one after another, and where each ends.
    series_pairs: Vec<u32>,
    series_ends: Vec<usize>,
    numbers: HashTable<u32>,
    /// Label sets that somebody has asked for.
    labels: Vec<Option<LabelSet>>,
    bytes: usize,
    /// Numbers in the order of their labels, as far as they are sorted.
    order: Vec<u32>,
    /// Place of each number in `order`.
    ranks: Arc<Vec<u32>>,
}

impl Names {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the lock")
    }

    /// Returns the numbers of some series of a segment.
    pub(crate) fn number(&self, index: &Index, ordinals: &[u32], known: &mut Numbers) -> Vec<u32> {
        let (mut state, mut pairs) = (self.state(), Vec::with_capacity(32));
        let mut number = |ordinal: &u32| {
            if known.series[*ordinal as usize] == UNKNOWN {
                pairs.clear();
                pairs.extend(index.pairs(*ordinal).iter().map(|pair| known.pair(&mut state, index, *pair)));
                known.series[*ordinal as usize] = state.number(&pairs);
            }
            known.series[*ordinal as usize]
        };
        let numbers = ordinals.iter().map(&mut number).collect();
        self.bytes.store(state.bytes, Relaxed);
        numbers
    }

    /// Returns the numbers of some label pairs of a segment.
    pub(crate) fn number_pairs(&self, index: &Index, pairs: &[u32], known: &mut Numbers) -> Vec<u32> {
        let mut state = self.state();
        let numbers = pairs.iter().map(|pair| known.pair(&mut state, index, *pair)).collect();
        self.bytes.store(state.bytes, Relaxed);
        numbers
    }

    /// Returns the values of label pairs, sorted and distinct.
    pub(crate) fn values(&self, pairs: &[u32]) -> Vec<String> {
        let state = self.state();
        let value = |pair: &u32| Iter::over(state.pairs.get(*pair)).next().map(|(_, value)| value.to_owned());
        let mut values: Vec<String> = pairs.iter().filter_map(value).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Returns the numbers of some series of a segment by other labels than they have there: those that `labelled` makes of them.
    pub(crate) fn number_as(&self, index: &Index, ordinals: &[u32], labelled: impl Fn(&LabelSet) -> LabelSet) -> Vec<u32> {
        let mut state = self.state();
        let number = |ordinal: &u32| {
            let own = LabelSet::from_pairs(index.pairs(*ordinal).iter().map(|pair| index.pair(*pair)));
            let pairs: Vec<u32> = labelled(&own).iter().map(|pair| state.pair(pair)).collect();
            state.number(&pairs)
        };
        ordinals.iter().map(number).collect()
    }

    /// Returns the label set of a number.
    pub(crate) fn labels(&self, number: u32) -> LabelSet {
        let mut state = self.state();
        let labels = state.labels(number);
        self.bytes.store(state.bytes, Relaxed);
        labels
    }

    /// Sorts numbers by their labels.
    pub(crate) fn sort(&self, numbers: &mut [u32]) {
        let mut state = self.state();
        let unranked = state.series_ends.len() - state.order.len();
        // Ranking everything pays once a query wants much of it; a few are compared by their labels.
        if unranked > 0 && numbers.len() < state.series_ends.len() / 16 {
            numbers.sort_unstable_by(|a, b| state.compare(*a, *b));
            return;
        }
        state.rank();
        let ranks = Arc::clone(&state.ranks);
        drop(state);
        numbers.sort_unstable_by_key(|number| ranks[*number as usize]);
    }

    /// Groups series by those of their labels whose name `keeps` accepts; groups come in the order of their first series.
    pub(crate) fn group(&self, numbers: &[u32], keeps: impl Fn(&str) -> bool) -> Groups {
        let state = self.state();
        let kept = state.kept(keeps);
        let mut table: HashTable<(u32, u32)> = HashTable::new();
        let mut groups = Groups { of: Vec::with_capacity(numbers.len()), heads: Vec::new() };
        for number in numbers {
            let hash = state.hash_kept(*number, &kept);
            let same = |(_, head): &(u32, u32)| state.same_kept(*head, *number, &kept);
            let group = match table.find(hash, same) {
                Some((group, _)) => *group,
                None => {
                    let group = groups.heads.len() as u32;
                    groups.heads.push(*number);
                    table.insert_unique(hash, (group, *number), |(_, head)| state.hash_kept(*head, &kept));
                    group
                }
            };
            groups.of.push(group);
        }
        groups
    }
}

impl State {
    /// Returns the number of a label pair.
    fn pair(&mut self, (name, value): (&str, &str)) -> u32 {
        let mut encoded = Vec::with_capacity(64);
        encode_label(&mut encoded, name.as_bytes(), value.as_bytes());
        let (id, fresh) = self.pairs.intern(&encoded);
        if fresh {
            self.pair_names.push(self.names.intern(name.as_bytes()).0);
            self.bytes += encoded.len() + 32;
        }
        id
    }

    /// Returns the number of a label set given by its pairs.
    fn number(&mut self, pairs: &[u32]) -> u32 {
        let hash = self.hasher.hash_one(pairs);
        let (all, ends, hasher) = (&self.series_pairs, &self.series_ends, &self.hasher);
        if let Some(number) = self.numbers.find(hash, |number| pairs_of(all, ends, *number) == pairs) {
            return *number;
        }
        let number = ends.len() as u32;
        self.numbers.insert_unique(hash, number, |number| hasher.hash_one(pairs_of(all, ends, *number)));
        self.series_pairs.extend_from_slice(pairs);
        self.series_ends.push(self.series_pairs.len());
        self.labels.push(None);
        self.bytes += 4 * pairs.len() + 64;
        number
    }

    fn pairs(&self, number: u32) -> &[u32] {
        pairs_of(&self.series_pairs, &self.series_ends, number)
    }

    fn labels(&mut self, number: u32) -> LabelSet {
        if let Some(labels) = &self.labels[number as usize] {
            return labels.clone();
        }
        let encoded: Vec<u8> = self.pairs(number).iter().flat_map(|pair| self.pairs.get(*pair)).copied().collect();
        let labels = LabelSet::from_encoded(&encoded).expect("segments verified order, text and emptiness");
        self.bytes += encoded.len() + 32;
        self.labels[number as usize] = Some(labels.clone());
        labels
    }

    /// Compares as label sets compare: label by label, name before value, a prefix first.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (self.pairs(a), self.pairs(b));
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let pair = |pairs: &[u32]| pairs.get(same).and_then(|pair| Iter::over(self.pairs.get(*pair)).next());
        pair(a).cmp(&pair(b))
    }

    fn rank(&mut self) {
        let (ranked, all) = (self.order.len(), self.series_ends.len());
        if ranked == all {
            return;
        }
        let mut order = std::mem::take(&mut self.order);
        order.extend(ranked as u32..all as u32);
        order[ranked..].sort_unstable_by(|a, b| self.compare(*a, *b));
        // A stable sort finds the two sorted runs and merges them.
        order.sort_by(|a, b| self.compare(*a, *b));
        let mut ranks = vec![0; all];
        order.iter().enumerate().for_each(|(rank, number)| ranks[*number as usize] = rank as u32);
        (self.order, self.ranks) = (order, Arc::new(ranks));
    }

    /// Reports per pair whether its name is accepted.
    fn kept(&self, keeps: impl Fn(&str) -> bool) -> Vec<bool> {
        let names = self.pair_names.iter().copied().max().map_or(0, |last| last + 1);
        let by_name: Vec<bool> = (0..names).map(|name| std::str::from_utf8(self.names.get(name)).is_ok_and(&keeps)).collect();
        self.pair_names.iter().map(|name| by_name[*name as usize]).collect()
    }

    fn kept_pairs<'s>(&'s self, number: u32, kept: &'s [bool]) -> impl Iterator<Item = u32> {
        self.pairs(number).iter().copied().filter(|pair| kept[*pair as usize])
    }

    fn hash_kept(&self, number: u32, kept: &[bool]) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = self.hasher.build_hasher();
        self.kept_pairs(number, kept).for_each(|pair| pair.hash(&mut hasher));
        hasher.finish()
    }

    fn same_kept(&self, a: u32, b: u32, kept: &[bool]) -> bool {
        self.kept_pairs(a, kept).eq(self.kept_pairs(b, kept))
    }
}

fn pairs_of<'p>(pairs: &'p [u32], ends: &[usize], number: u32) -> &'p [u32] {
    let start = if number == 0 { 0 } else { ends[number as usize - 1] };
    &pairs[start..ends[number as usize]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(names: &Names, sets: &[LabelSet]) -> Vec<u32> {
        let mut state = names.state();
        let number = |set: &LabelSet| {
            let pairs: Vec<u32> = set.iter().map(|pair| state.pair(pair)).collect();
            state.number(&pairs)
        };
        sets.iter().map(number).collect()
    }

    #[test]
    fn equal_labels_have_one_number_and_sort_as_labels_do() {
        let names = Names::default();
        let sets: Vec<LabelSet> = [("x", "b"), ("x", "aa"), ("x", "a"), ("x", "b"), ("a", "z"), ("xy", "")]
            .iter()
            .map(|(name, value)| LabelSet::from_pairs([(*name, *value), ("y", if value.len() == 2 { "1" } else { "" })]))
            .collect();
        let mut numbers = numbered(&names, &sets);
        assert_eq!(numbers, [0, 1, 2, 0, 3, 4]);
        names.sort(&mut numbers);
        let mut sorted = sets.clone();
        sorted.sort();
        assert_eq!(numbers.iter().map(|number| names.labels(*number)).collect::<Vec<_>>(), sorted);
        // What comes later is sorted in.
        let more: Vec<LabelSet> = ["0", "ab", "c"].iter().map(|value| LabelSet::from_pairs([("x", *value)])).collect();
        numbers.extend(numbered(&names, &more));
        names.sort(&mut numbers);
        sorted.extend(more);
        sorted.sort();
        assert_eq!(numbers.iter().map(|number| names.labels(*number)).collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn groups_have_the_labels_kept_in_common() {
        let names = Names::default();
        let set = |job, instance| LabelSet::from_pairs([("__name__", "m"), ("instance", instance), ("job", job)]);
        let numbers = numbered(&names, &[set("a", "1"), set("b", "1"), set("a", "2"), set("", "3")]);
        let groups = names.group(&numbers, |name| name == "job");
        assert_eq!((groups.of, groups.heads), (vec![0, 1, 0, 2], vec![0, 1, 3]));
        assert_eq!(names.group(&numbers, |name| name == "__name__").heads, [0]);
        assert_eq!(names.group(&numbers, |_| false).of, [0; 4]);
        assert_eq!(names.group(&numbers, |_| true).heads, numbers);
    }

    #[test]
    fn a_tenant_at_work_keeps_nobody_waiting_and_past_the_bound_all_start_anew() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let registry = Registry::new(1_000);
        let names = registry.of(&tenant("a"));
        let busy = names.state();
        assert!(Arc::ptr_eq(&registry.of(&tenant("a")), &names));
        drop((registry.of(&tenant("b")), busy));
        let sets: Vec<LabelSet> = (0..50).map(|value| LabelSet::from_pairs([("x", &*format!("{value}"))])).collect();
        numbered(&names, &sets);
        assert_eq!(names.labels(3), sets[3]);
        assert!(!Arc::ptr_eq(&registry.of(&tenant("a")), &names));
    }
}
