//! Names of metrics, units and labels (upstream `github.com/prometheus/otlptranslator`, the OpenTelemetry specification's
//! "Prometheus and OpenMetrics compatibility").

use std::borrow::Cow;

use model::otlp::OtlpOptions;
use model::quote::go_quote;

/// What a metric is, as far as its name depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Gauge,
    Counter,
    Other,
}

/// Main units with a word.
const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];
/// What comes after "per".
const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// Returns the name of a metric's series.
pub(super) fn metric(name: &str, unit: &str, shape: Shape, options: &OtlpOptions) -> Result<String, String> {
    let strategy = options.strategy;
    let built = match (strategy.escapes(), strategy.adds_suffixes()) {
        (false, true) => suffixed(name, unit, shape),
        (false, false) => name.to_owned(),
        (true, true) => escaped_with_suffixes(name, unit, shape),
        (true, false) => {
            let kept = name.split(|c: char| !is_metric_char(c) && c != '_').filter(|piece| !piece.is_empty());
            no_leading_digit(kept.collect::<Vec<_>>().join("_"))
        }
    };
    if built.is_empty() {
        return Err(format!("normalization for metric {name:?} resulted in empty name"));
    }
    if strategy.escapes() && built != name && built.chars().all(|c| c == '_') {
        return Err(format!("normalization for metric {name:?} resulted in invalid name {built:?}"));
    }
    Ok(built)
}

fn is_metric_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn no_leading_digit(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn escaped_with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let mut tokens: Vec<&str> = name.split(|c: char| !is_metric_char(c)).filter(|token| !token.is_empty()).collect();
    let (main, per) = unit_words(unit);
    let (main, per) = (clean_unit(&main), clean_unit(&per));
    let main = if tokens.contains(&main.as_str()) { "" } else { main.as_str() };
    let per = per.strip_suffix('_').unwrap_or(&per);
    let per = if per == "per" || tokens.contains(&per) { "" } else { per };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    tokens.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    let last = match shape {
        Shape::Counter => Some("total"),
        Shape::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(last) = last {
        tokens.retain(|token| *token != last);
        tokens.push(last);
    }
    no_leading_digit(tokens.join("_"))
}

/// Adds suffixes to a name that stays as it is otherwise.
fn suffixed(name: &str, unit: &str, shape: Shape) -> String {
    let mut name = name.to_owned();
    let mut endings: Vec<String> = Vec::new();
    let mut move_to_the_end = |name: &mut String, ending: &str| {
        if name.ends_with(ending) && name.len() > ending.len() + 1 {
            // The delimiter goes with it, whatever it is.
            let mut cut = name.len() - ending.len() - 1;
            while !name.is_char_boundary(cut) {
                cut -= 1;
            }
            name.truncate(cut);
        }
        endings.push(format!("_{ending}"));
    };
    if unit == "1" && shape == Shape::Gauge {
        move_to_the_end(&mut name, "ratio");
    }
    if shape == Shape::Counter {
        move_to_the_end(&mut name, "total");
    }
    let (main, per) = unit_words(unit);
    if !per.is_empty() {
        move_to_the_end(&mut name, &per);
    }
    if !main.is_empty() && !name.ends_with(&main) {
        name.push('_');
        name.push_str(&main);
    }
    endings.iter().rev().for_each(|ending| name.push_str(ending));
    name
}

/// Returns the words of a unit: what is counted, and `per_…`. What stands in braces is an annotation, not a unit.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |unit: &str, words: &[(&'static str, &'static str)]| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        words.iter().find(|(short, _)| *short == unit).map_or(unit, |(_, word)| word).to_owned()
    };
    let (main, per) = (known(main, &UNITS), known(per, &PER_UNITS));
    (main, if per.is_empty() { per } else { format!("per_{per}") })
}

fn clean_unit(unit: &str) -> String {
    let mut clean = String::with_capacity(unit.len());
    for c in unit.chars() {
        match c {
            c if is_metric_char(c) => clean.push(c),
            _ if clean.ends_with('_') => {}
            _ => clean.push('_'),
        }
    }
    clean.strip_prefix('_').map(str::to_owned).unwrap_or(clean)
}

/// Returns the unit as metadata shows it.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let words = [clean_unit(&main), clean_unit(&per)];
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let joined = words.join("_");
    let joined = joined.strip_prefix('_').unwrap_or(&joined);
    joined.strip_suffix('_').unwrap_or(joined).to_owned()
}

/// Returns the label name of an attribute.
pub(super) fn label(name: &str, options: &OtlpOptions) -> Result<String, String> {
    if name.is_empty() {
        return Err("label name is empty".to_owned());
    }
    if !options.strategy.escapes() {
        return match name.chars().all(|c| c == '_') {
            true => Err(format!("label name {name:?} contains only underscores")),
            false => Ok(name.to_owned()),
        };
    }
    escaped_label(name, options.label_name_preserve_multiple_underscores, options.label_name_underscore_sanitization)
}

/// Returns the label name of an attribute or of structured metadata of logs: as Loki builds them, runs of other characters are
/// one underscore.
pub(crate) fn normalised_label(name: &str) -> Result<Cow<'_, str>, String> {
    let bytes = name.as_bytes();
    let plain = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !bytes.windows(2).any(|two| two == b"__");
    if plain {
        return Ok(Cow::Borrowed(name));
    }
    if name.is_empty() {
        return Err("label name is empty".to_owned());
    }
    escaped_label(name, false, false).map(Cow::Owned)
}

/// Reduces a name to letters, digits and underscores.
fn escaped_label(name: &str, preserve: bool, key_before_underscore: bool) -> Result<String, String> {
    let mut built = sanitized(name, preserve);
    if built.starts_with(|c: char| c.is_ascii_digit()) {
        built = format!("key_{built}");
    } else if key_before_underscore && built.starts_with('_') && !built.starts_with("__") {
        built = format!("key{built}");
    }
    match built.chars().all(|c| c == '_') {
        true => Err(format!("normalization for label name {} resulted in invalid name {}", go_quote(name), go_quote(&built))),
        false => Ok(built),
    }
}

fn sanitized(name: &str, preserve: bool) -> String {
    if preserve {
        return name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    }
    let reserved = (name.len() >= 4).then(|| name.strip_prefix("__")?.strip_suffix("__")).flatten();
    let mut out = String::with_capacity(name.len());
    let mut run = false;
    for c in reserved.unwrap_or(name).chars() {
        match c.is_ascii_alphanumeric() {
            true => out.push(c),
            false if !run => out.push('_'),
            false => {}
        }
        run = !c.is_ascii_alphanumeric();
    }
    if reserved.is_some() { format!("__{out}__") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::otlp::TranslationStrategy::{self, *};

    fn options(strategy: TranslationStrategy) -> OtlpOptions {
        OtlpOptions { strategy, ..OtlpOptions::default() }
    }

    #[test]
    fn metrics() {
        let table = [
            (UnderscoreEscapingWithSuffixes, "http.server.duration", "s", Shape::Other, "http_server_duration_seconds"),
            (UnderscoreEscapingWithoutSuffixes, "http.server__duration", "s", Shape::Other, "http_server__duration"),
            (NoUtf8EscapingWithSuffixes, "http.server.duration", "s", Shape::Other, "http.server.duration_seconds"),
            (NoTranslation, "http.server.duration", "s", Shape::Counter, "http.server.duration"),
            (UnderscoreEscapingWithSuffixes, "requests.total.made", "{req}", Shape::Counter, "requests_made_total"),
            (UnderscoreEscapingWithSuffixes, "speed", "m/s", Shape::Gauge, "speed_meters_per_second"),
            (UnderscoreEscapingWithSuffixes, "meters.per_second", "m/s", Shape::Gauge, "meters_per_second_per_second"),
            (UnderscoreEscapingWithSuffixes, "load", "1", Shape::Gauge, "load_ratio"),
            (UnderscoreEscapingWithSuffixes, "load", "1", Shape::Counter, "load_total"),
            (UnderscoreEscapingWithSuffixes, "2xx", "", Shape::Other, "_2xx"),
            (UnderscoreEscapingWithSuffixes, "a", "{x}/{y}", Shape::Other, "a"),
            (UnderscoreEscapingWithSuffixes, "a", "req/s", Shape::Other, "a_req_per_second"),
            (UnderscoreEscapingWithSuffixes, "a:b", "%", Shape::Gauge, "a:b_percent"),
            (NoUtf8EscapingWithSuffixes, "é.total", "By/s", Shape::Counter, "é_bytes_per_second_total"),
            (NoUtf8EscapingWithSuffixes, "ratio", "1", Shape::Gauge, "ratio_ratio"),
        ];
        for (strategy, name, unit, shape, expected) in table {
            assert_eq!(metric(name, unit, shape, &options(strategy)).as_deref(), Ok(expected), "{name} {unit} {strategy:?}");
        }
        assert!(metric("", "", Shape::Other, &options(NoTranslation)).is_err());
        assert!(metric("...", "", Shape::Other, &options(UnderscoreEscapingWithSuffixes)).is_err());
        assert_eq!(unit("By/s"), "bytes_per_second");
        assert_eq!(unit("{x}"), "");
    }

    #[test]
    fn labels() {
        let table = [
            ("http.method", "http_method"),
            ("2xx", "key_2xx"),
            ("_private", "key_private"),
            ("__reserved", "__reserved"),
            ("a..b", "a__b"),
            ("é", "é"),
        ];
        let default = OtlpOptions::default();
        for (name, expected) in &table[..5] {
            assert_eq!(label(name, &default).as_deref(), Ok(*expected));
        }
        assert_eq!(label("é", &default).as_deref(), Ok("key_"));
        assert!(label("éé", &default).is_err(), "underscores alone are no name");
        assert_eq!(label("é", &options(NoTranslation)).as_deref(), Ok("é"));
        assert!(label("__", &options(NoTranslation)).is_err());
        for (name, expected) in
            [("a.b", "a_b"), ("a--b__c", "a_b_c"), ("_x", "_x"), (".dash", "_dash"), ("1x", "key_1x"), ("a_b", "a_b")]
        {
            assert_eq!(normalised_label(name).as_deref(), Ok(expected), "{name}");
        }
        assert!(normalised_label("").is_err() && normalised_label("é").is_err());
        let collapsing = OtlpOptions { label_name_preserve_multiple_underscores: false, ..OtlpOptions::default() };
        assert_eq!(label("a..b", &collapsing).as_deref(), Ok("a_b"));
        assert_eq!(label("__a..b__", &collapsing).as_deref(), Ok("__a_b__"));
    }
}
