//! The plan as text, for snapshots and for people who ask what a query became.
//!
//! Owns: [`LogicalPlan::explain`]. Does not own: the text of stages and matchers, which is their own `Display`, nor any query syntax;
//! the output is not meant to be parsed.

use std::fmt::Display;

use model::labels::is_legacy_name;
use model::quote::go_quote;
use model::{Matcher, TimestampMs};

use crate::functions::format::plain;
use crate::logical::{
    Aggregate, Binary, Cardinality, Dialect, EvalOptions, Extension, Grid, Grouping, LogQuery, LogSelect, LogWindow, LogicalPlan,
    Matching, Node, NodeKind, RangeInput, Select, TimeUnit,
};
use crate::pipeline::units::format_prometheus_duration;

const MS_NS: i64 = 1_000_000;

impl LogicalPlan {
    /// Returns the plan as an indented tree: the grid first, then one node per line, two spaces per level. What has its default
    /// value is left out; labels, matchers and log stages are printed as their languages write them.
    pub fn explain(&self) -> String {
        let mut tree = Tree::default();
        tree.line(0, &header(&self.grid, &self.options));
        tree.node(1, "", &self.root);
        tree.text
    }
}

/// The lines written so far.
#[derive(Default)]
struct Tree {
    text: String,
}

impl Tree {
    fn line(&mut self, depth: usize, text: &str) {
        (0..depth).for_each(|_| self.text.push_str("  "));
        // A raw regular expression may hold a line break; a node stays on its line.
        self.text.push_str(&text.replace('\n', "\\n"));
        self.text.push('\n');
    }

    fn node(&mut self, depth: usize, role: &str, node: &Node) {
        self.line(depth, &format!("{role}{}", title(node)));
        let inner = depth + 1;
        match node {
            Node::Literal(_) | Node::Text(_) | Node::Instant(_) | Node::Range(RangeInput::Select { .. }) => {}
            Node::Range(RangeInput::Subquery { node, .. })
            | Node::Negate(node, _)
            | Node::Plus(node)
            | Node::StepInvariant(node) => self.node(inner, "", node),
            Node::Call(call) => call.args.iter().for_each(|arg| self.node(inner, "", arg)),
            Node::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    self.node(inner, "param ", param);
                }
                self.node(inner, "", &aggregate.input);
            }
            Node::Binary(binary) => {
                self.node(inner, "", &binary.left);
                self.node(inner, "", &binary.right);
            }
            Node::LogWindow(window) => self.line(inner, &streams(&window.select)),
            Node::Logs(logs) => self.line(inner, &streams(&logs.select)),
        }
    }
}

fn header(grid: &Grid, options: &EvalOptions) -> String {
    let (suffix, unit_ns) = match grid.unit {
        TimeUnit::Milliseconds => ("ms", MS_NS),
        TimeUnit::Nanoseconds => ("ns", 1),
    };
    let mut words = Words::new(match options.dialect {
        Dialect::PromQl => "promql",
        Dialect::LogQl => "logql",
    });
    if options.instant {
        words.push(format_args!("instant at {}{suffix}", grid.start));
    } else {
        let step = grid.step.checked_mul(unit_ns).map_or_else(|| format!("{}{suffix}", grid.step), duration_ns);
        words.push(format_args!("range {}{suffix} to {}{suffix} step {step}", grid.start, grid.end));
    }
    for (set, flag) in [
        (options.delayed_name_removal, "delayed_name_removal"),
        (options.use_start_timestamps, "use_start_timestamps"),
        (options.type_and_unit_labels, "type_and_unit_labels"),
    ] {
        words.push_if(set, flag);
    }
    words.text
}

fn title(node: &Node) -> String {
    match node {
        Node::Literal(value) => format!("literal {}", plain(*value)),
        Node::Text(text) => format!("text {text:?}"),
        Node::Instant(select) => {
            let mut words = Words::new("instant");
            words.push(matchers(&select.matchers));
            words.push(format_args!("lookback {}", duration_ms(select.lookback_ms)));
            words.selection(select);
            words.text
        }
        Node::Range(range) => range_title(range),
        Node::Call(call) => format!("call {}", call.function.as_str()),
        Node::Aggregate(aggregate) => aggregate_title(aggregate),
        Node::Binary(binary) => binary_title(binary),
        Node::Negate(..) => "negate".to_owned(),
        Node::Plus(_) => "plus".to_owned(),
        Node::StepInvariant(_) => "step invariant".to_owned(),
        Node::LogWindow(window) => log_window_title(window),
        Node::Logs(logs) => logs_title(logs),
    }
}

fn range_title(range: &RangeInput) -> String {
    match range {
        RangeInput::Select { select, range_ms, .. } => {
            let mut words = Words::new("range");
            words.push(format_args!("{}[{}]", matchers(&select.matchers), duration_ms(*range_ms)));
            words.selection(select);
            words.text
        }
        RangeInput::Subquery { range_ms, step_ms, offset_ms, at, .. } => {
            let mut words = Words::new("subquery");
            words.push(format_args!("[{}:{}]", duration_ms(*range_ms), duration_ms(*step_ms)));
            words.shift(*offset_ms, *at);
            words.text
        }
    }
}

fn aggregate_title(aggregate: &Aggregate) -> String {
    let mut words = Words::new("aggregate");
    words.push(aggregate.op.as_str());
    // `sum` and `sum by ()` are the same.
    if aggregate.grouping != Grouping::default() {
        words.push(grouping(&aggregate.grouping));
    }
    words.text
}

fn binary_title(binary: &Binary) -> String {
    let mut words = Words::new("binary");
    words.push(binary.op.as_str());
    words.push_if(binary.return_bool, "bool");
    // Matching means nothing where a side is a scalar.
    if binary.left.kind() == NodeKind::Vector && binary.right.kind() == NodeKind::Vector {
        words.matching(&binary.matching);
    }
    words.text
}

fn log_window_title(window: &LogWindow) -> String {
    let mut words = Words::new("log window");
    words.push(format_args!("{}[{}]", window.function.as_str(), duration_ns(window.range_ns)));
    if window.offset_ns != 0 {
        words.push(format_args!("offset {}", duration_ns(window.offset_ns)));
    }
    if let Some(param) = window.param {
        words.push(format_args!("param {}", plain(param)));
    }
    if let Some(by) = &window.grouping {
        words.push(grouping(by));
    }
    if let Some(labels) = &window.required_labels {
        words.push(format_args!("requires {}", names(labels)));
    }
    words.text
}

fn logs_title(logs: &LogQuery) -> String {
    let mut words = Words::new("logs");
    words.push(if logs.newest_first { "newest first" } else { "oldest first" });
    words.push(format_args!("limit {}", logs.limit));
    if logs.interval_ns != 0 {
        words.push(format_args!("interval {}", duration_ns(logs.interval_ns)));
    }
    words.text
}

fn streams(select: &LogSelect) -> String {
    let mut words = Words::new("streams");
    words.push(matchers(&select.matchers));
    select.stages.iter().for_each(|stage| words.push(stage));
    words.text
}

/// The words of one line, with a space between them.
struct Words {
    text: String,
}

impl Words {
    fn new(first: &str) -> Words {
        Words { text: first.to_owned() }
    }

    fn push(&mut self, word: impl Display) {
        self.text.push(' ');
        self.text.push_str(&word.to_string());
    }

    fn push_if(&mut self, condition: bool, word: &str) {
        if condition {
            self.push(word);
        }
    }

    fn shift(&mut self, offset_ms: i64, at: Option<TimestampMs>) {
        if offset_ms != 0 {
            self.push(format_args!("offset {}", duration_ms(offset_ms)));
        }
        if let Some(at) = at {
            self.push(format_args!("@ {at}"));
        }
    }

    fn selection(&mut self, select: &Select) {
        self.shift(select.offset_ms, select.at);
        match select.extension {
            Extension::None => {}
            Extension::Anchored => self.push("anchored"),
            Extension::Smoothed => self.push("smoothed"),
        }
    }

    fn matching(&mut self, matching: &Matching) {
        if matching.on || !matching.labels.is_empty() {
            self.push(format_args!("{} {}", if matching.on { "on" } else { "ignoring" }, names(&matching.labels)));
        }
        match matching.cardinality {
            Cardinality::OneToOne | Cardinality::ManyToMany => {}
            Cardinality::ManyToOne => self.push(format_args!("group_left {}", names(&matching.include))),
            Cardinality::OneToMany => self.push(format_args!("group_right {}", names(&matching.include))),
        }
        for (side, fill) in [("fill_left", matching.fill_left), ("fill_right", matching.fill_right)] {
            if let Some(fill) = fill {
                self.push(format_args!("{side} {}", plain(fill)));
            }
        }
    }
}

fn matchers(all: &[Matcher]) -> String {
    let texts: Vec<String> = all.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", texts.join(", "))
}

fn grouping(grouping: &Grouping) -> String {
    format!("{} {}", if grouping.without { "without" } else { "by" }, names(&grouping.labels))
}

fn names(labels: &[String]) -> String {
    let texts: Vec<String> =
        labels.iter().map(|label| if is_legacy_name(label) { label.clone() } else { go_quote(label) }).collect();
    format!("({})", texts.join(", "))
}

fn duration_ms(ms: i64) -> String {
    ms.checked_mul(MS_NS).map_or_else(|| format!("{ms}ms"), duration_ns)
}

/// Prometheus's spelling, which ends at milliseconds; what is finer is printed in nanoseconds.
fn duration_ns(ns: i64) -> String {
    if ns % MS_NS == 0 { format_prometheus_duration(ns) } else { format!("{ns}ns") }
}

#[cfg(test)]
mod tests;
