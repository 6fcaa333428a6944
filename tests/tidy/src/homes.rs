//! One foreign dependency, one home.

/// A dependency's name (or its beginning, where it ends with `*`) and the crates that may name it.
pub const HOMES: &[(&str, &[&str])] = &[
    ("datafusion*", &["engine"]),
    ("parquet", &["segment"]),
    ("arrow*", &["segment", "engine"]),
    ("aws-*", &["store"]),
    ("redb", &["store"]),
    ("object_store", &["store", "appender", "compactor", "engine", "testkit", "boot"]),
    ("prost*", &["testkit", "load"]),
    ("snap", &["wire", "load", "fuzz"]),
    ("flate2", &["wire"]),
    ("lz4", &["wire"]),
    ("serde_yaml_ng", &["boot", "wire"]),
    ("lambda_http", &["fn-ingest", "fn-query"]),
    ("lambda_runtime", &["fn-compact"]),
    ("rustls", &["lamella"]),
    ("tokio-rustls", &["lamella"]),
    ("clap", &["lamella", "suite", "load"]),
    ("indicatif", &["lamella"]),
    ("tracing-subscriber", &["boot"]),
    ("axum", &["edge", "fn-ingest", "fn-query", "lamella", "suite"]),
];

#[cfg(test)]
mod tests {
    use super::HOMES;
    use crate::workspace::{packages, root};

    fn names(pattern: &str, dependency: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(prefix) => dependency.starts_with(prefix),
            None => dependency == pattern,
        }
    }

    #[test]
    fn foreign_dependencies_stay_home() {
        let mut strays = Vec::new();
        for package in packages() {
            for dependency in &package.dependencies {
                for (pattern, homes) in HOMES {
                    if names(pattern, dependency) && !homes.contains(&package.name.as_str()) {
                        strays.push(format!("{} names {dependency}", package.name));
                    }
                }
            }
        }
        assert!(strays.is_empty(), "dependencies away from home: {strays:?}");
    }

    /// A version or a feature set written twice drifts; default features bring what nobody asked for.
    #[test]
    fn dependencies_enter_once_and_slim() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest is readable");
        let table = manifest.split("[workspace.dependencies]").nth(1).expect("the root manifest has workspace dependencies");
        let table = table.split("\n[").next().unwrap_or_default();
        for line in table.lines().filter(|line| line.contains("version =")) {
            assert!(line.contains("default-features = false"), "default features are on: {line}");
        }
        for package in packages() {
            let text = std::fs::read_to_string(package.dir.join("Cargo.toml")).expect("a package manifest is readable");
            assert!(!text.contains("version = \""), "{}: a version outside the root manifest", package.name);
        }
    }

    /// Of a package that is not there (any more) cargo only warns, and nothing is built smaller for it.
    #[test]
    fn what_is_built_for_size_is_there() {
        let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("a file of the root is readable");
        let (manifest, lock) = (read("Cargo.toml"), read("Cargo.lock"));
        let table =
            manifest.split("[workspace.metadata.lambda.build]").nth(1).expect("the root manifest says how functions are built");
        let table = table.split("\n[").next().unwrap_or_default();
        let named = table.lines().filter_map(|line| line.trim().strip_prefix("'profile.release.package.")?.split_once('.'));
        let missing: Vec<&str> =
            named.map(|(name, _)| name).filter(|name| !lock.contains(&format!("\nname = \"{name}\"\n"))).collect();
        assert!(missing.is_empty(), "built for size, but not there: {missing:?}");
        assert!(table.contains("profile.release.package."), "nothing is built for size");
    }
}
