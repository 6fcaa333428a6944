//! The log pipeline as data, and its executor.
//!
//! Owns: [`Stage`] and its canonical text, and what each stage does to an entry (Loki's semantics, LogQL reference section B).
//! Does not own: LogQL's syntax (`logql`), which entries are read, window functions over samples.

mod automaton;
mod compiled;
pub mod excerpt;
mod expression;
pub mod fields;
mod format;
mod hints;
mod ip;
pub(crate) mod json;
mod json_path;
mod label_filter;
pub mod labels;
mod line_filter;
pub(crate) mod logfmt;
mod parsers;
pub mod pattern;
mod reduce;
pub mod regexp;
pub mod sample;
pub mod sieve;
pub mod stage;
pub mod units;

use std::borrow::Cow;

use model::{ErrorKind, LabelSet};

use compiled::Compiled;
use format::Moment;
use hints::Hints;
pub use labels::{Category, Labels};
use line_filter::CompiledLineFilter;
pub use sample::{Extractor, Input, LineUse, PipelineError, Sample};
use sieve::Sieve;
pub use stage::{
    CompareOp, Conversion, Extraction, LabelFilter, LabelFormat, LabelPick, LineFilter, LineOp, LineTerm, Logfmt, Stage, Unwrap,
};

/// A stage that cannot be built, as Loki says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse error : stage '{stage}' : {reason}")]
pub struct BuildError {
    /// The stage's canonical text.
    pub stage: String,
    /// Why.
    pub reason: String,
}

impl BuildError {
    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Memory that one worker reuses for all entries it processes.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    labels: Labels,
    now_ns: Option<i64>,
}

impl Scratch {
    /// Makes memory for a query asked at `now_ns`, which is what templates call `now`. Where nobody says, `now` is the time of the
    /// entry in hand.
    pub fn at(now_ns: i64) -> Scratch {
        Scratch { now_ns: Some(now_ns), ..Scratch::default() }
    }

    /// Reports whether a stage failed on the entry processed last, so that what it came to has labels of all kinds.
    pub fn has_failed(&self) -> bool {
        self.labels.has_error()
    }

    fn moment(&self, timestamp_ns: i64) -> Moment {
        Moment { timestamp_ns, now_ns: self.now_ns.unwrap_or(timestamp_ns) }
    }
}

/// What became of an entry.
#[derive(Debug)]
pub enum Outcome<'s> {
    /// A stage dropped it.
    Drop,
    /// It stays.
    Keep {
        /// The line after the stages; borrowed where no stage changed it.
        line: Cow<'s, [u8]>,
        /// Its labels.
        labels: &'s Labels,
    },
}

/// Stages ready to run over many entries. Shared between workers; each brings its own [`Scratch`].
#[derive(Debug)]
pub struct Pipeline {
    stages: Vec<Compiled>,
    hints: Hints,
}

impl Pipeline {
    /// Compiles stages. Line filters move in front of parsers, as in Loki: parsing is for lines that pass.
    pub fn compile(stages: &[Stage]) -> Result<Pipeline, BuildError> {
        let stages = reorder(stages).iter().map(Compiled::new).collect::<Result<Vec<_>, _>>()?;
        let hints = Hints::all(stages.iter().filter_map(sample::early_filter).collect());
        Ok(Pipeline { stages, hints })
    }

    /// Passes an entry through the stages.
    pub fn process<'s>(
        &self,
        scratch: &'s mut Scratch,
        timestamp_ns: i64,
        line: &'s [u8],
        stream: &LabelSet,
        metadata: &LabelSet,
    ) -> Outcome<'s> {
        self.process_filtered(scratch, Input { timestamp_ns, line, stream, metadata }, false)
    }

    /// As [`Pipeline::process`]; `filtered` says that the filters in front ([`Pipeline::sieve`]) let the line pass.
    pub fn process_filtered<'s>(&self, scratch: &'s mut Scratch, entry: Input<'s, '_>, filtered: bool) -> Outcome<'s> {
        let moment = scratch.moment(entry.timestamp_ns);
        match self.run(&mut scratch.labels, moment, entry.line, filtered, entry.stream, entry.metadata) {
            Some(line) => Outcome::Keep { line, labels: &scratch.labels },
            None => Outcome::Drop,
        }
    }

    fn run<'l>(
        &self,
        labels: &mut Labels,
        moment: Moment,
        line: &'l [u8],
        filtered: bool,
        stream: &LabelSet,
        metadata: &LabelSet,
    ) -> Option<Cow<'l, [u8]>> {
        // Most lines fall to the first filter; they cost no label work.
        let (first, rest) = self.front();
        if !filtered && !first.iter().all(|filter| filter.accepts(line)) {
            return None;
        }
        labels.start(stream, metadata);
        rest.iter().try_fold(Cow::Borrowed(line), |line, stage| stage.run(line, moment, labels, &self.hints))
    }

    /// Returns the line filters in front, and the stages after them.
    fn front(&self) -> (&[CompiledLineFilter], &[Compiled]) {
        match self.stages.split_first() {
            Some((Compiled::LineFilters(filters), rest)) => (filters, rest),
            _ => (&[], &self.stages),
        }
    }

    /// Returns the line filters in front of all other stages, for lines that are not put together yet; `None` where there are none.
    pub fn sieve(&self) -> Option<Sieve> {
        let (filters, _) = self.front();
        (!filters.is_empty()).then(|| Sieve::new(filters))
    }

    /// Reports whether every line passes unchanged, with the labels of its stream and metadata.
    pub fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    /// Reports whether the line itself is looked at or changed, once it has passed the filters in front.
    pub fn reads_line(&self) -> bool {
        self.front().1.iter().any(Compiled::reads_line)
    }

    /// Reports whether every entry stays that has passed the filters in front.
    pub fn keeps_all(&self) -> bool {
        !self.front().1.iter().any(Compiled::drops)
    }

    /// Reports whether what becomes of an entry depends on when it was, or when it is asked for.
    pub fn reads_time(&self) -> bool {
        self.stages.iter().any(Compiled::reads_time)
    }

    /// Returns literals that stored lines must have to pass: one of each inner list. For pushing filters into the scan.
    pub fn required_literals(&self) -> Vec<Vec<Vec<u8>>> {
        let stored = self.stages.iter().take_while(|stage| !stage.changes_line());
        let filters = stored.filter_map(|stage| match stage {
            Compiled::LineFilters(filters) => Some(filters),
            _ => None,
        });
        filters.flatten().filter_map(|filter| filter.required()).collect()
    }
}

/// Moves line filters to the front of the stages between which they may move: not past label filters, nor past what changes
/// lines, except `decolorize` (Loki's order, and so its answers).
fn reorder(stages: &[Stage]) -> Vec<Stage> {
    let (mut out, mut filters, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut flush = |filters: &mut Vec<LineFilter>, others: &mut Vec<Stage>, last: Option<&Stage>| {
        if !filters.is_empty() {
            out.push(Stage::LineFilters(std::mem::take(filters)));
        }
        out.append(others);
        out.extend(last.cloned());
    };
    for stage in stages {
        match stage {
            Stage::LineFilters(more) => filters.extend(more.iter().cloned()),
            Stage::LabelFilter(_) | Stage::LineFormat(_) | Stage::Unpack => flush(&mut filters, &mut others, Some(stage)),
            other => others.push(other.clone()),
        }
    }
    flush(&mut filters, &mut others, None);
    out
}
