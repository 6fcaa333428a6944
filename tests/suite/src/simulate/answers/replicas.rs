//! What the engine answers of replicas as one, against elections over what is stored.

use super::super::actors::{Ended, within};
use super::super::mutation::Role;
use super::super::replicas::{LABEL, standing};
use super::super::rows::{self, RowKey, RowValue};
use super::super::world::World;
use super::{DAY_MS, DAYS_ASKED, engine, rows_of, true_engine};
use engine::{Engine, EngineError};
use model::time::HOUR_MS;
use model::{Clock, ErrorKind, Limits, Signal, TenantId, TimestampMs};
use plan::{EvalOptions, LogicalPlan};
use std::collections::BTreeMap;
use std::sync::Arc;
use testkit::simulation::{Process, Stage};

/// Samples by series without the label of replicas.
type One = BTreeMap<RowKey, RowValue>;

/// Asks for everything there is of raw samples, and for some hours of it, since an answer does not depend on its range; returns what is wrong
/// with an answer.
pub fn check(world: &World, stage: &Stage, tenant: &TenantId) -> Option<String> {
    let all = Asked::now(world, tenant)?;
    let some = all.some_hours(world, tenant);
    std::iter::once(all).chain(some).find_map(|asked| check_one(world, stage, tenant, &asked))
}

fn check_one(world: &World, stage: &Stage, tenant: &TenantId, asked: &Asked) -> Option<String> {
    match stage.at_once(asked.answer(&true_engine(world), tenant)) {
        Ok(got) => {
            world.ledger().seen.deduplicated += 1;
            differ(&got, &asked.expected).map(|found| format!("H1: {tenant}: {found}"))
        }
        Err(error) => Some(format!("Q1: the engine failed over replicas: {error:?}")),
    }
}

/// Asks in a process, over whatever happens on the way to the stores. Where meanwhile nothing was written, deleted or dropped, the answer is
/// what stood all the time, whatever was merged.
pub async fn ask(world: &World, process: &Process, tenant: &TenantId, limit_ms: u64) {
    let age = || world.account(tenant, Signal::Metrics, |account| account.age());
    let (Some(asked), before) = (Asked::now(world, tenant), age()) else { return };
    let clock: Arc<dyn Clock> = Arc::new(process.clone());
    let engine = engine(world, world.objects(process), world.manifest(process, Role::Read), clock);
    let Ended::Done(answer) = within(process, limit_ms, asked.answer(&engine, tenant)).await else { return };
    let got = match answer {
        Ok(got) => got,
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) => return,
        Err(_) if age() != before => return,
        Err(error) => return world.violated(format!("Q1: the engine failed over replicas under faults: {error:?}")),
    };
    world.schedule.note(process.id(), "answer", [tenant.as_str(), "replicas as one"], &got.len().to_string());
    let Some(expected) = asked.expected_now(world, tenant).filter(|_| age() == before) else { return };
    world.ledger().seen.deduplicated += 1;
    if let (Some(found), Some(_)) = (differ(&got, &asked.expected), differ(&got, &expected)) {
        world.violated(format!("H1: {tenant}: {found} (a reader's answer)"));
    }
}

/// A question and what stood when it was asked.
struct Asked {
    /// Nothing older is asked for: what has expired has copies, in which replicas cannot be told apart.
    after_ms: i64,
    at_ms: i64,
    expected: One,
}

impl Asked {
    /// `None`: something is damaged, and who stands follows from what cannot be read.
    fn now(world: &World, tenant: &TenantId) -> Option<Asked> {
        let now_ms = world.schedule.now().0;
        let dropped = world.account(tenant, Signal::Metrics, |account| account.dropped.last().copied());
        // An election looks at the hour before.
        let after_ms = dropped.map_or(now_ms - DAYS_ASKED * DAY_MS, |day| (day + 1) * DAY_MS + 2 * HOUR_MS);
        let asked = Asked { after_ms, at_ms: now_ms + DAY_MS, expected: One::new() };
        let expected = asked.expected_now(world, tenant)?;
        Some(Asked { expected, ..asked })
    }

    /// Draws up to twelve hours of the last three days.
    fn some_hours(&self, world: &World, tenant: &TenantId) -> Option<Asked> {
        let at_ms = self.at_ms - DAY_MS - world.schedule.draw(0..3 * DAY_MS as u64) as i64;
        let after_ms = (at_ms - world.schedule.draw(1..12 * HOUR_MS as u64) as i64).max(self.after_ms);
        let asked = Asked { after_ms, at_ms, expected: One::new() };
        let expected = asked.expected_now(world, tenant).filter(|_| after_ms < at_ms)?;
        Some(Asked { expected, ..asked })
    }

    fn expected_now(&self, world: &World, tenant: &TenantId) -> Option<One> {
        let snapshot = world.look(tenant, Signal::Metrics)?;
        let shown = world.shown(tenant, Signal::Metrics, &snapshot);
        let samples = world.account(tenant, Signal::Metrics, |account| {
            let is_whole = account.damaged_segments.is_empty();
            is_whole.then(|| account.samples(shown.iter().flat_map(|(_, rows)| rows.iter())))
        });
        let stands = standing(&samples?).into_iter().filter(|((_, at), _)| self.after_ms < *at && *at <= self.at_ms);
        let answered = stands.filter(|(_, (_, value))| !value.is_stale());
        Some(answered.map(|((group, at), (_, value))| (rows::sample(group.encoded(), at, 0.0).key, value)).collect())
    }

    async fn answer(&self, engine: &Engine, tenant: &TenantId) -> Result<One, EngineError> {
        let plan = self.plan().map_err(EngineError::Internal)?;
        Ok(rows_of(engine.query(tenant, plan, &Limits::default()).await?.0))
    }

    fn plan(&self) -> Result<LogicalPlan, String> {
        let text = format!(r#"{{job="sim"}}[{}ms]"#, self.at_ms - self.after_ms);
        let expr = promql::parse(&text, &promql::Options::default()).map_err(|error| error.to_string())?;
        let options = EvalOptions { replica_labels: vec![LABEL.to_owned()], ..EvalOptions::default() };
        let at = TimestampMs(self.at_ms);
        let params = promql::EvalParams { start: at, end: at, step_ms: 0, lookback_ms: 0, options };
        promql::lower(&text, &expr, &params).map_err(|error| error.to_string())
    }
}

fn differ(got: &One, expected: &One) -> Option<String> {
    let missing = expected.iter().find(|(key, value)| got.get(*key) != Some(value));
    let extra = got.iter().find(|(key, value)| expected.get(*key) != Some(value));
    let text =
        |row: Option<(&RowKey, &RowValue)>| row.map(|(key, value)| format!("{} = {value:?}", String::from_utf8_lossy(key)));
    let (missing, extra, answered, asked) = (text(missing), text(extra), got.len(), expected.len());
    (got != expected)
        .then(|| format!("of replicas as one {answered} samples of {asked} are answered: missing {missing:?}, extra {extra:?}"))
}
