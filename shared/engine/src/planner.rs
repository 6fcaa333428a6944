//! Selectors → physical operators. Tails are opened here, samples are not read.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion_physical_plan::ExecutionPlan;
use model::{Matcher, Resolution, TimeRangeMs};
use plan::logical::LogWindow;
use plan::pipeline::Extractor;
use plan::{Grid, resolution};
use segment::logs;

use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::exec::log_window::LogWindowExec;
use crate::exec::scan::SegmentScanExec;
use crate::exec::window::{Ask, WindowExec};
use crate::federation::{TenantParts, own_select};
use crate::leaf::{Caches, Leaf, Readable};
use crate::logs::LogScan;
use crate::logs::spans::Spans;
use crate::logs::windows as log_windows;
use crate::ranges::log_window_range;

/// What planning needs.
pub(crate) struct Planner<'a> {
    /// Of the first tenant: what is not a tenant's is the same in all.
    pub(crate) context: &'a Arc<QueryContext>,
    pub(crate) tenants: &'a [TenantParts],
    pub(crate) caches: &'a Arc<Caches>,
    pub(crate) log_tails: &'a Arc<Cache<logs::Index>>,
    pub(crate) partitions: usize,
    pub(crate) values_held_max: usize,
}

pub(crate) type Plan = Arc<dyn ExecutionPlan>;

impl<'a> Planner<'a> {
    /// Selects the series of a selector.
    pub(crate) async fn leaf(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRangeMs,
        coarsest: Resolution,
    ) -> Result<Leaf, EngineError> {
        let wanted = resolution::wanted(&self.context.options);
        let readable = |tenant: &'a TenantParts| {
            let chosen = tenant.context.sources().map(|sources| sources.parts(coarsest, wanted));
            Readable { context: &tenant.context, parts: chosen.map_or(Cow::Borrowed(&tenant.parts[..]), Cow::Owned) }
        };
        Leaf::open(self.context, self.caches, self.tenants.iter().map(readable).collect(), matchers, range).await
    }

    /// Plans windows over a leaf.
    pub(crate) fn window(&self, leaf: &Arc<Leaf>, ask: Ask, grid: Grid, histogram_stats: bool) -> WindowExec {
        let partitions = leaf.cut(self.partitions);
        WindowExec::new(Arc::clone(self.context), Arc::clone(leaf), ask, grid, histogram_stats, partitions)
    }

    /// Plans windows over a leaf, each partition what is decoded at a time: read in order, they come in the order of labels.
    pub(crate) fn window_in_order(&self, leaf: &Arc<Leaf>, ask: Ask, grid: Grid, histogram_stats: bool) -> WindowExec {
        let all: Vec<u32> = (0..leaf.series_count() as u32).collect();
        let partitions = leaf.chunks(&all, grid.len()).into_iter().map(|chunk| all[chunk].to_vec()).collect();
        WindowExec::new(Arc::clone(self.context), Arc::clone(leaf), ask, grid, histogram_stats, partitions)
    }

    /// Plans the scan of a leaf.
    pub(crate) fn scan(&self, leaf: &Arc<Leaf>) -> Plan {
        Arc::new(SegmentScanExec::new(Arc::clone(self.context), Arc::clone(leaf), self.partitions))
    }

    /// Plans a range aggregation over a tenant's log entries; the grid is not empty.
    pub(crate) async fn log_window(&self, tenant: &TenantParts, window: &LogWindow, grid: Grid) -> Result<Plan, EngineError> {
        let TenantParts { context, parts } = tenant;
        let extractor = Extractor::compile(window).map_err(|error| EngineError::Evaluation(error.to_string()))?;
        let range = log_window_range(window, grid);
        let (select, parts) = match own_select(context, &window.select) {
            Some(select) => (select, &parts[..]),
            // What it asks for is another tenant's: here is nothing.
            None => (Cow::Borrowed(&window.select), &[][..]),
        };
        let scan = LogScan::open(context, self.log_tails, parts, &select, range, extractor.pipeline()).await?;
        let spans = Spans::new(grid, window.offset_ns, window.range_ns);
        let ask = log_windows::Ask { window: window.clone(), extractor, spans };
        Ok(Arc::new(LogWindowExec::new(Arc::clone(context), scan, ask, self.partitions)?))
    }
}
