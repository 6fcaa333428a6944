//! Which steps of a grid have a time in their window `(t - range, t]`.

use plan::Grid;

/// The windows of a grid, for times that ascend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    grid: Grid,
    offset_ns: i64,
    range_ns: i64,
}

/// The steps whose windows contain a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// First step.
    pub(crate) first: u32,
    /// One past the last; equal to `first` where no window has the time.
    pub(crate) end: u32,
    /// The last time, inclusive, for which this holds.
    pub(crate) until: i64,
}

impl Spans {
    /// Takes a grid that is not empty.
    pub(crate) fn new(grid: Grid, offset_ns: i64, range_ns: i64) -> Spans {
        Spans { grid, offset_ns, range_ns }
    }

    pub(crate) fn steps(&self) -> usize {
        self.grid.len()
    }

    /// Returns the end of a step's window, inclusive.
    pub(crate) fn window_end(&self, step: usize) -> i64 {
        self.grid.at(step).saturating_sub(self.offset_ns)
    }

    /// Returns the last time before a step's window.
    fn before_window(&self, step: usize) -> i64 {
        self.window_end(step).saturating_sub(self.range_ns)
    }

    /// Finds the steps of a time.
    pub(crate) fn of(&self, time: i64) -> Span {
        let steps = self.steps();
        // The first window that has not ended, and the first that has not begun.
        let first = self.first_step(|step| self.window_end(step) >= time);
        let end = self.first_step(|step| self.before_window(step) >= time).max(first);
        let ends = if first < steps { self.window_end(first) } else { i64::MAX };
        let begins = if end < steps { self.before_window(end) } else { i64::MAX };
        Span { first: first as u32, end: end as u32, until: ends.min(begins) }
    }

    /// Finds the first step that `holds`, which does so for all later ones.
    fn first_step(&self, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.steps());
        while low < high {
            let middle = low + (high - low) / 2;
            match holds(middle) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::TimeUnit;

    #[test]
    fn spans_are_what_each_window_says() {
        for (step, range, offset) in [(10, 10, 0), (10, 35, 0), (10, 3, 0), (7, 21, 5), (7, 0, 0), (1, 4, -3)] {
            let grid = Grid { start: 100, end: 160, step, unit: TimeUnit::Nanoseconds };
            let spans = Spans::new(grid, offset, range);
            let naive = |time: i64| -> Vec<usize> {
                let inside = |step: &usize| grid.at(*step) - offset - range < time && time <= grid.at(*step) - offset;
                (0..grid.len()).filter(inside).collect()
            };
            for time in 0..250 {
                let span = spans.of(time);
                let steps: Vec<usize> = (span.first as usize..span.end as usize).collect();
                assert_eq!(steps, naive(time), "{time} {step} {range} {offset}");
                assert!(span.until >= time);
                for later in time..=span.until.min(250) {
                    assert_eq!(naive(later), steps, "{time} until {}", span.until);
                }
                if span.until < 250 {
                    let next = spans.of(span.until + 1);
                    assert!(next.first != span.first || next.end != span.end, "{time}");
                }
            }
        }
    }
}
