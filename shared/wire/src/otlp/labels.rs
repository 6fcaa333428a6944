//! Labels of series: attributes of the point, promoted ones of the resource, `job` and `instance`, the scope's.

use std::collections::BTreeMap;

use model::otlp::{OtlpOptions, Promotion};

use super::names;
use super::payload::{Attributes, Scope};

const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// What `job` and `instance` are made of.
const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE_ID];

/// Labels by name; empty values are none.
pub(super) type Labels = BTreeMap<String, String>;

/// What all series of a resource share.
#[derive(Debug)]
pub(super) struct ResourceLabels {
    attributes: Attributes,
    job: String,
    instance: String,
    promoted: Result<Labels, String>,
}

fn find<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl ResourceLabels {
    pub(super) fn new(attributes: Attributes, options: &OtlpOptions) -> ResourceLabels {
        let service = find(&attributes, SERVICE_NAME).map(|name| match find(&attributes, SERVICE_NAMESPACE) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        });
        let instance = find(&attributes, SERVICE_INSTANCE_ID).unwrap_or_default().to_owned();
        let promoted = promoted(&attributes, options);
        ResourceLabels { job: service.unwrap_or_default(), instance, promoted, attributes }
    }

    /// Returns the labels of `target_info`; `None` where it would say nothing or could not be joined with anything.
    pub(super) fn target_info(&self, options: &OtlpOptions, warnings: &mut Vec<String>) -> Result<Option<Labels>, String> {
        let identifying = IDENTIFYING.iter().filter(|name| find(&self.attributes, name).is_some()).count();
        if self.attributes.len() == identifying {
            return Ok(None);
        }
        let ignored: &[&str] = if options.keep_identifying_attributes { &[] } else { &IDENTIFYING };
        let mut labels = of_attributes(&self.attributes, ignored, "resource", options, warnings)?;
        self.identify(&mut labels);
        set(&mut labels, "__name__", "target_info");
        let identified = labels.contains_key("job") || labels.contains_key("instance");
        Ok(identified.then_some(labels))
    }

    fn identify(&self, labels: &mut Labels) {
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if !value.is_empty() {
                set(labels, name, value);
            }
        }
    }
}

fn promoted(attributes: &Attributes, options: &OtlpOptions) -> Result<Labels, String> {
    let chosen = |name: &String| match &options.promotion {
        Promotion::Listed(names) => names.contains(name),
        Promotion::AllBut(names) => !names.contains(name),
    };
    let mut labels = Labels::new();
    for (name, value) in attributes.iter().filter(|(name, _)| chosen(name)) {
        set(&mut labels, &names::label(name, options)?, value);
    }
    Ok(labels)
}

/// Returns the labels a scope adds; a scope without a name adds none.
pub(super) fn of_scope(scope: &Scope, options: &OtlpOptions) -> Result<Labels, String> {
    let mut labels = Labels::new();
    if !options.promote_scope_metadata || scope.name.is_empty() {
        return Ok(labels);
    }
    for (name, value) in &scope.attributes {
        set(&mut labels, &names::label(&format!("otel_scope_{name}"), options)?, value);
    }
    set(&mut labels, "otel_scope_name", &scope.name);
    set(&mut labels, "otel_scope_version", &scope.version);
    set(&mut labels, "otel_scope_schema_url", &scope.schema_url);
    Ok(labels)
}

/// Returns the labels of a point, but for its name.
pub(super) fn of_point(
    attributes: &Attributes,
    resource: &ResourceLabels,
    scope: &Labels,
    options: &OtlpOptions,
    warnings: &mut Vec<String>,
) -> Result<Labels, String> {
    let mut labels = of_attributes(attributes, &["__name__"], "data point", options, warnings)?;
    for (name, value) in resource.promoted.as_ref().map_err(Clone::clone)? {
        labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    resource.identify(&mut labels);
    scope.iter().for_each(|(name, value)| set(&mut labels, name, value));
    Ok(labels)
}

/// Translates attributes in the order of their keys; values of keys that become the same name are joined.
fn of_attributes(
    attributes: &Attributes,
    ignored: &[&str],
    source: &str,
    options: &OtlpOptions,
    warnings: &mut Vec<String>,
) -> Result<Labels, String> {
    let mut sorted: Vec<&(String, String)> = attributes.iter().filter(|(key, _)| !ignored.contains(&key.as_str())).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut labels = Labels::new();
    for (key, value) in sorted {
        if !options.strategy.escapes() {
            set(&mut labels, key, value);
            continue;
        }
        let name = names::label(key, options)?;
        match labels.get_mut(&name) {
            Some(joined) => {
                joined.push(';');
                joined.push_str(value);
                let text =
                    format!("{source} attribute {key:?} collides with another as label {name:?}, values are joined with ';'");
                if !warnings.contains(&text) && warnings.len() < super::REASONS_MAX {
                    warnings.push(text);
                }
            }
            None => set(&mut labels, &name, value),
        }
    }
    Ok(labels)
}

/// Sets a label; an empty value removes it.
pub(super) fn set(labels: &mut Labels, name: &str, value: &str) {
    match value.is_empty() {
        true => labels.remove(name),
        false => labels.insert(name.to_owned(), value.to_owned()),
    };
}
