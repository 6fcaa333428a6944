//! Log queries about several tenants: each line says whose it is, the limit is of all, and numbers are added up over tenants.

use engine::{Volume, VolumeBy, VolumeKey, VolumeQuery};
use model::{LabelSet, Limits, Matcher, TenantId, TimeRangeNs, TimestampNs};
use plan::value::Entry;
use plan::{StreamEntries, Value};

use crate::data::{SPAN_NS, T0_NS, generate};
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

async fn volumes(world: &World, tenants: &[TenantId], matchers: &str, by: VolumeBy) -> Vec<(VolumeKey, Volume)> {
    let matchers: Vec<Matcher> = logql::parse_matchers(matchers).unwrap();
    let intervals = vec![TimeRangeNs::new(TimestampNs(T0_NS), TimestampNs(T0_NS + SPAN_NS))];
    let query = VolumeQuery { matchers, intervals, by, sums_max: 1000 };
    let found = world.engines[1].volumes(tenants, &query, &Limits::default()).await.unwrap();
    assert!(!found.truncated && found.warnings.is_empty());
    found.items.into_iter().map(|sum| (sum.key, sum.volumes[0])).collect()
}

fn added(one: Vec<(VolumeKey, Volume)>, other: Vec<(VolumeKey, Volume)>) -> Vec<(VolumeKey, Volume)> {
    let mut sums: std::collections::BTreeMap<VolumeKey, Volume> = one.into_iter().collect();
    for (key, volume) in other {
        let sum = sums.entry(key).or_default();
        sum.streams += volume.streams;
        sum.chunks += volume.chunks;
        sum.entries += volume.entries;
        sum.bytes += volume.bytes;
    }
    sums.into_iter().collect()
}

#[tokio::test]
async fn volumes_of_several_tenants_are_added_up() {
    let (a, b) = ([tenant("a")], [tenant("b")]);
    let both = [tenant("a"), tenant("b")];
    let app = || Some(vec!["app".to_owned()]);
    for layout in Layout::ALL {
        let (world, _) = two(layout).await;
        for by in
            [VolumeBy::Nothing, VolumeBy::Series(app()), VolumeBy::Series(None), VolumeBy::Labels(None), VolumeBy::Labels(app())]
        {
            let of = async |tenants: &[TenantId], matchers: &str| volumes(&world, tenants, matchers, by.clone()).await;
            let own = of(&a, r#"{app=~".+"}"#).await;
            assert!(own.iter().any(|(_, volume)| volume.entries > 0.0), "{layout:?} {by:?}: nothing to add up");
            let sum = added(own.clone(), of(&b, r#"{app=~".+"}"#).await);
            assert_eq!(of(&both, r#"{app=~".+"}"#).await, sum, "{layout:?} {by:?}");
            assert_eq!(of(&both, r#"{app=~".+", __tenant_id__="a"}"#).await, own, "{layout:?} {by:?}: a matcher chooses tenants");
        }
    }
}

#[tokio::test]
async fn volumes_say_whose_they_are_where_that_is_asked() {
    let (world, _) = two(Layout::Mixed).await;
    let by = || VolumeBy::Series(Some(vec!["__tenant_id__".to_owned()]));
    let mut each = Vec::new();
    for name in ["a", "b"] {
        let all = volumes(&world, &[tenant(name)], r#"{app=~".+"}"#, VolumeBy::Series(Some(Vec::new()))).await;
        each.push((VolumeKey::Series(LabelSet::from_pairs([("__tenant_id__", name)])), all[0].1));
    }
    assert_eq!(volumes(&world, &[tenant("a"), tenant("b")], r#"{app=~".+"}"#, by()).await, each);
}

#[tokio::test]
async fn patterns_are_of_the_lines_of_all_tenants() {
    let stream = |lines: i64| {
        let entry = |index: i64| Entry {
            timestamp: T0_NS + index * 1_000_000_000,
            line: format!("order {index} was sold today").into_bytes(),
            metadata: LabelSet::empty(),
            parsed: LabelSet::empty(),
        };
        vec![StreamEntries { labels: LabelSet::from_pairs([("app", "till")]), entries: (0..lines).map(entry).collect() }]
    };
    let world = World::filled_for(Layout::Fresh, &[(tenant("a"), stream(30)), (tenant("b"), stream(50))]).await;
    let range = TimeRangeNs::new(TimestampNs(T0_NS), TimestampNs(T0_NS + SPAN_NS));
    for (tenants, lines) in [(&["a"][..], 30), (&["a", "b"], 80)] {
        let tenants: Vec<TenantId> = tenants.iter().map(|name| tenant(name)).collect();
        let matchers = [Matcher::equal("app", "till")];
        let found = world.engines[1].patterns(&tenants, &matchers, range, 600_000, &Limits::default()).await.unwrap();
        let [pattern] = &found.items[..] else { panic!("{:?}", found.items) };
        assert_eq!(pattern.text, "order <_> was sold today");
        assert_eq!(pattern.samples.iter().map(|(_, lines)| lines).sum::<u64>(), lines);
    }
}
