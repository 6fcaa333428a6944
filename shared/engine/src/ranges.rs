//! Which stored times the leaves of a plan read, so that one snapshot serves them all.

use model::{TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use plan::Grid;
use plan::logical::{Extension, LogWindow, Node, RangeInput, Select};
use plan::reference::subquery_grid;

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
    if grid.is_empty() && !matches!(node, Node::Logs(_)) {
        return;
    }
    match node {
        Node::Literal(_) | Node::Text(_) => {}
        Node::Instant(select) => found(select_range(select, grid, select.lookback_ms)),
        Node::Range(RangeInput::Select { select, range_ms, .. }) => found(select_range(select, grid, *range_ms)),
        Node::Range(input @ RangeInput::Subquery { node, .. }) => visit(node, subquery_grid(input, &grid), found),
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
        Node::Negate(inner, _) | Node::Plus(inner) => visit(inner, grid, found),
        Node::StepInvariant(inner) if matches!(**inner, Node::Range(_)) => visit(inner, grid, found),
        Node::StepInvariant(inner) => visit(inner, first_step(grid), found),
        Node::LogWindow(window) => found(log_window_range(window, grid).cover_ms()),
        Node::Logs(_) => found(TimeRangeNs::new(TimestampNs(grid.start), TimestampNs(grid.end)).cover_ms()),
    }
}
