//! Prometheus's test scripts against our engines: `suite promql <file or folder>`.
//!
//! Owns: the script language, loading, comparison, the re-runs that upstream's runner makes, counts per file.
//! Does not own: any expectation; a script says what must come. The language itself is `promql`, its meaning `plan`.

mod datafusion;
mod engine;
mod expect;
mod hints;
mod histogram_text;
mod nhcb;
mod number;
mod parser_cases;
mod reference;
mod report;
mod rerun;
mod script;
mod series;
mod storage;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub use engine::Engine;
use report::Report;
use script::Command;
use storage::Storage;

#[cfg(test)]
mod tests;

/// Runs a script, a folder of scripts or a folder of parser cases, prints a line per file and a closing line, and returns how many
/// cases passed and failed.
///
/// # Errors
/// If the path is missing or holds nothing to run.
pub fn run(path: &Path, engine: Engine, show_failures: bool) -> anyhow::Result<(usize, usize)> {
    if !path.exists() {
        bail!("no such file or folder: {}", path.display());
    }
    // A panic is reported as a failed case; its message would only interleave with the lines.
    std::panic::set_hook(Box::new(|_| {}));
    let mut total = (0, 0);
    let mut finish = |report: &Report| {
        report.print(show_failures);
        total = (total.0 + report.passed, total.1 + report.failures.len());
    };
    if path.is_dir() && parser_cases::present(path) {
        parser_cases::run(path)?.iter().for_each(&mut finish);
    } else {
        for file in files(path)? {
            finish(&run_file(&file, engine)?);
        }
    }
    println!("{} passed, {} failed", total.0, total.1);
    Ok(total)
}

/// Lists the scripts to run, by name.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("list {}", path.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    if files.is_empty() {
        bail!("{} has no .test file and no parser cases", path.display());
    }
    Ok(files)
}

fn run_file(path: &Path, engine: Engine) -> anyhow::Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(run_script(&name, &text, engine))
}

/// Runs a script. After a command that cannot be read every case fails, up to the next `clear`.
fn run_script(name: &str, text: &str, engine: Engine) -> Report {
    let mut report = Report::new(name);
    let (mut storage, mut evaluator) = (Storage::default(), engine.start());
    let mut broken = None;
    for command in script::parse(text) {
        match command {
            Command::Clear => {
                (storage, evaluator, broken) = (Storage::default(), engine.start(), None);
            }
            Command::Load(load) => {
                storage.load(&load);
                evaluator.load(storage.series());
            }
            Command::Eval(eval) => {
                let outcome = broken.clone().map_or_else(|| rerun::run(&eval, evaluator.as_ref()), Err);
                report.add(eval.line, &eval.query, outcome);
            }
            Command::Broken(line) if line.text.starts_with("eval") => report.add(line.line, &line.text, Err(line.why)),
            Command::Broken(line) => {
                eprintln!("{name} line {}: {}: {}", line.line, line.text, line.why);
                broken = Some(format!("line {} was not understood: {}", line.line, line.why));
            }
        }
    }
    report
}
