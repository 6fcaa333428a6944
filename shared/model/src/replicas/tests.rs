use super::*;

const T0: i64 = 1_700_000_000_000 / HOUR_MS * HOUR_MS;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as i64
    }
}

/// Scrapes from T0 on for `len`, each up to `jitter` late, but not within `outages`.
fn scrapes(random: &mut Random, (offset, interval, jitter): (i64, i64, i64), len: i64, outages: &[Range<i64>]) -> Replica {
    let times = (0..).map(|index| offset + index * interval).take_while(|at| *at < len);
    let times = times.map(|at| at + random.below(jitter + 1)).filter(|at| !outages.iter().any(|outage| outage.contains(at)));
    Replica { times: times.map(|at| T0 + at).collect(), stale: Vec::new() }
}

fn only(range: Range<i64>) -> Vec<Range<i64>> {
    std::iter::once(range).collect()
}

/// Times that stand, and whose they are.
fn standing(replicas: &[Replica]) -> Vec<(i64, usize)> {
    let of = |piece: Piece| piece.rows.map(move |row| (replicas[piece.replica].times[row], piece.replica));
    let standing: Vec<(i64, usize)> = elect(replicas).into_iter().flat_map(of).collect();
    assert!(standing.is_sorted_by(|a, b| a.0 < b.0), "times are not ascending");
    standing
}

fn whole(replicas: &[Replica], of: usize) -> Vec<(i64, usize)> {
    replicas[of].times.iter().map(|at| (*at, of)).collect()
}

/// Several replicas with everything that goes wrong.
fn group(random: &mut Random) -> (Vec<Replica>, i64) {
    group_of(random, 6 * HOUR_MS)
}

fn group_of(random: &mut Random, len: i64) -> (Vec<Replica>, i64) {
    let interval = [5, 10, 15, 30, 60, 300, 1200][random.below(7) as usize] * SECOND;
    let replicas = (0..2 + random.below(2)).map(|_| {
        let outages: Vec<Range<i64>> = (0..random.below(6))
            .map(|_| {
                let start = random.below(len);
                let longest = [2 * interval, 10 * MINUTE, 100 * MINUTE][random.below(3) as usize];
                start..start + random.below(longest)
            })
            .collect();
        let (offset, jitter) = (random.below(interval), random.below(interval / 5));
        let mut replica = scrapes(random, (offset, interval, jitter), len, &outages);
        replica.stale = replica.times.iter().map(|_| random.below(40) == 0).collect();
        replica
    });
    let replicas: Vec<Replica> = replicas.collect();
    (replicas, interval)
}

fn cut(replica: &Replica, range: TimeRangeMs) -> Replica {
    let inside = |at: &i64| range.start.0 <= *at && *at < range.end.0;
    let rows: Vec<usize> = (0..replica.times.len()).filter(|row| inside(&replica.times[*row])).collect();
    let stale = rows.iter().filter_map(|row| replica.stale.get(*row).copied()).collect();
    Replica { times: rows.iter().map(|row| replica.times[*row]).collect(), stale }
}

#[test]
fn whatever_range_is_asked_for_the_same_samples_stand() {
    for seed in 1..400 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (replicas, _) = group(&mut random);
        let all = standing(&replicas);
        for _ in 0..8 {
            let start = T0 + random.below(6 * HOUR_MS);
            let longest = [MINUTE, 30 * MINUTE, 3 * HOUR_MS][random.below(3) as usize];
            let end = start + 1 + random.below(longest);
            let range = TimeRangeMs::new(TimestampMs(start), TimestampMs(end));
            let read: Vec<Replica> = replicas.iter().map(|replica| cut(replica, read_range(range))).collect();
            let inside = |found: Vec<(i64, usize)>| -> Vec<(i64, usize)> {
                found.into_iter().filter(|(at, _)| (start..end).contains(at)).collect()
            };
            assert_eq!(inside(standing(&read)), inside(all.clone()), "seed {seed}, {} to {}", start - T0, end - T0);
        }
    }
}

#[test]
fn replicas_never_interleave_and_leave_no_gap_that_one_of_them_fills() {
    for seed in 1..400 {
        let mut random = Random(seed * 0x51_7cc1);
        let (replicas, interval) = group(&mut random);
        if interval > 600 * SECOND {
            // Three samples an hour, fewer with an outage, do not tell how often there are some.
            continue;
        }
        let all = standing(&replicas);
        let live = |(at, replica): &(i64, usize)| {
            let row = replicas[*replica].times.binary_search(at).unwrap();
            !replicas[*replica].stale[row]
        };
        let live: Vec<(i64, usize)> = all.iter().filter(|sample| live(sample)).copied().collect();
        for pair in live.windows(2) {
            let distance = pair[1].0 - pair[0].0;
            // Half of the interval, of which jitter may have taken a part.
            assert!(pair[0].1 == pair[1].1 || distance >= interval * 3 / 10, "seed {seed}: {distance} ms at {}", pair[0].0 - T0);
        }
        // No second is told by two replicas in turns: changes of replica are as rare as what makes them.
        let switches = live.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
        assert!(switches * 4 <= live.len().max(40), "seed {seed}: {switches} switches in {} samples", live.len());
    }
}

#[test]
fn a_complete_replica_stands_alone() {
    let mut random = Random(7);
    let hours = 3 * HOUR_MS;
    for (interval, jitter) in [(15, 0), (15, 3), (10, 2), (60, 10), (1, 0), (300, 30), (900, 60)] {
        let (interval, jitter) = (interval * SECOND, jitter * SECOND);
        // Late ones of its scrapes fall into the next window.
        let a = scrapes(&mut random, (interval - 1 - jitter / 2, interval, jitter), hours, &[]);
        let b = scrapes(&mut random, (0, interval, jitter), hours, &[]);
        let replicas = [a, b];
        assert_eq!(standing(&replicas), whole(&replicas, 0), "every {interval} ms");
    }
    // And the second one, wherever the first is not complete.
    let outage = 62 * MINUTE..75 * MINUTE;
    let a = scrapes(&mut random, (2 * SECOND, 15 * SECOND, SECOND), hours, std::slice::from_ref(&outage));
    let b = scrapes(&mut random, (9 * SECOND, 15 * SECOND, SECOND), hours, &[]);
    let replicas = [a, b];
    for (at, replica) in standing(&replicas) {
        let (at, margin) = (at - T0, 2 * MINUTE);
        let expected = (outage.start..outage.end).contains(&at);
        let sure = (at - outage.start).abs() > margin && (at - outage.end).abs() > margin;
        assert!(!sure || expected == (replica == 1), "at {at} ms stands replica {replica}");
    }
}

/// Mimir's election loses what was scraped until the other replica takes over, up to 30 s.
#[test]
fn a_replica_that_stops_leaves_no_hole() {
    let mut random = Random(9);
    for stop in (30 * MINUTE..33 * MINUTE).step_by(1700) {
        let a = scrapes(&mut random, (SECOND, 15 * SECOND, 0), 40 * MINUTE, &only(stop..40 * MINUTE));
        let b = scrapes(&mut random, (8 * SECOND, 15 * SECOND, 0), 40 * MINUTE, &[]);
        let times: Vec<i64> = standing(&[a, b]).iter().map(|(at, _)| *at).collect();
        let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 37_500, "stopped at {stop}: a gap of {widest} ms");
        assert!(*times.last().unwrap() >= T0 + 39 * MINUTE);
    }
}

/// Thanos's iterator switches to what comes next in time, so that a clock ahead makes a counter fall.
#[test]
fn clocks_that_differ_make_no_counter_fall() {
    for (skew, seed) in [(3 * SECOND, 1), (-3 * SECOND, 2), (5 * SECOND, 3), (-5 * SECOND, 4)] {
        let mut random = Random(seed);
        let len = 2 * HOUR_MS;
        let outages = |random: &mut Random| -> Vec<Range<i64>> {
            let starts: Vec<i64> = (0..6).map(|_| random.below(len)).collect();
            starts.into_iter().map(|at| at..at + random.below(5 * MINUTE)).collect()
        };
        let (of_a, of_b) = (outages(&mut random), outages(&mut random));
        for (offset_a, offset_b) in (0..15).flat_map(|a| (0..15).map(move |b| (a * SECOND, b * SECOND))) {
            let a = scrapes(&mut random, (offset_a, 15 * SECOND, 0), len, &of_a);
            let b = scrapes(&mut random, (offset_b, 15 * SECOND, 0), len, &of_b);
            // The counter grows with true time; b writes down another time.
            let b = Replica { times: b.times.iter().map(|at| at + skew).collect(), stale: Vec::new() };
            let truth = standing(&[a, b]).into_iter().map(|(at, replica)| if replica == 1 { at - skew } else { at });
            assert!(
                truth.collect::<Vec<_>>().is_sorted(),
                "skew of {skew} ms, offsets {offset_a} and {offset_b}: a counter falls"
            );
        }
    }
}

#[test]
fn two_that_miss_something_complete_each_other() {
    let minutes = |minutes: &[Range<i64>], offset: i64| -> Replica {
        let times = minutes.iter().cloned().flatten().map(|minute| T0 + minute * MINUTE + offset);
        Replica { times: times.collect(), stale: Vec::new() }
    };
    // Of the window from minute 40 to 44 a has two, b one in between.
    let a = minutes(&[0..41, 43..60], 0);
    let b = minutes(&[0..10, 41..42], 30 * SECOND);
    let found = standing(&[a, b]);
    let around: Vec<(i64, usize)> =
        found.iter().map(|(at, of)| (at - T0, *of)).filter(|(at, _)| (40..44).contains(&(at / MINUTE))).collect();
    assert_eq!(around, [(40 * MINUTE, 0), (41 * MINUTE + 30 * SECOND, 1), (43 * MINUTE, 0)]);
    // One stops and the other begins.
    let a = minutes(&[0..9, 21..60], 0);
    let b = minutes(&only(5..23), 30 * SECOND);
    let found = standing(&[a, b]);
    assert!(found.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 150 * SECOND), "{found:?}");
}

#[test]
fn a_marker_stands_where_nobody_goes_on() {
    let mut random = Random(3);
    let plan = (SECOND, 15 * SECOND, 0);
    let mut a = scrapes(&mut random, plan, 10 * MINUTE, &[]);
    let mut b = scrapes(&mut random, (8 * SECOND, 15 * SECOND, 0), 20 * MINUTE, &[]);
    let end = |replica: &mut Replica| {
        replica.times.push(replica.times[replica.times.len() - 1] + 15 * SECOND);
        replica.stale = replica.times.iter().map(|at| *at == replica.times[replica.times.len() - 1]).collect();
        *replica.times.last().unwrap()
    };
    // a lost its target, b did not.
    let lost = end(&mut a);
    assert!(standing(&[a.clone(), b.clone()]).iter().all(|(at, _)| *at != lost));
    // Both did.
    let gone = end(&mut b);
    let found = standing(&[a, b]);
    assert_eq!(found.last(), Some(&(gone, 1)));
}

#[test]
fn equal_samples_are_one() {
    let mut random = Random(5);
    let a = scrapes(&mut random, (0, 15 * SECOND, 0), HOUR_MS, &only(10 * MINUTE..20 * MINUTE));
    let b = scrapes(&mut random, (0, 15 * SECOND, 0), HOUR_MS, &only(30 * MINUTE..40 * MINUTE));
    let times: Vec<i64> = standing(&[a, b]).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, (0..240).map(|index| T0 + index * 15 * SECOND).collect::<Vec<_>>());
}

/// Three days, of which the one in the middle is closed.
const DAYS: i64 = 3 * 24 * HOUR_MS;
const CLOSED: TimestampMs = TimestampMs(T0 + 24 * HOUR_MS);

/// What is left of replicas once the closed day is without what is superfluous there, and how many samples that were.
fn left(replicas: &[Replica]) -> (Vec<Replica>, usize) {
    let end = TimestampMs(CLOSED.0 + 24 * HOUR_MS);
    let of_day: Vec<Replica> = replicas.iter().map(|replica| cut(replica, TimeRangeMs::new(CLOSED, end))).collect();
    let gone = superfluous(&of_day, CLOSED);
    let without = |(replica, gone): (&Replica, &Vec<TimeRangeMs>)| {
        assert!(gone.windows(2).all(|pair| pair[0].end <= pair[1].start), "ranges ascend and lie apart");
        let stays = |at: &i64| !gone.iter().any(|range| range.start.0 <= *at && *at < range.end.0);
        let rows: Vec<usize> = (0..replica.times.len()).filter(|row| stays(&replica.times[*row])).collect();
        let stale = rows.iter().filter_map(|row| replica.stale.get(*row).copied()).collect();
        Replica { times: rows.iter().map(|row| replica.times[*row]).collect(), stale }
    };
    let left: Vec<Replica> = replicas.iter().zip(&gone).map(without).collect();
    let count = |replicas: &[Replica]| replicas.iter().map(|replica| replica.times.len()).sum::<usize>();
    let dropped = count(replicas) - count(&left);
    (left, dropped)
}

fn inside(found: Vec<(i64, usize)>, range: TimeRangeMs) -> Vec<(i64, usize)> {
    found.into_iter().filter(|(at, _)| (range.start.0..range.end.0).contains(at)).collect()
}

/// Electing again is no rewrite's affair: whoever asks over whatever range hears the same of what is left, days beside it included.
#[test]
fn what_is_left_of_a_closed_day_elects_as_all_of_it_did() {
    let (mut all, mut dropped) = (0, 0);
    for seed in 1..40 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (replicas, interval) = group_of(&mut random, DAYS);
        let before = standing(&replicas);
        let (left, gone) = left(&replicas);
        assert_eq!(standing(&left), before, "seed {seed}, every {interval} ms");
        for _ in 0..20 {
            let start = T0 + random.below(DAYS);
            let longest = [MINUTE, 30 * MINUTE, 3 * HOUR_MS, 30 * HOUR_MS][random.below(4) as usize];
            let range = TimeRangeMs::new(TimestampMs(start), TimestampMs(start + 1 + random.below(longest)));
            let read: Vec<Replica> = left.iter().map(|replica| cut(replica, read_range(range))).collect();
            assert_eq!(inside(standing(&read), range), inside(before.clone(), range), "seed {seed}, {range:?}");
        }
        all += replicas
            .iter()
            .map(|replica| cut(replica, TimeRangeMs::new(CLOSED, TimestampMs(T0 + 48 * HOUR_MS))).times.len())
            .sum::<usize>();
        dropped += gone;
        // Once more nothing goes that an election needs.
        let (again, _) = self::left(&left);
        assert_eq!(standing(&again), before, "seed {seed}, a second time");
    }
    assert!(dropped * 10 > all * 4, "{dropped} of {all} samples were dropped");
}

#[test]
fn of_a_pair_that_missed_nothing_one_is_left_but_for_the_outer_hours() {
    let mut random = Random(11);
    let a = scrapes(&mut random, (3 * SECOND, 15 * SECOND, SECOND), DAYS, &[]);
    let b = scrapes(&mut random, (9 * SECOND, 15 * SECOND, SECOND), DAYS, &[]);
    let (left, dropped) = left(&[a.clone(), b]);
    assert_eq!((left[0].times.len(), dropped), (a.times.len(), 20 * 240));
}

#[test]
fn nothing_and_one_replica_are_what_they_are() {
    assert_eq!(elect(&[]), []);
    assert_eq!(elect(&[Replica::default(), Replica::default()]), []);
    let one = Replica { times: vec![1, 2, 3], stale: Vec::new() };
    assert_eq!(elect(std::slice::from_ref(&one)), [Piece { replica: 0, rows: 0..3 }]);
    assert_eq!(elect(&[Replica::default(), one]), [Piece { replica: 1, rows: 0..3 }]);
}
