//! Stages ready to run, and what each does to the entry in hand.

use std::borrow::Cow;

use model::re2;

use super::BuildError;
use super::expression::logfmt_key;
use super::format::{CompiledFormat, Moment, label_format, label_formats, line_format, line_template};
use super::hints::Hints;
use super::json_path::JsonPath;
use super::label_filter::CompiledFilter;
use super::labels::{ERROR, ERROR_DETAILS, Labels, PRESERVE_ERROR, go_text};
use super::line_filter::CompiledLineFilter;
use super::parsers::{Parsed, json, json_extract, logfmt, logfmt_extract, unpack};
use super::pattern::Pattern;
use super::regexp::Regexp;
use super::stage::{Extraction, LabelPick, Logfmt, Stage};
use crate::template::Template;

/// A stage ready to run.
#[derive(Debug)]
pub(super) enum Compiled {
    LineFilters(Vec<CompiledLineFilter>),
    Json,
    JsonPaths(Vec<(String, JsonPath)>),
    Logfmt(Logfmt),
    LogfmtKeys(Logfmt),
    Regexp(Regexp),
    Pattern(Pattern),
    Unpack,
    LabelFilter(CompiledFilter),
    LineFormat(Template),
    LabelFormat(Vec<CompiledFormat>),
    Decolorize(regex::bytes::Regex),
    Drop(Vec<LabelPick>),
    Keep(Vec<LabelPick>),
}

/// ANSI escape sequences: operating system commands up to BEL, and control sequences with their parameters.
const COLOR_CODES: &str =
    r"[\x1b\x{9b}][\[\]()#;?]*(?:(?:[a-zA-Z0-9]*(?:;[a-zA-Z0-9]*)*)?\x07|(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-PRZcf-ntqry=><~])";

impl Compiled {
    pub(super) fn new(stage: &Stage) -> Result<Compiled, BuildError> {
        Compiled::build(stage).map_err(|reason| BuildError { stage: stage.to_string(), reason })
    }

    fn build(stage: &Stage) -> Result<Compiled, String> {
        Ok(match stage {
            Stage::LineFilters(filters) => Compiled::LineFilters(CompiledLineFilter::all(filters)?),
            Stage::Json(extractions) if extractions.is_empty() => Compiled::Json,
            Stage::Json(extractions) => Compiled::JsonPaths(json_paths(extractions)?),
            Stage::Logfmt(logfmt) if logfmt.extractions.is_empty() => Compiled::Logfmt(logfmt.clone()),
            Stage::Logfmt(logfmt) => Compiled::LogfmtKeys(logfmt_keys(logfmt)?),
            Stage::Regexp(pattern) => Compiled::Regexp(Regexp::new(pattern)?),
            Stage::Pattern(pattern) => Compiled::Pattern(Pattern::parser(pattern)?),
            Stage::Unpack => Compiled::Unpack,
            Stage::LabelFilter(filter) => Compiled::LabelFilter(CompiledFilter::new(filter)?),
            Stage::LineFormat(template) => Compiled::LineFormat(line_template(template)?),
            Stage::LabelFormat(formats) => Compiled::LabelFormat(label_formats(formats)?),
            Stage::Decolorize => Compiled::Decolorize(re2::compile_bytes(COLOR_CODES).map_err(|error| error.to_string())?),
            Stage::Drop(picks) => Compiled::Drop(picks.clone()),
            Stage::Keep(picks) => Compiled::Keep(picks.clone()),
            Stage::Unwrap(_) => return Err("unsupported: unwrap outside a range aggregation".to_owned()),
        })
    }

    /// Appends the labels the stage reads.
    pub(super) fn push_names(&self, out: &mut Vec<String>) {
        match self {
            Compiled::LabelFilter(filter) => filter.push_names(out),
            Compiled::LineFormat(template) => template.push_names(out),
            Compiled::LabelFormat(formats) => {
                for format in formats {
                    match format {
                        CompiledFormat::Rename { from, .. } => out.push(from.clone()),
                        CompiledFormat::Template { template, .. } => template.push_names(out),
                    }
                }
            }
            _ => {}
        }
    }

    /// Reports whether the stage looks at the line, or may change it.
    pub(super) fn reads_line(&self) -> bool {
        match self {
            Compiled::LabelFilter(_) | Compiled::Drop(_) | Compiled::Keep(_) => false,
            Compiled::LabelFormat(formats) => {
                formats.iter().any(|format| matches!(format, CompiledFormat::Template { template, .. } if template.reads_line()))
            }
            _ => true,
        }
    }

    /// Reports whether the stage may drop an entry. Parsers drop where a filter that follows would: there is such a filter then.
    pub(super) fn drops(&self) -> bool {
        matches!(self, Compiled::LineFilters(_) | Compiled::LabelFilter(_))
    }

    /// Reports whether the stage looks at the time of an entry, or may.
    pub(super) fn reads_time(&self) -> bool {
        matches!(self, Compiled::LineFormat(_) | Compiled::LabelFormat(_))
    }

    /// Reports whether the stage may change the line.
    pub(super) fn changes_line(&self) -> bool {
        matches!(self, Compiled::Unpack | Compiled::LineFormat(_) | Compiled::Decolorize(_))
    }

    /// Runs the stage; `None` drops the line.
    pub(super) fn run<'a>(
        &self,
        line: Cow<'a, [u8]>,
        moment: Moment,
        labels: &mut Labels,
        hints: &Hints,
    ) -> Option<Cow<'a, [u8]>> {
        let keep = match self {
            Compiled::LineFilters(filters) => filters.iter().all(|filter| filter.accepts(&line)),
            Compiled::Json => json(&line, labels, hints),
            Compiled::JsonPaths(paths) => {
                json_extract(&line, paths, labels, hints);
                true
            }
            Compiled::Logfmt(flags) => logfmt(&line, flags, labels, hints),
            Compiled::LogfmtKeys(flags) => {
                logfmt_extract(&line, flags, labels, hints);
                true
            }
            Compiled::Regexp(regexp) => {
                let mut parsed = Parsed { labels, hints, keep: true };
                // Expressions see a byte that is no UTF-8 as Go's do.
                regexp.captures(go_text(&line).as_bytes(), |name, value| parsed.set(name, value));
                parsed.keep
            }
            Compiled::Pattern(pattern) => {
                let mut parsed = Parsed { labels, hints, keep: true };
                if !hints.done(parsed.labels) {
                    pattern.captures(&line, |name, value| parsed.set(name, value));
                }
                parsed.keep
            }
            Compiled::Unpack => return unpack(line, labels, hints),
            Compiled::LabelFilter(filter) => filter.accepts(labels),
            Compiled::LineFormat(template) => return Some(line_format(template, moment, line, labels)),
            Compiled::LabelFormat(formats) => {
                label_format(formats, moment, &line, labels);
                true
            }
            Compiled::Decolorize(codes) => {
                return Some(match codes.replace_all(&line, &b""[..]) {
                    Cow::Borrowed(_) => line,
                    Cow::Owned(changed) => Cow::Owned(changed),
                });
            }
            Compiled::Drop(picks) => {
                picks.iter().for_each(|pick| drop_label(pick, labels));
                true
            }
            Compiled::Keep(picks) => {
                keep_labels(picks, labels);
                true
            }
        };
        keep.then_some(line)
    }
}

fn json_paths(extractions: &[Extraction]) -> Result<Vec<(String, JsonPath)>, String> {
    let parse = |extraction: &Extraction| Ok((extraction.name.clone(), parsed(extraction, JsonPath::parse)?));
    extractions.iter().map(parse).collect()
}

/// Takes the keys out of the expressions of a `logfmt` stage; of several for one label the last counts.
fn logfmt_keys(logfmt: &Logfmt) -> Result<Logfmt, String> {
    let mut extractions: Vec<Extraction> = Vec::with_capacity(logfmt.extractions.len());
    for extraction in &logfmt.extractions {
        let (name, expression) = (extraction.name.clone(), parsed(extraction, logfmt_key)?);
        extractions.retain(|known| known.name != name);
        extractions.push(Extraction { name, expression });
    }
    Ok(Logfmt { extractions, ..logfmt.clone() })
}

fn parsed<T>(extraction: &Extraction, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    parse(&extraction.expression).map_err(|why| format!("cannot parse expression [{}]: {why}", extraction.expression))
}

fn drop_label(pick: &LabelPick, labels: &mut Labels) {
    let (name, matcher) = match pick {
        LabelPick::Name(name) => (name.as_str(), None),
        LabelPick::Matching(matcher) => (matcher.name(), Some(matcher)),
    };
    let matches = |value: &str| matcher.is_none_or(|matcher| matcher.matches(value));
    if name == ERROR {
        if matches(labels.error_text()) {
            labels.reset_error();
        }
        return;
    }
    if name == ERROR_DETAILS {
        if matches(labels.error_details()) {
            labels.reset_error_details();
        }
        return;
    }
    // A matcher that accepts the empty value deletes what is not there, which counts as a change.
    let value = labels.get(name).map(|(value, _)| value);
    if value.or(matcher.map(|_| "")).is_some_and(matches) {
        labels.delete(name);
    }
}

fn keep_labels(picks: &[LabelPick], labels: &mut Labels) {
    for name in labels.names() {
        if matches!(name.as_str(), ERROR | ERROR_DETAILS | PRESERVE_ERROR) {
            continue;
        }
        let value = labels.get(&name).map_or("", |(value, _)| value);
        let kept = picks.iter().any(|pick| match pick {
            LabelPick::Name(kept) => *kept == name,
            LabelPick::Matching(matcher) => matcher.name() == name && matcher.matches(value),
        });
        if !kept {
            labels.delete(&name);
        }
    }
}
