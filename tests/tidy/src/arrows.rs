//! Arrows point down: which of our crates each may know.

/// For each crate, the crates of ours it may depend on. `testkit` is a dev-dependency only.
pub const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("segment", &["model"]),
    ("store", &["model"]),
    ("plan", &["model"]),
    ("promql", &["model", "plan"]),
    ("logql", &["model", "plan"]),
    ("manifest", &["model", "store"]),
    ("appender", &["model", "segment", "store", "manifest"]),
    ("compactor", &["model", "segment", "store", "manifest"]),
    ("engine", &["model", "plan", "segment", "store", "manifest"]),
    ("edge", &["model"]),
    ("boot", &["model", "edge", "store", "manifest"]),
    ("testkit", &["model", "store"]),
    ("fn-ingest", &["model", "wire", "edge", "appender", "manifest", "store", "boot"]),
    ("fn-query", &["model", "wire", "edge", "plan", "promql", "logql", "engine", "manifest", "store", "boot"]),
    ("fn-compact", &["model", "plan", "logql", "compactor", "manifest", "store", "boot"]),
    (
        "lamella",
        &[
            "model",
            "wire",
            "edge",
            "segment",
            "appender",
            "compactor",
            "manifest",
            "store",
            "boot",
            "fn-ingest",
            "fn-query",
            "fn-compact",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::ALLOWED;
    use crate::workspace::packages;

    #[test]
    fn arrows_point_down() {
        let packages = packages();
        let ours: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let mut breaches = Vec::new();
        for package in packages.iter().filter(|package| !package.dir.components().any(|part| part.as_os_str() == "tests")) {
            let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
                breaches.push(format!("{} is not on the map", package.name));
                continue;
            };
            for dependency in package.dependencies.iter().filter(|name| ours.contains(&name.as_str())) {
                if !allowed.contains(&dependency.as_str()) {
                    breaches.push(format!("{} -> {dependency}", package.name));
                }
            }
        }
        assert!(breaches.is_empty(), "arrows that do not point down: {breaches:?}");
    }

    #[test]
    fn the_map_names_no_crate_that_is_gone() {
        let packages = packages();
        for (name, _) in ALLOWED {
            assert!(packages.iter().any(|package| package.name == *name), "{name} is on the map but not in the workspace");
        }
    }
}
