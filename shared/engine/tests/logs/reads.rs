//! What a query reads, and what it leaves alone: figures of its stats.

use manifest::DeletionRequest;
use model::{Limits, Matcher, Signal, TenantId, TimeRangeMs, TimestampMs};
use plan::StreamEntries;

use crate::data::{SPAN_NS, T0_NS, generate};
use crate::random::Random;
use crate::world::{Layout, Memory, World};
use crate::{params, plan_of, said};

async fn stats_of(world: &World, text: &str, limit: usize) -> engine::QueryStats {
    let plan = plan_of(text, logql::Params { limit, ..params(text) }).unwrap();
    let (_, stats) = world.engines[0].query(&TenantId::anonymous(), plan, &Limits::default()).await.unwrap();
    stats
}

fn entries_of(streams: &[StreamEntries]) -> u64 {
    streams.iter().map(|stream| stream.entries.len() as u64).sum()
}

#[tokio::test]
async fn counts_read_no_lines() {
    let streams = generate(&mut Random::new(5));
    for layout in [Layout::Fresh, Layout::Merged] {
        let world = World::filled(layout, &streams).await;
        for text in [
            r#"sum(count_over_time({app=~".+"}[299s]))"#,
            r#"sum by (app) (rate({app=~".+"}[10m] offset 1s))"#,
            r#"sum by (app) (bytes_over_time({app=~".+"}[601s]))"#,
            r#"sum by (detected_level) (count_over_time({app=~".+"}[599s]))"#,
            r#"count_over_time({app=~".+"} | detected_level="error" [10m])"#,
        ] {
            let stats = stats_of(&world, text, 100).await;
            assert!(stats.entries > 0 && stats.lines == 0 && stats.line_bytes == 0, "{layout:?} {text}: {stats:?}");
        }
    }
}

#[tokio::test]
async fn counts_over_full_minutes_read_no_entry() {
    let streams = generate(&mut Random::new(5));
    let world = World::filled(Layout::Merged, &streams).await;
    for text in [
        r#"sum(count_over_time({app=~".+"}[5m]))"#,
        r#"sum by (app) (rate({app=~".+"}[10m]))"#,
        r#"sum by (app, pod) (bytes_over_time({app=~".+"}[30m] offset 3m))"#,
        r#"sum by (detected_level) (count_over_time({app=~".+"}[10m]))"#,
        r#"sum by (app, detected_level) (bytes_rate({app=~".+"}[2m]))"#,
        r#"absent_over_time({app=~".+"}[10m])"#,
    ] {
        let stats = stats_of(&world, text, 100).await;
        assert_eq!((stats.entries, stats.lines), (0, 0), "{text}: {stats:?}");
    }
    // Of windows that begin inside minutes those minutes alone are read.
    let (cut, all) = (r#"sum(count_over_time({app=~".+"}[9m30s]))"#, r#"count_over_time({app=~".+"}[10m])"#);
    let (cut, all) = (stats_of(&world, cut, 100).await, stats_of(&world, all, 100).await);
    assert!(0 < cut.entries && cut.entries * 5 < all.entries, "{} of {}", cut.entries, all.entries);
}

#[tokio::test]
async fn counts_of_minutes_are_held_to_the_limit_of_samples() {
    let world = World::filled(Layout::Merged, &generate(&mut Random::new(5))).await;
    let limits = Limits { query_samples_max: 3, ..Limits::default() };
    let text = r#"sum by (app) (count_over_time({app=~".+"}[5m]))"#;
    let answer = world.engines[0].query(&TenantId::anonymous(), plan_of(text, params(text)).unwrap(), &limits).await;
    assert!(matches!(answer, Err(engine::EngineError::TooManySamples { limit: 3 })));
}

#[tokio::test]
async fn a_limit_stops_the_walk() {
    let streams = generate(&mut Random::new(5));
    let world = World::filled(Layout::Fresh, &streams).await;
    let (few, all) = (stats_of(&world, r#"{app=~".+"}"#, 3).await, stats_of(&world, r#"{app=~".+"}"#, 5000).await);
    assert_eq!(all.entries, entries_of(&streams).min(all.entries));
    assert!(few.entries * 4 < all.entries, "{} of {} entries are looked at for three", few.entries, all.entries);
}

#[tokio::test]
async fn a_needle_that_is_nowhere_reads_no_row_group() {
    let streams = generate(&mut Random::new(5));
    let world = World::filled(Layout::Merged, &streams).await;
    for text in [
        r#"{app=~".+"} |= " nothinghere ""#,
        r#"{app=~".+"} |= " nothinghere " or " norhere ""#,
        r#"{app=~".+"} |~ "a .* nothinghere b""#,
        r#"sum(count_over_time({app=~".+"} |~ " (nothinghere|norhere) " [5m]))"#,
    ] {
        let stats = stats_of(&world, text, 100).await;
        assert!(stats.row_groups > 0 && stats.row_groups_pruned == stats.row_groups, "{text}: {stats:?}");
        assert_eq!((stats.entries, stats.lines), (0, 0), "{text}");
    }
    let stats = stats_of(&world, r#"{app=~".+"} |= " took=" or " nothinghere ""#, 100).await;
    assert!(stats.row_groups_pruned < stats.row_groups && stats.lines > 0, "{stats:?}");
}

#[tokio::test]
async fn explain_says_what_will_be_read() {
    let streams = generate(&mut Random::new(5));
    let world = World::filled(Layout::Merged, &streams).await;
    for (text, parts) in [
        (r#"{app="web"} |= " nothinghere ""#, ["LogScan: newest first, limit=5000, ", "rows=0"]),
        (r#"sum by (app) (rate({app="web"}[5m]))"#, ["LogWindowExec: rate, reads=times, segments=3 pruned=0 opened=3", "rows=0"]),
        (r#"bytes_rate({app="web"}[5m])"#, ["reads=lengths", "pruned_groups=0"]),
        (r#"count_over_time({app="web"} | json [5m])"#, ["reads=lines", "row_groups=3"]),
    ] {
        let plan = plan_of(text, params(text)).unwrap();
        let explained = world.engines[0].explain(&TenantId::anonymous(), &plan, &Limits::default()).await.unwrap();
        assert!(parts.iter().all(|part| explained.contains(part)), "{text}: {explained}");
    }
}

#[tokio::test]
async fn deleted_entries_are_left_out_whatever_the_layout() {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let streams = generate(&mut Random::new(9));
    let at = |ns: i64| TimestampMs((T0_NS + ns) / 1_000_000);
    let deleted = [
        ("web", TimeRangeMs::new(at(SPAN_NS / 4), at(SPAN_NS / 2)), None),
        ("web", TimeRangeMs::new(at(SPAN_NS / 3), at(SPAN_NS / 3 * 2)), None),
        ("web", TimeRangeMs::new(at(SPAN_NS / 2), at(SPAN_NS)), Some("e")),
        ("cron", TimeRangeMs::new(at(SPAN_NS / 5), at(SPAN_NS / 5 * 4)), Some("a")),
        ("db", TimeRangeMs::new(at(0), at(SPAN_NS + 1_000_000_000_000)), None),
    ];
    let mut left = streams.clone();
    for stream in &mut left {
        stream.entries.retain(|entry| {
            let at = TimestampMs(entry.timestamp.div_euclid(1_000_000));
            !deleted.iter().any(|(app, range, needle)| {
                let named = stream.labels.get("app") == Some(*app) && range.start <= at && at < range.end;
                named && needle.is_none_or(|needle| entry.line.windows(needle.len()).any(|at| at == needle.as_bytes()))
            })
        });
    }
    let memory = Memory(left);
    for layout in Layout::ALL {
        let world = World::filled(layout, &streams).await;
        for (app, range, needle) in &deleted {
            let filter = needle.map(|needle| format!("|= \"{needle}\""));
            let request = DeletionRequest { range: *range, matchers: vec![Matcher::equal("app", app)], filter };
            world.manifest.request_deletion(&tenant, Signal::Logs, request).await.unwrap();
        }
        for text in [
            r#"{app=~".+"}"#,
            r#"sum by (app) (count_over_time({app=~".+"}[10m]))"#,
            r#"bytes_over_time({app="web"} |= "e" [1h])"#,
        ] {
            let plan = plan_of(text, params(text)).unwrap();
            let expected = said(plan::reference::evaluate(&plan, &memory).map_err(|error| error.to_string()));
            for engine in &world.engines {
                let engine = engine.clone().with_entry_filters(logql::entry_filter);
                let found = engine.query(&tenant, plan.clone(), &limits).await.map(|(answer, _)| answer);
                assert_eq!(said(found.map_err(|error| error.to_string())), expected, "{layout:?}: {text}");
            }
        }
    }
}
