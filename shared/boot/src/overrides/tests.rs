use super::*;
use model::limits::{DeletionMode, ElectionLimits};
use model::otlp::logs::{AttributeAction, action_of};
use std::time::Duration;

fn of(text: &str, tenant: &str) -> Limits {
    let limits = parse(text, Limits::default()).unwrap();
    Limits::clone(limits.of(&TenantId::parse(tenant).unwrap()))
}

#[test]
fn a_tenant_keeps_what_is_not_named() {
    let text = "
limits_config:
  reject_old_samples_max_age: 30d
  max_line_size: 64KB
overrides:
  team-a:
    max_line_size: 100
    max_line_size_truncate: true
    discover_service_name: [a, b]
    ingestion_rate_mb: 0.0001
  team-b: {reject_old_samples: false, max_query_length: 0, deletion_mode: filter-only, enforced_labels: 'x, y'}
";
    let (a, b, other) = (of(text, "team-a"), of(text, "team-b"), of(text, "other"));
    assert_eq!((a.logs.line_bytes_max, a.logs.line_truncated, a.logs.rate_bytes_max), (100, true, Some(104)));
    assert_eq!((b.logs.age_max, b.log_queries.range_max, b.log_queries.deletion), (None, None, DeletionMode::FilterOnly));
    assert_eq!((a.logs.service_labels, b.logs.labels_required), (vec!["a".to_owned(), "b".into()], vec!["x".into(), "y".into()]));
    let age = Some(Duration::from_secs(30 * 24 * 3600));
    assert_eq!((other.logs.age_max, a.logs.age_max, other.logs.line_bytes_max), (age, age, 65_536));
    assert_eq!(of("", "x"), Limits::default());
    assert_eq!(of("overrides: {x: {reject_old_samples: true}}", "x"), Limits::default());
}

#[test]
fn replicas_are_deduplicated_for_whom_the_file_says() {
    let text = "limits_config: {merge_replicas_after: 2d}\n\
                overrides: {a: {deduplicate_replicas: true, replica_labels: [pod], merge_replicas_after: 0}}";
    let (a, other) = (of(text, "a"), of(text, "b"));
    assert_eq!((a.replicas_merged_after, other.replicas_merged_after), (None, Some(Duration::from_secs(48 * 3600))));
    assert_eq!((a.replicas_deduplicated, a.replica_labels), (true, vec!["pod".to_owned()]));
    assert_eq!((other.replicas_deduplicated, other.replica_labels.len()), (false, 3));
}

#[test]
fn elections_are_mimirs_and_contradictions_are_named() {
    let text = "limits_config: {ha_replica_label: pod, ha_tracker_failover_timeout: 2m}\n\
                overrides: {a: {accept_ha_samples: true, ha_cluster_label: team, ha_max_clusters: 0, ha_tracker_update_timeout: 30s}}";
    let (a, other) = (of(text, "a").election, of(text, "b").election);
    assert_eq!((a.enabled, a.cluster_label.as_str(), a.replica_label.as_str(), a.clusters_max), (true, "team", "pod", None));
    let seconds =
        |election: &ElectionLimits| [election.update, election.update_jitter, election.failover].map(|span| span.as_secs());
    assert_eq!((seconds(&a), seconds(&other), other.enabled), ([30, 5, 120], [15, 5, 120], false));
    for (settings, part) in [
        ("ha_tracker_update_timeout: 25s", "limits of a: ha_tracker_failover_timeout must be a second longer"),
        ("ha_tracker_update_timeout: 1s", "limits of a: ha_tracker_update_timeout_jitter_max is longer"),
        ("ha_cluster_label: __replica__", "limits of a: ha_cluster_label and ha_replica_label are the same"),
    ] {
        let error = parse(&format!("overrides: {{a: {{{settings}}}}}"), Limits::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{settings}: {error}");
    }
}

#[test]
fn json_is_yaml_and_structures_are_read() {
    let text = r#"{"overrides": {
        "a": {"block_ingestion_until": "2030-01-01T00:00:00Z", "block_ingestion_status_code": 456},
        "b": {"blocked_queries": [{"pattern": ".*secret.*", "regex": true}, {"hash": 7}, {"pattern": "{a=\"b\"}", "types": "metric,filter"}]},
        "c": {"otlp_config": {"resource_attributes": {"ignore_defaults": true, "attributes_config": [
            {"action": "index_label", "regex": "k8s.*"}, {"action": "drop", "attributes": ["host.name"]}]}}}
    }}"#;
    let blocked = of(text, "a").logs.blocked.unwrap();
    assert_eq!((blocked.until.0, blocked.status), (1_893_456_000_000_000_000, 456));
    let queries = of(text, "b").log_queries.blocked;
    assert!(queries[0].pattern.as_ref().is_some_and(|pattern| pattern.is_match("{a=\"secret\"}")));
    assert_eq!((queries[1].hash, queries[2].text.as_deref()), (Some(7), Some("{a=\"b\"}")));
    assert_eq!(queries[2].types, ["metric", "filter"]);
    let resource = of(text, "c").logs.otlp.resource;
    assert_eq!(action_of(&resource, "k8s.pod.name"), AttributeAction::Label);
    assert_eq!(action_of(&resource, "host.name"), AttributeAction::Drop);
    assert_eq!(action_of(&resource, "service.name"), AttributeAction::Metadata);
}

#[test]
fn mistakes_are_named() {
    let chain = |text: &str| {
        let error = parse(text, Limits::default()).unwrap_err();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    for (text, part) in [
        ("limits_config: {max_line_sise: 1}", "unknown field `max_line_sise`"),
        ("limits_config: {max_line_size: 1x}", "not a number of bytes such as 256KB: \"1x\""),
        ("limits_config: {max_query_length: soon}", "not a duration such as 90s or 30d1h: \"soon\""),
        ("overrides: {a/b: {}}", "unsupported character"),
        ("limits_config: {blocked_queries: [{pattern: '(', regex: true}]}", "missing closing )"),
        ("limits_config: {otlp_config: {log_attributes: [{action: drop}]}}", "attributes or regex must be set"),
        ("limits_config: {otlp_config: {scope_attributes: [{action: index_label, regex: x}]}}", "only supported"),
        ("limits_config: [", "LAMELLA_LIMITS"),
    ] {
        let message = chain(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn rates_are_mimirs_and_ours() {
    let text = "limits_config: {request_rate: 10, ingestion_rate: 1000, ingestion_burst_size: 5000}\n\
                overrides: {a: {ingestion_rate: 0, body_bytes_rate: 1e6}, b: {ingestion_burst_size: 7}}";
    let limits = parse(text, Limits::default()).unwrap();
    let rate = |per_second, burst| Some(model::limits::Rate { per_second, burst });
    let of_all = limits.default_limits().rates;
    assert_eq!((of_all.requests, of_all.samples, of_all.bytes), (rate(10.0, 100.0), rate(1000.0, 5000.0), None));
    let of_a = limits.of(&TenantId::parse("a").unwrap()).rates;
    assert_eq!((of_a.requests, of_a.samples, of_a.bytes), (rate(10.0, 100.0), None, rate(1e6, 1e7)), "zero is no limit");
    let of_b = limits.of(&TenantId::parse("b").unwrap()).rates;
    assert_eq!((of_b.requests, of_b.samples), (rate(10.0, 100.0), rate(1000.0, 7.0)), "a burst of the rate of all");
    assert!(Limits::default().rates.is_unbounded());
}
