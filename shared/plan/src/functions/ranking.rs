//! Heaps and sorting as Go's `container/heap` and `sort` do it, because the order in which Prometheus gives back equal values, and NaN, is
//! what these algorithms leave behind.
//!
//! `less` is Go's `Less`; it need not be an order (upstream's calls each of two NaN less than the other).

/// How many items Go sorts by insertion; for more it uses a pattern-defeating quicksort, of which equal items are in no useful order.
const INSERTION_MAX: usize = 12;

/// Adds an item to a heap, the least item first.
pub fn push<T>(heap: &mut Vec<T>, item: T, less: impl Fn(&T, &T) -> bool) {
    heap.push(item);
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !less(&heap[at], &heap[parent]) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Puts an item in the place of a heap's first, and restores the heap.
pub fn replace_first<T>(heap: &mut [T], item: T, less: impl Fn(&T, &T) -> bool) {
    heap[0] = item;
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if left >= heap.len() {
            break;
        }
        let least = if right < heap.len() && less(&heap[right], &heap[left]) { right } else { left };
        if !less(&heap[least], &heap[at]) {
            break;
        }
        heap.swap(at, least);
        at = least;
    }
}

/// Sorts: up to 12 items exactly as Go, more of them with equal ones in the order they had.
pub fn sort<T>(items: &mut Vec<T>, less: impl Fn(&T, &T) -> bool) {
    if items.len() > INSERTION_MAX {
        *items = merged(std::mem::take(items), &less);
        return;
    }
    for from in 1..items.len() {
        let mut at = from;
        while at > 0 && less(&items[at], &items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Sorts by merging, which ends whatever `less` says; the standard sort may panic where it is no order. Two that are each less than the
/// other are equal.
fn merged<T>(mut items: Vec<T>, less: &impl Fn(&T, &T) -> bool) -> Vec<T> {
    if items.len() < 2 {
        return items;
    }
    let right = merged(items.split_off(items.len() / 2), less);
    let left = merged(items, less);
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let right_first = less(b, a) && !less(a, b);
        out.extend(if right_first { right.next() } else { left.next() });
    }
    out.extend(left);
    out.extend(right);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascending(a: &(f64, char), b: &(f64, char)) -> bool {
        a.0.is_nan() || a.0 < b.0
    }

    fn names(items: &[(f64, char)]) -> String {
        items.iter().map(|(_, name)| *name).collect()
    }

    #[test]
    fn equal_items_stay_and_nans_turn_around() {
        for (values, wanted) in [
            (&[2.0, 1.0, 2.0, 1.0][..], "bdac"),
            (&[f64::NAN, 1.0, f64::NAN], "cab"),
            (&[], ""),
            // Thirteen: NaN first, in the order they had.
            (&[1.0, f64::NAN, 0.0, 1.0, f64::NAN, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "becfadghijklm"),
        ] {
            let mut items: Vec<(f64, char)> = values.iter().copied().zip('a'..).collect();
            sort(&mut items, ascending);
            assert_eq!(names(&items), wanted, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_order_is_sorted_all_the_same() {
        // As in natural order, where nothing is before or after an empty text.
        let less = |a: &u64, b: &u64| *a > 9 && *b > 9 && a < b;
        for factor in 1..200 {
            let mut items: Vec<u64> = (0..60).map(|n| (n * n * factor + n) % 97 % 25).collect();
            let mut before = items.clone();
            sort(&mut items, less);
            before.sort_unstable();
            items.sort_unstable();
            assert_eq!(items, before);
        }
    }

    #[test]
    fn heaps_have_the_least_first() {
        let mut heap = Vec::new();
        for item in [3.0, 1.0, 2.0, 1.0].into_iter().zip('a'..) {
            push(&mut heap, item, ascending);
        }
        assert_eq!(names(&heap), "bdca");
        replace_first(&mut heap, (9.0, 'e'), ascending);
        assert_eq!(names(&heap), "dace");
        replace_first(&mut heap, (0.0, 'f'), ascending);
        assert_eq!(names(&heap), "face");
    }
}
