//! Expressions over every function, with ranges, steps, offsets and times that are aligned to windows or not.

use model::TimestampMs;
use plan::{EvalOptions, LogicalPlan};

use super::Random;
use super::data::{END_MS, START_MS};

const NAMES: [&str; 11] = [
    "steps_total",
    "seconds_total",
    "temperature",
    "constant",
    "toggles",
    "odd",
    "latency_seconds",
    "sizes_count",
    "mixed_total",
    "queue_depth",
    "layouts_total",
];
/// Those of native histograms.
const HISTOGRAMS: [&str; 5] = ["latency_seconds", "sizes_count", "mixed_total", "queue_depth", "layouts_total"];
const FUNCTIONS: [&str; 24] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "count_over_time",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "absent_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_min_over_time",
    "mad_over_time",
    "deriv",
    "quantile_over_time",
];
const MINUTE_MS: i64 = 60_000;

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// Makes an expression and its plan.
pub fn generate(random: &mut Random) -> (String, LogicalPlan) {
    let text = expression(random);
    let aligned = random.below(4) > 0;
    let unit = if aligned { pick(random, &[5 * MINUTE_MS, 60 * MINUTE_MS]) } else { 1_000 };
    let span = (END_MS - START_MS) / unit;
    let start = START_MS / unit * unit + random.below(span as u64) as i64 * unit;
    let step_ms = unit * (1 + random.below((30 * MINUTE_MS / unit).max(2) as u64) as i64);
    let instant = random.below(4) == 0;
    let end = if instant { start } else { (start + step_ms * random.below(40) as i64).min(END_MS + 60 * MINUTE_MS) };
    let lookback_ms = 5 * MINUTE_MS;
    let params = promql::EvalParams {
        start: TimestampMs(start),
        end: TimestampMs(end),
        step_ms: if instant { 0 } else { step_ms },
        lookback_ms,
        options: EvalOptions { instant, ..EvalOptions::default() },
    };
    let expr = promql::parse(&text, &promql::Options::all()).expect("the generator writes PromQL");
    let plan = promql::lower(&text, &expr, &params).expect("the generator writes expressions with a plan");
    (text, plan)
}

fn expression(random: &mut Random) -> String {
    let selector = if random.below(6) == 0 { "{job=\"a\"}" } else { pick(random, &NAMES) };
    let offset = pick(random, &["", "", "", " offset 5m", " offset 1h", " offset 7m3s", " offset -5m"]);
    let leaf = match random.below(5) {
        0 => format!("{selector}{offset}"),
        1 if selector != "{job=\"a\"}" => format!("timestamp({selector}{offset})"),
        _ => {
            let (function, range) =
                (pick(random, &FUNCTIONS), pick(random, &["5m", "10m", "15m", "1h", "2h", "3h", "7m", "90s"]));
            let phi = if function == "quantile_over_time" { "0.5, " } else { "" };
            format!("{function}({phi}{selector}[{range}]{offset})")
        }
    };
    if HISTOGRAMS.contains(&selector) && random.below(3) == 0 {
        return match random.below(4) {
            0 => format!("histogram_quantile(0.9, {leaf})"),
            1 => format!("histogram_count({leaf})"),
            2 => format!("histogram_avg(sum({leaf}))"),
            _ => format!("histogram_fraction(0, 2, {leaf})"),
        };
    }
    match random.below(6) {
        0 => format!("sum by (job) ({leaf})"),
        1 => format!("max({leaf})"),
        2 => format!("max_over_time(({leaf})[1h:5m])"),
        _ => leaf,
    }
}
