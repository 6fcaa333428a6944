//! The simulation itself: a seed replays, the invariants hold, and a mistake is caught.

use suite::simulate::{Mutation, run};

#[test]
fn a_seed_replays() {
    for seed in 0..6 {
        let (first, again) = (run(seed, None, false), run(seed, None, true));
        assert_eq!((first.trace_hash, first.steps), (again.trace_hash, again.steps), "seed {seed}");
    }
}

#[test]
fn the_invariants_hold() {
    let broken: Vec<_> = (0..40).filter_map(|seed| Some((seed, run(seed, None, false).violation?))).collect();
    assert!(broken.is_empty(), "replay with `suite simulate --seed N`: {broken:?}");
}

#[test]
fn a_mistake_is_caught() {
    for mutation in [Mutation::AckBeforeCommit, Mutation::DeleteBeforeSwap, Mutation::NoGrace] {
        let caught = (0..40).any(|seed| run(seed, Some(mutation), false).violation.is_some());
        assert!(caught, "{mutation:?} was not caught within 40 seeds");
    }
}
