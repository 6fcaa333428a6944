//! Opened tails in memory, by object key, bounded by bytes. Objects are immutable, so nothing is ever stale.

use std::collections::VecDeque;
use std::sync::Mutex;

use hashbrown::HashMap;

/// A first-in first-out cache of opened indexes.
#[derive(Debug)]
pub(crate) struct TailCache<T> {
    bytes_max: usize,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    bytes: usize,
    entries: HashMap<String, (T, usize)>,
    order: VecDeque<String>,
}

impl<T: Clone> TailCache<T> {
    pub(crate) fn new(bytes_max: usize) -> TailCache<T> {
        TailCache { bytes_max, state: Mutex::new(State { bytes: 0, entries: HashMap::new(), order: VecDeque::new() }) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<T> {
        let state = self.state.lock().expect("no call panics while it holds the lock");
        state.entries.get(key).map(|(index, _)| index.clone())
    }

    pub(crate) fn insert(&self, key: &str, index: T, bytes: usize) {
        let mut state = self.state.lock().expect("no call panics while it holds the lock");
        if bytes > self.bytes_max || state.entries.contains_key(key) {
            return;
        }
        while state.bytes + bytes > self.bytes_max {
            let Some(oldest) = state.order.pop_front() else { break };
            if let Some((_, freed)) = state.entries.remove(&oldest) {
                state.bytes -= freed;
            }
        }
        state.bytes += bytes;
        state.entries.insert(key.to_owned(), (index, bytes));
        state.order.push_back(key.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_the_oldest_goes() {
        let cache = TailCache::new(10);
        cache.insert("a", 1, 6);
        cache.insert("b", 2, 4);
        cache.insert("c", 3, 5);
        cache.insert("d", 4, 11);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c"), cache.get("d")), (None, Some(2), Some(3), None));
    }
}
