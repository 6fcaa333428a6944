//! What a query cost, told in headers and in the `stats` block.

use std::time::Duration;

use axum::response::Response;
use http::HeaderName;
use model::usage::Usage;
use plan::SampleCounts;
use wire::loki_api::Stats;

use crate::respond::set_header;
use crate::source::{Cost, Stages};

/// Requests, bytes and rows behind an answer.
pub const COST_HEADER: HeaderName = HeaderName::from_static("x-lamella-cost");
/// Time behind an answer, where browsers show it.
pub const TIMING_HEADER: HeaderName = HeaderName::from_static("server-timing");

/// What an evaluation cost and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// What that costs at list prices (`model::prices`), wherever it ran.
    pub dollars: f64,
    /// Requests, bytes, rows.
    pub cost: Cost,
    /// Samples or entries used.
    pub samples: SampleCounts,
    /// Most samples held at once.
    pub samples_peak: u64,
    /// Time until it had a place.
    pub queued: Duration,
    /// Time from then on.
    pub took: Duration,
}

/// Returns what Amazon bills for an evaluation; of a function its time as well.
pub fn usage(cost: &Cost, took: Duration, function_memory_mib: Option<u32>) -> Usage {
    Usage {
        object_gets: cost.requests as f64,
        // Records of a few KB: a request is a unit, rarely more.
        record_read_units: cost.record_requests as f64,
        ..Usage::of_invocation(function_memory_mib, took)
    }
}

/// Writes the cost into a response's headers.
pub fn stamped(mut response: Response, spent: &Spent) -> Response {
    let Cost { requests, record_requests: records, bytes, rows, segments, .. } = spent.cost;
    let dollars = spent.dollars;
    let cost =
        format!("requests={requests}, records={records}, bytes={bytes}, rows={rows}, segments={segments}, dollars={dollars:.10}");
    set_header(&mut response, COST_HEADER, &cost);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let Stages { snapshot, plan, scan, execute } = spent.cost.stages;
    let stages = [("snapshot", snapshot), ("plan", plan), ("scan", scan), ("execute", execute)];
    let all = [("queue", spent.queued), ("eval", spent.took)].into_iter().chain(stages);
    let timing: Vec<String> = all.map(|(stage, time)| format!("{stage};dur={:.3}", ms(time))).collect();
    set_header(&mut response, TIMING_HEADER, &timing.join(", "));
    response
}

/// Returns the JSON of Prometheus's `stats`, with ours beside it; any value of the parameter asks for it.
pub fn prometheus_stats(parameter: &str, spent: &Spent) -> Option<String> {
    if parameter.is_empty() {
        return None;
    }
    let (took, queued) = (spent.took.as_secs_f64(), spent.queued.as_secs_f64());
    let Cost { requests, record_requests, bytes, rows, segments, segments_considered, segments_pruned, .. } = spent.cost;
    let Cost { row_groups, pages, windows, stages: Stages { snapshot, plan, scan, execute }, .. } = spent.cost;
    Some(format!(
        concat!(
            "{{\"timings\":{{\"evalTotalTime\":{took},\"resultSortTime\":0,\"queryPreparationTime\":{prepared},\"innerEvalTime\":{inner},",
            "\"execQueueTime\":{queued},\"execTotalTime\":{total}}},",
            "\"samples\":{{\"totalQueryableSamples\":{queryable},\"samplesRead\":{read},\"peakSamples\":{peak}}},",
            "\"cost\":{{\"objectRequests\":{requests},\"recordRequests\":{record_requests},\"objectBytes\":{bytes},\"rows\":{rows},",
            "\"segments\":{segments},\"segmentsConsidered\":{considered},\"segmentsPruned\":{pruned},",
            "\"dollars\":{dollars:.10},\"rowGroups\":{row_groups},\"pages\":{pages},\"windows\":{windows},",
            "\"seconds\":{{\"snapshot\":{snapshot},\"plan\":{plan},\"scan\":{scan},\"execute\":{execute}}}}}}}"
        ),
        took = took,
        queued = queued,
        total = took + queued,
        queryable = spent.samples.queryable,
        read = spent.samples.read,
        peak = spent.samples_peak,
        requests = requests,
        bytes = bytes,
        rows = rows,
        segments = segments,
        dollars = spent.dollars,
        prepared = (snapshot + plan).as_secs_f64(),
        inner = took.max((snapshot + plan).as_secs_f64()) - (snapshot + plan).as_secs_f64(),
        record_requests = record_requests,
        considered = segments_considered,
        pruned = segments_pruned,
        row_groups = row_groups,
        pages = pages,
        windows = windows,
        snapshot = snapshot.as_secs_f64(),
        plan = plan.as_secs_f64(),
        scan = scan.as_secs_f64(),
        execute = execute.as_secs_f64()
    ))
}

/// Returns Loki's `stats`. `lines_kept` is 0 where nobody counted.
pub fn loki_stats(spent: &Spent, entries_returned: u64, lines_kept: u64) -> Stats {
    Stats {
        bytes_processed: spent.cost.row_bytes,
        lines_processed: spent.cost.rows,
        lines_kept,
        entries_returned,
        segments: spent.cost.segments,
        bytes_fetched: spent.cost.bytes,
        row_groups: spent.cost.row_groups,
        row_groups_pruned: spent.cost.row_groups_pruned,
        queue_time: spent.queued,
        exec_time: spent.took,
    }
}
