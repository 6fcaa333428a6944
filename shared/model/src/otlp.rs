//! How OTLP metrics become series: settings of a process, with the names and defaults of Prometheus's `otlp` section.
//! Those of logs are a tenant's, in [`logs`].

pub mod logs;

use std::time::Duration;

/// How names and units are translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TranslationStrategy {
    /// `http.server.duration` in `s` becomes `http_server_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// … becomes `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// … becomes `http.server.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// … stays what it is.
    NoTranslation,
}

impl TranslationStrategy {
    /// Parses Prometheus's spelling.
    pub fn parse(text: &str) -> Option<TranslationStrategy> {
        Some(match text {
            "UnderscoreEscapingWithSuffixes" => TranslationStrategy::UnderscoreEscapingWithSuffixes,
            "UnderscoreEscapingWithoutSuffixes" => TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
            "NoUTF8EscapingWithSuffixes" => TranslationStrategy::NoUtf8EscapingWithSuffixes,
            "NoTranslation" => TranslationStrategy::NoTranslation,
            _ => return None,
        })
    }

    /// Reports whether names are reduced to letters, digits and underscores.
    pub fn escapes(self) -> bool {
        use TranslationStrategy::{UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes};
        matches!(self, UnderscoreEscapingWithSuffixes | UnderscoreEscapingWithoutSuffixes)
    }

    /// Reports whether units and `_total` become part of names.
    pub fn adds_suffixes(self) -> bool {
        use TranslationStrategy::{NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes};
        matches!(self, UnderscoreEscapingWithSuffixes | NoUtf8EscapingWithSuffixes)
    }
}

/// Which resource attributes become labels of every series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Promotion {
    /// Those listed.
    Listed(Vec<String>),
    /// All but those listed.
    AllBut(Vec<String>),
}

/// What happens to metrics of delta temporality.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeltaPolicy {
    /// They are stored as they come, as samples of unknown type with their start timestamps; `sum_over_time` adds them up
    /// (upstream `otlp-native-delta-ingestion`).
    #[default]
    Native,
    /// They are refused, as a stock Prometheus does.
    Refuse,
}

/// Settings of the OTLP receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtlpOptions {
    /// Names and units.
    pub strategy: TranslationStrategy,
    /// Resource attributes on every series.
    pub promotion: Promotion,
    /// Whether `target_info` keeps the attributes that `job` and `instance` are made of.
    pub keep_identifying_attributes: bool,
    /// Whether explicit histograms become native ones with custom buckets instead of classic series.
    pub convert_histograms_to_nhcb: bool,
    /// Whether name, version, schema and attributes of the scope become labels.
    pub promote_scope_metadata: bool,
    /// Delta temporality.
    pub delta: DeltaPolicy,
    /// Whether `_x` becomes `key_x` in label names.
    pub label_name_underscore_sanitization: bool,
    /// Whether runs of underscores in label names stay.
    pub label_name_preserve_multiple_underscores: bool,
    /// Whether `__type__` and `__unit__` are added.
    pub type_and_unit_labels: bool,
    /// The lookback of queries: `target_info` has a sample every half of it.
    pub lookback: Duration,
}

impl Default for OtlpOptions {
    fn default() -> OtlpOptions {
        OtlpOptions {
            strategy: TranslationStrategy::default(),
            promotion: Promotion::Listed(Vec::new()),
            keep_identifying_attributes: false,
            convert_histograms_to_nhcb: false,
            promote_scope_metadata: false,
            delta: DeltaPolicy::default(),
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            type_and_unit_labels: false,
            lookback: Duration::from_secs(300),
        }
    }
}
