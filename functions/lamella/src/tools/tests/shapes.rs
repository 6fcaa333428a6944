//! What programs see: the names and types of the JSON answers, as TOOLS.md documents them.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use serde_json::Value;

use super::world::World;
use crate::tools::output::{self, Answer};
use crate::tools::{inventory, manifest, ring, segments};

/// Lists every path with its type; what differs between elements of a list is listed with each type.
fn shape(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "none",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(items) => {
            return items.iter().for_each(|item| shape(&format!("{path}[]"), item, into));
        }
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            return fields.iter().for_each(|(name, field)| shape(&format!("{path}{dot}{name}"), field, into));
        }
    };
    into.insert(format!("{path} {kind}\n"));
}

fn check(answer: &impl Answer, expected: &Expect) {
    let json: Value = serde_json::from_str(&output::json(answer).expect("it is JSON")).expect("it is JSON");
    let mut paths = BTreeSet::new();
    shape("", &json, &mut paths);
    expected.assert_eq(&paths.into_iter().collect::<String>());
}

#[tokio::test]
async fn shapes_stay() {
    let world = World::small().await;
    let host = &world.host;
    check(
        &segments::ls::list(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        segments[].bytes number
        segments[].epoch number
        segments[].from_ms number
        segments[].id text
        segments[].key none
        segments[].key text
        segments[].level number
        segments[].minted_at_ms number
        segments[].quarantined bool
        segments[].resolution text
        segments[].rows number
        segments[].series number
        segments[].signal text
        segments[].slots[] number
        segments[].tail_offset number
        segments[].tenant text
        segments[].to_ms number
        segments[].window text
        total.bytes number
        total.from_ms number
        total.rows number
        total.segments number
        total.to_ms number
    "#]],
    );
    check(
        &segments::ls::summary(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        groups[].bytes number
        groups[].from_ms number
        groups[].level number
        groups[].resolution text
        groups[].rows number
        groups[].segments number
        groups[].signal text
        groups[].tenant text
        groups[].to_ms number
        total.bytes number
        total.from_ms number
        total.rows number
        total.segments number
        total.to_ms number
    "#]],
    );
    let listed = inventory::live(host, &Default::default()).await.expect("memory does not fail");
    let merged = listed.iter().max_by_key(|listed| listed.part.level).expect("the fixture has segments");
    let inspected = segments::inspect::inspect(host, merged, 12).await.expect("memory does not fail");
    check(
        &inspected,
        &expect![[r#"
        inside.bytes number
        inside.columns[].bytes number
        inside.columns[].encodings[] text
        inside.columns[].pages number
        inside.columns[].path text
        inside.columns[].physical text
        inside.columns[].uncompressed_bytes number
        inside.exemplars number
        inside.form text
        inside.label_names[] text
        inside.label_pairs number
        inside.metadata number
        inside.minute_counts number
        inside.row_groups[].bytes number
        inside.row_groups[].rows number
        inside.row_groups[].times[] number
        inside.rows number
        inside.series number
        inside.signal text
        inside.tail[][] number
        inside.tail[][] text
        inside.tail_offset number
        inside.times[] number
        inside.token_filters[] number
        inside.version number
        inside.window_ms none
        labels[].name text
        labels[].series number
        labels[].top_series number
        labels[].top_value text
        labels[].values number
        segment.bytes number
        segment.epoch number
        segment.from_ms number
        segment.id text
        segment.key text
        segment.level number
        segment.minted_at_ms number
        segment.quarantined bool
        segment.resolution text
        segment.rows number
        segment.series number
        segment.signal text
        segment.slots[] number
        segment.tail_offset number
        segment.tenant text
        segment.to_ms number
        segment.window text
    "#]],
    );
    check(
        &manifest::show::show(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
            days[].day text
            days[].hours[] number
            days[].open bool
            days[].packed bool
            days[].signal text
            days[].tenant text
            now_ms number
            windows[].burnt number
            windows[].heads[].bytes number
            windows[].heads[].dead number
            windows[].heads[].generation number
            windows[].heads[].leased_until_ms none
            windows[].heads[].pages number
            windows[].heads[].parts number
            windows[].heads[].published_at_ms number
            windows[].heads[].replaced number
            windows[].heads[].resolution text
            windows[].heads[].rows number
            windows[].heads[].sealed bool
            windows[].inline number
            windows[].items number
            windows[].replaced_items number
            windows[].signal text
            windows[].tenant text
            windows[].window text
        "#]],
    );
    check(
        &ring::show(host, None).await.expect("memory does not fail"),
        &expect![[r#"
        epochs[].active bool
        epochs[].epoch number
        epochs[].from none
        epochs[].groups number
        epochs[].sizes[] number
        epochs[].tenant text
    "#]],
    );
    check(
        &ring::plan(host, None).await.expect("memory does not fail"),
        &expect![[r#"
        plans[].change none
        plans[].fullest_percent number
        plans[].groups number
        plans[].tenant text
    "#]],
    );
    world.delete(&world.object(0).await).await;
    check(
        &manifest::verify::verify(host, &Default::default(), true).await.expect("memory does not fail"),
        &expect![[r#"
        findings[].key text
        findings[].kind text
        findings[].segment text
        findings[].signal text
        findings[].tenant text
        findings[].what text
        findings[].window text
        tenants[].dead number
        tenants[].inline number
        tenants[].live number
        tenants[].live_bytes number
        tenants[].quarantined number
        tenants[].read number
        tenants[].replaced number
        tenants[].signal text
        tenants[].tenant text
        tenants[].unnamed number
        tenants[].unnamed_bytes number
        tenants[].unnamed_old number
        tenants[].windows number
    "#]],
    );
}
