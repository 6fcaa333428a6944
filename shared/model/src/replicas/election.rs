//! The steps of an election: intervals by hour, an elected replica by window, gaps, markers.

use super::{Replica, SPARSE_INTERVAL_MS, window_ms};
use crate::time::HOUR_MS;

/// A sample that stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    pub(super) at: i64,
    pub(super) replica: usize,
    pub(super) row: usize,
}

/// One window and who is elected in it.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: i64,
    end: i64,
    interval_ms: i64,
    elected: usize,
    /// Time of the elected one's last sample.
    last: i64,
}

/// Samples of one replica that are no staleness markers: time and row.
type Live = Vec<(i64, usize)>;

/// The samples of a group.
pub(super) struct Election {
    live: Vec<Live>,
    /// Staleness markers: time, replica, row.
    markers: Vec<Chosen>,
}

impl Election {
    pub(super) fn new(replicas: &[Replica]) -> Election {
        let (mut live, mut markers) = (Vec::with_capacity(replicas.len()), Vec::new());
        for (replica, samples) in replicas.iter().enumerate() {
            let mut own = Live::with_capacity(samples.times.len());
            for (row, at) in samples.times.iter().enumerate() {
                match samples.stale.get(row) {
                    Some(true) => markers.push(Chosen { at: *at, replica, row }),
                    _ => own.push((*at, row)),
                }
            }
            live.push(own);
        }
        Election { live, markers }
    }

    /// Lists what stands: elected samples and markers first, then those that fill gaps.
    pub(super) fn standing(&self) -> Vec<Chosen> {
        let windows = self.windows();
        let mut standing = self.elected(&windows);
        let filled = self.filled(&windows, &standing);
        standing.extend(self.markers(&windows));
        standing.extend(filled);
        standing
    }

    /// Returns the rows of a replica with times in `[start, end)`.
    fn between(&self, replica: usize, start: i64, end: i64) -> &[(i64, usize)] {
        let live = &self.live[replica];
        let from = live.partition_point(|(at, _)| *at < start);
        &live[from..from + live[from..].partition_point(|(at, _)| *at < end)]
    }

    /// Elects in every window that has a sample.
    fn windows(&self) -> Vec<Window> {
        let mut hours: Vec<i64> = self.live.iter().flatten().map(|(at, _)| at.div_euclid(HOUR_MS)).collect();
        hours.sort_unstable();
        hours.dedup();
        let mut windows = Vec::new();
        for start in hours.into_iter().map(|hour| hour * HOUR_MS) {
            let interval_ms = self.interval_ms(start);
            let span = window_ms(interval_ms);
            let starts = (start..start + HOUR_MS).step_by(span as usize);
            windows.extend(starts.filter_map(|start| self.elect(start, start + span, interval_ms)));
        }
        windows
    }

    /// Returns the median distance of neighbouring samples of an hour, of all replicas.
    fn interval_ms(&self, hour: i64) -> i64 {
        let of = |replica| self.between(replica, hour, hour + HOUR_MS).windows(2).map(|pair| pair[1].0 - pair[0].0);
        let mut distances: Vec<i64> = (0..self.live.len()).flat_map(of).collect();
        let middle = distances.len() / 2;
        if distances.is_empty() { SPARSE_INTERVAL_MS } else { *distances.select_nth_unstable(middle).1 }
    }

    /// Elects the first replica that missed nothing, else the one with most samples, of equals the first.
    fn elect(&self, start: i64, end: i64, interval_ms: i64) -> Option<Window> {
        let replicas = 0..self.live.len();
        let own = |replica| self.between(replica, start, end);
        let complete =
            replicas.clone().find(|replica| !own(*replica).is_empty() && self.is_complete(*replica, start, end, interval_ms));
        let elected = complete.or_else(|| replicas.rev().max_by_key(|replica| own(*replica).len()))?;
        let last = own(elected).last()?.0;
        Some(Window { start, end, interval_ms, elected, last })
    }

    /// Reports whether a replica's samples around and in a window are never further apart than one and a half intervals. At the ends of what
    /// it has in the neighbouring windows it is measured against the others.
    fn is_complete(&self, replica: usize, start: i64, end: i64, interval_ms: i64) -> bool {
        let span = end - start;
        let (from, to) = (start - span, end + span);
        let around = self.between(replica, from, to);
        let (Some((first, _)), Some((last, _))) = (around.first(), around.last()) else { return false };
        let everybody = || (0..self.live.len()).map(|other| self.between(other, from, to));
        let earliest = || everybody().filter_map(|live| live.first()).map(|(at, _)| *at).min();
        let latest = || everybody().filter_map(|live| live.last()).map(|(at, _)| *at).max();
        let near = |distance: i64| 2 * distance <= 3 * interval_ms;
        let begins = *first < start || near(first - earliest().unwrap_or(*first));
        let ends = *last >= end || near(latest().unwrap_or(*last) - last);
        let touches = |pair: &&[(i64, usize)]| pair[1].0 >= start && pair[0].0 < end;
        begins && ends && around.windows(2).filter(touches).all(|pair| near(pair[1].0 - pair[0].0))
    }

    /// Lists the samples of elected replicas. Where another one takes over, its samples within half an interval of the last one of
    /// the window before are left out: between two clocks that differ a little they would make a counter fall.
    fn elected(&self, windows: &[Window]) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        let mut before: Option<&Window> = None;
        for window in windows {
            let earliest = match before {
                Some(before) if before.end == window.start && before.elected != window.elected => {
                    before.last + before.interval_ms.min(window.interval_ms) / 2
                }
                _ => i64::MIN,
            };
            let replica = window.elected;
            let own = self.between(replica, window.start, window.end).iter().filter(|(at, _)| *at >= earliest);
            chosen.extend(own.map(|(at, row)| Chosen { at: *at, replica, row: *row }));
            before = Some(window);
        }
        chosen
    }

    /// Lists samples of others where the elected ones leave a gap of more than two and a half intervals, at a distance of half an interval
    /// from its edges.
    fn filled(&self, windows: &[Window], chosen: &[Chosen]) -> Vec<Chosen> {
        let (mut filled, mut rest) = (Vec::new(), chosen);
        // The last sample that stands, where it lies in this window or in the one before it.
        let mut before: Option<(i64, i64)> = None;
        for (index, window) in windows.iter().enumerate() {
            let (own, later) = rest.split_at(rest.partition_point(|chosen| chosen.at < window.end));
            rest = later;
            let edge = before.filter(|(_, end)| *end == window.start).map(|(at, _)| at);
            let mut from = edge;
            for next in own {
                filled.extend(self.fill(window, from, Some(next.at)));
                from = Some(next.at);
            }
            // What follows in the next window is measured from there; only where nothing follows the gap ends with this one.
            if own.is_empty() || windows.get(index + 1).is_none_or(|next| next.start != window.end) {
                filled.extend(self.fill(window, from, None));
            }
            before = own.last().map(|last| (last.at, window.end));
        }
        filled
    }

    /// Fills a gap between two samples; `None`: there is none near.
    fn fill(&self, window: &Window, from: Option<i64>, to: Option<i64>) -> Vec<Chosen> {
        let span = window.end - window.start;
        let all = |replica| self.between(replica, window.start, window.end);
        let first = || (0..self.live.len()).filter_map(|replica| all(replica).first()).map(|(at, _)| *at).min();
        let last = || (0..self.live.len()).filter_map(|replica| all(replica).last()).map(|(at, _)| *at).max();
        let (begin, end) = (from.or_else(first), to.or_else(last));
        let gap = begin.zip(end).map_or(0, |(begin, end)| end - begin);
        if 2 * gap <= 5 * window.interval_ms {
            return Vec::new();
        }
        let half = window.interval_ms / 2;
        let start = from.map_or(window.start, |from| from + half).max(window.start - span);
        let end = to.map_or(window.end, |to| to - half + 1).min(window.end);
        let inside = |replica: &usize| self.between(*replica, start, end);
        let most = (0..self.live.len()).rev().max_by_key(|replica| inside(replica).len());
        let rows = most.map(|replica| inside(&replica).iter().map(move |(at, row)| Chosen { at: *at, replica, row: *row }));
        rows.into_iter().flatten().collect()
    }

    /// Lists markers of elected replicas, but those after which another replica goes on.
    fn markers(&self, windows: &[Window]) -> Vec<Chosen> {
        let stands = |marker: &Chosen| {
            let at = windows.partition_point(|window| window.end <= marker.at);
            // A marker may be all there is in its window: then whoever was elected in the one before says so.
            let inside = windows.get(at).filter(|window| window.start <= marker.at);
            let near = |window: &&Window| marker.at < window.end + (window.end - window.start);
            // Far from any sample it ends nothing that another replica could go on with.
            let Some(window) = inside.or_else(|| windows.get(at.checked_sub(1)?).filter(near)) else { return true };
            let until = (marker.at + window.interval_ms * 5 / 2).min(2 * window.end - window.start);
            let until = until.max(marker.at + window.interval_ms / 2);
            let goes_on = |other: usize| other != marker.replica && !self.between(other, marker.at, until).is_empty();
            window.elected == marker.replica && !(0..self.live.len()).any(goes_on)
        };
        self.markers.iter().filter(|marker| stands(marker)).copied().collect()
    }
}
