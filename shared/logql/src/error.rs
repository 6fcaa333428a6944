//! Why a query was refused, in Loki's words.

use model::ErrorKind;

/// A query text that is not LogQL, or means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Loki's reason.
    pub message: String,
    /// 1-based line and column (in characters) of the token at fault; `None` where the fault is in the meaning. The line is 0
    /// after tokens that Loki's lexer reads by hand.
    pub position: Option<(usize, usize)>,
}

impl ParseError {
    /// Makes the error of a query whose meaning is at fault.
    pub fn meaning(message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), position: None }
    }

    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "parse error at line {line}, col {column}: {}", self.message),
            None => write!(f, "parse error : {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a query could not be turned into a plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The text is not a query.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A stage cannot be built: Loki finds these when it builds the pipeline.
    #[error(transparent)]
    Build(#[from] plan::pipeline::BuildError),
    /// More than a stream selector was given where only that is allowed.
    #[error("only label matchers are supported")]
    OnlyMatchers,
    /// A log query was asked for one instant.
    #[error("log queries are not supported as an instant query type, please change your query to a range query type")]
    LogsAtInstant,
    /// An expression Loki accepts and refuses to evaluate.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Parse(_) | Error::Build(_) | Error::OnlyMatchers | Error::LogsAtInstant => ErrorKind::Invalid,
            Error::Refused(_) => ErrorKind::Internal,
        }
    }
}
