//! The real engine's answers, compared with the plain model.

use super::ledger::RowId;
use super::rows::{self, RowKey};
use super::world::{World, part_name};
use engine::{Engine, EngineConfig};
use model::{Clock, Limits, Signal, TenantId};
use plan::{Answer, EvalOptions, LogicalPlan, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::simulation::Stage;

const DAY_MS: i64 = 86_400_000;

/// Asks for everything of one account, in a share of runs.
pub fn check_some(world: &World, stage: &Stage) {
    if world.schedule.draw(0..4) == 0 {
        check_all(world, stage);
    }
}

/// Asks the engine for everything of every account: each row once, with the value that wins.
pub fn check_all(world: &World, stage: &Stage) {
    for (tenant, signal) in world.accounts() {
        if let Some(found) = check(world, stage, &tenant, signal) {
            world.violated(found);
        }
    }
}

fn check(world: &World, stage: &Stage, tenant: &TenantId, signal: Signal) -> Option<String> {
    let snapshot = world.look(tenant, signal)?;
    // The engine does not know deletions yet: it is asked again once compaction has carried them out.
    if !snapshot.deletions.is_empty() {
        return None;
    }
    let shown: Vec<(String, Arc<[RowId]>)> = world.shown(tenant, signal, &snapshot);
    let expected = world.account(tenant, signal, |account| account.winners(&shown));
    let clock: Arc<dyn Clock> = Arc::new(world.schedule.harness());
    let config = EngineConfig { partitions: 1, ..EngineConfig::default() };
    let engine = Engine::new(config, world.shelf.objects(), world.true_manifest().clone(), clock);
    let answer = match plan_of(signal, world.schedule.now().0) {
        Ok(plan) => stage.at_once(engine.query(tenant, plan, &Limits::default())),
        Err(error) => return Some(format!("Q1: a plan was refused: {error}")),
    };
    let answer = match answer {
        Ok((answer, _)) => answer,
        Err(error) => return Some(format!("Q1: the engine failed: {error:?}")),
    };
    let damaged = world.account(tenant, signal, |account| account.damaged_segments.clone());
    let stray = answer.warnings.iter().find(|warning| !damaged.iter().any(|name| warning.contains(name.as_str())));
    if let Some(warning) = stray {
        return Some(format!("S2: the engine warned of what nobody damaged: {warning}"));
    }
    let is_warned = !answer.warnings.is_empty();
    let whole: Vec<_> = shown.iter().filter(|(name, _)| !damaged.contains(name)).cloned().collect();
    let undamaged = world.account(tenant, signal, |account| account.winners(&whole));
    let got = rows_of(answer);
    // Damage to bytes that mean nothing may leave a segment readable.
    let is_answered = |(key, value): (&RowKey, &u64)| got.get(key).is_some_and(|answered| answered >= value);
    let is_known = |(key, value): (&RowKey, &u64)| expected.get(key).is_some_and(|known| known >= value);
    let rest_is_answered = undamaged.iter().all(is_answered) && got.iter().all(is_known);
    if got == expected || is_warned && rest_is_answered {
        return None;
    }
    let missing = expected.iter().find(|(key, value)| got.get(*key) != Some(value));
    let extra = got.iter().find(|(key, value)| expected.get(*key) != Some(value));
    let holding = missing.map(|(key, _)| world.account(tenant, signal, |account| account.holding(&shown, key)));
    let parts: Vec<_> =
        snapshot.parts.iter().filter(|part| holding.iter().flatten().any(|name| *name == part_name(part))).collect();
    let text = |row: Option<(&RowKey, &u64)>| row.map(|(key, value)| format!("{} = {value:016x}", String::from_utf8_lossy(key)));
    let (answered, asked, missing, extra) = (got.len(), expected.len(), text(missing), text(extra));
    Some(format!(
        "Q2: {tenant} {signal}: the engine answers {answered} rows of {asked}: missing {missing:?}, extra {extra:?}; in {parts:?}"
    ))
}

fn plan_of(signal: Signal, now_ms: i64) -> Result<LogicalPlan, String> {
    match signal {
        Signal::Metrics => {
            let text = r#"{job="sim"}[10d]"#;
            let expr = promql::parse(text, &promql::Options::default()).map_err(|error| error.to_string())?;
            let at = model::TimestampMs(now_ms + DAY_MS);
            let params = promql::EvalParams { start: at, end: at, step_ms: 0, lookback_ms: 0, options: EvalOptions::default() };
            promql::lower(text, &expr, &params).map_err(|error| error.to_string())
        }
        Signal::Logs => {
            let text = r#"{job="sim"}"#;
            let expr = logql::parse(text).map_err(|error| error.to_string())?;
            let params = logql::Params {
                text: text.into(),
                start_ns: (now_ms - 9 * DAY_MS) * 1_000_000,
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

fn rows_of(answer: Answer) -> BTreeMap<RowKey, u64> {
    let mut got = BTreeMap::new();
    let mut add = |row: rows::Row| {
        got.insert(row.key, row.value);
    };
    match answer.value {
        Value::Ranges(series) => {
            for series in series {
                let samples = series.timestamps.iter().zip(&series.values);
                samples.for_each(|(at, value)| add(rows::sample(series.labels.encoded(), *at, *value)));
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
