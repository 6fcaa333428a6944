//! Line filters of deletions, as LogQL means them.

use std::sync::Arc;

use compactor::{LineFilter, LineFilters};
use logql::ast::Expr;
use model::LabelSet;
use plan::pipeline::{Outcome, Pipeline, Scratch, Stage};

/// LogQL's line filters.
#[derive(Debug)]
pub struct LogQl;

impl LineFilters for LogQl {
    fn compile(&self, text: &str) -> Result<LineFilter, String> {
        // A pipeline is only parsed behind a selector; which one does not matter.
        let expr = logql::parse(&format!("{{a=\"a\"}} {text}")).map_err(|error| error.to_string())?;
        let Expr::Log(log) = expr else { return Err("it is not a line filter".to_owned()) };
        if !log.stages.iter().all(|stage| matches!(stage, Stage::LineFilters(_))) {
            return Err("it has stages beside line filters".to_owned());
        }
        let pipeline = Pipeline::compile(&log.stages).map_err(|error| error.to_string())?;
        let none = LabelSet::empty();
        Ok(Arc::new(move |line| matches!(pipeline.process(&mut Scratch::at(0), 0, line, &none, &none), Outcome::Keep { .. })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_filters_are_logqls() {
        let accepts = |text: &str, line: &str| LogQl.compile(text).expect(text)(line.as_bytes());
        for (text, line, accepted) in [
            (r#"|= "x" != "y""#, "axb", true),
            (r#"|= "x" != "y""#, "axby", false),
            (r#"|~ "a+b""#, "aab", true),
            ("|= `GET` or `PUT`", "PUT /", true),
            ("", "anything", true),
        ] {
            assert_eq!(accepts(text, line), accepted, "{text} on {line}");
        }
        for text in ["| json", "|= ", r#"[5m]"#, r#"|= "x" | level="error""#] {
            assert!(LogQl.compile(text).is_err(), "{text}");
        }
    }
}
