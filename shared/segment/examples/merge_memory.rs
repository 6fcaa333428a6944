//! Peak memory and CPU of a merge of 256 MiB of inputs. Building and merging are two processes, so that the peak is the
//! merge's own:
//!
//!   merge_memory build metrics|noise|logs l0|l1 DIR [MIB]
//!   merge_memory merge metrics|logs DIR [fast|normal|small]
//!
//! Noise is metrics whose values do not compress: what a first step makes of them is as large as they are.
#![allow(clippy::unwrap_used)]

#[path = "../tests/generator/mod.rs"]
mod generator;

use std::time::Instant;

use bytes::Bytes;
use generator::{Random, SetS};
use model::TenantId;
use segment::merge::{self, Effort, MergeOptions};
use segment::{Encoded, l0};

fn one(inputs: &[Bytes], logs: bool) -> Bytes {
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output.bytes);
    let options = MergeOptions::default();
    let merged = if logs { merge::logs(inputs, &options, &mut emit) } else { merge::metrics(inputs, &options, &mut emit) };
    merged.unwrap();
    outputs.remove(0)
}

/// Writes inputs of about 1 MiB (L0) or 8 MiB (L1) until there are `bytes` of them.
fn build(signal: &str, level1: bool, dir: &str, bytes: usize) {
    let logs = signal == "logs";
    std::fs::create_dir_all(dir).unwrap();
    let tenant = TenantId::anonymous();
    let (mut written, mut count) = (0, 0u64);
    let mut set = SetS::new(1, 1000, 100);
    let mut random = Random(7);
    while written < bytes {
        let block = |set: &mut SetS, random: &mut Random, steps: usize| {
            if logs {
                let start = 1_800_000_000_000_000_000 + count as i64 * 1_000_000_000;
                l0::encode_logs(&tenant, &generator::logs(random, 0, 250, 20 * steps as u64, start)).unwrap().bytes
            } else {
                let mut batch = set.history(steps);
                let noisy = if signal == "noise" { &mut batch.values[..] } else { &mut [] };
                noisy.iter_mut().for_each(|value| *value = random.unit());
                l0::encode_metrics(&tenant, &batch).unwrap().bytes
            }
        };
        let object = if level1 { one(&[block(&mut set, &mut random, 40)], logs) } else { block(&mut set, &mut random, 1) };
        written += object.len();
        std::fs::write(format!("{dir}/{count:05}"), &object).unwrap();
        count += 1;
    }
    println!("{count} inputs, {} MiB", written >> 20);
}

fn status_kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// CPU seconds of this process, user and system, by its ticks of a hundredth.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap_or(0.0)).sum::<f64>() / 100.0
}

fn run(logs: bool, dir: &str, effort: Effort) {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let inputs: Vec<Bytes> = paths.iter().map(|path| std::fs::read(path).unwrap().into()).collect();
    let bytes: usize = inputs.iter().map(Bytes::len).sum();
    let held = status_kib("VmRSS");
    let (start, cpu) = (Instant::now(), cpu_s());
    let (mut outputs, mut written) = (0, 0);
    // An output is put and gone before the next one is made.
    let mut emit = |output: Encoded| {
        outputs += 1;
        written += output.bytes.len();
    };
    let options = MergeOptions { effort, ..MergeOptions::default() };
    let count = inputs.len();
    let report = if logs {
        merge::logs_without(inputs, &options, &|_, _| None, &mut emit)
    } else {
        merge::metrics_without(inputs, &options, &|_, _| Vec::new(), &mut emit)
    }
    .unwrap();
    let cpu = cpu_s() - cpu;
    println!("{count} inputs, {} MiB, resident before {} MiB; {outputs} outputs, {} MiB", bytes >> 20, held >> 10, written >> 20);
    println!(
        "{} rows; CPU {cpu:.2} s = {:.3} s per million rows; wall {:.2} s",
        report.rows_in,
        cpu / report.rows_in as f64 * 1e6,
        start.elapsed().as_secs_f64()
    );
    println!("peak resident {} MiB", status_kib("VmHWM") >> 10);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["build", signal, level, dir] => build(signal, level == "l1", dir, 256 << 20),
        ["build", signal, level, dir, mib] => build(signal, level == "l1", dir, mib.parse::<usize>().unwrap() << 20),
        ["merge", signal, dir] => run(signal == "logs", dir, Effort::Normal),
        ["merge", signal, dir, effort] => run(
            signal == "logs",
            dir,
            match effort {
                "fast" => Effort::Fast,
                "small" => Effort::Small,
                _ => Effort::Normal,
            },
        ),
        _ => {
            eprintln!("usage: merge_memory build metrics|noise|logs l0|l1 DIR [MIB] | merge metrics|logs DIR [fast|normal|small]")
        }
    }
}
