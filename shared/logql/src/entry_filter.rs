//! The filter of a deletion, as LogQL means it: the stages behind a selector.

use model::EntryFilter;
use plan::pipeline::{Outcome, Pipeline, Scratch};

use crate::Expr;

/// Compiles the stages of a log query (`|= "x" | json | level="error"`) into a predicate of entries: those that come out of
/// them. As in Loki's deletions a stage that changes nothing about that (a parser alone) accepts everything, and the stages see
/// neither the entry's time nor the present.
///
/// # Errors
/// The reason, where the text is not a log pipeline.
pub fn entry_filter(text: &str) -> Result<EntryFilter, String> {
    // A pipeline is only parsed behind a selector; which one does not matter.
    let expr = crate::parse(&format!("{{a=\"a\"}} {text}")).map_err(|error| error.to_string())?;
    let Expr::Log(log) = expr else { return Err("it is not a log pipeline".to_owned()) };
    let pipeline = Pipeline::compile(&log.stages).map_err(|error| error.to_string())?;
    Ok(EntryFilter::new(move |stream, line, metadata| {
        matches!(pipeline.process(&mut Scratch::at(0), 0, line, stream, metadata), Outcome::Keep { .. })
    }))
}

#[cfg(test)]
mod tests {
    use model::LabelSet;

    use super::*;

    #[test]
    fn filters_accept_what_the_stages_keep() {
        let stream = LabelSet::from_pairs([("app", "api"), ("level", "info")]);
        let metadata = LabelSet::from_pairs([("trace", "t1")]);
        let accepts = |text: &str, line: &str| entry_filter(text).unwrap().accepts(&stream, line.as_bytes(), &metadata);
        for (text, line, accepted) in [
            (r#"|= "x" != "y""#, "axb", true),
            (r#"|= "x" != "y""#, "axby", false),
            (r#"|~ "a+b""#, "aab", true),
            ("|= `GET` or `PUT`", "PUT /", true),
            ("", "anything", true),
            ("| json", "no json", true),
            (r#"| json | status="500""#, r#"{"status":500}"#, true),
            (r#"| json | status="500""#, r#"{"status":200}"#, false),
            (r#"| level="info""#, "line", true),
            (r#"| level="error""#, "line", false),
            (r#"| trace="t1""#, "line", true),
            (r#"| trace="t2""#, "line", false),
        ] {
            assert_eq!(accepts(text, line), accepted, "{text} on {line}");
        }
        for text in ["|= ", "[5m]", "} | json", "| nothing", "or vector(1)"] {
            assert!(entry_filter(text).is_err(), "{text}");
        }
    }
}
