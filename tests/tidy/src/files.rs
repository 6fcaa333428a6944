//! What every source file must have, and what none may be called.

/// File and folder names that say nothing.
pub const NAMES_THAT_SAY_NOTHING: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc", "mod"];

/// Environment variables are read in one place.
pub const ENVIRONMENT_HOMES: &[&str] = &["shared/boot/", "functions/lamella/", "tests/"];

#[cfg(test)]
mod tests {
    use super::{ENVIRONMENT_HOMES, NAMES_THAT_SAY_NOTHING};
    use crate::workspace::{root, rust_files};

    fn sources() -> impl Iterator<Item = (String, String)> {
        rust_files().into_iter().map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file is readable");
            let name = path.strip_prefix(root()).expect("sources lie below the root").to_string_lossy().into_owned();
            (name, text)
        })
    }

    /// Tests and benchmarks: what they are for stands in their name, and whoever runs them sets their environment.
    fn is_test(name: &str) -> bool {
        name.ends_with("/tests.rs") || name.contains("/benches/") || name.contains("/tests/") && !name.starts_with("tests/")
    }

    #[test]
    fn every_module_says_what_it_is() {
        let silent: Vec<String> = sources()
            .filter(|(name, text)| !is_test(name) && !text.trim_start().starts_with("//!"))
            .map(|(name, _)| name)
            .collect();
        assert!(silent.is_empty(), "modules without `//!`: {silent:?}");
    }

    #[test]
    fn every_module_has_a_subject() {
        let vague: Vec<String> = sources()
            .map(|(name, _)| name)
            .filter(|name| {
                // Cargo knows no other name for a module that several integration tests share.
                let shared_by_tests = is_test(name) && name.ends_with("/mod.rs");
                !shared_by_tests && name.split('/').any(|part| NAMES_THAT_SAY_NOTHING.contains(&part.trim_end_matches(".rs")))
            })
            .collect();
        assert!(vague.is_empty(), "names that say nothing: {vague:?}");
    }

    #[test]
    fn the_environment_is_read_in_one_place() {
        let strays: Vec<String> = sources()
            .filter(|(name, _)| !is_test(name) && !ENVIRONMENT_HOMES.iter().any(|home| name.starts_with(home)))
            .filter(|(_, text)| {
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                code.contains("std::env::var") || code.contains("env::var(")
            })
            .map(|(name, _)| name)
            .collect();
        assert!(strays.is_empty(), "the environment is read outside boot: {strays:?}");
    }

    #[test]
    fn no_machine_is_named() {
        let here = concat!("/wo", "rk/");
        let named: Vec<String> = sources().filter(|(_, text)| text.contains(here)).map(|(name, _)| name).collect();
        assert!(named.is_empty(), "paths of one machine: {named:?}");
    }
}
