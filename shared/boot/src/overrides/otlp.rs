//! `otlp_config`: which OTLP attributes become labels.

use model::otlp::logs::{AttributeAction, AttributeNames, AttributeRule, OtlpLogOptions};
use model::re2::Pattern;
use serde::Deserialize;

use super::values::Names;

/// The section.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OtlpConfig {
    resource_attributes: Resource,
    scope_attributes: Vec<ScopeRule>,
    log_attributes: Vec<Rule>,
    severity_text_as_label: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Resource {
    ignore_defaults: bool,
    attributes_config: Vec<Rule>,
}

impl OtlpConfig {
    /// Returns what the section says; Loki's own list of labels comes first unless it is to be ignored.
    pub(super) fn options(&self) -> OtlpLogOptions {
        let mut options = OtlpLogOptions::default();
        if self.resource_attributes.ignore_defaults {
            options.resource.clear();
        }
        options.resource.extend(self.resource_attributes.attributes_config.iter().map(|Rule(rule)| rule.clone()));
        options.scope = self.scope_attributes.iter().map(|ScopeRule(rule)| rule.clone()).collect();
        options.record = self.log_attributes.iter().map(|Rule(rule)| rule.clone()).collect();
        options.severity_text_as_label = self.severity_text_as_label;
        options
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleAsWritten {
    #[serde(default)]
    action: Action,
    #[serde(default)]
    attributes: Option<Names>,
    #[serde(default)]
    regex: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Action {
    IndexLabel,
    #[default]
    StructuredMetadata,
    Drop,
}

#[derive(Deserialize)]
#[serde(try_from = "RuleAsWritten")]
struct Rule(AttributeRule);

#[derive(Deserialize)]
#[serde(try_from = "RuleAsWritten")]
struct ScopeRule(AttributeRule);

/// A rule that says nothing, or two things.
#[derive(Debug, thiserror::Error)]
enum RuleError {
    #[error("attributes or regex must be set")]
    NoNames,
    #[error("only one of attributes or regex must be set")]
    TwoNames,
    #[error("index_label action is only supported for resource_attributes and log_attributes")]
    ScopeLabel,
    #[error(transparent)]
    Pattern(#[from] model::re2::Re2Error),
}

impl TryFrom<RuleAsWritten> for Rule {
    type Error = RuleError;

    fn try_from(written: RuleAsWritten) -> Result<Rule, RuleError> {
        let action = match written.action {
            Action::IndexLabel => AttributeAction::Label,
            Action::StructuredMetadata => AttributeAction::Metadata,
            Action::Drop => AttributeAction::Drop,
        };
        let listed = written.attributes.map(|names| names.to_vec()).filter(|names| !names.is_empty());
        let names = match (listed, written.regex) {
            (None, None) => return Err(RuleError::NoNames),
            (Some(_), Some(_)) => return Err(RuleError::TwoNames),
            (Some(names), None) => AttributeNames::Listed(names),
            (None, Some(regex)) => AttributeNames::Matching(Pattern::anchored(&regex)?),
        };
        Ok(Rule(AttributeRule { action, names }))
    }
}

impl TryFrom<RuleAsWritten> for ScopeRule {
    type Error = RuleError;

    fn try_from(written: RuleAsWritten) -> Result<ScopeRule, RuleError> {
        match Rule::try_from(written)? {
            Rule(rule) if rule.action == AttributeAction::Label => Err(RuleError::ScopeLabel),
            Rule(rule) => Ok(ScopeRule(rule)),
        }
    }
}
