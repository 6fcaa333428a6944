//! A run over all tenants, in turns: one bounded job for each, round and round, until nothing is due or time is up. The next
//! run begins where this one stopped, so that no tenant starves however large another's backlog is.

use std::collections::VecDeque;

use manifest::Window;
use model::{Signal, TenantId, TimestampMs};

use crate::limits::{JOB_MARGIN, PACE_BUSY, STOP_MARGIN};
use crate::rewrite::manifest_error;
use crate::turn::Turn;
use crate::visit::Garbage;
use crate::{CompactError, Compactor, Outcome};

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Tenants and signals looked at.
    pub tenants: u64,
    /// Jobs that published their outputs.
    pub jobs: u64,
    /// Jobs that somebody else was faster with.
    pub lost: u64,
    /// Steps that failed; each was logged.
    pub failed: u64,
    /// Segments merged away.
    pub inputs: u64,
    /// Segments written.
    pub outputs: u64,
    /// Bytes of the segments merged away.
    pub input_bytes: u64,
    /// Bytes of the segments written.
    pub output_bytes: u64,
    /// Rows written.
    pub rows: u64,
    /// Segments found corrupt and quarantined.
    pub quarantined: u64,
    /// Dead, expired and orphaned objects deleted.
    pub deleted: u64,
    /// Days dropped by retention.
    pub dropped_days: u64,
    /// Coarse jobs that published their copies.
    pub coarse_jobs: u64,
    /// Raw samples they read.
    pub coarse_samples: u64,
    /// Bytes of the copies.
    pub coarse_bytes: u64,
    /// Days whose replicas were merged.
    pub replica_jobs: u64,
    /// Samples that were left out of them.
    pub replica_samples: u64,
    /// How long ago the oldest day ended that was looked at and still lacks a copy, milliseconds; 0: none.
    pub coarse_lag_ms: u64,
    /// Whether the deadline ended the run early.
    pub out_of_time: bool,
    /// When there will be something to look at, as far as this process knows.
    pub next: Option<TimestampMs>,
    /// When the first hour will be full of those that fill within [`PACE_BUSY`].
    pub busy: Option<TimestampMs>,
}

/// An hour or day that somebody says has a backlog. The schedule stays the truth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hint {
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub signal: Signal,
    /// The hour or day.
    pub window: Window,
}

/// A run under way.
pub(crate) struct Run {
    pub report: Report,
    /// No step begins later.
    pub begin_by: TimestampMs,
    /// A job under way gives up.
    pub stop_at: TimestampMs,
}

/// What comes after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// There may be more to do at once; where it was seen how fast a window fills, it is looked at no later than this all the same.
    Again(Option<TimestampMs>),
    /// Nothing before this.
    At(TimestampMs),
}

impl Next {
    /// What looks before this one saw holds: a look right after a merge sees nothing that comes in.
    pub fn no_later(self, than: Option<TimestampMs>) -> Next {
        match self {
            Next::Again(at) => Next::Again(at.into_iter().chain(than).min()),
            Next::At(at) => Next::At(than.map_or(at, |than| at.min(than))),
        }
    }
}

impl Compactor {
    /// Merges, rolls, deletes, drops and collects, for every tenant and signal, until nothing is due or `until` has come. What
    /// hints name comes first. A failure of one tenant is logged and does not stop the others.
    ///
    /// # Errors
    /// Only where the list of tenants cannot be read.
    pub async fn run(&self, until: TimestampMs, hints: &[Hint]) -> Result<Report, CompactError> {
        let mut run = Run::until(until);
        self.follow(hints, &mut run).await;
        let tenants = self.manifest().tenants().await.map_err(manifest_error("list tenants"))?;
        let tenants = self.rotated(tenants).await;
        self.serve(tenants, &mut run).await;
        Ok(run.report)
    }

    /// Looks at what hints name and at nothing else: a person chose it.
    pub async fn run_only(&self, until: TimestampMs, hints: &[Hint]) -> Report {
        let mut run = Run::until(until);
        self.follow(hints, &mut run).await;
        run.report
    }

    /// Does what is due for some tenants and signals, in this order.
    pub async fn run_for(&self, until: TimestampMs, tenants: Vec<(TenantId, Signal)>) -> Report {
        let mut run = Run::until(until);
        self.serve(tenants, &mut run).await;
        run.report
    }

    async fn serve(&self, tenants: Vec<(TenantId, Signal)>, run: &mut Run) {
        let mut turns: VecDeque<Turn> = VecDeque::new();
        let mut fresh: VecDeque<(TenantId, Signal)> = tenants.iter().cloned().collect();
        // Whoever has not had a turn yet goes before those who have, and so does who is due again while others have theirs.
        loop {
            let turn = match fresh.pop_front() {
                Some((tenant, signal)) => Turn::new(tenant, signal),
                None => match turns.pop_front() {
                    Some(turn) => {
                        fresh.extend(self.diary().due(self.now()).into_iter().filter(|of| tenants.contains(of)));
                        turn
                    }
                    None => break,
                },
            };
            if self.now() >= run.begin_by {
                run.report.out_of_time = true;
                self.note_stop(&turn.tenant, turn.signal).await;
                turns.push_front(turn);
                break;
            }
            if let Some(turn) = self.take_turn(turn, run).await {
                turns.push_back(turn);
            }
        }
        turns.iter_mut().for_each(|turn| turn.close(self.diary()));
        run.report.next = if run.report.out_of_time { Some(self.now()) } else { self.diary().next() };
    }

    /// Looks at hinted windows, whenever they were looked at last.
    async fn follow(&self, hints: &[Hint], run: &mut Run) {
        for Hint { tenant, signal, window } in hints {
            let mut next = Ok(Next::Again(None));
            while let Ok(Next::Again(at)) = next
                && self.now() < run.begin_by
            {
                next = self.visit(tenant, *signal, *window, Garbage::Later, run).await.map(|next| next.no_later(at));
            }
            match next {
                Ok(Next::At(at)) => self.diary().note(tenant, *signal, *window, at),
                Ok(Next::Again(_)) => {}
                Err(error) => failed(tenant, *signal, &error, run),
            }
        }
    }

    /// Puts first whom the last run stopped before.
    async fn rotated(&self, mut tenants: Vec<(TenantId, Signal)>) -> Vec<(TenantId, Signal)> {
        tenants.sort_unstable();
        match self.journal().cursor().await {
            Ok(Some(cursor)) => {
                let first = tenants.partition_point(|entry| *entry < cursor);
                let len = tenants.len().max(1);
                tenants.rotate_left(first % len);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "compaction journal was not read"),
        }
        tenants
    }

    async fn note_stop(&self, tenant: &TenantId, signal: Signal) {
        if let Err(error) = self.journal().stop_before(tenant, signal).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "compaction journal was not written");
        }
    }
}

/// Counts and logs a step that failed.
pub(crate) fn failed(tenant: &TenantId, signal: Signal, error: &CompactError, run: &mut Run) {
    tracing::warn!(%tenant, %signal, error = error as &dyn std::error::Error, "compaction failed");
    run.report.failed += 1;
}

impl Run {
    fn until(until: TimestampMs) -> Run {
        Run { report: Report::default(), begin_by: until.minus(JOB_MARGIN), stop_at: until.minus(STOP_MARGIN) }
    }

    /// Notes when an hour is looked at again.
    pub fn note_look(&mut self, at: TimestampMs, now: TimestampMs) {
        if at <= now.plus(PACE_BUSY) {
            self.report.busy = Some(self.report.busy.map_or(at, |busy| busy.min(at)));
        }
    }

    /// Counts a coarse job.
    pub fn count_coarse(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Done(done) => {
                self.report.jobs += 1;
                self.report.coarse_jobs += 1;
                self.report.coarse_samples += done.rows.rows_out;
                self.report.coarse_bytes += done.output_bytes;
            }
            Outcome::Lost => self.report.lost += 1,
            Outcome::OutOfTime => self.report.out_of_time = true,
            Outcome::Nothing(quarantined) => self.report.quarantined += quarantined,
        }
    }

    /// Counts a merge of replicas.
    pub fn count_replicas(&mut self, tenant: &TenantId, window: Window, outcome: Outcome) {
        self.count(tenant, Signal::Metrics, window, outcome);
        if let Outcome::Done(done) = outcome {
            self.report.replica_jobs += 1;
            self.report.replica_samples += done.rows.erased;
        }
    }

    /// Counts a job.
    pub fn count(&mut self, tenant: &TenantId, signal: Signal, window: Window, outcome: Outcome) {
        match outcome {
            Outcome::Done(done) => {
                self.report.jobs += 1;
                self.report.inputs += done.inputs;
                self.report.outputs += done.outputs;
                self.report.input_bytes += done.input_bytes;
                self.report.output_bytes += done.output_bytes;
                self.report.rows += done.rows.rows_out;
                self.report.quarantined += done.quarantined;
                if done.rows.conflicts > 0 {
                    let conflicts = done.rows.conflicts;
                    tracing::info!(%tenant, %signal, %window, conflicts, "samples with two values");
                }
            }
            Outcome::Lost => self.report.lost += 1,
            Outcome::OutOfTime => self.report.out_of_time = true,
            Outcome::Nothing(quarantined) => self.report.quarantined += quarantined,
        }
    }
}
