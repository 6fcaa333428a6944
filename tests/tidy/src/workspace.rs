//! The workspace as `cargo metadata` and the file system describe it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One package of ours.
#[derive(Debug, Clone)]
pub struct Package {
    /// Cargo name.
    pub name: String,
    /// Folder of its `Cargo.toml`.
    pub dir: PathBuf,
    /// Names of its normal dependencies (dev and build dependencies are free).
    pub dependencies: Vec<String>,
}

/// Returns the folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/tidy lies two folders below the root").to_path_buf()
}

/// Reads the workspace's packages from `cargo metadata`.
///
/// # Panics
/// If cargo cannot be run or answers something else than its documented JSON.
pub fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    json["packages"]
        .as_array()
        .expect("metadata has packages")
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            dir: PathBuf::from(text(&package["manifest_path"])).parent().expect("a manifest lies in a folder").to_path_buf(),
            dependencies: package["dependencies"]
                .as_array()
                .expect("a package has dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        })
        .collect()
}

/// Returns every Rust source file of ours.
///
/// # Panics
/// If a folder of the workspace cannot be read.
pub fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["shared", "functions", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a workspace folder is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target" && name != "node_modules") {
                walk(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
