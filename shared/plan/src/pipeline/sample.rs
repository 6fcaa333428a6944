//! From entries to samples: what a range aggregation reads of each line.

use model::labels::DETECTED_LEVEL;
use model::{ErrorKind, LabelSet, go_float};

use super::compiled::Compiled;
use super::excerpt::Excerpt;
use super::hints::Hints;
use super::label_filter::CompiledFilter;
use super::labels::{ERROR, Labels, PRESERVE_ERROR};
use super::stage::{Conversion, Stage, Unwrap};
use super::{BuildError, Pipeline, Scratch, units};
use crate::logical::{LogRangeFunction, LogWindow};

const SAMPLE_ERROR: &str = "SampleExtractionErr";

/// Turns entries into samples for one range aggregation.
#[derive(Debug)]
pub struct Extractor {
    pipeline: Pipeline,
    value: Source,
    /// Ascending.
    groups: Vec<String>,
    without: bool,
    no_labels: bool,
}

#[derive(Debug)]
enum Source {
    One,
    LineBytes,
    Unwrapped { label: String, conversion: Conversion, filters: Vec<CompiledFilter> },
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its value.
    pub value: f64,
    /// Labels of its series, groupings that could be applied early already applied.
    pub labels: LabelSet,
    /// Why the entry could not be processed: a query with this sample in a window fails.
    pub error: Option<PipelineError>,
}

/// A stage failed on an entry that a metric query counts; the text is Loki's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pipeline error: '{error}' for series: '{series}'.\nUse a label filter to intentionally skip this error. \
     (e.g | __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\n\
     The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n"
)]
pub struct PipelineError {
    /// Kind of the error, such as `JSONParserErr`.
    pub error: String,
    /// Labels of the sample, the error's among them.
    pub series: LabelSet,
}

impl PipelineError {
    /// Returns the error that a series carries, unless it asks to be kept (`__preserve_error__="true"`).
    pub fn of(series: &LabelSet) -> Option<PipelineError> {
        let error = series.get(ERROR)?.to_owned();
        (series.get(PRESERVE_ERROR) != Some("true")).then(|| PipelineError { error, series: series.clone() })
    }

    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// An entry as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Input<'l, 'e> {
    /// When, nanoseconds.
    pub timestamp_ns: i64,
    /// Its line.
    pub line: &'l [u8],
    /// Labels of its stream.
    pub stream: &'e LabelSet,
    /// Its structured metadata.
    pub metadata: &'e LabelSet,
}

/// What an extraction needs of a line: lets the scan leave out what is not looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineUse {
    /// Only that there is one.
    None,
    /// Its length in bytes.
    Length,
    /// Its text.
    Text,
}

impl Extractor {
    /// Compiles the input of a range aggregation.
    pub fn compile(window: &LogWindow) -> Result<Extractor, BuildError> {
        let (mut groups, mut without, mut no_labels) = (Vec::new(), false, false);
        if let Some(grouping) = &window.grouping {
            groups.clone_from(&grouping.labels);
            without = grouping.without;
            no_labels = !without && groups.is_empty();
        }
        if let Some(required) = &window.required_labels {
            groups.clone_from(required);
            without = false;
            no_labels = groups.is_empty();
        }
        no_labels |= window.function == LogRangeFunction::AbsentOverTime;
        Extractor::build(&window.select.stages, window.function, groups, without, no_labels)
    }

    fn build(
        stages: &[Stage],
        function: LogRangeFunction,
        mut groups: Vec<String>,
        mut without: bool,
        no_labels: bool,
    ) -> Result<Extractor, BuildError> {
        let (unwrap, stages) = match stages {
            [before @ .., Stage::Unwrap(unwrap)] => (Some(unwrap), before),
            _ => (None, stages),
        };
        let value = match unwrap {
            Some(unwrap) => Source::unwrapped(unwrap)?,
            None if matches!(function, LogRangeFunction::BytesRate | LogRangeFunction::BytesOverTime) => Source::LineBytes,
            None => Source::One,
        };
        if let Some(unwrap) = unwrap
            && (groups.is_empty() || without)
        {
            without = true;
            groups.push(unwrap.label.clone());
        }
        let mut pipeline = Pipeline::compile(stages)?;
        pipeline.hints = value.hints(&pipeline, unwrap, &groups, without, no_labels);
        groups.sort_unstable();
        groups.dedup();
        Ok(Extractor { pipeline, value, groups, without, no_labels })
    }

    /// Extracts the sample of an entry; `None` where the line is dropped or has nothing to unwrap.
    pub fn extract(
        &self,
        scratch: &mut Scratch,
        timestamp_ns: i64,
        line: &[u8],
        stream: &LabelSet,
        metadata: &LabelSet,
    ) -> Option<Sample> {
        let mut series = Vec::new();
        let value = self.extract_into(scratch, Input { timestamp_ns, line, stream, metadata }, false, &mut series)?;
        Some(self.sample(value, &series))
    }

    /// Extracts the sample of an entry whose line is not read: for [`LineUse::None`] and [`LineUse::Length`].
    pub fn extract_unread(
        &self,
        scratch: &mut Scratch,
        timestamp_ns: i64,
        line_bytes: usize,
        stream: &LabelSet,
        metadata: &LabelSet,
    ) -> Option<Sample> {
        let mut series = Vec::new();
        let value = self.extract_unread_into(scratch, timestamp_ns, line_bytes, (stream, metadata), &mut series)?;
        Some(self.sample(value, &series))
    }

    /// Extracts the value of an entry, and puts the canonical encoding of its series into `series`; `filtered` says that
    /// the filters in front ([`Pipeline::sieve`]) let the line pass.
    pub fn extract_into(&self, scratch: &mut Scratch, entry: Input<'_, '_>, filtered: bool, series: &mut Vec<u8>) -> Option<f64> {
        let moment = scratch.moment(entry.timestamp_ns);
        let labels = &mut scratch.labels;
        let line = self.pipeline.run(labels, moment, entry.line, filtered, entry.stream, entry.metadata)?;
        self.value(labels, line.len(), series)
    }

    /// As [`Extractor::extract_into`], for entries whose line has passed the filters in front and is not read.
    pub fn extract_unread_into(
        &self,
        scratch: &mut Scratch,
        timestamp_ns: i64,
        line_bytes: usize,
        (stream, metadata): (&LabelSet, &LabelSet),
        series: &mut Vec<u8>,
    ) -> Option<f64> {
        debug_assert!(self.filtered_line_use() != LineUse::Text, "the line is read");
        let moment = scratch.moment(timestamp_ns);
        let labels = &mut scratch.labels;
        self.pipeline.run(labels, moment, &[], true, stream, metadata)?;
        self.value(labels, line_bytes, series)
    }

    /// Returns what an extraction needs of a line.
    pub fn line_use(&self) -> LineUse {
        if self.pipeline.front().0.is_empty() { self.filtered_line_use() } else { LineUse::Text }
    }

    /// Returns what an extraction needs of a line that has passed the filters in front.
    pub fn filtered_line_use(&self) -> LineUse {
        match &self.value {
            _ if self.pipeline.reads_line() => LineUse::Text,
            Source::LineBytes => LineUse::Length,
            Source::One | Source::Unwrapped { .. } => LineUse::None,
        }
    }

    /// Returns what leaves out of lines what this extraction does not ask for; `None` where it may ask for anything.
    pub fn excerpt(&self) -> Option<Excerpt<'_>> {
        let (_, stages) = self.pipeline.front();
        (!self.counts_bytes()).then(|| Excerpt::of_stages(stages, &self.pipeline.hints)).flatten()
    }

    /// Appends what of a stream and metadata can make a difference to the sample of a line whose excerpt is read
    /// ([`Extractor::excerpt`]), unless a stage fails: entries with equal bytes and lines have equal samples.
    pub fn put_class(&self, scratch: &mut Scratch, stream: &LabelSet, metadata: &LabelSet, out: &mut Vec<u8>) {
        scratch.labels.start(stream, metadata);
        scratch.labels.put_started(|name| self.pipeline.hints.is_required(name), out);
    }

    /// Reports whether a value is the length of the line in bytes.
    pub fn counts_bytes(&self) -> bool {
        matches!(self.value, Source::LineBytes)
    }

    /// Reports whether a value is that of a label, which may be any number; else it is 1 or a length in bytes.
    pub fn unwraps(&self) -> bool {
        matches!(self.value, Source::Unwrapped { .. })
    }

    /// Returns the canonical encoding of the one series that all entries of a stream are of, where the stream alone decides: no stage
    /// that may drop an entry or change labels runs, and metadata cannot be seen. The filters in front have been applied.
    pub fn series_of_stream(&self, stream: &LabelSet) -> Option<Vec<u8>> {
        if self.unwraps() || !self.only_filters_lines() {
            return None;
        }
        // A label of the stream keeps its name: metadata of the same name is shown under another.
        let settled =
            self.no_labels || (!self.without && !self.groups.is_empty() && self.groups.iter().all(|g| stream.get(g).is_some()));
        settled.then(|| self.series_with(stream, &LabelSet::empty()))
    }

    /// Where [`Extractor::series_of_stream`] has none, because of metadata `detected_level` can be seen as well: the series of the entries
    /// that have this one, or none.
    pub fn series_of_level(&self, stream: &LabelSet, level: Option<&str>) -> Option<Vec<u8>> {
        if self.unwraps() || !self.only_filters_lines() || self.without || self.groups.is_empty() {
            return None;
        }
        let is_known = |group: &String| group == DETECTED_LEVEL || stream.get(group).is_some();
        self.groups.iter().all(is_known).then(|| {
            let level = level.map(|level| (DETECTED_LEVEL, level));
            self.series_with(stream, &LabelSet::from_pairs(level))
        })
    }

    fn only_filters_lines(&self) -> bool {
        self.pipeline.stages.iter().all(|stage| matches!(stage, Compiled::LineFilters(_)))
    }

    fn series_with(&self, stream: &LabelSet, metadata: &LabelSet) -> Vec<u8> {
        let mut labels = Labels::default();
        labels.start(stream, metadata);
        let mut series = Vec::new();
        self.encode_series(&labels, &mut series);
        series
    }

    fn value(&self, labels: &mut Labels, line_bytes: usize, series: &mut Vec<u8>) -> Option<f64> {
        let value = match &self.value {
            Source::One => 1.0,
            Source::LineBytes => line_bytes as f64,
            Source::Unwrapped { label, conversion, filters } => {
                let value = unwrap(labels, label, *conversion)?;
                if !filters.iter().fold(true, |keep, filter| filter.accepts(labels) & keep) {
                    return None;
                }
                value
            }
        };
        series.clear();
        self.encode_series(labels, series);
        Some(value)
    }

    fn sample(&self, value: f64, series: &[u8]) -> Sample {
        let labels = LabelSet::from_encoded_with_empty(series).expect("the pipeline writes canonical encodings");
        let error = PipelineError::of(&labels);
        Sample { value, labels, error }
    }

    /// Returns the pipeline, for pushing filters into the scan.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    fn encode_series(&self, labels: &Labels, out: &mut Vec<u8>) {
        if labels.has_error() {
            labels.encode_merged(out);
        } else if self.no_labels {
        } else if self.groups.is_empty() {
            labels.encode_merged(out);
        } else if self.without {
            labels.encode_without(&self.groups, out);
        } else {
            labels.encode_only(&self.groups, out);
        }
    }
}

impl Source {
    fn unwrapped(unwrap: &Unwrap) -> Result<Source, BuildError> {
        let filters = unwrap.filters.iter().map(CompiledFilter::part).collect::<Result<_, _>>();
        let filters = filters.map_err(|reason| BuildError { stage: unwrap.to_string(), reason })?;
        Ok(Source::Unwrapped { label: unwrap.label.clone(), conversion: unwrap.conversion, filters })
    }

    /// Tells the parsers what this extraction looks at.
    fn hints(&self, pipeline: &Pipeline, unwrap: Option<&Unwrap>, groups: &[String], without: bool, no_labels: bool) -> Hints {
        let mut used = Vec::new();
        pipeline.stages.iter().for_each(|stage| stage.push_names(&mut used));
        let mut early: Vec<CompiledFilter> = pipeline.stages.iter().filter_map(early_filter).collect();
        if let Source::Unwrapped { filters, .. } = self {
            filters.iter().for_each(|filter| filter.push_names(&mut used));
            // Filters after unwrap are one filter to the parsers: only a single one can be applied early.
            if let [filter] = filters.as_slice() {
                early.extend(filter.single_name().is_some().then(|| filter.clone()));
            }
        }
        used.extend(unwrap.map(|unwrap| unwrap.label.clone()));
        match () {
            () if no_labels => Hints::required(used, groups, early),
            () if without || groups.is_empty() => Hints::all(early),
            () => Hints::required(used, groups, Vec::new()),
        }
    }
}

/// Returns the filter of a label-filter stage on one label, which parsers may apply at once.
pub(super) fn early_filter(stage: &Compiled) -> Option<CompiledFilter> {
    match stage {
        Compiled::LabelFilter(filter) if filter.single_name().is_some() => Some(filter.clone()),
        _ => None,
    }
}

fn unwrap(labels: &mut Labels, label: &str, conversion: Conversion) -> Option<f64> {
    let text = labels.get(label).map_or("", |(value, _)| value);
    if text.is_empty() {
        return None;
    }
    let value = match conversion {
        Conversion::Number => go_float::parse(text)
            .map_err(|reason| format!("strconv.ParseFloat: parsing {}: {reason}", model::quote::go_quote(text))),
        Conversion::Bytes => units::parse_bytes(text).map(|bytes| bytes as f64),
        Conversion::Duration | Conversion::DurationSeconds => units::parse_go_duration(text).map(seconds),
    };
    Some(value.unwrap_or_else(|details| {
        labels.set_error(SAMPLE_ERROR, &details);
        0.0
    }))
}

/// Converts as Go's `Duration.Seconds` does: whole seconds and the rest apart.
fn seconds(ns: i64) -> f64 {
    (ns / units::SECOND_NS) as f64 + (ns % units::SECOND_NS) as f64 / 1e9
}
