//! One run over all tenants, bounded by a deadline.

use std::sync::Arc;
use std::time::Duration;

use manifest::{Manifest, Window};
use model::{Clock, Hour, Nonces, Signal, TenantId, TimeRangeMs, TimestampMs};
use store::Objects;

use crate::{CompactError, Outcome, Policy, due_hours, plan};

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Tenants and signals looked at.
    pub tenants: u64,
    /// Jobs that published their outputs.
    pub jobs: u64,
    /// Jobs that somebody else was faster with.
    pub lost: u64,
    /// Jobs and windows that failed; each was logged.
    pub failed: u64,
    /// Segments merged away.
    pub inputs: u64,
    /// Rows written.
    pub rows: u64,
    /// Dead objects deleted.
    pub deleted: u64,
    /// Whether the deadline ended the run early.
    pub out_of_time: bool,
}

/// Merges segments and collects garbage. Cheap to clone; holds no state that correctness needs.
#[derive(Clone, Debug)]
pub struct Compactor {
    manifest: Manifest,
    objects: Objects,
    clock: Arc<dyn Clock>,
    nonces: Arc<Nonces>,
    policy: Policy,
    owner: u64,
}

const ALL_TIME: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };

impl Compactor {
    /// Makes a compactor over the given stores.
    pub fn new(manifest: Manifest, objects: Objects, clock: Arc<dyn Clock>, nonces: Arc<Nonces>, policy: Policy) -> Compactor {
        let owner = nonces.next() as u64;
        Compactor { manifest, objects, clock, nonces, policy, owner }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn owner(&self) -> u64 {
        self.owner
    }

    /// How long a job may hold an hour before another compactor tries: longer than one merge takes.
    pub(crate) fn lease_for(&self) -> Duration {
        Duration::from_secs(120)
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// Looks at every tenant and signal: compacts, then collects, until all is done or `deadline` has come. A failure of one
    /// tenant is logged and does not stop the others.
    ///
    /// # Errors
    /// Only where the list of tenants cannot be read.
    pub async fn run(&self, deadline: TimestampMs) -> Result<Report, CompactError> {
        let mut report = Report::default();
        let tenants = self.manifest.tenants().await;
        for (tenant, signal) in tenants.map_err(|source| CompactError::Manifest { step: "list tenants", source })? {
            if self.now() >= deadline {
                report.out_of_time = true;
                break;
            }
            report.tenants += 1;
            if let Err(error) = self.run_tenant(&tenant, signal, deadline, &mut report).await {
                tracing::warn!(%tenant, %signal, error = &error as &dyn std::error::Error, "compaction failed");
                report.failed += 1;
            }
        }
        Ok(report)
    }

    async fn run_tenant(
        &self,
        tenant: &TenantId,
        signal: Signal,
        deadline: TimestampMs,
        report: &mut Report,
    ) -> Result<(), CompactError> {
        let hours = self.manifest.hours_with_data(tenant, signal, ALL_TIME).await;
        let hours = hours.map_err(|source| CompactError::Manifest { step: "list hours", source })?;
        for hour in due_hours(hours, self.now()) {
            if self.now() >= deadline {
                report.out_of_time = true;
                return Ok(());
            }
            if let Err(error) = self.run_hour(tenant, signal, hour, deadline, report).await {
                tracing::warn!(%tenant, %signal, hour = hour.0, error = &error as &dyn std::error::Error, "compaction failed");
                report.failed += 1;
            }
        }
        Ok(())
    }

    async fn run_hour(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
        deadline: TimestampMs,
        report: &mut Report,
    ) -> Result<(), CompactError> {
        self.compact_hour(tenant, signal, hour, deadline, report).await?;
        report.deleted += self.collect(tenant, signal, Window::Hour(hour)).await?;
        Ok(())
    }

    /// Compacts one hour by the policy.
    async fn compact_hour(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
        deadline: TimestampMs,
        report: &mut Report,
    ) -> Result<(), CompactError> {
        let snapshot = self.manifest.snapshot_to_merge(tenant, signal, Window::Hour(hour).range()).await;
        let snapshot = snapshot.map_err(|source| CompactError::Manifest { step: "take snapshot", source })?;
        let jobs = plan(&snapshot, &self.policy, self.now());
        for job in jobs.iter().filter(|job| job.window == Window::Hour(hour)) {
            if self.now() >= deadline {
                report.out_of_time = true;
                return Ok(());
            }
            match self.rewrite(tenant, signal, job).await? {
                Outcome::Done(merge) => {
                    report.jobs += 1;
                    report.inputs += job.inputs.len() as u64;
                    report.rows += merge.rows_out;
                    if merge.conflicts > 0 {
                        tracing::info!(%tenant, %signal, hour = hour.0, conflicts = merge.conflicts, "samples with two values");
                    }
                }
                Outcome::Lost => report.lost += 1,
                Outcome::Nothing => report.failed += 1,
            }
        }
        Ok(())
    }
}
