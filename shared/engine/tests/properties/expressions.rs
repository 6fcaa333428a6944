//! Generated PromQL texts. Not all of them are valid: those that are not are left out by the caller.

use crate::random::Random;

pub fn generate(random: &mut Random) -> String {
    match random.below(30) {
        0 => range(random),
        _ => vector(random, 3),
    }
}

fn matchers(random: &mut Random) -> String {
    let name = random.pick(&[
        "requests_total",
        "errors_total",
        "temperature",
        "latency",
        "sizes",
        "changing",
        "latency_bucket",
        "target_info",
        "{__name__=~\"requests_total|errors_total\"}",
        "{__name__=~\".+\"}",
        "{__name__=~\"latency|sizes\"}",
        "absent_metric",
    ]);
    let filter = random.pick(&["", "", "job=\"api\"", "job!=\"api\"", "instance=~\"host-[0-2]\"", "job=\"\"", "nothing=\"\""]);
    match (name.strip_suffix('}'), filter) {
        (_, "") => name.to_owned(),
        (Some(open), filter) => format!("{open},{filter}}}"),
        (None, filter) => format!("{name}{{{filter}}}"),
    }
}

fn modifiers(random: &mut Random) -> String {
    let offset = random.pick(&["", "", "", " offset 3m", " offset -4m", " offset 1h"]);
    let at = match random.below(10) {
        0 => " @ start()".to_owned(),
        1 => " @ end()".to_owned(),
        2 => format!(" @ {}", crate::data::T0 / 1000 + random.below(9000) as i64),
        _ => String::new(),
    };
    format!("{at}{offset}")
}

fn window(random: &mut Random) -> &'static str {
    random.pick(&["1m", "2m", "5m", "10m", "40m", "step() + 1m", "max_of(3m, step() * 2)"])
}

fn range(random: &mut Random) -> String {
    let extension = random.pick(&["", "", "", "", "", " smoothed", " anchored"]);
    format!("{}[{}]{extension}{}", matchers(random), window(random), modifiers(random))
}

fn range_or_subquery(random: &mut Random, depth: u64) -> String {
    if depth == 0 || random.below(4) > 0 {
        return range(random);
    }
    let step = random.pick(&["30s", "1m", "7m"]);
    format!("({})[{}:{step}]{}", vector(random, depth - 1), window(random), modifiers(random))
}

fn vector(random: &mut Random, depth: u64) -> String {
    if depth == 0 {
        return format!("{}{}", matchers(random), modifiers(random));
    }
    let below = depth - 1;
    match random.below(12) {
        0 | 1 => format!("{}{}{}", matchers(random), random.pick(&["", "", "", " smoothed"]), modifiers(random)),
        2..=4 => {
            let function = random.pick(&[
                "rate",
                "increase",
                "delta",
                "irate",
                "idelta",
                "sum_over_time",
                "avg_over_time",
                "count_over_time",
                "min_over_time",
                "max_over_time",
                "last_over_time",
                "first_over_time",
                "present_over_time",
                "stddev_over_time",
                "stdvar_over_time",
                "changes",
                "resets",
                "deriv",
                "mad_over_time",
                "absent_over_time",
                "ts_of_max_over_time",
                "ts_of_last_over_time",
            ]);
            format!("{function}({})", range_or_subquery(random, below))
        }
        5 => match random.below(3) {
            0 => format!("quantile_over_time({}, {})", random.pick(&["0.5", "0.9", "1.5", "scalar(temperature)"]), range(random)),
            1 => format!("predict_linear({}, 600)", range(random)),
            _ => format!("double_exponential_smoothing({}, 0.3, {})", range(random), random.pick(&["0.7", "2"])),
        },
        6 | 7 => {
            let grouping = random.pick(&["", " by (job)", " without (instance)", " by (__name__)", " by (job, nothing)"]);
            match random.below(8) {
                0 => {
                    let op = random.pick(&["topk", "bottomk", "limitk"]);
                    format!("{op}{grouping} ({}, {})", random.pick(&["2", "0", "scalar(temperature)"]), vector(random, below))
                }
                1 => format!("limit_ratio{grouping} ({}, {})", random.pick(&["0.5", "-0.3", "7"]), vector(random, below)),
                2 => format!("count_values{grouping} (\"value\", {})", vector(random, below)),
                3 => {
                    let phi = random.pick(&["0.7", "0", "1", "0.01", "1.5", "time()"]);
                    format!("quantile{grouping} ({phi}, {})", vector(random, below))
                }
                _ => {
                    let op = random.pick(&["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]);
                    format!("{op}{grouping} ({})", vector(random, below))
                }
            }
        }
        8 | 9 => {
            let op = random.pick(&["+", "-", "*", "/", ">", "== bool", "and", "or", "unless", "^", "</", ">/", "atan2"]);
            let matching = random.pick(&[
                "",
                " on (instance, job)",
                " ignoring (__name__)",
                " on (job) group_left",
                " on (instance) group_right (job)",
                " on (instance) fill (0)",
                " on (instance, job) fill_left (1)",
                " on (job) group_left fill_right (-1)",
            ]);
            if random.below(3) == 0 {
                let op = random.pick(&["+", "*", ">", "!= bool", "/"]);
                return format!("({}) {op} {}", vector(random, below), random.pick(&["2", "time()", "scalar(temperature)"]));
            }
            let plain = !matching.contains("group") && !matching.contains("fill");
            let matching = if matches!(op, "and" | "or" | "unless") && !plain { "" } else { matching };
            format!("({}) {op}{matching} ({})", vector(random, below), vector(random, below))
        }
        10 => {
            if random.below(6) == 0 {
                return format!("info({}{})", vector(random, below), random.pick(&["", ", {version=~\".+\"}", ", {zone!=\"\"}"]));
            }
            let function = random.pick(&[
                "histogram_count",
                "histogram_sum",
                "histogram_avg",
                "abs",
                "-",
                "timestamp",
                "absent",
                "sort",
                "histogram_stddev",
                "floor",
                "start_timestamp",
            ]);
            format!("{function}({})", vector(random, below))
        }
        _ => match random.below(4) {
            0 => format!("histogram_quantile({}, {})", random.pick(&["0.9", "0.2", "-1"]), vector(random, below)),
            3 => format!("histogram_quantiles({}, \"q\", 0.1, 0.99)", vector(random, below)),
            1 => format!("histogram_fraction(0, 2, {})", vector(random, below)),
            _ => format!("label_replace({}, \"job\", \"x-$1\", \"instance\", \"(.*)\")", vector(random, below)),
        },
    }
}
