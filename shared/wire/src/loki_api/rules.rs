//! Rule groups as YAML, and what Loki finds wrong with one.

use std::collections::BTreeMap;

use model::labels::{is_legacy_metric_name, is_legacy_name};
use serde::Deserialize;

/// A rule group that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to decoded rule group")] // so Loki writes it
pub struct BadRuleGroup;

/// Rules that are evaluated together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// The series it makes.
    pub record: String,
    /// The alert it raises.
    pub alert: String,
    /// Its query.
    pub expr: String,
    /// How long it must hold.
    pub r#for: String,
    /// Labels it adds.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the alert.
    pub annotations: BTreeMap<String, String>,
}

/// Reads a rule group.
pub fn parse(yaml: &[u8]) -> Result<RuleGroup, BadRuleGroup> {
    serde_yaml_ng::from_slice(yaml).map_err(|_| BadRuleGroup)
}

impl RuleGroup {
    /// Returns what is wrong, in Loki's words; `fault` says what is wrong with an expression.
    pub fn problems(&self, fault: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let unnamed = self.name.is_empty().then(|| "group 0: Groupname must not be empty".to_owned());
        let rules = self.rules.iter().filter_map(|rule| rule.problem(&self.name, &fault));
        unnamed.into_iter().chain(rules).collect()
    }
}

impl Rule {
    fn problem(&self, group: &str, fault: impl Fn(&str) -> Option<String>) -> Option<String> {
        let Rule { record, alert, expr, labels, annotations, .. } = self;
        match (record.is_empty(), alert.is_empty()) {
            (false, false) => return Some("only one of 'record' and 'alert' must be set".to_owned()),
            (true, true) => return Some("one of 'record' or 'alert' must be set".to_owned()),
            _ => {}
        }
        if expr.is_empty() {
            return Some("field 'expr' must be set in rule".to_owned());
        }
        if let Some(reason) = fault(expr) {
            let (kind, name) = if record.is_empty() { ("alert", alert) } else { ("record", record) };
            return Some(format!("could not parse expression for {kind} '{name}' in group '{group}': {reason}"));
        }
        let bad_label = labels.keys().find(|name| !is_legacy_name(name) || *name == "__name__");
        let bad_annotation = annotations.keys().find(|name| !is_legacy_name(name));
        self.recording_problem()
            .or_else(|| bad_label.map(|name| format!("invalid label name: {name}")))
            .or_else(|| bad_annotation.map(|name| format!("invalid annotation name: {name}")))
    }

    fn recording_problem(&self) -> Option<String> {
        match self {
            Rule { record, .. } if record.is_empty() => None,
            Rule { annotations, .. } if !annotations.is_empty() => {
                Some("invalid field 'annotations' in recording rule".to_owned())
            }
            Rule { r#for, .. } if !r#for.is_empty() => Some("invalid field 'for' in recording rule".to_owned()),
            Rule { record, .. } if !is_legacy_metric_name(record) => Some(format!("invalid recording rule name: {record}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(yaml: &str) -> Vec<String> {
        let group = parse(yaml.as_bytes()).expect("readable");
        group.problems(|expr| expr.contains("bad").then(|| "it is bad".to_owned()))
    }

    #[test]
    fn problems_have_lokis_texts() {
        let table = [
            ("name: g\nrules: [{record: x, expr: a}]", vec![]),
            (
                "rules: [{record: x, expr: bad}]",
                vec!["group 0: Groupname must not be empty", "could not parse expression for record 'x' in group '': it is bad"],
            ),
            ("name: g\nrules: [{alert: y, expr: bad}]", vec!["could not parse expression for alert 'y' in group 'g': it is bad"]),
            (
                "name: g\nrules: [{expr: a}, {record: x, alert: y}]",
                vec!["one of 'record' or 'alert' must be set", "only one of 'record' and 'alert' must be set"],
            ),
            ("name: g\nrules: [{record: x}]", vec!["field 'expr' must be set in rule"]),
            ("name: g\nrules: [{record: x, expr: a, for: 5m}]", vec!["invalid field 'for' in recording rule"]),
            ("name: g\nrules: [{record: '1x', expr: a}]", vec!["invalid recording rule name: 1x"]),
            ("name: g\nrules: [{alert: y, expr: a, labels: {a-b: c}}]", vec!["invalid label name: a-b"]),
        ];
        for (yaml, want) in table {
            assert_eq!(problems(yaml), want, "{yaml}");
        }
        assert_eq!(parse(b"name: [").expect_err("no YAML").to_string(), "unable to decoded rule group");
    }
}
