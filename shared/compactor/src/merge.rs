//! The merge of a job: what is left out of which input, and where outputs are cut.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use manifest::{Deletion, Part};
use model::{
    CompileEntryFilter, EntryFilter, LabelSet, Matcher, Signal, Slot, SlotRange, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs,
    TimestampNs,
};
use segment::merge::{self, Effort, EraseEntry, MergeOptions, MergeReport};
use segment::{Encoded, SegmentError};

use crate::{CompactError, Job};

/// What is left out of one input.
struct Erasure {
    range: TimeRangeMs,
    matchers: Vec<Matcher>,
    /// Only entries that it accepts.
    filter: Option<EntryFilter>,
}

impl Erasure {
    fn of(deletion: &Deletion, compile: CompileEntryFilter) -> Result<Erasure, CompactError> {
        let request = &deletion.request;
        let compiled = |text: &String| compile(text).map_err(|reason| CompactError::EntryFilter { text: text.clone(), reason });
        let filter = request.filter.as_ref().map(compiled).transpose()?;
        Ok(Erasure { range: request.range, matchers: request.matchers.clone(), filter })
    }

    fn selects(&self, labels: &LabelSet) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }

    fn erases(&self, stream: &LabelSet, timestamp: TimestampNs, line: &[u8], metadata: &[u8]) -> bool {
        let range = TimeRangeNs { start: self.range.start.to_ns(), end: self.range.end.to_ns() };
        let within = range.start <= timestamp && timestamp < range.end;
        within && self.filter.as_ref().is_none_or(|filter| filter.accepts(stream, line, &label_set(metadata)))
    }
}

/// A merge ready to run, on a thread that does no IO.
pub(crate) struct Merge {
    tenant: TenantId,
    signal: Signal,
    inputs: Vec<Bytes>,
    /// Per input.
    erasures: Vec<Vec<Arc<Erasure>>>,
    runs: Vec<SlotRange>,
    options: MergeOptions,
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("inputs", &self.inputs.len()).field("runs", &self.runs).finish_non_exhaustive()
    }
}

const ALL_TIME: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };

impl Merge {
    /// Prepares the merge of `inputs`, whose bytes are given in the same order.
    ///
    /// # Errors
    /// `EntryFilter` where nobody knows what a deletion means: its rows must neither stay nor go.
    pub fn new(
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        inputs: &[Part],
        bytes: Vec<Bytes>,
        output_bytes: u64,
        entry_filters: CompileEntryFilter,
    ) -> Result<Merge, CompactError> {
        let mut compiled: Vec<(&Deletion, Arc<Erasure>)> = Vec::with_capacity(job.deletions.len());
        for deletion in &job.deletions {
            compiled.push((deletion, Arc::new(Erasure::of(deletion, entry_filters)?)));
        }
        let applying = |input: &Part| -> Vec<Arc<Erasure>> {
            let applying = compiled.iter().filter(|(deletion, _)| deletion.applies_to(input));
            applying.map(|(_, erasure)| erasure.clone()).collect()
        };
        let output_bytes_max = usize::try_from(output_bytes).unwrap_or(usize::MAX);
        let effort = effort(job);
        Ok(Merge {
            tenant: tenant.clone(),
            signal,
            inputs: bytes,
            erasures: inputs.iter().map(applying).collect(),
            runs: job.runs.clone(),
            options: MergeOptions { output_bytes_max, effort, ..MergeOptions::default() },
        })
    }

    /// Merges, one pass per run of slots: a pass reads all inputs, and decodes what it leaves out, which is cheap beside writing.
    /// Rows counted as erased are those that deletions name.
    ///
    /// # Errors
    /// `Input` with the position of an input that cannot be read.
    pub fn run(mut self, emit: &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> {
        let mut sum = MergeReport::default();
        let mut inputs = std::mem::take(&mut self.inputs);
        for (pass, run) in self.runs.iter().enumerate() {
            // The last pass takes them, to let go of each when it is done with it.
            let given = if pass + 1 == self.runs.len() { std::mem::take(&mut inputs) } else { inputs.clone() };
            // Metadata of metrics has no slot: it goes with the first run. A series may have exemplars alone.
            let report = self.pass(*run, given, &mut |output| {
                if pass == 0 || output.stats.series > 0 {
                    emit(output);
                }
            })?;
            sum.rows_in = report.rows_in;
            sum.rows_out += report.rows_out;
            sum.duplicates += report.duplicates;
            sum.conflicts += report.conflicts;
        }
        let kept = sum.rows_out + sum.duplicates + sum.conflicts;
        let erased = sum.rows_in.checked_sub(kept).filter(|erased| *erased == 0 || self.erases());
        // D3: nothing between the runs is lost, nothing is in two of them.
        sum.erased = erased.expect("C2: the runs of a job hold every slot of its inputs once");
        Ok(sum)
    }

    fn erases(&self) -> bool {
        self.erasures.iter().any(|erasures| !erasures.is_empty())
    }

    fn pass(&self, run: SlotRange, inputs: Vec<Bytes>, emit: &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> {
        let is_elsewhere =
            |labels: &LabelSet| run != SlotRange::ALL && !run.contains(Slot::of(&self.tenant, self.signal, labels));
        match self.signal {
            Signal::Metrics => {
                let erase = |input: usize, labels: &LabelSet| {
                    if is_elsewhere(labels) {
                        return vec![ALL_TIME];
                    }
                    let selecting = self.erasures[input].iter().filter(|erasure| erasure.selects(labels));
                    selecting.map(|erasure| erasure.range).collect()
                };
                merge::metrics_without(inputs, &self.options, &erase, emit)
            }
            Signal::Logs => {
                let erase = |input: usize, labels: &LabelSet| -> Option<EraseEntry<'_>> {
                    if is_elsewhere(labels) {
                        return Some(Box::new(|_, _, _| true));
                    }
                    let selecting = self.erasures[input].iter().filter(|erasure| erasure.selects(labels));
                    let selecting: Vec<Arc<Erasure>> = selecting.cloned().collect();
                    let stream = labels.clone();
                    Some(Box::new(move |timestamp, line, metadata| {
                        selecting.iter().any(|erasure| erasure.erases(&stream, timestamp, line, metadata))
                    }))
                };
                merge::logs_without(inputs, &self.options, &erase, emit)
            }
        }
    }
}

/// Returns an entry's structured metadata. What is no label set, which no reader would show either, has none.
fn label_set(metadata: &[u8]) -> LabelSet {
    LabelSet::from_encoded(metadata).unwrap_or_else(|_| LabelSet::empty())
}

/// L1 is read once more within minutes, a day is kept.
fn effort(job: &Job) -> Effort {
    match job.level {
        0 | 1 => Effort::Fast,
        2 => Effort::Normal,
        _ => Effort::Small,
    }
}
