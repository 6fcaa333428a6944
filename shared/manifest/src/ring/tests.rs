use super::*;
use proptest::prelude::*;

fn grow_all(steps: &[u16]) -> Vec<Assignment> {
    let mut all = vec![Assignment::single()];
    for added in steps {
        let Some(next) = all.last().unwrap().grow(*added) else { break };
        all.push(next);
    }
    all
}

proptest! {
    /// R1: growing n → n+k moves k/(n+k) of the slots (±1), only to new groups, and sizes stay even.
    #[test]
    fn growth_moves_only_its_share(steps in prop::collection::vec(1u16..12, 1..20)) {
        for pair in grow_all(&steps).windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let share = SLOTS * usize::from(after.groups - before.groups) / usize::from(after.groups);
            prop_assert!(before.moved(after).abs_diff(share) <= 1);
            for slot in 0..SLOTS {
                prop_assert!(before.owners[slot] == after.owners[slot] || after.owners[slot] >= before.groups);
            }
            let sizes = after.sizes();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 2, "{sizes:?}");
        }
    }
}

#[test]
fn growth_is_bounded() {
    assert!(Assignment::single().grow(GROUPS_MAX).is_none());
    assert_eq!(Assignment::single().grow(GROUPS_MAX - 1).unwrap().groups(), GROUPS_MAX);
    assert_eq!(Assignment::single().grow(1).unwrap().runs(1), [SlotRange { lo: 512, hi: 1024 }]);
}

#[test]
fn an_epoch_begins_at_a_later_full_hour() {
    let ring = Ring::default();
    let late = Hour(100).end().minus(Duration::from_secs(60));
    assert_eq!(ring.grown(1, Hour(100).start()).unwrap().from, Hour(101));
    let epoch = ring.grown(1, late).unwrap();
    assert_eq!(epoch.from, Hour(102));
    assert_eq!(Epoch::decode(&epoch.encode()), Ok(epoch.clone()));
    let ring = Ring::of(vec![epoch]).unwrap();
    assert_eq!((ring.at(Hour(101)).number, ring.at(Hour(102)).number), (0, 1));
    assert_eq!(ring.grown(1, late).unwrap().from, Hour(103));
}
