//! A tenant's limits by Loki's names: JSON for Logs Drilldown, YAML for people.

use std::time::Duration;

use model::Limits;
use model::otlp::logs::{AttributeAction, AttributeNames, AttributeRule, OtlpLogOptions};

use super::params::prometheus_duration;
use crate::json_text::{comma, string, strings, write_to};

/// Returns the answer to `/drilldown-limits`. `retention` is `None` where logs are kept for ever.
pub fn drilldown(limits: &Limits, retention: Option<Duration>, version: &str) -> Vec<u8> {
    let mut out = b"{\"limits\":{".to_vec();
    for (index, (name, value)) in settings(limits, retention).into_iter().enumerate() {
        comma(&mut out, index);
        string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(&value);
    }
    out.extend_from_slice(b"},\"pattern_ingester_enabled\":true,\"version\":");
    string(&mut out, version);
    out.extend_from_slice(b"}\n");
    out
}

/// Returns the answer to `/config/tenant/v1/limits`: a line per limit, its value in the flow style that YAML and JSON share.
pub fn yaml(limits: &Limits, retention: Option<Duration>, indent: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in settings(limits, retention) {
        write_to(&mut out, format_args!("{indent}{name}: "));
        out.extend_from_slice(&value);
        out.push(b'\n');
    }
    out
}

/// Returns the limits that clients may know, by name, each value as JSON.
fn settings(limits: &Limits, retention: Option<Duration>) -> Vec<(&'static str, Vec<u8>)> {
    let Limits { logs, log_queries, .. } = limits;
    vec![
        ("discover_log_levels", flag(logs.levels_detected)),
        ("discover_service_name", list(&logs.service_labels)),
        ("log_level_fields", list(&logs.level_fields)),
        ("max_entries_limit_per_query", number(log_queries.lines_max)),
        ("max_line_size_truncate", flag(logs.line_truncated)),
        ("max_query_bytes_read", text(&format!("{}B", log_queries.bytes_max.unwrap_or(0)))),
        ("max_query_length", duration(log_queries.range_max)),
        ("max_query_lookback", duration(log_queries.lookback_max)),
        ("max_query_range", duration(log_queries.window_max)),
        ("max_query_series", number(log_queries.series_max)),
        ("metric_aggregation_enabled", flag(false)),
        ("otlp_config", otlp(&logs.otlp)),
        ("pattern_persistence_enabled", flag(false)),
        ("query_timeout", duration(Some(limits.query_timeout))),
        ("retention_period", duration(retention)),
        ("volume_enabled", flag(log_queries.volume_enabled)),
        ("volume_max_series", number(log_queries.volume_series_max)),
    ]
}

fn flag(value: bool) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn number(value: usize) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, value);
    out
}

fn list(values: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    strings(&mut out, values.iter().map(String::as_str));
    out
}

/// A bound that is off is zero to Loki.
fn duration(value: Option<Duration>) -> Vec<u8> {
    text(&prometheus_duration(value.unwrap_or_default()))
}

fn otlp(options: &OtlpLogOptions) -> Vec<u8> {
    let OtlpLogOptions { resource, scope, record, severity_text_as_label } = options;
    let mut out = b"{\"resource_attributes\":{\"attributes_config\":".to_vec();
    rules(&mut out, resource);
    out.push(b'}');
    for (name, of) in [("scope_attributes", scope), ("log_attributes", record)].into_iter().filter(|(_, of)| !of.is_empty()) {
        write_to(&mut out, format_args!(",\"{name}\":"));
        rules(&mut out, of);
    }
    if *severity_text_as_label {
        out.extend_from_slice(b",\"severity_text_as_label\":true");
    }
    out.push(b'}');
    out
}

fn rules(out: &mut Vec<u8>, rules: &[AttributeRule]) {
    out.push(b'[');
    for (index, rule) in rules.iter().enumerate() {
        comma(out, index);
        let action = match rule.action {
            AttributeAction::Label => "index_label",
            AttributeAction::Metadata => "structured_metadata",
            AttributeAction::Drop => "drop",
        };
        write_to(out, format_args!("{{\"action\":\"{action}\""));
        match &rule.names {
            AttributeNames::Listed(names) => {
                out.extend_from_slice(b",\"attributes\":");
                strings(out, names.iter().map(String::as_str));
            }
            AttributeNames::Matching(pattern) => {
                out.extend_from_slice(b",\"regex\":");
                string(out, pattern.as_str());
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_lokis_names() {
        let mut limits = Limits::default();
        limits.log_queries.bytes_max = Some(7);
        let json: serde_json::Value = serde_json::from_slice(&drilldown(&limits, None, "3.7.6")).expect("valid JSON");
        assert_eq!(json["limits"]["max_query_length"], "30d1h");
        assert_eq!(json["limits"]["max_query_bytes_read"], "7B");
        assert_eq!(json["limits"]["retention_period"], "0s");
        assert_eq!(json["limits"]["otlp_config"]["resource_attributes"]["attributes_config"][0]["action"], "index_label");
        assert_eq!(json["version"], "3.7.6");
        let yaml = String::from_utf8(yaml(&limits, Some(Duration::from_secs(90 * 86_400)), "  ")).expect("text");
        assert!(yaml.contains("\n  retention_period: \"90d\"\n"), "{yaml}");
    }
}
