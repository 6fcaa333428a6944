//! Variables of the OTLP receiver, named after Prometheus's `otlp` section.
//!
//! `LAMELLA_OTLP_` and: `TRANSLATION_STRATEGY`, `PROMOTE_RESOURCE_ATTRIBUTES` (a list with commas),
//! `PROMOTE_ALL_RESOURCE_ATTRIBUTES`, `IGNORE_RESOURCE_ATTRIBUTES` (a list, with the one before), `CONVERT_HISTOGRAMS_TO_NHCB`,
//! `KEEP_IDENTIFYING_RESOURCE_ATTRIBUTES`, `PROMOTE_SCOPE_METADATA`, `LABEL_NAME_UNDERSCORE_SANITIZATION`,
//! `LABEL_NAME_PRESERVE_MULTIPLE_UNDERSCORES`, `TYPE_AND_UNIT_LABELS`, and `DELTA` (`native` or `refuse`).

use model::otlp::{DeltaPolicy, OtlpOptions, Promotion, TranslationStrategy};

use crate::config::{Lookup, flag};
use crate::{Error, Result};

/// Returns the defaults with the variables' values in place.
pub fn from_lookup(lookup: Lookup<'_>) -> Result<OtlpOptions> {
    let mut options = OtlpOptions::default();
    if let Some(value) = lookup("LAMELLA_OTLP_TRANSLATION_STRATEGY") {
        options.strategy = TranslationStrategy::parse(&value).ok_or(Error::Variable {
            name: "LAMELLA_OTLP_TRANSLATION_STRATEGY",
            value,
            expected: "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, NoUTF8EscapingWithSuffixes or NoTranslation",
        })?;
    }
    options.promotion = match flag(lookup, "LAMELLA_OTLP_PROMOTE_ALL_RESOURCE_ATTRIBUTES")? {
        Some(true) => Promotion::AllBut(list(lookup, "LAMELLA_OTLP_IGNORE_RESOURCE_ATTRIBUTES")),
        _ => Promotion::Listed(list(lookup, "LAMELLA_OTLP_PROMOTE_RESOURCE_ATTRIBUTES")),
    };
    if let Some(value) = lookup("LAMELLA_OTLP_DELTA") {
        options.delta = match value.as_str() {
            "native" => DeltaPolicy::Native,
            "refuse" => DeltaPolicy::Refuse,
            _ => return Err(Error::Variable { name: "LAMELLA_OTLP_DELTA", value, expected: "native or refuse" }),
        };
    }
    let flags: [(&'static str, &mut bool); 6] = [
        ("LAMELLA_OTLP_CONVERT_HISTOGRAMS_TO_NHCB", &mut options.convert_histograms_to_nhcb),
        ("LAMELLA_OTLP_KEEP_IDENTIFYING_RESOURCE_ATTRIBUTES", &mut options.keep_identifying_attributes),
        ("LAMELLA_OTLP_PROMOTE_SCOPE_METADATA", &mut options.promote_scope_metadata),
        ("LAMELLA_OTLP_LABEL_NAME_UNDERSCORE_SANITIZATION", &mut options.label_name_underscore_sanitization),
        ("LAMELLA_OTLP_LABEL_NAME_PRESERVE_MULTIPLE_UNDERSCORES", &mut options.label_name_preserve_multiple_underscores),
        ("LAMELLA_OTLP_TYPE_AND_UNIT_LABELS", &mut options.type_and_unit_labels),
    ];
    for (name, on) in flags {
        *on = flag(lookup, name)?.unwrap_or(*on);
    }
    Ok(options)
}

fn list(lookup: Lookup<'_>, name: &str) -> Vec<String> {
    let items = lookup(name).unwrap_or_default();
    items.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let of = |variables: &[(&str, &str)]| {
            from_lookup(&|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]).unwrap(), OtlpOptions::default());
        let options = of(&[
            ("LAMELLA_OTLP_TRANSLATION_STRATEGY", "NoTranslation"),
            ("LAMELLA_OTLP_PROMOTE_RESOURCE_ATTRIBUTES", "a, b,"),
            ("LAMELLA_OTLP_DELTA", "refuse"),
            ("LAMELLA_OTLP_PROMOTE_SCOPE_METADATA", "1"),
        ])
        .unwrap();
        assert_eq!(options.strategy, TranslationStrategy::NoTranslation);
        assert_eq!(options.promotion, Promotion::Listed(vec!["a".into(), "b".into()]));
        assert!(options.promote_scope_metadata && options.delta == DeltaPolicy::Refuse);
        assert!(of(&[("LAMELLA_OTLP_DELTA", "x")]).is_err());
        assert!(of(&[("LAMELLA_OTLP_TRANSLATION_STRATEGY", "x")]).is_err());
    }
}
