//! Column names and types of the Parquet files: the one place that spells them.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

use crate::template::{NUMBERS_MAX, TEXTS_MAX};

/// Series or stream id.
pub(crate) const SERIES_ID: &str = "series_id";
pub(crate) const STREAM_ID: &str = "stream_id";
/// Time of the row.
pub(crate) const TS: &str = "ts";
/// What `v_int` is divided by.
pub(crate) const SCALE: &str = "scale";
/// What is added to `v_int` before it is divided.
pub(crate) const V_BASE: &str = "v_base";
/// Value as a scaled integer, counted from `v_base`; null where `v_dbl` or `hist` has it.
pub(crate) const V_INT: &str = "v_int";
/// Value as a double.
pub(crate) const V_DBL: &str = "v_dbl";
/// Start timestamp.
pub(crate) const ST: &str = "st";
/// Native histogram.
pub(crate) const HIST: &str = "hist";
/// What is kept of a window ([`model::windowed::Window`]); `ts` is its end.
pub(crate) const WINDOW: &str = "win";
pub(crate) const WINDOW_COUNT: &str = "count";
/// Milliseconds from the first and last sample, and from the newest stale marker, to the end of the window.
pub(crate) const WINDOW_FIRST_AGE: &str = "first_age";
pub(crate) const WINDOW_LAST_AGE: &str = "last_age";
pub(crate) const WINDOW_STALE_AGE: &str = "stale_age";
/// Values, each as a scaled integer or a double; what the integers count from, `columnar::windows_values` says.
pub(crate) const WINDOW_VALUES: [&str; 6] = ["first", "last", "min", "max", "sum", "lost"];
/// A sum that rounds anyway, as its distance from what first and last let expect (since version 7).
pub(crate) const WINDOW_SUM_OFF: &str = "sum_off";
/// What resets took away, as a double, in version 6.
pub(crate) const WINDOW_LOST: &str = "lost";
pub(crate) const WINDOW_RESETS: &str = "resets";
pub(crate) const WINDOW_CHANGES: &str = "changes";
pub(crate) const WINDOW_M2: &str = "m2";
/// Labels that have no column of their own.
pub(crate) const LABELS: &str = "labels";
/// Log line; since version 4 null where the line is cut.
pub(crate) const BODY: &str = "body";
/// What a cut line has in common with others (since version 4); empty where `body` has the line.
pub(crate) const LINE_TEMPLATE: &str = "line_template";
/// In front of the numbers of the columns of cut lines.
const LINE_NUMBER_PREFIX: &str = "line_n";
const LINE_TEXT_PREFIX: &str = "line_t";
/// Bytes of the line.
pub(crate) const LINE_LEN: &str = "line_len";
/// Structured metadata that has no column of its own.
pub(crate) const METADATA: &str = "metadata";
/// In front of the columns of structured metadata.
pub(crate) const METADATA_PREFIX: &str = "meta_";

/// Doubles of a histogram, one per row.
pub(crate) const HIST_DOUBLES: [&str; 4] = ["zero_threshold", "zero_count", "count", "sum"];
/// Numbers of a histogram, one per row.
pub(crate) const HIST_INTS: [&str; 2] = ["schema", "reset_hint"];
/// Spans of a histogram.
pub(crate) const HIST_SPANS: [&str; 4] = ["positive_offsets", "positive_lengths", "negative_offsets", "negative_lengths"];
/// Lists of doubles of a histogram.
pub(crate) const HIST_BUCKETS: [&str; 3] = ["positive_buckets", "negative_buckets", "custom_values"];

/// Returns the name of a column of numbers of cut lines.
pub(crate) fn line_number(column: usize) -> String {
    format!("{LINE_NUMBER_PREFIX}{column}")
}

/// Returns the name of a column of texts of cut lines.
pub(crate) fn line_text(column: usize) -> String {
    format!("{LINE_TEXT_PREFIX}{column}")
}

/// Returns the path of a column of windows.
pub(crate) fn window(name: &str) -> String {
    format!("{WINDOW}.{name}")
}

/// Returns the path of a value of windows as a scaled integer.
pub(crate) fn window_int(name: &str) -> String {
    format!("{WINDOW}.{name}_int")
}

/// Returns the path of a value of windows as a double.
pub(crate) fn window_double(name: &str) -> String {
    format!("{WINDOW}.{name}_dbl")
}

fn is_line_column(name: &str) -> bool {
    let number = name.strip_prefix(LINE_NUMBER_PREFIX).or_else(|| name.strip_prefix(LINE_TEXT_PREFIX));
    name == LINE_TEMPLATE || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reports whether a label may be a column under its own name.
pub(crate) fn label_column_allowed(name: &str) -> bool {
    let ours = [SERIES_ID, STREAM_ID, TS, SCALE, V_BASE, V_INT, V_DBL, ST, HIST, WINDOW, LABELS, BODY, LINE_LEN, METADATA];
    !ours.contains(&name) && !name.starts_with(METADATA_PREFIX) && !is_line_column(name)
}

/// Which optional columns a metrics file has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricsShape {
    pub(crate) starts: bool,
    pub(crate) histograms: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) labels_rest: bool,
}

/// Which label columns a file of windows has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LabelShape {
    pub(crate) labels: Vec<String>,
    pub(crate) labels_rest: bool,
}

/// Which optional columns a log file has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogsShape {
    pub(crate) labels: Vec<String>,
    pub(crate) labels_rest: bool,
    pub(crate) metadata: Vec<String>,
    pub(crate) metadata_rest: bool,
    /// Lines are text; otherwise some are not UTF-8 and the column says so.
    pub(crate) utf8: bool,
}

type Built = Result<TypePtr, ParquetError>;

fn leaf(name: &str, physical: Physical, repetition: Repetition, logical: Option<LogicalType>) -> Built {
    Ok(Arc::new(Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical).build()?))
}

fn group(name: &str, repetition: Repetition, logical: Option<LogicalType>, fields: Vec<TypePtr>) -> Built {
    let builder = Type::group_type_builder(name).with_repetition(repetition).with_logical_type(logical).with_fields(fields);
    Ok(Arc::new(builder.build()?))
}

fn id(name: &str) -> Built {
    leaf(name, Physical::INT64, Repetition::REQUIRED, Some(LogicalType::integer(64, false)))
}

fn text(name: &str, repetition: Repetition) -> Built {
    leaf(name, Physical::BYTE_ARRAY, repetition, Some(LogicalType::String))
}

fn time(name: &str, repetition: Repetition, unit: TimeUnit) -> Built {
    leaf(name, Physical::INT64, repetition, Some(LogicalType::timestamp(true, unit)))
}

fn map(name: &str) -> Built {
    let entry = vec![text("key", Repetition::REQUIRED)?, text("value", Repetition::REQUIRED)?];
    let entries = group("key_value", Repetition::REPEATED, None, entry)?;
    let builder = Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_converted_type(ConvertedType::MAP)
        .with_logical_type(Some(LogicalType::Map))
        .with_fields(vec![entries]);
    Ok(Arc::new(builder.build()?))
}

fn list(name: &str, physical: Physical) -> Built {
    let element = leaf("element", physical, Repetition::REQUIRED, None)?;
    let entries = group("list", Repetition::REPEATED, None, vec![element])?;
    group(name, Repetition::REQUIRED, Some(LogicalType::List), vec![entries])
}

fn histogram() -> Built {
    let mut fields = Vec::new();
    for name in HIST_INTS {
        fields.push(leaf(name, Physical::INT32, Repetition::REQUIRED, None)?);
    }
    for name in HIST_DOUBLES {
        fields.push(leaf(name, Physical::DOUBLE, Repetition::REQUIRED, None)?);
    }
    for name in HIST_SPANS {
        fields.push(list(name, Physical::INT32)?);
    }
    for name in HIST_BUCKETS {
        fields.push(list(name, Physical::DOUBLE)?);
    }
    group(HIST, Repetition::OPTIONAL, None, fields)
}

/// Returns the schema of a metrics file. The writer fills the columns in this order.
pub(crate) fn metrics(shape: &MetricsShape) -> Built {
    let mut fields = vec![
        id(SERIES_ID)?,
        time(TS, Repetition::REQUIRED, TimeUnit::MILLIS)?,
        leaf(SCALE, Physical::DOUBLE, Repetition::REQUIRED, None)?,
        leaf(V_BASE, Physical::INT64, Repetition::REQUIRED, None)?,
        leaf(V_INT, Physical::INT64, Repetition::OPTIONAL, None)?,
        leaf(V_DBL, Physical::DOUBLE, Repetition::OPTIONAL, None)?,
    ];
    if shape.starts {
        fields.push(time(ST, Repetition::OPTIONAL, TimeUnit::MILLIS)?);
    }
    if shape.histograms {
        fields.push(histogram()?);
    }
    for label in &shape.labels {
        fields.push(text(label, Repetition::OPTIONAL)?);
    }
    if shape.labels_rest {
        fields.push(map(LABELS)?);
    }
    Ok(Arc::new(Type::group_type_builder("metrics").with_fields(fields).build()?))
}

fn window_group() -> Built {
    let int = |name: &str, repetition| leaf(name, Physical::INT64, repetition, None);
    let double = |name: &str| leaf(name, Physical::DOUBLE, Repetition::OPTIONAL, None);
    let mut fields = vec![
        int(WINDOW_COUNT, Repetition::REQUIRED)?,
        int(WINDOW_FIRST_AGE, Repetition::OPTIONAL)?,
        int(WINDOW_LAST_AGE, Repetition::OPTIONAL)?,
    ];
    for name in WINDOW_VALUES {
        fields.push(int(&format!("{name}_int"), Repetition::OPTIONAL)?);
        fields.push(double(&format!("{name}_dbl"))?);
    }
    fields.push(double(WINDOW_SUM_OFF)?);
    fields.push(int(WINDOW_RESETS, Repetition::OPTIONAL)?);
    fields.push(int(WINDOW_CHANGES, Repetition::OPTIONAL)?);
    fields.push(double(WINDOW_M2)?);
    fields.push(int(WINDOW_STALE_AGE, Repetition::OPTIONAL)?);
    group(WINDOW, Repetition::REQUIRED, None, fields)
}

/// Returns the schema of a file of windows. The writer fills the columns in this order.
pub(crate) fn windows(shape: &LabelShape) -> Built {
    let mut fields = vec![
        id(SERIES_ID)?,
        time(TS, Repetition::REQUIRED, TimeUnit::MILLIS)?,
        leaf(SCALE, Physical::DOUBLE, Repetition::REQUIRED, None)?,
        leaf(V_BASE, Physical::INT64, Repetition::REQUIRED, None)?,
        window_group()?,
    ];
    for label in &shape.labels {
        fields.push(text(label, Repetition::OPTIONAL)?);
    }
    if shape.labels_rest {
        fields.push(map(LABELS)?);
    }
    Ok(Arc::new(Type::group_type_builder("windows").with_fields(fields).build()?))
}

/// Returns the schema of a log file. The writer fills the columns in this order.
pub(crate) fn logs(shape: &LogsShape) -> Built {
    let body = if shape.utf8 { Some(LogicalType::String) } else { None };
    let mut fields = vec![
        id(STREAM_ID)?,
        time(TS, Repetition::REQUIRED, TimeUnit::NANOS)?,
        text(LINE_TEMPLATE, Repetition::REQUIRED)?,
        leaf(BODY, Physical::BYTE_ARRAY, Repetition::OPTIONAL, body)?,
    ];
    for column in 0..NUMBERS_MAX {
        fields.push(leaf(&line_number(column), Physical::INT64, Repetition::OPTIONAL, None)?);
    }
    for column in 0..TEXTS_MAX {
        fields.push(text(&line_text(column), Repetition::OPTIONAL)?);
    }
    fields.push(leaf(LINE_LEN, Physical::INT32, Repetition::REQUIRED, None)?);
    for key in &shape.metadata {
        fields.push(text(&format!("{METADATA_PREFIX}{key}"), Repetition::OPTIONAL)?);
    }
    if shape.metadata_rest {
        fields.push(map(METADATA)?);
    }
    for label in &shape.labels {
        fields.push(text(label, Repetition::OPTIONAL)?);
    }
    if shape.labels_rest {
        fields.push(map(LABELS)?);
    }
    Ok(Arc::new(Type::group_type_builder("logs").with_fields(fields).build()?))
}
