//! What dashboards ask, what each answer cost, and whether two are the same.

use std::time::Duration;

use anyhow::{Context, Result};
use engine::QueryStats;
use model::{Limits, Resolution, TimestampMs};
use plan::{EvalOptions, LogicalPlan};

use super::cpu_now;
use super::stores::World;
use crate::said::Said;

/// A panel: an expression in which `$w` is its step, over the last days.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    pub days: i64,
    pub step: &'static str,
    pub text: &'static str,
}

/// Expressions of a dashboard; each is asked of 180 days, of 30 and of 7.
const TEXTS: [&str; 7] = [
    "sum by (cluster) (rate(app_requests_total[$w]))",
    "sum by (cluster) (increase(app_busy_seconds_total[$w]))",
    "max by (cluster) (max_over_time(app_memory_bytes[$w]))",
    "avg by (cluster) (avg_over_time(app_memory_bytes[$w]))",
    "app_load",
    "sum({__name__=~\"app_.+\"})",
    "avg(avg_over_time(app_hit_ratio[$w]))",
];

/// Days and the step that a dashboard takes for them.
const RANGES: [(i64, &str); 3] = [(180, "6h"), (30, "1h"), (7, "15m")];

/// Returns all panels that fit into so many days.
pub fn panels(days: i64) -> Vec<Panel> {
    let ranges = RANGES.iter().filter(|(of, _)| *of <= days.max(7));
    ranges.flat_map(|(days, step)| TEXTS.map(|text| Panel { days: *days, step, text })).collect()
}

/// An answer and what it took.
pub struct Asked {
    pub said: Said,
    pub stats: QueryStats,
    pub cpu: Duration,
}

impl Asked {
    /// Returns bytes, requests, samples (windows) and CPU as columns of a table.
    pub fn cost(&self, with_windows: bool) -> String {
        let QueryStats { bytes_read, requests, samples, windows, .. } = self.stats;
        let rows = if with_windows { format!("{} | {windows}", samples.saturating_sub(windows)) } else { samples.to_string() };
        format!("{bytes_read} | {requests} | {rows} | {}", self.cpu.as_millis())
    }
}

impl Panel {
    /// Names it.
    pub fn title(&self) -> String {
        format!("{} d by {}: `{}`", self.days, self.step, self.expression())
    }

    /// Returns the expression as it is asked.
    pub fn expression(&self) -> String {
        self.text.replace("$w", self.step)
    }

    /// Asks it of the days before `end`, cold: nothing is kept from one question to the next.
    pub async fn ask(&self, world: &World, end: TimestampMs, resolution_max: Resolution) -> Result<Asked> {
        let options = EvalOptions { resolution_max, samples_max: usize::MAX, ..EvalOptions::default() };
        let start = TimestampMs(end.0 - self.days * 86_400_000);
        ask(world, &self.expression(), (start, end, self.step), options).await
    }
}

/// Asks an expression over a range of times.
pub async fn ask(
    world: &World,
    text: &str,
    (start, end, step): (TimestampMs, TimestampMs, &str),
    options: EvalOptions,
) -> Result<Asked> {
    let plan = plan(text, start, end, step, options)?;
    let engine = world.engine();
    let limits = Limits {
        query_samples_max: usize::MAX,
        query_memory_bytes_max: 8 << 30,
        query_requests_max: usize::MAX,
        query_timeout: Duration::from_secs(3600),
        ..Limits::default()
    };
    let before = cpu_now()?;
    let (answer, stats) = engine.query(&world.tenant, plan, &limits).await.with_context(|| format!("ask {text}"))?;
    let cpu = cpu_now()?.saturating_sub(before);
    Ok(Asked { said: Said::of(Ok(answer)), stats, cpu })
}

fn plan(text: &str, start: TimestampMs, end: TimestampMs, step: &str, options: EvalOptions) -> Result<LogicalPlan> {
    let expr = promql::parse(text, &promql::Options::all()).map_err(|error| anyhow::anyhow!("{text}: {error:?}"))?;
    let params =
        promql::EvalParams { start, end, step_ms: span_ms(step).map_err(anyhow::Error::msg)?, lookback_ms: 300_000, options };
    promql::lower(text, &expr, &params).map_err(|error| anyhow::anyhow!("{text}: {error:?}"))
}

/// Reads a duration as PromQL writes it, milliseconds.
///
/// # Errors
/// What is wrong with it.
pub fn span_ms(text: &str) -> Result<i64, String> {
    wire::prom_api::params::duration_units_ms(text).ok_or_else(|| format!("{text} is no duration"))
}
