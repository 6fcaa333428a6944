//! What each route needs of who asks it.

use edge::{Need, Role};
use http::Method;

/// Probes say nothing about data; load balancers have no credentials.
const PROBES: [&str; 3] = ["/ready", "/-/ready", "/-/healthy"];
/// Settings of the process, those of tenants among them.
const SETTINGS: [&str; 2] = ["/config", "/log_level"];

/// Returns what a route needs; `path` is its pattern, `None` where no route matched. What is not known to be harmless needs a reader.
pub fn need(path: Option<&str>, method: &Method) -> Need {
    let path = path.unwrap_or_default();
    let changes = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH].contains(method);
    match path {
        path if PROBES.contains(&path) => Need::Nobody,
        path if SETTINGS.contains(&path) || path.contains("/admin/") => Need::Role(Role::Admin),
        // A question may be posted; a deletion or a rule is asked for by no other method.
        path if changes && (path.ends_with("/delete") || path.contains("/rules/")) => Need::Role(Role::Admin),
        _ => Need::Role(Role::Read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_ask_what() {
        let (read, admin) = (Need::Role(Role::Read), Need::Role(Role::Admin));
        let cases = [
            ("GET /ready", Need::Nobody),
            ("GET /-/healthy", Need::Nobody),
            ("GET /-/ready", Need::Nobody),
            ("GET /config", admin),
            ("GET /log_level", admin),
            ("GET /config/tenant/v1/limits", read),
            ("GET /api/v1/query", read),
            ("POST /api/v1/query_range", read),
            ("POST /api/v1/read", read),
            ("OPTIONS /api/v1/{*any}", read),
            ("POST /api/v1/admin/tsdb/delete_series", admin),
            ("PUT /prometheus/api/v1/admin/tsdb/clean_tombstones", admin),
            ("GET /loki/api/v1/delete", read),
            ("POST /loki/api/v1/delete", admin),
            ("PUT /loki/api/v1/delete", admin),
            ("DELETE /loki/api/v1/delete", admin),
            ("GET /loki/api/v1/rules", read),
            ("POST /loki/api/v1/rules/{namespace}", admin),
            ("DELETE /loki/api/v1/rules/{namespace}/{group}", admin),
            ("GET /loki/api/v1/tail", read),
        ];
        for (route, expected) in cases {
            let (method, path) = route.split_once(' ').unwrap();
            assert_eq!(need(Some(path), &Method::from_bytes(method.as_bytes()).unwrap()), expected, "{route}");
        }
        assert_eq!(need(None, &Method::GET), read, "what no route knows");
    }
}
