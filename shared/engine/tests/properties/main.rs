//! The engine gives the reference evaluator's answers, bit for bit: values, order, warnings, infos, counts of samples and error
//! texts, on generated series and expressions, over every layout of segments and every split.
//!
//! `LAMELLA_PROPERTY_CASES` runs more of them; a failure prints its seed.
#![allow(clippy::unwrap_used)]

mod bounds;
mod data;
mod deletions;
mod expressions;
mod federation;
mod random;
mod replicas;
mod world;

use model::{Limits, TenantId, TimestampMs};
use plan::value::Series;
use plan::{Answer, EvalOptions, LogicalPlan, Value};

use random::Random;
use world::{Layout, Memory, World};

const CASES: u64 = 12;
const EXPRESSIONS_PER_CASE: usize = 60;

fn generated_plan(text: &str, random: &mut Random, options: EvalOptions) -> Option<LogicalPlan> {
    let expr = promql::parse(text, &promql::Options::all()).ok()?;
    let instant = random.below(4) == 0;
    let start = data::T0 + random.below(150) as i64 * 60_000;
    let (end, step_ms) =
        if instant { (start, 0) } else { (start + random.below(60) as i64 * 60_000, 13_000 * (1 + random.below(9) as i64)) };
    let options = EvalOptions { instant, ..options };
    let params = promql::EvalParams { start: TimestampMs(start), end: TimestampMs(end), step_ms, lookback_ms: 300_000, options };
    promql::lower(text, &expr, &params).ok()
}

/// Plans a text over a range of the data, seconds from its start.
pub fn plan_of(text: &str, start_s: i64, end_s: i64, step_s: i64) -> LogicalPlan {
    let expr = promql::parse(text, &promql::Options::all()).unwrap();
    let at = |seconds: i64| TimestampMs(data::T0 + seconds * 1000);
    let options = EvalOptions { instant: step_s == 0, ..EvalOptions::default() };
    let (start, end) = (at(start_s), at(end_s));
    promql::lower(text, &expr, &promql::EvalParams { start, end, step_ms: step_s * 1000, lookback_ms: 300_000, options }).unwrap()
}

fn options(random: &mut Random) -> EvalOptions {
    EvalOptions {
        delayed_name_removal: random.below(2) == 0,
        use_start_timestamps: random.below(3) == 0,
        type_and_unit_labels: random.below(6) == 0,
        samples_max: if random.below(8) == 0 { 50 + random.below(3000) as usize } else { 1_000_000 },
        ..EvalOptions::default()
    }
}

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(800)]
}

/// Start timestamps are no part of an answer; whether they were read depends on the options.
fn raw(series: &Series) -> String {
    let values: Vec<u64> = series.values.iter().map(|value| value.to_bits()).collect();
    let histograms: Vec<_> = series.histograms.iter().map(|sample| (sample.timestamp, &sample.histogram)).collect();
    format!("{} {:?} {values:?} {histograms:?}", series.labels, series.timestamps)
}

/// Values, warnings, infos and counts of the samples used of an answer as text.
type Said = (Vec<String>, Vec<String>, Vec<String>, String);

/// Everything an answer says, with the bits of its floats.
pub fn said(answer: Result<Answer, String>) -> Result<Said, String> {
    let answer = answer?;
    let bits = |floats: &[f64]| floats.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
    let value = match &answer.value {
        Value::Scalar(floats) => vec![format!("{:?}", bits(floats))],
        Value::Text(text) => vec![format!("{text:?}")],
        Value::Ranges(series) => series.iter().map(raw).collect(),
        Value::Vector(series) => {
            let one =
                |one: &plan::StepSeries| format!("{} {:?} {:?}", one.labels, bits(&one.values.floats), one.values.histograms);
            series.iter().map(one).collect()
        }
        Value::Streams(_) => vec!["streams".into()],
    };
    Ok((value, answer.warnings, answer.infos, format!("{:?}", answer.samples)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_expressions_answer_as_the_reference_does() {
    let cases = std::env::var("LAMELLA_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let (mut compared, mut failed, mut empty, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let series = data::generate(&mut random);
        let memory = Memory(series.clone());
        let mut worlds = Vec::new();
        for layout in Layout::ALL {
            worlds.push((layout, World::filled(layout, &series).await));
        }
        for _ in 0..EXPRESSIONS_PER_CASE {
            let text = expressions::generate(&mut random);
            let options = options(&mut random);
            let Some(plan) = generated_plan(&text, &mut random, options) else { continue };
            let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            failed += usize::from(expected.is_err());
            empty += usize::from(expected.as_ref().is_ok_and(|(value, ..)| value.is_empty()));
            for (layout, world) in &worlds {
                let engine = &world.engines[random.below(world.engines.len() as u64) as usize];
                let found = engine.query(&TenantId::anonymous(), plan.clone(), &Limits::default()).await;
                let found = said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()));
                if found != expected && wrong.len() < 10 {
                    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
                    let said = format!("{}\n  {}", head(&found), head(&expected));
                    wrong.push(format!("seed {seed}, {layout:?}: {text}\n{:?} {:?}\n  {said}", plan.grid, plan.options));
                }
                compared += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(compared > cases as usize * 100, "only {compared} answers were compared");
    assert!(failed * 3 < compared && empty * 4 < compared, "{failed} errors and {empty} empty answers of {compared} say little");
}
