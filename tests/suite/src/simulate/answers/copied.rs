//! What the engine answers by the hour, of samples or of copies as it likes, against windows of the plain model.

use super::super::copies::{COARSE, Content, Held, label_set, windows_of};
use super::super::world::World;
use super::{DAY_MS, stray_warning, true_engine};
use manifest::{Part, Snapshot, Window as Day};
use model::labels::METRIC_NAME;
use model::time::HOUR_MS;
use model::windowed::{Window, end_of};
use model::{LabelSet, Limits, Resolution, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::{EvalOptions, LogicalPlan, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use testkit::simulation::Stage;

/// A function over the samples of an hour, and what a window answers to it.
type Function = (&'static str, fn(&Window) -> f64);

const FUNCTIONS: [Function; 7] = [
    ("count_over_time", |of| of.count as f64),
    ("min_over_time", |of| of.min),
    ("max_over_time", |of| of.max),
    ("last_over_time", |of| of.last),
    ("sum_over_time", Window::total),
    ("resets", |of| f64::from(of.resets)),
    ("changes", |of| f64::from(of.changes)),
];

/// Their answers from windows are not always exact: sums round, and changes between native histograms are not counted. What is not exact is
/// asked again, of samples or else of the finest copy.
const ASKED_AGAIN: [&str; 2] = ["sum_over_time", "changes"];

/// What the engine says of an answer that was asked again and is not exact all the same.
const NOT_EXACT: &str = "PromQL info: answer is not exact, windows of ";

/// A metric of which copies hold windows, and one of which they hold samples.
const NAMES: [&str; 2] = ["dense_total", "up"];

/// How many questions there are.
pub const QUESTIONS: usize = FUNCTIONS.len() * NAMES.len();

/// Windows of an hour by encoded labels; none of series with histograms.
type Hours = BTreeMap<Vec<u8>, Vec<Window>>;

/// What was answered, by labels without the name and time.
type Got = BTreeMap<(LabelSet, i64), f64>;

/// What is known of the hours. The two differ where a deletion took windows along and raw data is gone: a whole hour of the one copy, some
/// minutes of the other.
struct Known {
    /// By the coarsest copies that are left.
    coarsest: Hours,
    /// By the finest.
    finest: Hours,
}

/// Asks some of the questions; returns what is wrong with an answer.
pub fn check(world: &World, stage: &Stage, tenant: &TenantId, questions: Range<usize>) -> Option<String> {
    let snapshot = world.look(tenant, Signal::Metrics)?;
    let days = days_of(&snapshot);
    let (first, last) = (*days.first()?, *days.last()?);
    let damaged = world.account(tenant, Signal::Metrics, |account| account.damaged_segments.clone());
    // What of damaged segments is answered, the questions for everything check.
    let known = damaged.is_empty().then(|| Known::of(world, tenant, &snapshot, &days)).transpose();
    let known = match known {
        Ok(known) => known,
        Err(error) => return Some(error),
    };
    let (engine, limits) = (true_engine(world), Limits::default());
    for question in questions {
        let (name, (function, value)) = (NAMES[question % NAMES.len()], FUNCTIONS[question / NAMES.len()]);
        let text = format!("{function}({name}{{job=\"sim\"}}[1h])");
        let plan = match plan_of(&text, first * DAY_MS, (last + 2) * DAY_MS) {
            Ok(plan) => plan,
            Err(error) => return Some(format!("Q1: {text}: {error}")),
        };
        let (answer, stats) = match stage.at_once(engine.query(tenant, plan.clone(), &limits)) {
            Ok(answered) => answered,
            Err(error) => return Some(format!("Q1: {text}: the engine failed: {error:?}")),
        };
        world.ledger().seen.windows += stats.windows;
        // Others are about samples: floats and histograms in one range.
        let about_segments: Vec<String> = answer.warnings.into_iter().filter(|warning| warning.starts_with("segment ")).collect();
        if let Some(found) = stray_warning(&about_segments, &damaged) {
            return Some(found);
        }
        let unnamed = snapshot.lost.iter().find(|lost| !about_segments.iter().any(|warning| warning.contains(&lost.key)));
        if let Some(lost) = unnamed {
            return Some(format!("S2: {text}: nothing says that {} was lost", lost.key));
        }
        let got = answers(&answer.value, &plan);
        let is_exact = !answer.infos.iter().any(|info| info.starts_with(NOT_EXACT));
        match known.as_ref().map(|known| known.judge(&got, is_exact, name, (function, value))) {
            Some(Err(found)) => return Some(format!("D1: {tenant} {text}: {found}")),
            Some(Ok(is_finer)) => world.ledger().seen.finer += u64::from(is_finer),
            None => {}
        }
    }
    None
}

fn days_of(snapshot: &Snapshot) -> BTreeSet<i64> {
    snapshot.parts.iter().chain(&snapshot.coarse).map(|part| part.window.day()).collect()
}

fn plan_of(text: &str, start_ms: i64, end_ms: i64) -> Result<LogicalPlan, String> {
    let expr = promql::parse(text, &promql::Options::default()).map_err(|error| error.to_string())?;
    let (start, end, options) = (TimestampMs(start_ms), TimestampMs(end_ms), EvalOptions::default());
    let params = promql::EvalParams { start, end, step_ms: HOUR_MS, lookback_ms: 300_000, options };
    promql::lower(text, &expr, &params).map_err(|error| error.to_string())
}

impl Known {
    fn of(world: &World, tenant: &TenantId, snapshot: &Snapshot, days: &BTreeSet<i64>) -> Result<Known, String> {
        let [fine, coarse] = COARSE;
        let by = |copies: [Resolution; 2]| hours(world, tenant, snapshot, days, copies);
        Ok(Known { coarsest: by([coarse, fine])?, finest: by([fine, coarse])? })
    }

    /// Judges an answer as a whole: it is read by the hour of the coarsest copies, unless it was asked again. Returns whether only the finest
    /// say the same, or what is wrong.
    fn judge(&self, got: &Got, is_exact: bool, name: &str, (function, value): Function) -> Result<bool, String> {
        let of = |hours: &Hours| differ(got, hours, name, function, value);
        let may_be_finest = !is_exact || ASKED_AGAIN.contains(&function);
        match of(&self.coarsest) {
            None if is_exact => Ok(false),
            Some(found) if !may_be_finest => Err(found),
            of_coarsest => of(&self.finest).map_or(Ok(of_coarsest.is_some()), Err),
        }
    }
}

/// The windows of what every day still has: of samples where there are any, else of the first of these copies that it has.
fn hours(
    world: &World,
    tenant: &TenantId,
    snapshot: &Snapshot,
    days: &BTreeSet<i64>,
    copies: [Resolution; 2],
) -> Result<Hours, String> {
    let (mut hours, mut odd) = (Hours::new(), BTreeSet::new());
    for day in days {
        for (labels, held) in day_content(world, tenant, snapshot, *day, copies)? {
            let windows = match held {
                Held::Windows(windows) => Some(windows),
                Held::Samples(samples) => windows_of(&samples, HOUR_MS),
                Held::Thinned(_) => None,
            };
            let Some(windows) = windows else {
                odd.insert(labels);
                continue;
            };
            let hours = hours.entry(labels).or_default();
            windows.into_iter().for_each(|window| add(hours, window));
        }
    }
    hours.retain(|labels, _| !odd.contains(labels));
    Ok(hours)
}

/// Adds a window to that of its hour: finer ones, and the two that a day before and a day after midnight have of one.
fn add(hours: &mut Vec<Window>, window: Window) {
    let end = end_of(window.end, HOUR_MS);
    let window = Window { start: end - HOUR_MS, end, ..window };
    match hours.last_mut() {
        Some(last) if last.end == end => last.merge(&window),
        _ => hours.push(window),
    }
}

fn day_content(
    world: &World,
    tenant: &TenantId,
    snapshot: &Snapshot,
    day: i64,
    copies: [Resolution; 2],
) -> Result<Content, String> {
    let mut of_day = snapshot.clone();
    of_day.parts.retain(|part| part.window.day() == day);
    if !of_day.parts.is_empty() {
        let rows = world.shown(tenant, Signal::Metrics, &of_day);
        let rows = rows.iter().flat_map(|(_, rows)| rows.iter());
        let samples = world.account(tenant, Signal::Metrics, |account| account.samples(rows));
        return Ok(samples.into_iter().map(|(labels, samples)| (labels, Held::Samples(samples))).collect());
    }
    let deleted = |part: &Part, labels: &LabelSet| -> Vec<TimeRangeMs> {
        let requests = snapshot.deletions_for(part).into_iter().map(|deletion| &deletion.request);
        let named = requests.filter(|request| request.selects(labels));
        named.map(|request| request.range).collect()
    };
    let copies = copies.into_iter().filter_map(|resolution| snapshot.copy(day, resolution));
    let parts = copies.into_iter().find(|parts| !parts.is_empty()).unwrap_or_default();
    world.content(&parts, &deleted).map_err(|error| format!("D1: a copy of {} cannot be read: {error}", Day::Day(day)))
}

/// What was answered; nothing of what is absent.
fn answers(value: &Value, plan: &LogicalPlan) -> Got {
    let Value::Vector(series) = value else { return BTreeMap::new() };
    let grid = plan.grid;
    let of = |of: &plan::StepSeries| {
        let labels = nameless(&of.labels);
        let floats = of.values.floats.clone().into_iter().enumerate().filter(|(_, value)| !model::is_stale(*value));
        floats.map(move |(step, value)| ((labels.clone(), grid.start + step as i64 * grid.step), value)).collect::<Vec<_>>()
    };
    series.iter().flat_map(of).collect()
}

fn nameless(labels: &LabelSet) -> LabelSet {
    LabelSet::from_pairs(labels.iter().filter(|(name, _)| *name != METRIC_NAME))
}

fn differ(got: &Got, hours: &Hours, name: &str, function: &str, value: fn(&Window) -> f64) -> Option<String> {
    let labelled = hours.iter().map(|(labels, windows)| (label_set(labels), windows));
    let (mut known, mut expected) = (BTreeSet::new(), BTreeMap::new());
    for (labels, windows) in labelled.filter(|(labels, _)| labels.get(METRIC_NAME) == Some(name)) {
        let labels = nameless(&labels);
        known.insert(labels.clone());
        let windows = windows.iter().filter(|window| window.count > 0);
        expected.extend(windows.map(|window| ((labels.clone(), window.end), value(window))));
    }
    let missing = expected.iter().find(|(at, expected)| got.get(*at).is_none_or(|got| !is_same(*got, **expected, function)));
    if let Some(((labels, at), expected)) = missing {
        let got = got.get(&(labels.clone(), *at));
        return Some(format!("{labels} at {at} is {got:?}, expected is {expected}"));
    }
    let extra = got.keys().find(|at| known.contains(&at.0) && !expected.contains_key(*at));
    extra.map(|(labels, at)| format!("{labels} has an answer at {at} that nothing is known of"))
}

/// Compares bits, but of a sum that rounds: by the order in which it is added up, and in a copy to 24 bits (docs/0020).
fn is_same(got: f64, expected: f64, function: &str) -> bool {
    let is_near = function == "sum_over_time" && (got - expected).abs() <= 1e-6 * got.abs().max(expected.abs());
    got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan() || is_near
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample of a series in each of some hours.
    fn hours(values: &[f64]) -> Hours {
        let labels = LabelSet::from_pairs([(METRIC_NAME, "dense_total"), ("i", "a")]);
        let window = |(hour, value): (i64, &f64)| {
            let mut window = Window::empty((hour - 1) * HOUR_MS, hour * HOUR_MS);
            window.push(hour * HOUR_MS - 1, *value);
            window
        };
        Hours::from([(labels.encoded().to_vec(), (1..).zip(values).map(window).collect())])
    }

    fn got(values: &[f64]) -> Got {
        let labels = LabelSet::from_pairs([("i", "a")]);
        (1..).zip(values).map(|(hour, value)| ((labels.clone(), hour * HOUR_MS), *value)).collect()
    }

    /// A deletion took the second hour of the one copy, and some minutes of it of the other (seed 700422 led here).
    #[test]
    fn an_answer_is_of_the_coarsest_or_asked_again_of_the_finest() {
        let known = Known { coarsest: hours(&[0.5]), finest: hours(&[0.5, 0.7]) };
        let judge = |function: &str, values: &[f64], is_exact: bool| {
            let function = FUNCTIONS.into_iter().find(|(name, _)| *name == function).unwrap();
            known.judge(&got(values), is_exact, "dense_total", function)
        };
        assert_eq!(judge("sum_over_time", &[0.5], true), Ok(false));
        assert_eq!(judge("sum_over_time", &[0.5, 0.7], true), Ok(true));
        assert_eq!(judge("sum_over_time", &[0.5, 0.7], false), Ok(true));
        assert_eq!(judge("last_over_time", &[0.5], true), Ok(false));
        // Neither of the one nor of the other; the coarsest, though it says that it asked again; the finest, though nothing needs it.
        assert!(judge("sum_over_time", &[0.5, 0.8], false).is_err());
        assert!(judge("sum_over_time", &[0.5], false).is_err());
        assert!(judge("last_over_time", &[0.5, 0.7], true).is_err());
    }
}
