//! Replicas that send the same: whose samples of a request are stored.
//!
//! Who is elected is `manifest::election`'s; this finds the replicas in a batch, asks, and leaves of the batch what is to be stored, without
//! the label that tells replicas apart. A series that has not both labels is no replica's and stays as it is.

use std::cmp::Reverse;
use std::collections::HashMap;

use manifest::election::{Candidate, Denied, Elections, Mandate, Outcome, Share};
use model::batch::{ExemplarRow, HistogramRow};
use model::labels::encode_label;
use model::limits::ElectionLimits;
use model::{MetricBatch, TenantId, TimestampMs};
use wire::remote_write::Written;

/// What is left of a batch.
#[derive(Debug, Default)]
pub struct Chosen {
    /// To be stored.
    pub batch: MetricBatch,
    /// To be handed back once it is.
    pub mandates: Vec<Mandate>,
    /// What is not stored because the replica elected stores the same.
    pub covered: Written,
    /// What is not stored because there is no place for its cluster.
    pub denied: Written,
    /// Why.
    pub reason: Option<Denied>,
    /// What is stored of replicas.
    pub taken: Written,
}

/// What becomes of a series.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is no replica's.
    Kept,
    Taken(Share),
    Covered,
    Denied,
}

/// A replica in a request.
#[derive(Debug)]
struct Sender {
    cluster: String,
    replica: String,
    times: Times,
    fate: Fate,
}

/// Leaves of a batch what is to be stored.
///
/// # Errors
/// Where it is not known who is elected: nothing of the request may be stored then.
pub async fn choose(
    elections: &Elections,
    tenant: &TenantId,
    batch: MetricBatch,
    limits: &ElectionLimits,
) -> manifest::Result<Chosen> {
    let (mut senders, of_series) = if limits.enabled { senders(&batch, limits) } else { Default::default() };
    let mut chosen = Chosen::default();
    if senders.is_empty() {
        return Ok(Chosen { batch, ..chosen });
    }
    // The newest first: where nobody is elected, it claims, and none of its cluster is ahead of it.
    let mut order: Vec<usize> = (0..senders.len()).collect();
    order.sort_by_key(|sender| Reverse(senders[*sender].times.newest));
    let mut undecided = Vec::new();
    for sender in order {
        match elections.decide(&senders[sender].candidate(tenant), limits).await {
            Ok(outcome) => senders[sender].fate = chosen.note(&senders[sender], outcome),
            Err(error @ manifest::Error::Undecided { .. }) => undecided.push((sender, error)),
            Err(error) => return Err(error),
        }
    }
    // What waits for a claimer of this very request is answered with it, and would wait for ever.
    for (sender, error) in undecided {
        let candidate = senders[sender].candidate(tenant);
        let outcome = chosen.mandates.iter().find_map(|mandate| mandate.beside(&candidate, limits)).ok_or(error)?;
        senders[sender].fate = chosen.note(&senders[sender], outcome);
    }
    let fate_of = |sender: Option<usize>| sender.map_or(Fate::Kept, |sender| senders[sender].fate);
    let fates: Vec<Fate> = of_series.into_iter().map(fate_of).collect();
    chosen.cut(batch, &fates, &limits.replica_label);
    Ok(chosen)
}

/// Lists the replicas of a batch, and says of each series whose it is.
fn senders(batch: &MetricBatch, limits: &ElectionLimits) -> (Vec<Sender>, Vec<Option<usize>>) {
    let (mut senders, mut places) = (Vec::<Sender>::new(), HashMap::<(&str, &str), usize>::new());
    let mut of_series = Vec::with_capacity(batch.series_len());
    for (series, times) in times(batch).into_iter().enumerate() {
        // Nothing of a series without a sample can be stored or missed.
        let Some(((cluster, replica), times)) = labels_of(batch, series, limits).zip(times) else {
            of_series.push(None);
            continue;
        };
        let place = *places.entry((cluster, replica)).or_insert(senders.len());
        match senders.get_mut(place) {
            Some(sender) => sender.times = sender.times.and(times),
            None => senders.push(Sender { cluster: cluster.to_owned(), replica: replica.to_owned(), times, fate: Fate::Kept }),
        }
        of_series.push(Some(place));
    }
    (senders, of_series)
}

/// Returns cluster and replica of a series, where it has both.
fn labels_of<'b>(batch: &'b MetricBatch, series: usize, limits: &ElectionLimits) -> Option<(&'b str, &'b str)> {
    let value =
        |name: &str| batch.labels_of(series).take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, value)| value);
    value(&limits.cluster_label).zip(value(&limits.replica_label))
}

/// The oldest and the newest of rows.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// Of samples and histograms. Exemplars count only where there is nothing else: one that is hours older than the samples beside it
    /// would put the begin of a term where nothing is stored.
    of_samples: bool,
    oldest: TimestampMs,
    newest: TimestampMs,
}

impl Times {
    fn of_sample(at: TimestampMs) -> Times {
        Times { of_samples: true, oldest: at, newest: at }
    }

    fn of_exemplar(at: TimestampMs) -> Times {
        Times { of_samples: false, oldest: at, newest: at }
    }

    fn and(self, other: Times) -> Times {
        match (self.of_samples, other.of_samples) {
            (true, false) => self,
            (false, true) => other,
            _ => Times { oldest: self.oldest.min(other.oldest), newest: self.newest.max(other.newest), ..self },
        }
    }
}

/// Returns the times of every series that has a row.
fn times(batch: &MetricBatch) -> Vec<Option<Times>> {
    let of = |series: usize| {
        let samples = batch.timestamps[batch.sample_range(series)].iter();
        samples.map(|at| Times::of_sample(TimestampMs(*at))).reduce(Times::and)
    };
    let mut times: Vec<Option<Times>> = (0..batch.series_len()).map(of).collect();
    let histograms = batch.histograms.iter().map(|row| (row.series, Times::of_sample(row.timestamp)));
    let exemplars = batch.exemplars.iter().map(|row| (row.series, Times::of_exemplar(row.exemplar.timestamp)));
    for (series, at) in histograms.chain(exemplars) {
        let known = &mut times[series as usize];
        *known = Some(known.map_or(at, |known| known.and(at)));
    }
    times
}

impl Sender {
    fn candidate<'s>(&'s self, tenant: &'s TenantId) -> Candidate<'s> {
        let Sender { cluster, replica, times: Times { oldest, newest, .. }, .. } = self;
        Candidate { tenant, cluster, replica, oldest: *oldest, newest: *newest }
    }
}

impl Fate {
    /// Reports whether a sample is to be stored.
    fn keeps(self, at: TimestampMs) -> bool {
        match self {
            Fate::Kept => true,
            Fate::Taken(share) => share.has(at),
            Fate::Covered | Fate::Denied => false,
        }
    }
}

impl Chosen {
    fn note(&mut self, sender: &Sender, outcome: Outcome) -> Fate {
        match outcome {
            Outcome::Taken { share, mandate } => {
                // Only what is stored speaks for an election: of a range, one end at least is.
                let any_stored = share.has(sender.times.oldest) || share.has(sender.times.newest);
                self.mandates.extend(mandate.filter(|_| any_stored));
                Fate::Taken(share)
            }
            Outcome::Covered { elected } => {
                tracing::debug!(cluster = sender.cluster, replica = sender.replica, elected, "a replica is covered by another");
                Fate::Covered
            }
            Outcome::Denied(reason) => {
                self.reason = Some(reason);
                Fate::Denied
            }
        }
    }

    /// Copies what is to be stored, and counts what is not.
    fn cut(&mut self, from: MetricBatch, fates: &[Fate], replica_label: &str) {
        let mut places = Vec::with_capacity(fates.len());
        for (series, fate) in fates.iter().enumerate() {
            places.push(self.batch.series_len() as u32);
            let range = from.sample_range(series);
            let kept = range.clone().filter(|row| fate.keeps(TimestampMs(from.timestamps[*row])));
            let kept: Vec<usize> = kept.collect();
            self.count(*fate, true, Written { samples: kept.len(), ..Written::default() });
            self.count(*fate, false, Written { samples: range.len() - kept.len(), ..Written::default() });
            // A series may have histograms alone: those that are kept find it here.
            if !matches!(fate, Fate::Covered | Fate::Denied) {
                self.start(&from, series, *fate, replica_label);
                kept.into_iter().for_each(|row| push(&mut self.batch, &from, row));
            }
        }
        for row in from.histograms {
            let fate = fates[row.series as usize];
            let is_kept = fate.keeps(row.timestamp);
            self.count(fate, is_kept, Written { histograms: 1, ..Written::default() });
            if is_kept {
                self.batch.histograms.push(HistogramRow { series: places[row.series as usize], ..row });
            }
        }
        for row in from.exemplars {
            let fate = fates[row.series as usize];
            let is_kept = fate.keeps(row.exemplar.timestamp);
            self.count(fate, is_kept, Written { exemplars: 1, ..Written::default() });
            if is_kept {
                self.batch.exemplars.push(ExemplarRow { series: places[row.series as usize], ..row });
            }
        }
        // Metadata comes with the series it tells about.
        if self.batch.series_len() > 0 {
            self.batch.metadata = from.metadata;
        }
    }

    fn start(&mut self, from: &MetricBatch, series: usize, fate: Fate, replica_label: &str) {
        let stored = |name: &str| !matches!(fate, Fate::Taken(_)) || name != replica_label;
        self.batch.start_series(|out| {
            let labels = from.labels_of(series).filter(|(name, _)| stored(name));
            labels.for_each(|(name, value)| encode_label(out, name.as_bytes(), value.as_bytes()));
        });
    }

    /// Counts what is sent by replicas: taken, there already, or denied.
    fn count(&mut self, fate: Fate, is_kept: bool, rows: Written) {
        let counted = match fate {
            Fate::Kept => return,
            Fate::Denied => &mut self.denied,
            _ if is_kept => &mut self.taken,
            _ => &mut self.covered,
        };
        *counted = counted.with(rows);
    }
}

fn push(batch: &mut MetricBatch, from: &MetricBatch, row: usize) {
    let started = from.start_timestamps.get(row).copied().unwrap_or(0);
    batch.push_sample(TimestampMs(from.timestamps[row]), from.values[row], TimestampMs(started));
}

#[cfg(test)]
mod tests;
