//! Downsampling's arithmetic: what is kept of the float samples of one series in one aligned window, and how two neighbours
//! become one; of native histograms see [`histograms`].
//!
//! Owns: the columns (design §7), their order of operations, and what of them is exact. Does not own: which functions are answered
//! from them (`plan`), how they are stored (`segment`), which windows are built (`compactor`).
//!
//! A window is `(start, end]` like PromQL's ranges, its end a multiple of its width since the epoch. A window cut in two at any
//! instant and merged again is the window (D1): counts, first, last, min, max, resets, changes and staleness bit for bit; `lost`
//! and `sum` bit for bit where [`Quantum`] proves it, else to the last digits; `m2` to the last digits.

pub mod histograms;
mod quantum;

pub use quantum::Quantum;

use crate::is_stale;

/// What is kept of one window.
///
/// # Invariants
/// `start < end`. `count == 0` only where there is a stale marker; the other fields but `stale_at` then say nothing.
/// All times lie in `(start, end]`, `first_at <= last_at`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// First millisecond before the window.
    pub start: i64,
    /// Last millisecond of the window.
    pub end: i64,
    /// Samples, stale markers not counted.
    pub count: u64,
    /// When the first sample was taken.
    pub first_at: i64,
    /// Its value.
    pub first: f64,
    /// When the last sample was taken.
    pub last_at: i64,
    /// Its value.
    pub last: f64,
    /// The smallest value; NaN only where all are.
    pub min: f64,
    /// The largest value, likewise.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// What `sum` lacks (Neumaier).
    pub compensation: f64,
    /// Values before counter resets, added up: `(last - first) + lost` is the increase, in Prometheus's order of operations.
    pub lost: f64,
    /// Samples smaller than the one before.
    pub resets: u32,
    /// Samples other than the one before.
    pub changes: u32,
    /// Sum of squared distances from the mean.
    pub m2: f64,
    /// When the newest stale marker was written; `i64::MIN` where there is none.
    pub stale_at: i64,
    /// Of what power of two all values are multiples.
    pub quantum: Quantum,
}

/// Says that there is no stale marker.
pub const NEVER: i64 = i64::MIN;

impl Window {
    /// Returns the window `(start, end]` without samples; it becomes one by [`Window::push`].
    pub fn empty(start: i64, end: i64) -> Window {
        Window {
            start,
            end,
            count: 0,
            first_at: 0,
            first: 0.0,
            last_at: 0,
            last: 0.0,
            min: 0.0,
            max: 0.0,
            sum: 0.0,
            compensation: 0.0,
            lost: 0.0,
            resets: 0,
            changes: 0,
            m2: 0.0,
            stale_at: NEVER,
            quantum: Quantum::OF_ZERO,
        }
    }

    /// Adds the next sample or stale marker; times ascend.
    pub fn push(&mut self, at: i64, value: f64) {
        debug_assert!(self.start < at && at <= self.end, "a sample lies in its window");
        if is_stale(value) {
            self.stale_at = at;
            return;
        }
        if self.count == 0 {
            (self.first_at, self.first, self.min, self.max) = (at, value, value, value);
        } else {
            self.step_to(value);
            self.take_extremes(value, value);
        }
        let before = self.mean();
        self.add(value);
        self.count += 1;
        if self.count > 1 {
            self.m2 += (value - before) * (value - self.mean());
        }
        (self.last_at, self.last) = (at, value);
        self.quantum = self.quantum.and(Quantum::of(value));
    }

    /// Takes in the window that comes next: no sample of it is older than one of this.
    pub fn merge(&mut self, next: &Window) {
        debug_assert!(self.count == 0 || next.count == 0 || self.last_at < next.first_at, "windows ascend");
        self.start = self.start.min(next.start);
        self.end = self.end.max(next.end);
        self.stale_at = self.stale_at.max(next.stale_at);
        if next.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = Window { start: self.start, end: self.end, stale_at: self.stale_at, ..*next };
            return;
        }
        self.step_to(next.first);
        if next.resets > 0 {
            self.lose(next.lost);
            self.resets = self.resets.saturating_add(next.resets);
        }
        self.changes = self.changes.saturating_add(next.changes);
        self.take_extremes(next.min, next.max);
        let (ours, theirs) = (self.count as f64, next.count as f64);
        let distance = next.mean() - self.mean();
        self.m2 += next.m2 + distance * distance * (ours * theirs / (ours + theirs));
        self.add(next.sum);
        self.compensation += next.compensation;
        self.count += next.count;
        (self.last_at, self.last) = (next.last_at, next.last);
        self.quantum = self.quantum.and(next.quantum);
    }

    /// Returns sum and compensation together.
    pub fn total(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.compensation } else { self.sum }
    }

    /// Returns the mean.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 + self.compensation / self.count as f64 }
    }

    /// Reports whether adding up the values in any order and grouping gives `sum` and nothing is lost on the way.
    pub fn sum_is_exact(&self) -> bool {
        let of_one_sign = self.min >= 0.0 || self.max <= 0.0;
        let by_total = of_one_sign && self.quantum.holds(self.sum.abs());
        by_total || self.quantum.holds(self.count as f64 * self.largest())
    }

    /// Reports whether `(last - first) + lost` is what adding one lost value after the other gives.
    pub fn increase_is_exact(&self) -> bool {
        self.resets <= 1 || self.quantum.holds((f64::from(self.resets) + 2.0) * self.largest())
    }

    fn largest(&self) -> f64 {
        self.min.abs().max(self.max.abs())
    }

    /// Notes what changes from the last value to the next.
    fn step_to(&mut self, value: f64) {
        if value < self.last {
            self.lose(self.last);
            self.resets = self.resets.saturating_add(1);
        }
        if self.last != value && !(self.last.is_nan() && value.is_nan()) {
            self.changes = self.changes.saturating_add(1);
        }
    }

    /// Adds to what resets took away; the first of them as it is, -0.0 included.
    fn lose(&mut self, value: f64) {
        self.lost = if self.resets == 0 { value } else { self.lost + value };
    }

    /// As upstream's `min_over_time` and `max_over_time`: of equal values the earlier, NaN only where there is nothing else.
    fn take_extremes(&mut self, min: f64, max: f64) {
        if min < self.min || self.min.is_nan() {
            self.min = min;
        }
        if max > self.max || self.max.is_nan() {
            self.max = max;
        }
    }

    /// Adds a term to the sum (Neumaier 1974).
    fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        if sum.is_finite() {
            let (large, small) = if self.sum.abs() >= term.abs() { (self.sum, term) } else { (term, self.sum) };
            self.compensation += (large - sum) + small;
        }
        self.sum = sum;
    }
}

/// Returns the end of the aligned window that holds an instant.
pub fn end_of(at: i64, width_ms: i64) -> i64 {
    let over = at.rem_euclid(width_ms);
    if over == 0 { at } else { at.saturating_add(width_ms - over) }
}

/// Returns the windows of `width_ms` that hold samples or stale markers, ascending. Times ascend.
pub fn windows(width_ms: i64, timestamps: &[i64], values: &[f64]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (at, value) in timestamps.iter().zip(values) {
        let end = end_of(*at, width_ms);
        match windows.last_mut() {
            Some(last) if last.end == end => last.push(*at, *value),
            _ => {
                let mut window = Window::empty(end.saturating_sub(width_ms), end);
                window.push(*at, *value);
                windows.push(window);
            }
        }
    }
    windows
}

/// Returns the samples that windows still have, stale markers among them: of each the first, the last, and the newest marker.
pub fn samples(windows: &[Window]) -> (Vec<i64>, Vec<f64>) {
    let mut samples = Vec::with_capacity(2 * windows.len());
    for window in windows {
        let before = samples.len();
        if window.count > 0 {
            samples.push((window.first_at, window.first));
        }
        if window.last_at > window.first_at {
            samples.push((window.last_at, window.last));
        }
        if window.stale_at != NEVER {
            samples.push((window.stale_at, crate::STALE_NAN));
        }
        samples[before..].sort_unstable_by_key(|(at, _)| *at);
    }
    samples.into_iter().unzip()
}

#[cfg(test)]
mod tests;
