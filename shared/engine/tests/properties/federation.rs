//! A question about several tenants is answered as one about a tenant that has all their series, each with the label that says whose
//! it is.

use model::{LabelSet, Limits, MatchOp, Matcher, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::Series;

use crate::data::{SPAN_MS, T0};
use crate::random::Random;
use crate::world::{Layout, Memory, World};
use crate::{data, expressions, generated_plan, head, options, plan_of, said};

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// The series of all tenants as one tenant would have them.
fn united(tenants: &[(TenantId, Vec<Series>)]) -> Memory {
    let labelled = |tenant: &TenantId, series: &Series| {
        let own = series.labels.iter().map(|(name, value)| match name {
            "__tenant_id__" => ("original___tenant_id__", value),
            _ => (name, value),
        });
        Series { labels: LabelSet::from_pairs(own.chain([("__tenant_id__", tenant.as_str())])), ..series.clone() }
    };
    let mut all: Vec<Series> =
        tenants.iter().flat_map(|(tenant, series)| series.iter().map(move |one| labelled(tenant, one))).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Memory(all)
}

/// Two tenants with much in common; a label of one is called as the one that is put on.
fn two(random: &mut Random) -> Vec<(TenantId, Vec<Series>)> {
    let (first, mut second) = (data::generate(random), data::generate(random));
    for one in second.iter_mut().step_by(3) {
        one.labels = LabelSet::from_pairs(one.labels.iter().chain([("__tenant_id__", "own")]));
    }
    vec![(tenant("a"), first), (tenant("b"), second)]
}

const QUERIES: &[&str] = &[
    "sum by (__tenant_id__) ({__name__=~\".+\"})",
    "count by (__tenant_id__, original___tenant_id__) (last_over_time({__name__=~\".+\"}[10m]))",
    "count_over_time({__name__=~\".+\", __tenant_id__=\"b\"}[10m])",
    "last_over_time({__name__=~\".+\", __tenant_id__!~\"a|x\", original___tenant_id__=\"own\"}[10m])",
    "absent({__name__=~\".+\", __tenant_id__=\"c\"})",
    "absent_over_time({__name__=~\".+\", __tenant_id__=\"c\"}[5m])",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_tenants_answer_as_one_with_all_series() {
    let mut compared = 0;
    for seed in 0..3 {
        let mut random = Random::new(1000 + seed);
        let tenants = two(&mut random);
        let (names, memory) = (tenants.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), united(&tenants));
        for layout in Layout::ALL {
            let world = World::filled_for(layout, &tenants).await;
            let fixed = QUERIES.iter().map(|text| (text.to_string(), Some(plan_of(text, 600, 9000, 77)))).collect::<Vec<_>>();
            let generated = (0..30).map(|_| {
                let (text, options) = (expressions::generate(&mut random), options(&mut random));
                (text.clone(), generated_plan(&text, &mut random, options))
            });
            let all: Vec<_> = generated.chain(fixed).collect();
            for (text, plan) in all {
                let Some(plan) = plan else { continue };
                let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
                let engine = &world.engines[random.below(world.engines.len() as u64) as usize];
                let found = engine.query(&names, plan.clone(), &Limits::default()).await;
                let found = said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()));
                let both = (format!("{found:?}"), format!("{expected:?}"));
                assert!(found == expected, "seed {seed}, {layout:?}: {text}\n  {}\n  {}", head(&both.0), head(&both.1));
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} answers were compared");
}

#[tokio::test]
async fn lookups_say_whose_series_are() {
    let tenants = two(&mut Random::new(7));
    let memory = united(&tenants);
    let (world, names) = (World::filled_for(Layout::Mixed, &tenants).await, [tenant("a"), tenant("b")]);
    let (engine, limits) = (&world.engines[0], Limits::default());
    let range = TimeRangeMs::new(TimestampMs(T0), TimestampMs(T0 + SPAN_MS));
    let sets = |matchers: &[Matcher]| [matchers.to_vec()];
    let of = |matchers: &[Matcher]| {
        let found = memory.0.iter().filter(|one| matchers.iter().all(|matcher| matcher.matches_labels(&one.labels)));
        found.map(|one| one.labels.clone()).collect::<Vec<_>>()
    };
    let asked = [
        vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
        vec![Matcher::equal("__tenant_id__", "b")],
        vec![Matcher::equal("__tenant_id__", "c")],
        vec![Matcher::new("original___tenant_id__", MatchOp::NotEqual, "").unwrap()],
    ];
    for matchers in asked {
        let expected = of(&matchers);
        let found = engine.series(&names, Signal::Metrics, &sets(&matchers), range, None, &limits).await.unwrap();
        assert_eq!(found.items, expected, "{matchers:?}");
        let values = async |name: &str| {
            engine.label_values(&names, Signal::Metrics, name, &sets(&matchers), range, None, &limits).await.unwrap().items
        };
        let retained = if expected.iter().any(|one| one.get("original___tenant_id__").is_some()) { vec!["own"] } else { vec![] };
        assert_eq!(values("original___tenant_id__").await, retained, "{matchers:?}");
    }
    let all = engine.label_names(&names, Signal::Metrics, &[], range, None, &limits).await.unwrap().items;
    assert!(all.iter().any(|name| name == "__tenant_id__") && all.iter().any(|name| name == "original___tenant_id__"), "{all:?}");
    let one = engine.label_names(&names[0], Signal::Metrics, &[], range, None, &limits).await.unwrap().items;
    assert!(one.iter().all(|name| !name.contains("tenant_id")), "{one:?}");
    let tenants_of = async |matchers: &[Matcher]| {
        let found = engine.label_values(&names, Signal::Metrics, "__tenant_id__", &sets(matchers), range, None, &limits).await;
        found.unwrap().items
    };
    assert_eq!(tenants_of(&[]).await, ["a", "b"]);
    assert_eq!(tenants_of(&[Matcher::new("__tenant_id__", MatchOp::NotEqual, "a").unwrap()]).await, ["b"]);
}
