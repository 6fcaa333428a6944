//! `suite`: runs conformance scripts and reports counts per file.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use suite::promqltest::{ReferenceEvaluator, run};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs promqltest scripts.
    Promql {
        /// A `.test` file or a folder of them.
        path: PathBuf,
        /// Lists failed cases.
        #[arg(long)]
        failures: bool,
        /// Exits with 1 where a case failed.
        #[arg(long)]
        strict: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let Command::Promql { path, failures, strict } = Cli::parse().command;
    if !path.exists() {
        bail!("{} does not exist", path.display());
    }
    let mut files = if path.is_dir() {
        let entries = std::fs::read_dir(&path).with_context(|| format!("read {}", path.display()))?;
        entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?
    } else {
        vec![path]
    };
    files.retain(|file| file.extension().is_some_and(|ext| ext == "test"));
    files.sort();
    let (mut passed, mut failed) = (0, 0);
    for file in &files {
        let report = run(file, &mut ReferenceEvaluator::default())?;
        println!("{} {} passed {} failed", report.name, report.passed, report.failed.len());
        if failures {
            for failure in &report.failed {
                println!("  line {}: {}\n    {}", failure.line, failure.query, failure.reason.replace('\n', "\n    "));
            }
        }
        passed += report.passed;
        failed += report.failed.len();
    }
    println!("{passed} passed, {failed} failed");
    if strict && failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
