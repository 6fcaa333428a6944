//! Direct or grouped, decided for each request by how often its tenant writes its signal and by the backlog.
//!
//! | | |
//! |---|---|
//! | the process is frozen between requests (classic Lambda) | direct, always |
//! | more than 1,024 L0 segments in the hour | group |
//! | at least one other request expected within the linger ([`crate::rate`]) | group |
//! | else | direct: a lone request waits for nobody |
//!
//! Either way a segment of at most 8 KB goes inside the manifest's record ([`Receipt::inline`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use model::{Clock, Signal, TenantId};

use crate::backlog::Pressure;
use crate::limits::RATES_MAX;
use crate::rate::{Rate, Thresholds};
use crate::{Batch, Choice, Group, GroupOptions, Reason, Receipt, Result, Strategy, WriteBuffer, Writer};

/// Chooses a strategy per request.
#[derive(Debug)]
pub struct Adaptive {
    writer: Writer,
    /// None where nothing may be left for after the answer.
    group: Option<(Group, Thresholds)>,
    clock: Arc<dyn Clock>,
    measured: Mutex<HashMap<(TenantId, Signal), Measured>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    rate: Rate,
    grouping: bool,
}

impl Adaptive {
    /// Makes a buffer for a process that lives on between requests.
    pub fn living(writer: Writer, options: GroupOptions, clock: Arc<dyn Clock>) -> Adaptive {
        let group = Some((Group::new(writer.clone(), options), Thresholds::of(options.linger)));
        Adaptive { writer, group, clock, measured: Mutex::default() }
    }

    /// Makes a buffer for a process that is frozen once it has answered: it only measures.
    pub fn frozen(writer: Writer, clock: Arc<dyn Clock>) -> Adaptive {
        Adaptive { writer, group: None, clock, measured: Mutex::default() }
    }

    /// Counts the request and decides how it is written.
    fn choose(&self, tenant: &TenantId, signal: Signal, pressure: Pressure) -> Choice {
        let now = self.clock.now();
        let mut measured = self.measured.lock().expect("no call panics while it holds the lock");
        if measured.len() >= RATES_MAX {
            // What is forgotten is measured anew.
            measured.clear();
        }
        let known = measured.entry((tenant.clone(), signal)).or_default();
        known.rate.observe(now);
        let per_second = known.rate.per_second(now);
        let requests_per_minute = (per_second * 60.0).round() as u32;
        let choice = |strategy, reason| Choice { strategy, reason, requests_per_minute };
        let Some((_, thresholds)) = &self.group else { return choice(Strategy::Direct, Reason::Frozen) };
        let groups = thresholds.groups(per_second, known.grouping);
        if groups != known.grouping {
            known.grouping = groups;
            tracing::info!(%tenant, %signal, requests_per_minute, groups, "write buffer: grouping by rate changed");
        }
        match (groups, pressure) {
            (true, _) => choice(Strategy::Group, Reason::Rate),
            (false, Pressure::Grouped) => choice(Strategy::Group, Reason::Backlog),
            (false, Pressure::None) => choice(Strategy::Direct, Reason::Rate),
        }
    }
}

#[async_trait]
impl WriteBuffer for Adaptive {
    async fn append(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        if batch.is_empty() {
            return Ok(Receipt::default());
        }
        let pressure = self.writer.admit(tenant, &batch).await?;
        let choice = self.choose(tenant, batch.signal(), pressure);
        let receipt = match (choice.strategy, &self.group) {
            (Strategy::Group, Some((group, _))) => group.append_admitted(tenant, batch).await?,
            _ => self.writer.write(tenant, batch).await?,
        };
        Ok(Receipt { choice, ..receipt })
    }

    async fn close(&self) {
        if let Some((group, _)) = &self.group {
            group.close().await;
        }
    }
}
