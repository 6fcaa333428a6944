use super::*;
use crate::{L0Item, Location, PartStats};
use model::{Hour, SegmentId, SlotRange};

fn at(minutes: i64) -> TimestampMs {
    TimestampMs(minutes * 60_000)
}

fn part(level: u8, minted_at: TimestampMs, applied: &[u128]) -> Part {
    let time_range = TimeRangeMs::new(at(10), at(20));
    let stats = PartStats { rows: 1, series: 1, time_range, slots: SlotRange::ALL, epoch: 0, names: Bytes::new() };
    let item = L0Item { id: SegmentId(1), location: Location::Inline(Bytes::new()), tail_offset: 0, stats, minted_at };
    Part { level, applied: applied.to_vec(), ..item.into_part(Hour(0)) }
}

fn deletion(range: (i64, i64), state: DeletionState) -> Deletion {
    let range = TimeRangeMs::new(at(range.0), at(range.1));
    let request = DeletionRequest { range, matchers: vec![Matcher::equal("job", "a")], filter: None };
    Deletion { id: 7, requested_at: at(100), request, state }
}

#[test]
fn what_a_deletion_applies_to() {
    let (open, finished, cancelled) =
        (DeletionState::Requested, DeletionState::Finished(at(200)), DeletionState::Cancelled(at(200)));
    let (whole, outside) = ((0, 60), (20, 60));
    let cases = [
        (part(0, at(100), &[]), whole, open, true, "written before the request"),
        (part(0, at(101), &[]), whole, open, false, "written after it"),
        (part(1, at(101), &[]), whole, open, true, "merged without it"),
        (part(1, at(101), &[7]), whole, open, false, "rewritten"),
        (part(1, at(101), &[8]), whole, open, true, "another one was applied"),
        (part(1, at(101), &[]), outside, open, false, "no common instant"),
        (part(0, at(100), &[]), whole, finished, true, "committed late"),
        (part(0, at(101), &[]), whole, finished, false, "written after it"),
        (part(1, at(230), &[]), whole, finished, true, "old, seen beside its end"),
        (part(1, at(231), &[]), whole, finished, false, "merged when the record was gone"),
        (part(0, at(100), &[]), whole, cancelled, false, "withdrawn"),
        (part(1, at(100), &[]), whole, cancelled, false, "withdrawn"),
    ];
    for (part, range, state, expected, why) in cases {
        assert_eq!(deletion(range, state).applies_to(&part), expected, "{why}");
    }
}

#[test]
fn records_round_trip() {
    let matchers =
        [("a", MatchOp::Equal, "x"), ("b", MatchOp::NotEqual, ""), ("c", MatchOp::Regex, "x|y"), ("d", MatchOp::NotRegex, "")]
            .map(|(name, op, value)| Matcher::new(name, op, value).unwrap());
    for state in [DeletionState::Requested, DeletionState::Finished(at(3)), DeletionState::Cancelled(at(4))] {
        for filter in [None, Some("|= \"x\"".to_owned())] {
            let mut deletion = deletion((1, 2), state);
            deletion.request = DeletionRequest { matchers: matchers.to_vec(), filter, ..deletion.request };
            assert_eq!(Deletion::decode(&deletion.encode()), Ok(deletion));
        }
    }
}

#[test]
fn requests_are_checked() {
    let request = |range: (i64, i64), matchers| DeletionRequest { matchers, ..deletion(range, DeletionState::Requested).request };
    let any = Matcher::new("a", MatchOp::Regex, ".*").unwrap();
    assert!(request((1, 2), vec![any.clone(), Matcher::equal("b", "x")]).check().is_ok());
    for bad in [request((1, 1), vec![Matcher::equal("b", "x")]), request((1, 2), vec![]), request((1, 2), vec![any])] {
        assert_eq!(bad.check().unwrap_err().kind(), model::ErrorKind::Invalid);
    }
}
