use manifest::{Location, PartStats};
use model::{Resolution, SegmentId, SlotRange};

use super::*;

const HOUR: Hour = Hour(100);

fn second(second: i64) -> TimestampMs {
    TimestampMs(HOUR.start().0 + second * 1000)
}

/// Parts of a level, begun at these seconds of the hour.
fn parts(level: u8, minted: impl IntoIterator<Item = i64>) -> Vec<Part> {
    let window = Window::Hour(HOUR);
    let part = |(id, at): (usize, i64)| Part {
        id: SegmentId(id as u128),
        level,
        resolution: Resolution::Raw,
        window,
        location: Location::Object { key: format!("k{id}"), len: 1000 },
        tail_offset: 0,
        stats: PartStats {
            rows: 1,
            series: 1,
            time_range: window.range(),
            slots: SlotRange::ALL,
            epoch: 0,
            names: bytes::Bytes::new(),
        },
        minted_at: second(at),
        sources: Vec::new(),
        applied: Vec::new(),
    };
    minted.into_iter().enumerate().map(part).collect()
}

/// Seconds until the next look.
fn wait(parts: &[Part], merged: usize, at: i64) -> i64 {
    let next = next_look(Window::Hour(HOUR), parts, merged, &Policy::default(), second(at));
    (next.0 - second(at).0) / 1000
}

#[test]
fn what_rests_is_looked_at_less_often() {
    for (minutes, pace) in [(30, PACE_OPEN), (66, PACE_OPEN), (71, PACE_RECENT), (179, PACE_RECENT), (181, PACE_OLD)] {
        assert_eq!(wait(&[], 0, minutes * 60), pace.as_secs() as i64, "{minutes} min after its start");
    }
    let look = |window| next_look(window, &[], 0, &Policy::default(), second(0));
    assert_eq!(look(Window::Day(HOUR.day())), second(0).plus(PACE_OLD));
    assert_eq!(look(Window::Month(0)), second(0).plus(PACE_MONTH));
}

#[test]
fn what_fills_is_looked_at_when_it_is_full() {
    // Two a second: 20 are there, 20 come within 10 s.
    assert_eq!(wait(&parts(0, (0..20).map(|i| 100 + i / 2)), 0, 110), 10);
    // The same once they are merged: all 40 are still to come.
    assert_eq!(wait(&parts(0, (0..40).map(|i| 100 + i / 2)), 40, 120), 20);
    assert_eq!(wait(&parts(0, (0..48).map(|i| 100 + i / 16)), 48, 103), 2, "16 a second");
    assert_eq!(wait(&parts(0, (0..3000).map(|_| 100)), 3000, 101), PACE_MIN.as_secs() as i64);
    assert_eq!(wait(&parts(0, [100, 110]), 0, 120), PACE_OPEN.as_secs() as i64, "slowly");
    // It is not asked for again at once what waits although there is enough of it.
    assert_eq!(wait(&parts(0, (0..40).map(|_| 9000)), 0, 9300), PACE_OPEN.as_secs() as i64);
}

#[test]
fn an_old_hour_that_is_written_to_is_looked_at_like_an_open_one() {
    let week = 7 * 24 * 3600;
    assert_eq!(wait(&parts(0, [week - 100, week - 1]), 0, week), PACE_OPEN.as_secs() as i64);
    assert_eq!(wait(&parts(2, [week - 599]), 0, week), PACE_OPEN.as_secs() as i64, "merged a moment ago");
    assert_eq!(wait(&parts(2, [week - 600]), 0, week), PACE_OLD.as_secs() as i64);
    // Late data is due five minutes after it came.
    assert_eq!(wait(&parts(0, [week - 280, week - 1]), 0, week), 20);
}

#[test]
fn an_hour_is_closed_in_time() {
    assert_eq!(wait(&[], 0, 3600 + 290), 10);
}

#[test]
fn a_new_hour_is_seen_when_it_begins() {
    assert_eq!(next_catalog(false, second(100)), second(100).plus(PACE_OPEN));
    assert_eq!(next_catalog(false, second(3_590)), second(3_600).plus(PACE_MIN));
    assert_eq!(next_catalog(false, second(3_600)), second(3_600).plus(PACE_OPEN));
    assert_eq!(next_catalog(true, second(3_590)), second(3_590).plus(PACE_IDLE), "nobody writes");
}
