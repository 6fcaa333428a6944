//! What is kept in memory between queries, by segment, bounded by bytes. Segments are immutable, so nothing is ever stale.

use std::sync::Mutex;

use hashbrown::HashMap;

/// A cache that drops what was not used for longest. Cheap to read: values are handed out as clones.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    bytes_max: usize,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    bytes: usize,
    uses: u64,
    entries: HashMap<String, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(bytes_max: usize) -> Cache<V> {
        Cache { bytes_max, state: Mutex::new(State { bytes: 0, uses: 0, entries: HashMap::new() }) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<V> {
        let mut state = self.state.lock().expect("no call panics while it holds the lock");
        state.uses += 1;
        let uses = state.uses;
        let entry = state.entries.get_mut(key)?;
        entry.used = uses;
        Some(entry.value.clone())
    }

    /// Keeps a value, in place of an older one; one that is larger than the whole cache is not kept.
    pub(crate) fn insert(&self, key: &str, value: V, bytes: usize) {
        self.update(key, |_| (value, bytes));
    }

    /// Replaces a value by what `of` makes of it, while nobody else does, and returns the new one.
    pub(crate) fn update(&self, key: &str, of: impl FnOnce(Option<&V>) -> (V, usize)) -> V {
        let mut state = self.state.lock().expect("no call panics while it holds the lock");
        let (value, bytes) = of(state.entries.get(key).map(|entry| &entry.value));
        if let Some(old) = state.entries.remove(key) {
            state.bytes -= old.bytes;
        }
        if bytes > self.bytes_max {
            return value;
        }
        state.uses += 1;
        state.bytes += bytes;
        let entry = Entry { value: value.clone(), bytes, used: state.uses };
        state.entries.insert(key.to_owned(), entry);
        while state.bytes > self.bytes_max {
            // Segments are few: looking at all of them costs less than an order kept up at every use.
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(freed) = oldest.and_then(|oldest| state.entries.remove(&oldest)) else { break };
            state.bytes -= freed.bytes;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_the_least_used_goes() {
        let cache = Cache::new(10);
        cache.insert("a", 1, 3);
        cache.insert("b", 2, 4);
        assert_eq!(cache.get("a"), Some(1));
        cache.insert("c", 3, 5);
        cache.insert("d", 4, 11);
        assert_eq!((cache.get("a"), cache.get("b"), cache.get("c"), cache.get("d")), (Some(1), None, Some(3), None));
        assert_eq!(cache.update("a", |old| (old.copied().unwrap_or(0) + 10, 10)), 11);
        assert_eq!((cache.get("a"), cache.get("c")), (Some(11), None));
    }
}
