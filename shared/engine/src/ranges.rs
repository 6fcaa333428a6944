//! Which stored times the leaves of a plan read, so that one snapshot serves them all.

use model::{TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use plan::Grid;
use plan::logical::{Extension, LogWindow, Node, RangeInput, Select};

/// Returns the half-open range of samples a selector reads, with windows of `window_ms`.
pub(crate) fn select_range(select: &Select, grid: Grid, window_ms: i64) -> TimeRangeMs {
    let (first, last) = match select.at {
        Some(at) => (at.0, at.0),
        None => (grid.start, grid.at(grid.len().saturating_sub(1))),
    };
    let before = if select.extension == Extension::None { 0 } else { select.lookback_ms };
    let after = if select.extension == Extension::Smoothed { select.lookback_ms } else { 0 };
    let start = first.saturating_sub(select.offset_ms).saturating_sub(window_ms).saturating_sub(before).saturating_add(1);
    let end = last.saturating_sub(select.offset_ms).saturating_add(after).saturating_add(1);
    TimeRangeMs::new(TimestampMs(start), TimestampMs(end))
}

/// Returns the grid a subquery's inner expression is evaluated on: the multiples of its step inside all windows.
pub(crate) fn subquery_grid(grid: Grid, range_ms: i64, step_ms: i64, offset_ms: i64, at: Option<TimestampMs>) -> Grid {
    let step = step_ms.max(1);
    let (first, last) = match at {
        Some(at) => (at.0, at.0),
        None => (grid.start, grid.at(grid.len().saturating_sub(1))),
    };
    let after = first.saturating_sub(offset_ms).saturating_sub(range_ms);
    let start = after.div_euclid(step).saturating_add(1).saturating_mul(step);
    Grid { start, end: last.saturating_sub(offset_ms), step, unit: grid.unit }
}

/// Returns the grid of a step-invariant expression: its first step alone.
pub(crate) fn first_step(grid: Grid) -> Grid {
    Grid { end: grid.start, ..grid }
}

/// Returns the half-open range of entries a log window reads.
pub(crate) fn log_window_range(window: &LogWindow, grid: Grid) -> TimeRangeNs {
    let last = grid.at(grid.len().saturating_sub(1));
    let start = grid.start.saturating_sub(window.offset_ns).saturating_sub(window.range_ns).saturating_add(1);
    TimeRangeNs::new(TimestampNs(start), TimestampNs(last.saturating_sub(window.offset_ns).saturating_add(1)))
}

/// Returns the cover of everything the plan reads, or `None` where it reads nothing.
pub(crate) fn plan_range(node: &Node, grid: Grid) -> Option<TimeRangeMs> {
    let mut cover: Option<TimeRangeMs> = None;
    visit(node, grid, &mut |range| cover = Some(cover.map_or(range, |known: TimeRangeMs| known.union(range))));
    cover
}

fn visit(node: &Node, grid: Grid, found: &mut dyn FnMut(TimeRangeMs)) {
    match node {
        Node::Literal(_) | Node::Text(_) => {}
        Node::Instant(select) => found(select_range(select, grid, select.lookback_ms)),
        Node::Range(RangeInput::Select { select, range_ms, .. }) => found(select_range(select, grid, *range_ms)),
        Node::Range(RangeInput::Subquery { node, range_ms, step_ms, offset_ms, at, .. }) => {
            visit(node, subquery_grid(grid, *range_ms, *step_ms, *offset_ms, *at), found);
        }
        Node::Call(call) => call.args.iter().for_each(|arg| visit(arg, grid, found)),
        Node::Aggregate(aggregate) => {
            visit(&aggregate.input, grid, found);
            if let Some(param) = &aggregate.param {
                visit(param, grid, found);
            }
        }
        Node::Binary(binary) => {
            visit(&binary.left, grid, found);
            visit(&binary.right, grid, found);
        }
        Node::Negate(inner, _) => visit(inner, grid, found),
        Node::StepInvariant(inner) => visit(inner, first_step(grid), found),
        Node::LogWindow(window) => found(log_window_range(window, grid).cover_ms()),
        Node::Logs(_) => found(TimeRangeNs::new(TimestampNs(grid.start), TimestampNs(grid.end)).cover_ms()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subqueries_stand_on_multiples_of_their_step() {
        let grid = Grid::range_ms(TimestampMs(100_000), TimestampMs(160_000), 60_000);
        let inner = subquery_grid(grid, 40_000, 30_000, 0, None);
        assert_eq!((inner.start, inner.end, inner.step), (90_000, 160_000, 30_000));
        let inner = subquery_grid(grid, 40_000, 30_000, 0, Some(TimestampMs(130_000)));
        assert_eq!((inner.start, inner.end), (120_000, 130_000));
    }
}
