use super::*;
use model::SlotRange;
use proptest::prelude::*;

fn apply(assignment: &Assignment, change: RingChange) -> Option<Assignment> {
    match change {
        RingChange::Grow(added) => assignment.grow(added),
        RingChange::Shrink(removed) => assignment.shrink(removed),
    }
}

fn change() -> impl Strategy<Value = RingChange> {
    prop_oneof![(1u16..12).prop_map(RingChange::Grow), (1u16..12).prop_map(RingChange::Shrink)]
}

proptest! {
    /// R1: growing n → n+k moves k/(n+k) of the slots (±1), only to new groups; shrinking n → n-k moves the slots of the groups
    /// removed, only to those that stay. Sizes stay even whatever happened before.
    #[test]
    fn a_change_moves_only_its_share(changes in prop::collection::vec(change(), 1..40)) {
        let mut before = Assignment::single();
        for change in changes {
            let Some(after) = apply(&before, change) else { continue };
            let share = match change {
                RingChange::Grow(added) => SLOTS * usize::from(added) / usize::from(after.groups()),
                RingChange::Shrink(_) => before.sizes()[usize::from(after.groups())..].iter().sum(),
            };
            prop_assert!(before.moved(&after).abs_diff(share) <= 1);
            for (old, new) in before.owners().iter().zip(after.owners()) {
                prop_assert!(old == new || *new >= before.groups() || *old >= after.groups());
            }
            let sizes = after.sizes();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 2, "{sizes:?}");
            before = after;
        }
    }

    /// R3: the cuts cover the ring, each slot is in one of them, and each has one owner.
    #[test]
    fn cuts_partition_the_ring(changes in prop::collection::vec(change(), 0..20)) {
        let last = changes.into_iter().fold(Assignment::single(), |last, change| apply(&last, change).unwrap_or(last));
        let cuts = last.cuts();
        prop_assert_eq!((cuts[0].lo, cuts[cuts.len() - 1].hi), (0, SLOTS as u16));
        prop_assert!(cuts.windows(2).all(|pair| pair[0].hi == pair[1].lo));
        for cut in &cuts {
            let owners: std::collections::BTreeSet<u16> = (cut.lo..cut.hi).map(|slot| last.owner(model::Slot(slot))).collect();
            prop_assert_eq!(owners.len(), 1);
        }
        let mut runs: Vec<SlotRange> = (0..last.groups()).flat_map(|group| last.runs(group)).collect();
        runs.sort_by_key(|run| run.lo);
        prop_assert_eq!(runs, cuts);
    }

    /// R1, R2: hours begun keep their epoch whatever is written later, and no hour has two.
    #[test]
    fn hours_begun_keep_their_epoch(steps in prop::collection::vec((change(), 0i64..5 * 3_600_000), 1..20)) {
        let (mut epochs, mut now) = (Vec::<Epoch>::new(), TimestampMs(3_600_000_000));
        for (change, wait_ms) in steps {
            let ring = Ring::of(epochs.clone()).unwrap();
            let begun = Hour(now.hour().0 + 1);
            if let Some(epoch) = ring.changed(change, now) {
                prop_assert!(epoch.from.start() >= now.plus(ACTIVATION_DELAY_MIN));
                epochs.push(epoch);
            }
            let after = Ring::of(epochs.clone()).unwrap();
            for hour in (begun.0 - 30..=begun.0).map(Hour).filter(|hour| Ring::settles(now, *hour)) {
                prop_assert_eq!(ring.at(hour), after.at(hour));
            }
            now = TimestampMs(now.0 + wait_ms);
        }
    }
}

#[test]
fn changes_are_bounded() {
    let single = Assignment::single();
    assert!(single.grow(GROUPS_MAX).is_none());
    assert!(single.shrink(1).is_none());
    assert_eq!(single.grow(GROUPS_MAX - 1).unwrap().groups(), GROUPS_MAX);
    let two = single.grow(1).unwrap();
    assert_eq!(two.runs(1), [SlotRange { lo: 512, hi: 1024 }]);
    assert_eq!(two.shrink(1), Some(single));
}

/// Doubling, as is advised, keeps one run per group.
#[test]
fn powers_of_two_stay_contiguous() {
    let mut ring = Assignment::single();
    while let Some(doubled) = ring.grow(ring.groups()) {
        ring = doubled;
        assert!(ring.cuts().len() <= 2 * usize::from(ring.groups()), "{} cuts of {} groups", ring.cuts().len(), ring.groups());
    }
    assert_eq!(ring.groups(), GROUPS_MAX);
}

#[test]
fn an_epoch_begins_at_a_later_full_hour() {
    let ring = Ring::default();
    let (grow, late) = (RingChange::Grow(1), Hour(100).end().minus(Duration::from_secs(60)));
    assert_eq!(ring.changed(grow, Hour(100).start()).unwrap().from, Hour(101));
    let epoch = ring.changed(grow, late).unwrap();
    assert_eq!(epoch.from, Hour(102));
    assert_eq!(Epoch::decode(&epoch.encode()), Ok(epoch.clone()));
    let ring = Ring::of(vec![epoch]).unwrap();
    assert_eq!((ring.at(Hour(101)).number, ring.at(Hour(102)).number), (0, 1));
    assert_eq!(ring.changed(grow, late).unwrap().from, Hour(103));
}
