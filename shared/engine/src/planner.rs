//! Selectors and float windows → physical operators. Tails are opened here, samples are not read.

use std::sync::Arc;

use datafusion_physical_plan::ExecutionPlan;
use manifest::Part;
use model::{MatchOp, Matcher, TimeRangeMs, TimestampMs};
use plan::Grid;
use plan::logical::{Call, Extension, Function, LogWindow, Node, RangeInput, Select};
use segment::{logs, metrics};

use crate::EngineError;
use crate::cache::TailCache;
use crate::context::QueryContext;
use crate::exec::log_window::LogWindowExec;
use crate::exec::scan::{Leaf, SegmentScanExec};
use crate::exec::window::{Pick, WindowExec};
use crate::kernels::{Windows, is_supported};
use crate::ranges::select_range;

/// What planning needs.
pub(crate) struct Planner<'a> {
    pub(crate) context: &'a Arc<QueryContext>,
    pub(crate) parts: Arc<Vec<Part>>,
    pub(crate) metric_tails: &'a TailCache<metrics::Index>,
    pub(crate) log_tails: &'a Arc<TailCache<logs::Index>>,
    pub(crate) partitions: usize,
}

pub(crate) type Plan = Arc<dyn ExecutionPlan>;

/// A window over the floats of a selector, which the operators slide themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatWindow<'n> {
    select: &'n Select,
    pick: Pick,
    length_ms: i64,
}

/// Recognises a node that is a window over floats; where names are dropped, only over one metric, so that no two series
/// can end up with the same labels.
pub(crate) fn float_window(node: &Node) -> Option<FloatWindow<'_>> {
    match node {
        Node::Instant(select) if select.extension == Extension::None => {
            Some(FloatWindow { select, pick: Pick::Newest, length_ms: select.lookback_ms })
        }
        Node::Call(call) => range_window(call),
        _ => None,
    }
}

fn range_window(call: &Call) -> Option<FloatWindow<'_>> {
    let [Node::Range(RangeInput::Select { select, range_ms, .. })] = &call.args[..] else { return None };
    let keeps_name = matches!(call.function, Function::LastOverTime | Function::FirstOverTime);
    let fits = is_supported(call.function) && select.extension == Extension::None && *range_ms > 0;
    let span = call.arg_spans.first().copied().unwrap_or(call.span);
    let window = FloatWindow { select, pick: Pick::Function(call.function, span), length_ms: *range_ms };
    (fits && (keeps_name || names_one_metric(&select.matchers))).then_some(window)
}

fn names_one_metric(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|m| m.name() == "__name__" && m.op() == MatchOp::Equal && !m.value().is_empty())
}

impl Planner<'_> {
    /// Plans a window over floats; also says how many series it reads.
    pub(crate) async fn window(&self, window: FloatWindow<'_>, grid: Grid) -> Result<(Plan, usize), EngineError> {
        let range = select_range(window.select, grid, window.length_ms);
        let (scan, series) = self.scan(window.select.matchers.clone(), range).await?;
        let windows = windows(grid, window.select.offset_ms, window.select.at, window.length_ms);
        Ok((Arc::new(WindowExec::new(Arc::clone(self.context), scan, window.pick, windows, grid)), series))
    }

    /// Plans the scan of a selector; also says how many series it reads.
    pub(crate) async fn scan(&self, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<(Plan, usize), EngineError> {
        let leaf = Leaf::open(self.context, self.metric_tails, &self.parts, matchers, range).await?;
        let series = leaf.series_count();
        Ok((Arc::new(SegmentScanExec::new(Arc::clone(self.context), leaf, self.partitions)), series))
    }

    /// Plans a range aggregation over log entries.
    pub(crate) fn log_window(&self, window: &LogWindow, grid: Grid) -> Plan {
        let (parts, tails) = (Arc::clone(&self.parts), Arc::clone(self.log_tails));
        Arc::new(LogWindowExec::new(Arc::clone(self.context), parts, tails, window, grid))
    }
}

fn windows(grid: Grid, offset_ms: i64, at: Option<TimestampMs>, range: i64) -> Windows {
    match at {
        Some(at) => Windows { first_end: at.0.saturating_sub(offset_ms), step: 0, range },
        None => Windows { first_end: grid.start.saturating_sub(offset_ms), step: grid.step, range },
    }
}
