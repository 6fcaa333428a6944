//! The settings of the recorded server in the spelling that `boot` reads.

use serde_json::{Map, Value, json};

/// Settings of the whole server that are limits of every tenant here.
const LIMITS: [&str; 8] = [
    "reject_old_samples",
    "allow_structured_metadata",
    "discover_log_levels",
    "discover_service_name",
    "volume_enabled",
    "split_queries_by_interval",
    "max_query_length",
    "deletion_mode",
];

/// Returns the limits of the server and of its tenants.
pub(super) fn text(data: &Value) -> String {
    let config = &data["server_config"];
    let known = LIMITS.iter().filter(|name| !config[**name].is_null());
    let mut limits: Map<String, Value> = known.map(|name| ((*name).to_owned(), config[*name].clone())).collect();
    if let Some(age) = config["max_chunk_age"].as_str().and_then(half) {
        // Loki accepts what is not older than the newest entry of its stream by more than half the age of a chunk.
        limits.insert("out_of_order_time_window".to_owned(), json!(age));
    }
    json!({"limits_config": limits, "overrides": data["tenant_limits"]}).to_string()
}

/// Halves a span of hours.
fn half(span: &str) -> Option<String> {
    let hours: u32 = span.strip_suffix('h')?.parse().ok()?;
    Some(format!("{}m", hours * 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_limits() {
        let data = json!({
            "server_config": {"auth_enabled": true, "max_chunk_age": "2h", "reject_old_samples": false},
            "tenant_limits": {"a": {"max_line_size": 7}},
        });
        let limits = boot::overrides::parse(&text(&data), model::Limits::default()).unwrap();
        let of = |tenant| limits.of(&model::TenantId::parse(tenant).unwrap()).logs.clone();
        assert_eq!((of("a").line_bytes_max, of("b").age_max), (7, None));
        assert_eq!(of("b").out_of_order_window, Some(std::time::Duration::from_secs(3600)));
    }
}
