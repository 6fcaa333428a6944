//! `suite year`: what months of metrics take in each resolution, and what dashboards cost over them.
//!
//! ```text
//! a fleet ─▶ appender ─▶ compactor, hour by hour ─▶ days of samples ─▶ coarse jobs ─▶ sizes
//!                                                                        ├─▶ panels over samples, then over copies: the same answer? how many bytes?
//!                                                                        └─▶ retention drops samples ─▶ panels again: the same answer, or said not to be
//! ```
//! Everything but the fleet is the product's own code, on a directory, in simulated time. Owns: the course and the report. Bytes, requests and
//! answers are the same on every machine; CPU is that of the process, walls say something on an idle machine only.

mod dashboards;
mod fleet;
mod stores;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use compactor::Report;
use load::cpu;
use model::time::HOUR_MS;
use model::{Keep, Resolution, Retention, TimeRangeMs, TimestampMs};
use plan::EvalOptions;

use dashboards::{Asked, Panel, ask, panels};
use fleet::Fleet;
use stores::{Taken, World, taken};

/// How much data.
#[derive(Args)]
pub struct Options {
    /// Days of it.
    #[arg(long, default_value_t = 180)]
    days: i64,
    /// Series.
    #[arg(long, default_value_t = 100)]
    series: usize,
    /// Time between two scrapes.
    #[arg(long, default_value = "15s", value_parser = dashboards::span_ms)]
    step: i64,
    /// Where to keep it, to be looked at with `lamella`; by default it is removed in the end.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// 2026-01-01, 00:00 UTC: the first scrape.
const START_MS: i64 = 20_454 * 24 * HOUR_MS;
/// Requests of the whole fleet in an hour.
const REQUESTS_PER_HOUR: i64 = 4;
/// An hour is written this long after its end, so that the last scrapes are in it.
const WRITTEN_AFTER: Duration = Duration::from_secs(6 * 60);

/// Makes the data set and reports; whether all answers that are called exact were the same.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.days > 0 && options.series > 0 && options.step > 0, "days, series and step are positive");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let name = format!("lamella-year-{}", std::process::id());
    let directory = options.dir.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
    let outcome = runtime.block_on(Year::run(options, &directory));
    if options.dir.is_none() {
        std::fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    outcome
}

/// CPU time of this process so far.
fn cpu_now() -> Result<Duration> {
    Ok(cpu::usage(std::process::id())?.cpu)
}

struct Year {
    world: World,
    /// Where the data ends.
    end: TimestampMs,
    samples: u64,
    broken: u64,
}

impl Year {
    async fn run(options: &Options, directory: &std::path::Path) -> Result<()> {
        let end = TimestampMs(START_MS + options.days * 24 * HOUR_MS);
        let world = World::open(directory, TimestampMs(START_MS))?;
        let mut year = Year { world, end, samples: 0, broken: 0 };
        year.write(options).await?;
        year.copy().await?;
        let answers = year.compare(options.days).await?;
        year.deduplicate().await?;
        year.expire(&answers).await?;
        if year.broken > 0 { bail!("{} answers differ that are called exact", year.broken) } else { Ok(()) }
    }

    /// Writes the fleet's scrapes hour by hour, merged into days on the way.
    async fn write(&mut self, options: &Options) -> Result<()> {
        let mut fleet = Fleet::new(options.series, options.step);
        println!("{} series, {} days, a scrape every {} ms", fleet.len(), options.days, options.step);
        let compactor = self.world.compactor(Retention { raw: Keep::Forever, coarse: BTreeMap::new() });
        let (mut appending, mut merging, mut rows) = (Duration::ZERO, Duration::ZERO, 0);
        self.world.clock.advance(WRITTEN_AFTER);
        for hour in 0..options.days * 24 {
            self.world.clock.advance(Duration::from_millis(HOUR_MS as u64));
            let start = START_MS + hour * HOUR_MS;
            for request in 0..REQUESTS_PER_HOUR {
                let from = start + request * HOUR_MS / REQUESTS_PER_HOUR;
                let batch = fleet.scrape(from, from + HOUR_MS / REQUESTS_PER_HOUR);
                self.samples += batch.samples_len() as u64;
                let before = cpu_now()?;
                self.world.append(batch).await?;
                appending += cpu_now()?.saturating_sub(before);
            }
            let before = cpu_now()?;
            rows += self.world.pass(&compactor, Duration::ZERO).await?.rows;
            merging += cpu_now()?.saturating_sub(before);
        }
        let before = cpu_now()?;
        for _ in 0..40 {
            rows += self.world.pass(&compactor, Duration::from_millis(HOUR_MS as u64)).await?.rows;
        }
        merging += cpu_now()?.saturating_sub(before);
        println!(
            "{} samples; CPU s a million: written {}, merged into days {} ({rows} rows)",
            self.samples,
            self.per_million(appending),
            self.per_million(merging)
        );
        Ok(())
    }

    fn per_million(&self, cpu: Duration) -> String {
        format!("{:.3}", cpu.as_secs_f64() / (self.samples as f64 / 1e6))
    }

    fn range(&self) -> TimeRangeMs {
        TimeRangeMs::new(TimestampMs(START_MS), self.end.plus(Duration::from_millis(HOUR_MS as u64)))
    }

    /// Builds the copies of every day, and says what each resolution takes.
    async fn copy(&mut self) -> Result<()> {
        let coarse = BTreeMap::from([(Resolution::FiveMinutes, Keep::Forever), (Resolution::OneHour, Keep::Forever)]);
        let compactor = self.world.compactor(Retention { raw: Keep::Forever, coarse });
        let (before, mut sum) = (cpu_now()?, Report::default());
        for _ in 0..4 {
            let report = self.world.pass(&compactor, Duration::from_millis(HOUR_MS as u64)).await?;
            sum.coarse_samples += report.coarse_samples;
            sum.coarse_jobs += report.coarse_jobs;
        }
        let cpu = cpu_now()?.saturating_sub(before);
        ensure!(sum.coarse_samples == self.samples, "copies are of {} samples", sum.coarse_samples);
        println!("{} days copied; CPU s a million samples: {}", sum.coarse_jobs, self.per_million(cpu));
        self.sizes().await
    }

    async fn sizes(&self) -> Result<()> {
        let snapshot = self.world.snapshot(self.range()).await?;
        let raw = taken(&snapshot, Resolution::Raw);
        println!("\n| resolution | segments | rows | bytes | B a row | bytes of raw |\n|---|---|---|---|---|---|");
        for resolution in Resolution::ALL {
            let Taken { segments, rows, bytes } = taken(&snapshot, resolution);
            let (each, share) = (bytes as f64 / rows.max(1) as f64, 100.0 * bytes as f64 / raw.bytes.max(1) as f64);
            println!("| {} | {segments} | {rows} | {bytes} | {each:.2} | {share:.1} % |", resolution.as_str());
        }
        Ok(())
    }

    /// Asks every panel of samples alone and of whatever the planner chooses.
    async fn compare(&mut self, days: i64) -> Result<Vec<(Panel, Asked)>> {
        println!(
            "\n| panel | raw: bytes | requests | samples | CPU ms | chosen: bytes | requests | samples | windows | CPU ms | times fewer bytes | answer |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
        let mut answers = Vec::new();
        for panel in panels(days) {
            let raw = panel.ask(&self.world, self.end, Resolution::Raw).await?;
            let chosen = panel.ask(&self.world, self.end, Resolution::OneHour).await?;
            let same = chosen.said == raw.said;
            self.broken += u64::from(!same || chosen.said.is_called_inexact());
            let times = raw.stats.bytes_read as f64 / chosen.stats.bytes_read.max(1) as f64;
            let verdict = if same { "equal" } else { "DIFFERS" };
            println!("| {} | {} | {} | {times:.1} | {verdict} |", panel.title(), raw.cost(false), chosen.cost(true));
            answers.push((panel, raw));
        }
        Ok(answers)
    }

    /// Asks of replicas as two series and as one.
    async fn deduplicate(&self) -> Result<()> {
        let (text, start) = ("sum(rate(ha_requests_total[5m]))", TimestampMs(self.end.0 - 24 * HOUR_MS));
        let options = |labels: &[&str]| EvalOptions {
            replica_labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            resolution_max: Resolution::Raw,
            ..EvalOptions::default()
        };
        let (mut cpu, mut samples) = ([Duration::ZERO; 2], 0);
        // Several times: the clock of a process ticks every 10 ms.
        for _ in 0..10 {
            for (place, labels) in [&[][..], &["replica"]].into_iter().enumerate() {
                let asked = ask(&self.world, text, (start, self.end, "5m"), options(labels)).await?;
                cpu[place] += asked.cpu;
                samples += if place == 0 { asked.stats.samples } else { 0 };
            }
        }
        let more = (cpu[1].as_secs_f64() - cpu[0].as_secs_f64()) / samples.max(1) as f64 * 1e9;
        println!(
            "\nreplicas as one, a day: {more:.0} ns a sample more than as two ({samples} samples in ten rounds, {:?} and {:?})",
            cpu[0], cpu[1]
        );
        Ok(())
    }

    /// Lets raw samples expire, and 5m where there is 1h, and asks again.
    async fn expire(&mut self, answers: &[(Panel, Asked)]) -> Result<()> {
        let days = |days: u64| Keep::For(Duration::from_secs(days * 86_400));
        // As by default, but so that all days are there.
        let coarse = BTreeMap::from([(Resolution::FiveMinutes, days(30)), (Resolution::OneHour, Keep::Forever)]);
        let compactor = self.world.compactor(Retention { raw: days(7), coarse });
        for _ in 0..4 {
            self.world.pass(&compactor, Duration::from_millis(2 * HOUR_MS as u64)).await?;
        }
        println!("\nAfter 7 days of raw and 30 of 5m:");
        self.sizes().await?;
        println!("\n| panel | bytes | requests | samples | windows | CPU ms | answer |\n|---|---|---|---|---|---|---|");
        for (panel, raw) in answers {
            let left = panel.ask(&self.world, self.end, Resolution::OneHour).await?;
            let verdict = match (left.said.is_called_inexact(), left.said == raw.said) {
                (false, true) => "equal".to_owned(),
                (false, false) => "DIFFERS".to_owned(),
                (true, _) => {
                    let distance = left.said.distance(&raw.said);
                    let off = distance.map_or("of another shape".to_owned(), |of| format!("off by {:.1e} at most", of));
                    format!("said not to be exact, {off}")
                }
            };
            self.broken += u64::from(verdict == "DIFFERS");
            println!("| {} | {} | {verdict} |", panel.title(), left.cost(true));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panels over 7 days, answered from 5m beside samples and, once these have expired, without: every answer called exact is.
    #[test]
    fn a_week_of_a_small_fleet() {
        run(&Options { days: 8, series: 20, step: 60_000, dir: None }).unwrap();
    }
}
