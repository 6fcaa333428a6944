//! Random PromQL that mostly has an answer over the series of `data`: typed, so that most of it passes the type check.
//!
//! The shape of promqlsmith (a tree of typed choices with a budget), over our own series.

use rand::RngExt;
use rand::rngs::StdRng;

/// Depth below which only selectors are chosen.
const DEPTH_MAX: u32 = 4;

const COUNTERS: &[&str] = &["requests_total", "errors_total", "latency_seconds_sum", "latency_seconds_count"];
const GAUGES: &[&str] = &["temperature", "load", "up", "build_info"];
const BUCKETS: &str = "latency_seconds_bucket";
const NATIVE: &[&str] = &["native_seconds", "native_seconds", "custom_seconds", "gauge_seconds", "mixed_seconds"];
const LABELS: &[&str] = &["instance", "job", "code", "zone", "kind", "version", "le", "none"];
const MATCHERS: &[&str] = &[
    r#"job="api""#,
    r#"job!="api""#,
    r#"job=~"a.*|db""#,
    r#"instance!~"[ab]:1""#,
    r#"code="200""#,
    r#"code=~"4..|500""#,
    r#"zone="""#,
    r#"zone!="north""#,
    r#"none="x""#,
    r#"job="ünï ✓""#,
    r#"le=~"0.5|1.*""#,
    r#"code!~"5.+""#,
];
const RANGES: &[&str] = &["1m", "90s", "5m", "7m30s", "17m", "1h"];
const OVER_TIME: &[&str] = &[
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "changes",
    "resets",
    "delta",
    "idelta",
    "deriv",
];
const OVER_COUNTER: &[&str] = &["rate", "increase", "irate", "resets", "changes"];
const MATHS: &[&str] = &[
    "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "sin", "cos", "tanh", "deg", "rad", "atan",
    "asinh", "-", "+",
];
const TIMES: &[&str] =
    &["timestamp", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"];
const SORTS: &[&str] = &["sort", "sort_desc"];
/// The last two are 0 for a single NaN in 2.42, NaN since.
const AGGREGATORS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
/// The last one keeps the metric name in 2.42.
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISON: &[&str] = &["==", "!=", ">", "<", ">=", "<="];
const SETS: &[&str] = &["and", "or", "unless"];

/// Makes queries from a source of randomness.
pub struct Generator<'r> {
    random: &'r mut StdRng,
    /// Whether functions and types of 3.x may be used.
    newest: bool,
}

impl<'r> Generator<'r> {
    /// Makes a generator; `newest` allows what 3.x has and 2.42 does not.
    pub fn new(random: &'r mut StdRng, newest: bool) -> Generator<'r> {
        Generator { random, newest }
    }

    /// Returns one query.
    pub fn query(&mut self) -> String {
        match self.random.random_range(0..20) {
            0 => self.scalar(0),
            1 => {
                let (sort, vector) = (self.pick(SORTS), self.vector(1));
                format!("{sort}({vector})")
            }
            _ => self.vector(0),
        }
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.random_range(0..choices.len())]
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth >= DEPTH_MAX {
            return self.selector();
        }
        let deeper = depth + 1;
        match self.random.random_range(0..20) {
            0..4 => self.selector(),
            4..9 => self.over_range(deeper),
            9..13 => self.aggregation(deeper),
            13..16 => self.binary(deeper),
            16 => self.histogram(deeper),
            17 if self.newest => self.native(deeper),
            _ => self.function(deeper),
        }
    }

    fn selector(&mut self) -> String {
        let name = match self.random.random_range(0..10) {
            0..4 => self.pick(COUNTERS),
            4..8 => self.pick(GAUGES),
            8 if self.newest => self.pick(NATIVE),
            _ => BUCKETS,
        };
        self.selector_of(name, true)
    }

    fn selector_of(&mut self, name: &str, modified: bool) -> String {
        let matchers: Vec<&str> = (0..self.random.random_range(0..3)).map(|_| self.pick(MATCHERS)).collect();
        let matchers = if matchers.is_empty() { String::new() } else { format!("{{{}}}", matchers.join(",")) };
        let modifier = if modified { self.modifier() } else { "" };
        format!("{name}{matchers}{modifier}")
    }

    fn modifier(&mut self) -> &'static str {
        match self.random.random_range(0..12) {
            0 => " offset 3m",
            1 => " offset -4m",
            2 => " @ start()",
            3 => " @ end() offset 1m",
            _ => "",
        }
    }

    fn range(&mut self, names: &[&str], depth: u32) -> String {
        let (name, range) = (self.pick(names).to_owned(), self.pick(RANGES));
        if depth < DEPTH_MAX && self.random.random_ratio(1, 5) {
            let inner = self.vector(depth + 1);
            let resolution = self.pick(&["", "30s", "1m", "13s"]);
            let modifier = self.modifier();
            return format!("({inner})[{range}:{resolution}]{modifier}");
        }
        let (selector, modifier) = (self.selector_of(&name, false), self.modifier());
        format!("{selector}[{range}]{modifier}")
    }

    fn over_range(&mut self, depth: u32) -> String {
        match self.random.random_range(0..10) {
            0..4 => {
                let (function, range) = (self.pick(OVER_COUNTER), self.range(COUNTERS, depth));
                format!("{function}({range})")
            }
            4 => {
                let (q, range) = (self.quantile(), self.range(GAUGES, depth));
                format!("quantile_over_time({q}, {range})")
            }
            5 => {
                let range = self.range(GAUGES, depth);
                let ahead = self.random.random_range(-600..3_600);
                // Under `@`, 2.42 takes it for constant although it looks ahead from each step, and 3.14 finds nothing in a subquery.
                let ahead_of_anything = !range.contains('@') || self.newest && !range.contains(':');
                if ahead_of_anything { format!("predict_linear({range}, {ahead})") } else { format!("deriv({range})") }
            }
            8 if self.newest => self.experimental_range(depth),
            6 if self.newest => {
                let (function, range) = (
                    self.pick(&[
                        "mad_over_time",
                        "ts_of_max_over_time",
                        "ts_of_min_over_time",
                        "ts_of_last_over_time",
                        "first_over_time",
                    ]),
                    self.range(GAUGES, depth),
                );
                format!("{function}({range})")
            }
            7 => {
                let range = self.range(GAUGES, depth);
                format!("absent_over_time({range})")
            }
            _ => {
                let (function, range) = (self.pick(OVER_TIME), self.range(GAUGES, depth));
                format!("{function}({range})")
            }
        }
    }

    /// What has a flag of its own.
    fn experimental_range(&mut self, depth: u32) -> String {
        let name = self.pick(COUNTERS);
        let (selector, range, modifier) = (self.selector_of(name, false), self.pick(RANGES), self.modifier());
        match self.random.random_range(0..5) {
            0 => format!(
                "{}({selector}[{range}] anchored{modifier})",
                self.pick(&["rate", "increase", "delta", "resets", "changes"])
            ),
            1 => format!("{}({selector}[{range}] smoothed{modifier})", self.pick(&["rate", "increase", "delta"])),
            2 => format!("rate({selector}[{range} + {}]{modifier})", self.pick(&["30s", "step()", "1m * 2", "max(step(), 1m)"])),
            3 => {
                let range = self.range(GAUGES, depth);
                format!("double_exponential_smoothing({range}, {}, 0.3)", self.pick(&["0.5", "0.01", "1"]))
            }
            _ => format!("{selector} smoothed{modifier}"),
        }
    }

    fn quantile(&mut self) -> String {
        self.pick(&["0.5", "0.99", "0", "1", "-1", "2", "NaN", "0.123"]).to_owned()
    }

    fn grouping(&mut self) -> String {
        let labels: Vec<&str> = (0..self.random.random_range(0..3)).map(|_| self.pick(LABELS)).collect();
        match self.random.random_range(0..5) {
            0 => String::new(),
            1 => format!(" without ({})", labels.join(", ")),
            _ => format!(" by ({})", labels.join(", ")),
        }
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let (grouping, vector) = (self.grouping(), self.vector(depth));
        match self.random.random_range(0..13) {
            12 if self.newest => {
                let limit = self.pick(&["limitk", "limit_ratio"]);
                let by = if limit == "limitk" { "2" } else { self.pick(&["0.5", "-0.3", "1", "2"]) };
                // limitk keeps those that storage gives first: only how many are asked for.
                if limit == "limitk" {
                    format!("count({limit}{grouping} ({by}, {vector}))")
                } else {
                    format!("{limit}{grouping} ({by}, {vector})")
                }
            }
            0 => {
                let q = self.quantile();
                format!("quantile{grouping} ({q}, {vector})")
            }
            1 => {
                let k = self.random.random_range(-1..6);
                let which = self.pick(&["topk", "bottomk"]);
                // Which of equal values are kept follows the order of series in storage: only the values are asked for.
                format!("sum({which}{grouping} ({k}, {vector}))")
            }
            2 => format!(r#"count_values{grouping} ("value", {vector})"#),
            _ => {
                let aggregator = self.pick(if self.newest { AGGREGATORS } else { &AGGREGATORS[..6] });
                format!("{aggregator}{grouping} ({vector})")
            }
        }
    }

    fn binary(&mut self, depth: u32) -> String {
        let left = self.vector(depth);
        match self.random.random_range(0..10) {
            0..3 => {
                let (operator, scalar) = (self.arithmetic_or_comparison(), self.scalar(depth));
                if self.random.random_bool(0.5) {
                    format!("({left} {operator} {scalar})")
                } else {
                    format!("({scalar} {operator} {left})")
                }
            }
            3..6 => {
                let (operator, right, matching) = (self.pick(SETS), self.vector(depth), self.matching());
                format!("({left} {operator}{matching} {right})")
            }
            6 => {
                let operator = self.arithmetic_or_comparison();
                let labels = self.pick(&["instance", "instance, job", "job"]);
                let name = self.pick(&["build_info", "up"]);
                let side = self.pick(&["group_left", "group_left (version)", "group_right"]);
                format!("({left} {operator} on ({labels}) {side} {name})")
            }
            7 => format!("({left} {} {left})", self.arithmetic_or_comparison()),
            8 if self.newest => {
                let (operator, right, matching) = (self.arithmetic_or_comparison(), self.vector(depth), self.matching());
                let fill = self.pick(&["fill (0)", "fill_left (1)", "fill_right (-1)", "fill_left (2) fill_right (NaN)"]);
                format!("({left} {operator}{matching} {fill} {right})")
            }
            _ => {
                let (operator, right, matching) = (self.arithmetic_or_comparison(), self.vector(depth), self.matching());
                format!("({left} {operator}{matching} {right})")
            }
        }
    }

    fn arithmetic(&mut self) -> &'static str {
        let choices = if self.newest { ARITHMETIC } else { &ARITHMETIC[..ARITHMETIC.len() - 1] };
        choices[self.random.random_range(0..choices.len())]
    }

    fn arithmetic_or_comparison(&mut self) -> String {
        match self.random.random_range(0..6) {
            0 => self.pick(COMPARISON).to_owned(),
            1 => format!("{} bool", self.pick(COMPARISON)),
            _ => self.arithmetic().to_owned(),
        }
    }

    fn matching(&mut self) -> String {
        let labels: Vec<&str> = (0..self.random.random_range(0..3)).map(|_| self.pick(LABELS)).collect();
        match self.random.random_range(0..3) {
            0 => String::new(),
            1 => format!(" on ({})", labels.join(", ")),
            _ => format!(" ignoring ({})", labels.join(", ")),
        }
    }

    fn function(&mut self, depth: u32) -> String {
        match self.random.random_range(0..12) {
            0 => {
                let (function, vector) = (self.pick(TIMES), self.vector(depth));
                format!("{function}({vector})")
            }
            1 => {
                let (vector, low) = (self.vector(depth), self.random.random_range(-10..100));
                let function = self.pick(&["clamp_min", "clamp_max"]);
                format!("{function}({vector}, {low})")
            }
            2 => {
                let vector = self.vector(depth);
                format!("clamp({vector}, -5, 1e6)")
            }
            3 => {
                let vector = self.vector(depth);
                let target = self.pick(&["first", "job", "__name__"]);
                format!(r#"label_replace({vector}, "{target}", "$1-x", "instance", "(.):1")"#)
            }
            4 => {
                let vector = self.vector(depth);
                format!(r#"label_join({vector}, "both", "/", "job", "instance")"#)
            }
            5 => {
                let vector = self.vector(depth);
                format!("absent({vector})")
            }
            6 => {
                let (vector, to) = (self.vector(depth), self.pick(&["0.5", "10", "0.1", "-3"]));
                format!("round({vector}, {to})")
            }
            7 => {
                let scalar = self.scalar(depth);
                format!("vector({scalar})")
            }
            8 if self.newest => {
                let vector = self.vector(depth);
                format!("info({vector}, {{__name__=~\"build_info|up\"}})")
            }
            _ => {
                let (function, vector) = (self.pick(MATHS), self.vector(depth));
                format!("{function}({vector})")
            }
        }
    }

    fn histogram(&mut self, depth: u32) -> String {
        let (q, range) = (self.quantile(), self.range(&[BUCKETS], DEPTH_MAX));
        let by = self.pick(&[" by (le)", " by (le, job)", " without (instance)", " by (job)"]);
        let over = if self.random.random_bool(0.5) { format!("sum{by} (rate({range}))") } else { format!("rate({range})") };
        let quantile = format!("histogram_quantile({q}, {over})");
        if depth < DEPTH_MAX && self.random.random_ratio(1, 4) { format!("avg by (job) ({quantile})") } else { quantile }
    }

    fn native(&mut self, depth: u32) -> String {
        let range = self.range(NATIVE, DEPTH_MAX);
        let name = self.pick(NATIVE);
        let selector = self.selector_of(name, true);
        let histogram = match self.random.random_range(0..12) {
            0 => selector,
            1 => format!("sum by (job) (rate({range}))"),
            2 => format!("avg_over_time({range})"),
            3 => format!("increase({range})"),
            4 => format!("sum_over_time({range}) * 2"),
            5 => format!("delta({range})"),
            6 => format!("{}({range})", self.pick(&["irate", "idelta", "last_over_time", "first_over_time"])),
            7 => format!("avg by (job) ({selector})"),
            8 => format!("({selector} {} {})", self.pick(&["</", ">/"]), self.pick(&["0.7", "1", "-2", "0"])),
            9 => format!("({selector} {} {selector})", self.pick(&["+", "-", "==", "!="])),
            10 => format!("({selector} / {})", self.pick(&["3", "-1", "0"])),
            _ => format!("rate({range})"),
        };
        match self.random.random_range(0..12) {
            8 => format!("histogram_stdvar({histogram})"),
            9 => format!(r#"histogram_quantiles({histogram}, "{}", 0.1, 0.5, 0.99)"#, self.pick(&["q", "job", "__name__"])),
            10 => format!("{}({range})", self.pick(&["count_over_time", "resets", "changes", "present_over_time"])),
            11 => format!("{}({histogram})", self.pick(&["count", "group", "min", "stddev", "abs", "sort", "-"])),
            0 => histogram,
            1 => format!("histogram_count({histogram})"),
            2 => format!("histogram_sum({histogram})"),
            3 => format!("histogram_avg({histogram})"),
            4 => format!("histogram_stddev({histogram})"),
            5 => {
                let low = self.pick(&["0", "0.5", "-Inf"]);
                format!("histogram_fraction({low}, 2.5, {histogram})")
            }
            6 => {
                let other = self.vector(depth);
                format!("({histogram} + on (instance) group_left {other})")
            }
            _ => {
                let q = self.quantile();
                format!("histogram_quantile({q}, {histogram})")
            }
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.random.random_range(0..8) {
            0 => "time()".to_owned(),
            1 if depth < DEPTH_MAX => {
                let vector = self.vector(depth + 1);
                format!("scalar({vector})")
            }
            2 => "pi()".to_owned(),
            3 => self.pick(&["NaN", "Inf", "-1", "0"]).to_owned(),
            4 if depth < DEPTH_MAX => {
                let (left, operator, right) = (self.scalar(depth + 1), self.arithmetic(), self.scalar(depth + 1));
                format!("({left} {operator} {right})")
            }
            _ => self.random.random_range(1..100).to_string(),
        }
    }
}
