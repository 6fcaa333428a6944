//! The real engine's answers, compared with the plain model; those from coarse copies in `copied`, those of replicas as
//! one in `replicas`.

mod copied;
mod replicas;

pub use replicas::ask as ask_deduplicated;

use super::actors::{Ended, within};
use super::ledger::RowId;
use super::mutation::{Mutation, Role};
use super::rows::{self, RowKey, RowValue};
use super::world::{World, part_name};
use engine::{Engine, EngineConfig, EngineError};
use manifest::Manifest;
use model::{Clock, CompileEntryFilter, EntryFilter, ErrorKind, Limits, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::{Answer, EvalOptions, LogicalPlan, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::Objects;
use testkit::simulation::{Process, Stage};

const DAY_MS: i64 = 86_400_000;
/// Days up to now that are asked for: no run takes as long.
const DAYS_ASKED: i64 = 40;

/// Asks for everything of one account, in a share of runs.
pub fn check_some(world: &World, stage: &Stage) {
    if world.schedule.draw(0..4) == 0 {
        check_everything(world, stage);
    }
    if world.scenario.copies {
        let question = world.schedule.draw(0..copied::QUESTIONS as u64) as usize;
        check_copies(world, stage, question..question + 1);
    }
    check_replicas(world, stage);
}

/// Asks the engine for everything of every account, and what copies are there for.
pub fn check_all(world: &World, stage: &Stage) {
    check_everything(world, stage);
    if world.scenario.copies {
        check_copies(world, stage, 0..copied::QUESTIONS);
    }
    check_replicas(world, stage);
}

fn check_replicas(world: &World, stage: &Stage) {
    let accounts = world.accounts().into_iter().filter(|(_, signal)| world.scenario.replicas && *signal == Signal::Metrics);
    for (tenant, _) in accounts {
        if let Some(found) = replicas::check(world, stage, &tenant) {
            world.violated(found);
        }
    }
}

fn check_copies(world: &World, stage: &Stage, questions: std::ops::Range<usize>) {
    let accounts = world.accounts().into_iter().filter(|(_, signal)| *signal == Signal::Metrics);
    for (tenant, _) in accounts {
        if let Some(found) = copied::check(world, stage, &tenant, questions.clone()) {
            world.violated(found);
        }
    }
}

/// Asks the engine for everything of every account: each row once, with the value that wins.
fn check_everything(world: &World, stage: &Stage) {
    for (tenant, signal) in world.accounts() {
        if let Some(found) = check(world, stage, &tenant, signal) {
            world.violated(found);
        }
    }
}

fn check(world: &World, stage: &Stage, tenant: &TenantId, signal: Signal) -> Option<String> {
    let snapshot = world.look(tenant, signal)?;
    let shown: Vec<(String, Arc<[RowId]>)> = world.shown(tenant, signal, &snapshot);
    let expected = world.account(tenant, signal, |account| account.winners(&shown));
    let engine = true_engine(world);
    let answered = match stage.at_once(everything(world, &engine, tenant, signal)) {
        Ok(answered) => answered,
        Err(error) => return Some(format!("Q1: the engine failed: {error:?}")),
    };
    let damaged = world.account(tenant, signal, |account| account.damaged_segments.clone());
    if let Some(found) = stray_warning(&answered.warnings, &damaged) {
        return Some(found);
    }
    let is_warned = !answered.warnings.is_empty();
    let whole: Vec<_> = shown.iter().filter(|(name, _)| !damaged.contains(name)).cloned().collect();
    let undamaged = world.account(tenant, signal, |account| account.winners(&whole));
    // Where raw data has gone, what is left of it in copies stands in for it; what that must be is checked of the copies.
    let is_raw = |(key, value): &(&RowKey, &RowValue)| !world.account(tenant, signal, |of| of.is_of_dropped_day(key, value));
    let got: BTreeMap<RowKey, RowValue> =
        answered.rows.iter().filter(is_raw).map(|(key, value)| (key.clone(), value.clone())).collect();
    // Damage to bytes that mean nothing may leave a segment readable.
    let is_answered = |(key, value): (&RowKey, &RowValue)| got.get(key).is_some_and(|answered| answered >= value);
    // Of a time with a float in one segment and a histogram in a damaged one, the float is answered, which is no row of what won.
    let is_known = |(key, value): (&RowKey, &RowValue)| {
        [&expected, &undamaged].iter().any(|of| of.get(key).is_some_and(|known| known >= value))
    };
    let rest_is_answered = undamaged.iter().all(is_answered) && got.iter().all(is_known);
    if got == expected || is_warned && rest_is_answered {
        return None;
    }
    let missing = expected.iter().find(|(key, value)| got.get(*key) != Some(value));
    let extra = got.iter().find(|(key, value)| expected.get(*key) != Some(value));
    let holding = missing.map(|(key, _)| world.account(tenant, signal, |account| account.holding(&shown, key)));
    let parts: Vec<_> =
        snapshot.parts.iter().filter(|part| holding.iter().flatten().any(|name| *name == part_name(part))).collect();
    let text =
        |row: Option<(&RowKey, &RowValue)>| row.map(|(key, value)| format!("{} = {value:?}", String::from_utf8_lossy(key)));
    let (answered, asked, missing, extra) = (got.len(), expected.len(), text(missing), text(extra));
    Some(format!(
        "Q2: {tenant} {signal}: the engine answers {answered} rows of {asked}: missing {missing:?}, extra {extra:?}; in {parts:?}"
    ))
}

/// What the engine answered.
struct Answered {
    rows: BTreeMap<RowKey, RowValue>,
    warnings: Vec<String>,
}

/// Asks the engine in a process, over whatever happens on the way to the stores.
pub async fn ask(world: &World, process: &Process, tenant: &TenantId, signal: Signal, limit_ms: u64) {
    let clock: Arc<dyn Clock> = Arc::new(process.clone());
    let engine = engine(world, world.objects(process), world.manifest(process, Role::Read), clock);
    let since = world.account(tenant, signal, |account| account.since());
    let Ended::Done(answer) = within(process, limit_ms, everything(world, &engine, tenant, signal)).await else { return };
    let answered = match answer {
        Ok(answered) => answered,
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) => return,
        Err(error) => return world.violated(format!("Q1: the engine failed under faults: {error:?}")),
    };
    world.schedule.note(process.id(), "answer", [tenant.as_str(), signal.as_str()], &answered.rows.len().to_string());
    let damaged = world.account(tenant, signal, |account| account.damaged_segments.clone());
    if let Some(found) = stray_warning(&answered.warnings, &damaged) {
        return world.violated(found);
    }
    world.check_answer(tenant, signal, &answered.rows, &since);
}

fn stray_warning(warnings: &[String], damaged: &BTreeSet<String>) -> Option<String> {
    let stray = warnings.iter().find(|warning| !damaged.iter().any(|name| warning.contains(name.as_str())));
    stray.map(|warning| format!("S2: the engine warned of what nobody damaged: {warning}"))
}

/// The engine over the stores as they are.
fn true_engine(world: &World) -> Engine {
    let clock: Arc<dyn Clock> = Arc::new(world.schedule.harness());
    engine(world, world.shelf.objects(), world.true_manifest().clone(), clock)
}

fn engine(world: &World, objects: Objects, manifest: Manifest, clock: Arc<dyn Clock>) -> Engine {
    let config = EngineConfig { partitions: 1, ..EngineConfig::default() };
    let language: CompileEntryFilter = match world.mutation {
        Some(Mutation::EngineIgnoresFilters) => |_| Ok(EntryFilter::new(|_, _, _| false)),
        _ => logql::entry_filter,
    };
    Engine::new(config, objects, manifest, clock).with_entry_filters(language)
}

/// Asks for all samples and exemplars, or all entries.
async fn everything(world: &World, engine: &Engine, tenant: &TenantId, signal: Signal) -> Result<Answered, EngineError> {
    let now_ms = world.schedule.now().0;
    let plan = plan_of(signal, now_ms).map_err(EngineError::Internal)?;
    let limits = Limits::default();
    let (answer, _) = engine.query(tenant, plan, &limits).await?;
    let mut answered = Answered { warnings: answer.warnings.clone(), rows: rows_of(answer) };
    if signal == Signal::Metrics {
        let range = TimeRangeMs::new(TimestampMs(now_ms - DAYS_ASKED * DAY_MS), TimestampMs(now_ms + DAY_MS));
        let found = engine.exemplars(tenant, &[], range, &limits).await?;
        answered.warnings.extend(found.warnings);
        let rows = found.items.iter().map(|(labels, exemplar)| rows::exemplar(labels.encoded(), exemplar));
        answered.rows.extend(rows.map(|row| (row.key, row.value)));
    }
    Ok(answered)
}

fn plan_of(signal: Signal, now_ms: i64) -> Result<LogicalPlan, String> {
    match signal {
        Signal::Metrics => {
            let text = format!(r#"{{job="sim"}}[{DAYS_ASKED}d]"#);
            let expr = promql::parse(&text, &promql::Options::default()).map_err(|error| error.to_string())?;
            let at = model::TimestampMs(now_ms + DAY_MS);
            let params = promql::EvalParams { start: at, end: at, step_ms: 0, lookback_ms: 0, options: EvalOptions::default() };
            promql::lower(&text, &expr, &params).map_err(|error| error.to_string())
        }
        Signal::Logs => {
            let text = r#"{job="sim"}"#;
            let expr = logql::parse(text).map_err(|error| error.to_string())?;
            let params = logql::Params {
                text: text.into(),
                start_ns: (now_ms - DAYS_ASKED * DAY_MS) * 1_000_000,
                end_ns: (now_ms + DAY_MS) * 1_000_000,
                step_ns: 0,
                instant: false,
                newest_first: false,
                limit: Limits::default().log_queries.lines_max,
                interval_ns: 0,
                approx_topk: false,
            };
            logql::lower(&expr, &params).map_err(|error| error.to_string())
        }
    }
}

fn rows_of(answer: Answer) -> BTreeMap<RowKey, RowValue> {
    let mut got = BTreeMap::new();
    let mut add = |row: rows::Row| {
        got.insert(row.key, row.value);
    };
    match answer.value {
        Value::Ranges(series) => {
            for series in series {
                let samples = series.timestamps.iter().zip(&series.values);
                samples.for_each(|(at, value)| add(rows::sample(series.labels.encoded(), *at, *value)));
                let histograms = series.histograms.iter();
                histograms.for_each(|of| add(rows::histogram(series.labels.encoded(), of.timestamp, &of.histogram)));
            }
        }
        Value::Streams(streams) => {
            for stream in streams {
                let entries = stream.entries.iter();
                entries.for_each(|entry| add(rows::entry(stream.labels.encoded(), entry.timestamp, &entry.line)));
            }
        }
        _ => {}
    }
    got
}
