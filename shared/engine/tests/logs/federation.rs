//! Log queries about several tenants: each line says whose it is, the limit is of all, and numbers are added up over tenants.

use model::{LabelSet, Limits, TenantId};
use plan::{StreamEntries, Value};

use crate::data::generate;
use crate::random::Random;
use crate::world::{Layout, Memory, World};
use crate::{params, plan_of, said};

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn labelled(tenant: &str, labels: &LabelSet) -> LabelSet {
    LabelSet::from_pairs(labels.iter().chain([("__tenant_id__", tenant)]))
}

async fn two(layout: Layout) -> (World, Memory) {
    let (mut tenants, mut all) = (Vec::new(), Vec::new());
    for (name, seed) in [("a", 11), ("b", 12)] {
        let streams = generate(&mut Random::new(seed));
        all.extend(streams.iter().map(|one| StreamEntries { labels: labelled(name, &one.labels), ..one.clone() }));
        tenants.push((tenant(name), streams));
    }
    (World::filled_for(layout, &tenants).await, Memory(all))
}

async fn asked(world: &World, tenants: &[TenantId], text: &str, limit: usize) -> Result<Vec<String>, String> {
    let plan = plan_of(text, logql::Params { limit, ..params(text) }).unwrap();
    let found = world.engines[1].query(tenants, plan, &Limits::default()).await;
    said(found.map(|(answer, _)| answer).map_err(|error| error.to_string()))
}

#[tokio::test]
async fn numbers_are_those_of_one_tenant_with_all_streams() {
    let both = [tenant("a"), tenant("b")];
    for layout in Layout::ALL {
        let (world, memory) = two(layout).await;
        for text in [
            r#"sum(count_over_time({app=~".+"}[10m]))"#,
            r#"sum by (__tenant_id__) (count_over_time({app=~".+"}[10m]))"#,
            r#"sum by (app, __tenant_id__) (bytes_over_time({app=~".+"}[10m]))"#,
            r#"count_over_time({app=~".+", __tenant_id__="b"}[10m])"#,
            r#"count_over_time({app=~".+", __tenant_id__="c"}[10m])"#,
            r#"absent_over_time({app="nobody"}[10m])"#,
            r#"absent_over_time({app=~".+"}[10m])"#,
            r#"absent_over_time({app=~".+", __tenant_id__="c"}[10m])"#,
            r#"{app=~".+"}"#,
            r#"{app=~".+"} |= "e""#,
            r#"{__tenant_id__=~"b|c", app=~".+"}"#,
        ] {
            let expected = plan::reference::evaluate(&plan_of(text, params(text)).unwrap(), &memory);
            let expected = said(expected.map_err(|error| error.to_string()));
            assert_eq!(asked(&world, &both, text, 5000).await, expected, "{layout:?} {text}");
        }
    }
}

#[tokio::test]
async fn the_limit_is_of_all_tenants() {
    let (world, memory) = two(Layout::Mixed).await;
    let times = |answer: Value| {
        let Value::Streams(streams) = answer else { panic!("{answer:?}") };
        let mut times: Vec<i64> = streams.iter().flat_map(|one| &one.entries).map(|entry| entry.timestamp).collect();
        times.sort_unstable();
        times
    };
    for limit in [1, 7, 50] {
        for newest_first in [true, false] {
            let text = r#"{app=~".+"}"#;
            let plan = plan_of(text, logql::Params { limit, newest_first, ..params(text) }).unwrap();
            let expected = times(plan::reference::evaluate(&plan, &memory).unwrap().value);
            let found = world.engines[0].query(&[tenant("a"), tenant("b")][..], plan, &Limits::default()).await.unwrap().0;
            assert_eq!(times(found.value), expected, "{limit} {newest_first}");
        }
    }
}

#[tokio::test]
async fn an_interval_over_several_tenants_is_refused() {
    let (world, _) = two(Layout::Fresh).await;
    let text = r#"{app=~".+"}"#;
    let plan = plan_of(text, logql::Params { interval_ns: 1_000_000_000, ..params(text) }).unwrap();
    let refused = world.engines[0].query(&[tenant("a"), tenant("b")][..], plan, &Limits::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "an interval between lines of several tenants is not supported");
}
