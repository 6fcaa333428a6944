//! How OTLP logs become streams and entries: a tenant's settings, with the names and defaults of Loki's `otlp_config`.

use crate::re2::Pattern;

/// How attributes become labels of the stream, structured metadata, or nothing. An attribute no rule names is metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpLogOptions {
    /// Of resources.
    pub resource: Vec<AttributeRule>,
    /// Of scopes; none may become a label.
    pub scope: Vec<AttributeRule>,
    /// Of log records.
    pub record: Vec<AttributeRule>,
    /// Whether the severity's text is a label of the stream as well.
    pub severity_text_as_label: bool,
}

/// What happens to some attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeRule {
    /// What happens.
    pub action: AttributeAction,
    /// To which.
    pub names: AttributeNames,
}

/// What happens to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeAction {
    /// It becomes a label of the stream.
    Label,
    /// It becomes structured metadata of the entry.
    Metadata,
    /// It is left out.
    Drop,
}

/// Names of attributes.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeNames {
    /// Those listed.
    Listed(Vec<String>),
    /// Those the whole of which matches.
    Matching(Pattern),
}

impl AttributeRule {
    fn covers(&self, attribute: &str) -> bool {
        match &self.names {
            AttributeNames::Listed(names) => names.iter().any(|name| name == attribute),
            AttributeNames::Matching(pattern) => pattern.is_match(attribute),
        }
    }
}

/// Returns what happens to an attribute: the first rule that covers it decides.
pub fn action_of(rules: &[AttributeRule], attribute: &str) -> AttributeAction {
    rules.iter().find(|rule| rule.covers(attribute)).map_or(AttributeAction::Metadata, |rule| rule.action)
}

/// Resource attributes that are labels of the stream (Loki `default_resource_attributes_as_index_labels`).
const LABELS: [&str; 18] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "cloud.region",
    "cloud.availability_zone",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "container.name",
    "k8s.replicaset.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
];

impl Default for OtlpLogOptions {
    fn default() -> OtlpLogOptions {
        let names = AttributeNames::Listed(LABELS.map(str::to_owned).to_vec());
        OtlpLogOptions {
            resource: vec![AttributeRule { action: AttributeAction::Label, names }],
            scope: Vec::new(),
            record: Vec::new(),
            severity_text_as_label: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_covers_an_attribute_decides() {
        let matching = |pattern| AttributeNames::Matching(Pattern::anchored(pattern).unwrap());
        let mut options = OtlpLogOptions::default();
        options.resource.push(AttributeRule { action: AttributeAction::Drop, names: matching("service.*|host") });
        for (attribute, action) in [
            ("service.name", AttributeAction::Label),
            ("service.x", AttributeAction::Drop),
            ("host", AttributeAction::Drop),
            ("host.name", AttributeAction::Metadata),
        ] {
            assert_eq!(action_of(&options.resource, attribute), action, "{attribute}");
        }
    }
}
