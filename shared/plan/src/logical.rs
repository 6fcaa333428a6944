//! The logical plan: PromQL and LogQL with every time already resolved (offset, `@`, lookback, durations).
//!
//! Owns: the plan as plain data. Does not own: how it is evaluated ([`crate::reference`], `engine`) or printed from text.

use std::sync::Arc;

use model::{LabelSet, Matcher, Resolution, Text, TimestampMs};

/// Where in the query text something stands: byte offsets, `[start, end)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte after.
    pub end: u32,
}

/// Whose rules apply where the languages differ (division by zero, error texts, matching on the metric name).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Prometheus.
    PromQl,
    /// Loki.
    LogQl,
}

/// The unit a [`Grid`] counts in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeUnit {
    /// PromQL.
    Milliseconds,
    /// LogQL.
    Nanoseconds,
}

/// Evaluation times `start, start + step, … <= end` (`end` inclusive, as both HTTP APIs say).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    /// First evaluation time.
    pub start: i64,
    /// Upper bound of evaluation times, inclusive.
    pub end: i64,
    /// Distance of evaluation times, > 0; for an instant query any positive number.
    pub step: i64,
    /// What the numbers count.
    pub unit: TimeUnit,
}

impl Grid {
    /// Makes the grid of a range query in milliseconds.
    pub fn range_ms(start: TimestampMs, end: TimestampMs, step_ms: i64) -> Grid {
        Grid { start: start.0, end: end.0, step: step_ms.max(1), unit: TimeUnit::Milliseconds }
    }

    /// Makes the grid of an instant query in milliseconds.
    pub fn instant_ms(at: TimestampMs) -> Grid {
        Grid { start: at.0, end: at.0, step: 1, unit: TimeUnit::Milliseconds }
    }

    /// Counts the evaluation times.
    pub fn len(&self) -> usize {
        if self.end < self.start {
            return 0;
        }
        usize::try_from(self.end.abs_diff(self.start) / self.step.unsigned_abs().max(1))
            .map_or(usize::MAX, |n| n.saturating_add(1))
    }

    /// Reports whether there is no evaluation time.
    pub fn is_empty(&self) -> bool {
        self.end < self.start
    }

    /// Returns evaluation time `index`.
    pub fn at(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    /// Iterates over the evaluation times.
    pub fn iter(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.len()).map(move |index| grid.at(index))
    }
}

/// Settings an evaluation depends on. Defaults are a stock Prometheus server's.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOptions {
    /// Whose rules apply.
    pub dialect: Dialect,
    /// Whether this is an instant query (results are a vector, not a matrix; `sort` is kept).
    pub instant: bool,
    /// Step of subqueries that give none, milliseconds (Prometheus: global evaluation interval, 1 min).
    pub subquery_step_ms: i64,
    /// Samples an evaluation may hold at once.
    pub samples_max: usize,
    /// `--enable-feature=promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
    /// `--enable-feature=use-start-timestamps` (name as upstream): start timestamps take part in rate, resets, irate.
    pub use_start_timestamps: bool,
    /// `--enable-feature=type-and-unit-labels`.
    pub type_and_unit_labels: bool,
    /// The coarsest copies that may be read silently (Thanos's `max_source_resolution`).
    pub resolution_max: Resolution,
    /// The copies to be read wherever they are live, exact or not.
    pub resolution: Option<Resolution>,
    /// Labels that tell replicas apart which are to be answered as one (docs/0021); empty: each series for itself.
    pub replica_labels: Vec<String>,
}

impl Default for EvalOptions {
    fn default() -> EvalOptions {
        EvalOptions {
            dialect: Dialect::PromQl,
            instant: false,
            subquery_step_ms: 60_000,
            samples_max: 50_000_000,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            resolution_max: Resolution::OneHour,
            resolution: None,
            replica_labels: Vec::new(),
        }
    }
}

/// A query ready for evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct LogicalPlan {
    /// Evaluation times. For a log query `[start, end)` is the range of entries.
    pub grid: Grid,
    /// What to evaluate.
    pub root: Node,
    /// Under which settings.
    pub options: EvalOptions,
    /// The query text that [`Span`]s point into (annotations print `line:col`).
    pub text: Arc<str>,
}

/// One node of the plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A number: the same scalar at every step.
    Literal(f64),
    /// A string.
    Text(Text),
    /// Instant vector selector: per step the newest sample in `(t - lookback, t]`, unless stale.
    Instant(Select),
    /// A range vector: argument of a range function, or the root of an instant query.
    Range(RangeInput),
    /// A function call; range functions take one [`Node::Range`] argument.
    Call(Call),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// Arithmetic, comparison and set operators; either side may be a scalar.
    Binary(Box<Binary>),
    /// Unary minus.
    Negate(Box<Node>, Span),
    /// Unary plus of a selector: the same values, but no selector whose times or matchers a function around it may look at.
    Plus(Box<Node>),
    /// Evaluated once, at the first step, and repeated at every other (PromQL's step-invariant expressions).
    StepInvariant(Box<Node>),
    /// A LogQL range aggregation.
    LogWindow(Box<LogWindow>),
    /// A LogQL log query; root only.
    Logs(Box<LogQuery>),
}

/// Which samples of which series a selector reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Shift into the past, milliseconds; negative looks into the future. Relative to `at` where that is set.
    pub offset_ms: i64,
    /// Fixed evaluation time of `@`, with `start()`/`end()` already resolved.
    pub at: Option<TimestampMs>,
    /// How far an instant selector looks back, milliseconds.
    pub lookback_ms: i64,
    /// `smoothed` / `anchored`.
    pub extension: Extension,
    /// Where the selector stands.
    pub span: Span,
}

/// Extended range selectors (`--enable-feature=promql-extended-range-selectors`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Extension {
    /// Plain selector.
    #[default]
    None,
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

/// A range vector's origin. Windows are `(t - range, t]`.
#[derive(Clone, Debug, PartialEq)]
pub enum RangeInput {
    /// `metric[5m]`
    Select {
        /// What to read.
        select: Select,
        /// Window length, milliseconds.
        range_ms: i64,
        /// Where the range vector stands, brackets included.
        span: Span,
    },
    /// `expr[1h:1m]`: steps are the multiples of `step_ms` in the window.
    Subquery {
        /// Inner expression.
        node: Box<Node>,
        /// Window length, milliseconds.
        range_ms: i64,
        /// Step, milliseconds; the default is already resolved.
        step_ms: i64,
        /// Shift into the past, milliseconds.
        offset_ms: i64,
        /// Fixed evaluation time of `@`.
        at: Option<TimestampMs>,
        /// Where the subquery stands.
        span: Span,
    },
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which function.
    pub function: Function,
    /// Arguments in order; optional ones that were left out are absent.
    pub args: Vec<Node>,
    /// Where each argument stands; annotations point there.
    pub arg_spans: Vec<Span>,
    /// Where the call stands.
    pub span: Span,
}

/// Which labels an aggregation or a match keeps.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Grouping {
    /// `without` rather than `by`.
    pub without: bool,
    /// The labels named.
    pub labels: Vec<String>,
}

/// An aggregation over the series of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which aggregation.
    pub op: AggregateOp,
    /// `by (…)` / `without (…)`.
    pub grouping: Grouping,
    /// `k`, `φ`, the label name of `count_values`, the ratio of `limit_ratio`.
    pub param: Option<Node>,
    /// What is aggregated.
    pub input: Node,
    /// Where the whole aggregation stands.
    pub span: Span,
    /// Where the parameter stands.
    pub param_span: Span,
    /// Where the input stands.
    pub input_span: Span,
}

/// A binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Operator.
    pub op: BinaryOp,
    /// `bool`: comparisons answer 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How vectors are matched; ignored where a side is a scalar.
    pub matching: Matching,
    /// Left side.
    pub left: Node,
    /// Right side.
    pub right: Node,
    /// Where the operation stands.
    pub span: Span,
    /// Where the left side stands.
    pub left_span: Span,
    /// Where the right side stands.
    pub right_span: Span,
}

/// Vector matching.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matching {
    /// One-to-one, many-to-one, …
    pub cardinality: Cardinality,
    /// `on (…)` rather than `ignoring (…)`.
    pub on: bool,
    /// The labels named in `on` / `ignoring`.
    pub labels: Vec<String>,
    /// The labels of `group_left (…)` / `group_right (…)`.
    pub include: Vec<String>,
    /// `fill` / `fill_left`: stands in for a missing left side.
    pub fill_left: Option<f64>,
    /// `fill` / `fill_right`: stands in for a missing right side.
    pub fill_right: Option<f64>,
}

/// How many series of each side may meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cardinality {
    /// Neither side twice.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// Binary operators of both languages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `<`
    Lt,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// Returns the operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Gt => ">",
            BinaryOp::Lt => "<",
            BinaryOp::Ge => ">=",
            BinaryOp::Le => "<=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    /// Reports whether this is `== != > < >= <=`.
    pub fn is_comparison(self) -> bool {
        matches!(self, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Gt | BinaryOp::Lt | BinaryOp::Ge | BinaryOp::Le)
    }

    /// Reports whether this is `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    /// Reports whether this cuts buckets off a histogram.
    pub fn is_trim(self) -> bool {
        matches!(self, BinaryOp::TrimUpper | BinaryOp::TrimLower)
    }
}

/// Declares an enum whose variants have a name in the query languages.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($variant:ident => $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum $name { $(#[doc = concat!("`", $text, "`")] $variant,)* }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the name in the query language.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// Finds the variant of a name, case-sensitive.
            pub fn from_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// Aggregations of both languages.
    AggregateOp {
        Sum => "sum", Avg => "avg", Count => "count", Min => "min", Max => "max", Group => "group", Stddev => "stddev", Stdvar => "stdvar",
        TopK => "topk", BottomK => "bottomk", CountValues => "count_values", Quantile => "quantile", LimitK => "limitk", LimitRatio => "limit_ratio",
        Sort => "sort", SortDesc => "sort_desc", ApproxTopK => "approx_topk",
    }
}

named! {
    /// PromQL's functions (90), of which LogQL shares `label_replace` and `vector`.
    Function {
        Abs => "abs", Absent => "absent", AbsentOverTime => "absent_over_time", Acos => "acos", Acosh => "acosh", Asin => "asin",
        Asinh => "asinh", Atan => "atan", Atanh => "atanh", AvgOverTime => "avg_over_time", Ceil => "ceil", Changes => "changes",
        Clamp => "clamp", ClampMax => "clamp_max", ClampMin => "clamp_min", Cos => "cos", Cosh => "cosh",
        CountOverTime => "count_over_time", DaysInMonth => "days_in_month", DayOfMonth => "day_of_month", DayOfWeek => "day_of_week",
        DayOfYear => "day_of_year", Deg => "deg", Delta => "delta", Deriv => "deriv", Exp => "exp", FirstOverTime => "first_over_time",
        Floor => "floor", HistogramAvg => "histogram_avg", HistogramCount => "histogram_count", HistogramFraction => "histogram_fraction",
        HistogramQuantile => "histogram_quantile", HistogramStddev => "histogram_stddev", HistogramStdvar => "histogram_stdvar",
        HistogramSum => "histogram_sum", Hour => "hour", Idelta => "idelta", Increase => "increase", Irate => "irate",
        LabelJoin => "label_join", LabelReplace => "label_replace", LastOverTime => "last_over_time", Ln => "ln", Log10 => "log10",
        Log2 => "log2", MaxOverTime => "max_over_time", MinOverTime => "min_over_time", Minute => "minute", Month => "month", Pi => "pi",
        PredictLinear => "predict_linear", PresentOverTime => "present_over_time", QuantileOverTime => "quantile_over_time", Rad => "rad",
        Rate => "rate", Resets => "resets", Round => "round", Scalar => "scalar", Sgn => "sgn", Sin => "sin", Sinh => "sinh",
        Sort => "sort", SortDesc => "sort_desc", Sqrt => "sqrt", StddevOverTime => "stddev_over_time", StdvarOverTime => "stdvar_over_time",
        SumOverTime => "sum_over_time", Tan => "tan", Tanh => "tanh", Time => "time", Timestamp => "timestamp", Vector => "vector", Year => "year",
        DoubleExponentialSmoothing => "double_exponential_smoothing", End => "end", HistogramQuantiles => "histogram_quantiles", Info => "info",
        MadOverTime => "mad_over_time", MaxOf => "max_of", MinOf => "min_of", Range => "range", SortByLabel => "sort_by_label",
        SortByLabelDesc => "sort_by_label_desc", Start => "start", StartTimestamp => "start_timestamp", Step => "step",
        TsOfFirstOverTime => "ts_of_first_over_time", TsOfLastOverTime => "ts_of_last_over_time", TsOfMaxOverTime => "ts_of_max_over_time",
        TsOfMinOverTime => "ts_of_min_over_time",
    }
}

named! {
    /// LogQL's range aggregations.
    LogRangeFunction {
        Rate => "rate", CountOverTime => "count_over_time", BytesRate => "bytes_rate", BytesOverTime => "bytes_over_time",
        AbsentOverTime => "absent_over_time", SumOverTime => "sum_over_time", RateCounter => "rate_counter", AvgOverTime => "avg_over_time",
        MinOverTime => "min_over_time", MaxOverTime => "max_over_time", FirstOverTime => "first_over_time", LastOverTime => "last_over_time",
        StddevOverTime => "stddev_over_time", StdvarOverTime => "stdvar_over_time", QuantileOverTime => "quantile_over_time",
    }
}

/// Which entries of which streams a LogQL expression reads, and what happens to each.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSelect {
    /// All must match the stream's labels.
    pub matchers: Vec<Matcher>,
    /// Stages in order, `unwrap` included.
    pub stages: Vec<crate::pipeline::Stage>,
    /// Where the selector stands.
    pub span: Span,
}

/// A LogQL range aggregation over windows `(t - range, t]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogWindow {
    /// Which aggregation.
    pub function: LogRangeFunction,
    /// Its input.
    pub select: LogSelect,
    /// Window length, nanoseconds.
    pub range_ns: i64,
    /// Shift into the past, nanoseconds.
    pub offset_ns: i64,
    /// `φ` of `quantile_over_time`.
    pub param: Option<f64>,
    /// `by` / `without` of the range aggregation itself.
    pub grouping: Option<Grouping>,
    /// Labels an enclosing `sum by (…)` needs, where nothing else is observable: lets the parser stop early (Loki's hints).
    pub required_labels: Option<Vec<String>>,
    /// Where the aggregation stands.
    pub span: Span,
}

/// A LogQL log query.
#[derive(Clone, Debug, PartialEq)]
pub struct LogQuery {
    /// What to read.
    pub select: LogSelect,
    /// Newest first (`backward`, the default) or oldest first.
    pub newest_first: bool,
    /// Lines to return over all streams.
    pub limit: usize,
    /// Least distance of returned lines, nanoseconds; 0 returns all.
    pub interval_ns: i64,
}

/// What type a node evaluates to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// One number per step.
    Scalar,
    /// A string.
    Text,
    /// One value per series and step.
    Vector,
    /// Samples of windows.
    Range,
    /// Log entries.
    Streams,
}

impl Node {
    /// Returns what type the node evaluates to.
    pub fn kind(&self) -> NodeKind {
        match self {
            Node::Literal(_) => NodeKind::Scalar,
            Node::Text(_) => NodeKind::Text,
            Node::Instant(_) | Node::Aggregate(_) | Node::LogWindow(_) => NodeKind::Vector,
            Node::Range(_) => NodeKind::Range,
            Node::Logs(_) => NodeKind::Streams,
            Node::Call(call) => call.function.kind(),
            Node::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (NodeKind::Scalar, NodeKind::Scalar) => NodeKind::Scalar,
                _ => NodeKind::Vector,
            },
            Node::Negate(node, _) | Node::Plus(node) | Node::StepInvariant(node) => node.kind(),
        }
    }
}

impl Function {
    /// Returns what type a call evaluates to.
    pub fn kind(self) -> NodeKind {
        match self {
            Function::Pi
            | Function::Scalar
            | Function::Time
            | Function::Start
            | Function::End
            | Function::Step
            | Function::Range => NodeKind::Scalar,
            Function::MaxOf | Function::MinOf => NodeKind::Scalar,
            _ => NodeKind::Vector,
        }
    }
}

impl LogicalPlan {
    /// Returns the `line:col` (1-based, columns in bytes) a span starts at, as annotations print it.
    pub fn line_col(&self, span: Span) -> (usize, usize) {
        let before = &self.text.as_bytes()[..(span.start as usize).min(self.text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
        (before.iter().filter(|b| **b == b'\n').count() + 1, before.len() - line_start + 1)
    }
}

/// Labels an aggregation or match signature keeps, as a label set.
impl Grouping {
    /// Returns the group's labels for an input series: `by` keeps the named ones, `without` drops them, the metric name, and what is
    /// empty (only LogQL has such labels).
    pub fn labels_of(&self, labels: &LabelSet) -> LabelSet {
        let kept = labels.retain(|name| self.keeps(name));
        if !self.without || kept.iter().all(|(_, value)| !value.is_empty()) {
            return kept;
        }
        kept.retain(|name| kept.get(name).is_some_and(|value| !value.is_empty()))
    }

    /// Reports whether a label of the input is one of the group's.
    pub fn keeps(&self, name: &str) -> bool {
        let named = self.labels.iter().any(|label| label == name);
        if self.without { name != "__name__" && !named } else { named }
    }
}
