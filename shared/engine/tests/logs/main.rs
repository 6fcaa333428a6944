//! Log queries and range aggregations give the reference evaluator's answers, bit for bit, on generated entries and pipelines, over
//! every layout of segments, both directions, any limit and any number of workers.
//!
//! `LAMELLA_PROPERTY_CASES` runs more of them; a failure prints its seed.
#![allow(clippy::unwrap_used)]

mod data;
mod federation;
mod pipelines;
#[path = "../properties/random.rs"]
mod random;
mod reads;
mod world;

use model::{Limits, TenantId};
use plan::{Answer, LogicalPlan, Value};

use data::{SPAN_NS, T0_NS};
use random::Random;
use world::{Layout, Memory, World};

const CASES: u64 = 6;
const QUERIES_PER_CASE: usize = 60;

const SECOND_NS: i64 = 1_000_000_000;

fn plan_of(text: &str, params: logql::Params) -> Result<LogicalPlan, String> {
    let expr = logql::parse(text).map_err(|error| format!("{text}: {error}"))?;
    logql::lower(&expr, &params).map_err(|error| format!("{text}: {error}"))
}

/// Asks for everything, newest first.
pub fn params(text: &str) -> logql::Params {
    logql::Params {
        text: text.into(),
        start_ns: T0_NS,
        end_ns: T0_NS + SPAN_NS,
        step_ns: 600 * SECOND_NS,
        instant: false,
        newest_first: true,
        limit: 5000,
        interval_ns: 0,
        approx_topk: true,
    }
}

fn generated(text: &str, random: &mut Random) -> logql::Params {
    let mut second = || random.below((SPAN_NS / SECOND_NS) as u64) as i64 * SECOND_NS;
    let (start_ns, span_ns) = (T0_NS + second() / 2, second());
    // Steps on full minutes, or on none in particular.
    let (grain_ns, pace_ns) = [(60 * SECOND_NS, 60 * SECOND_NS), (1, 37 * SECOND_NS)][random.below(2) as usize];
    let start_ns = start_ns / grain_ns * grain_ns;
    let end_ns = start_ns + span_ns;
    let instant = text.contains("over_time") && random.below(4) == 0;
    logql::Params {
        start_ns,
        end_ns: if instant { start_ns } else { end_ns },
        step_ns: (1 + random.below(40) as i64) * pace_ns,
        instant,
        newest_first: random.below(2) == 0,
        limit: [1, 2, 3, 7, 20, 100, 5000][random.below(7) as usize],
        interval_ns: if random.below(5) == 0 { random.below(300) as i64 * SECOND_NS } else { 0 },
        ..params(text)
    }
}

/// Everything an answer says, with the bits of its floats.
pub fn said(answer: Result<Answer, String>) -> Result<Vec<String>, String> {
    Ok(match answer?.value {
        Value::Streams(streams) => {
            let entry = |entry: &plan::value::Entry| {
                let line = String::from_utf8_lossy(&entry.line).into_owned();
                format!("{} {line:?} {:?} {} {}", entry.timestamp, entry.line.len(), entry.metadata, entry.parsed)
            };
            let stream =
                |one: &plan::StreamEntries| format!("{} {:#?}", one.labels, one.entries.iter().map(entry).collect::<Vec<_>>());
            streams.iter().map(stream).collect()
        }
        Value::Vector(series) => {
            let bits = |floats: &[f64]| floats.iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
            series.iter().map(|one| format!("{} {:?}", one.labels, bits(&one.values.floats))).collect()
        }
        Value::Scalar(floats) => vec![format!("{floats:?}")],
        other => vec![format!("{other:?}")],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_queries_answer_as_the_reference_does() {
    let cases = std::env::var("LAMELLA_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let (mut compared, mut failed, mut empty, mut unplanned, mut wrong) = (0, 0, 0, 0, Vec::new());
    for seed in 0..cases {
        let mut random = Random::new(seed);
        let memory = Memory(data::generate(&mut random));
        let mut worlds = Vec::new();
        for layout in Layout::ALL {
            worlds.push((layout, World::filled(layout, &memory.0).await));
        }
        for _ in 0..QUERIES_PER_CASE {
            let text = pipelines::generate(&mut random);
            let params = generated(&text, &mut random);
            let Ok(plan) = plan_of(&text, params) else {
                unplanned += 1;
                continue;
            };
            let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            failed += usize::from(expected.is_err());
            empty += usize::from(expected.as_ref().is_ok_and(Vec::is_empty));
            for (layout, world) in &worlds {
                let engine = &world.engines[random.below(world.engines.len() as u64) as usize];
                let found = engine.query(&TenantId::anonymous(), plan.clone(), &Limits::default()).await;
                let found = said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()));
                if found != expected && wrong.len() < 5 {
                    let cut = |said: &Result<Vec<String>, String>| format!("{said:#?}").chars().take(1500).collect::<String>();
                    let (found, expected) = (cut(&found), cut(&expected));
                    wrong.push(format!("seed {seed}, {layout:?}: {text}\n{:?}\n{found}\nreference\n{expected}", plan.root));
                }
                compared += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let queries = cases as usize * QUERIES_PER_CASE;
    assert!(unplanned * 20 < queries, "{unplanned} of {queries} queries are refused");
    assert!(failed * 4 < queries && empty * 2 < queries, "{failed} errors and {empty} empty answers of {compared} say little");
}
