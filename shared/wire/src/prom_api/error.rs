//! What a failed request answers: a type that clients switch on, and a text.

use model::ErrorKind;

/// Prometheus's `errorType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorType {
    /// The request is wrong.
    BadData,
    /// The query failed while it ran.
    Execution,
    /// The client went away.
    Canceled,
    /// The query took too long.
    Timeout,
    /// A fault of ours.
    Internal,
    /// Too busy, or a dependency is down.
    Unavailable,
    /// No such thing.
    NotFound,
    /// No representation the client accepts.
    NotAcceptable,
}

impl ErrorType {
    /// Returns the API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::BadData => "bad_data",
            ErrorType::Execution => "execution",
            ErrorType::Canceled => "canceled",
            ErrorType::Timeout => "timeout",
            ErrorType::Internal => "internal",
            ErrorType::Unavailable => "unavailable",
            ErrorType::NotFound => "not_found",
            ErrorType::NotAcceptable => "not_acceptable",
        }
    }

    /// Returns the HTTP status the API answers with.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorType::BadData => 400,
            ErrorType::NotFound => 404,
            ErrorType::NotAcceptable => 406,
            ErrorType::Execution => 422,
            ErrorType::Canceled => 499,
            ErrorType::Internal | ErrorType::Unavailable => 500,
            ErrorType::Timeout => 503,
        }
    }

    /// Returns the type a failure while a query runs has: what is wrong with it is `execution`, not `bad_data`.
    pub fn of_evaluation(kind: ErrorKind) -> ErrorType {
        match kind {
            ErrorKind::Invalid | ErrorKind::Limit | ErrorKind::NotFound => ErrorType::Execution,
            ErrorKind::Unavailable | ErrorKind::Conflict => ErrorType::Unavailable,
            ErrorKind::Corrupt | ErrorKind::Internal => ErrorType::Internal,
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What clients switch on.
    pub error_type: ErrorType,
    /// What people read.
    pub message: String,
}

impl ApiError {
    /// Makes an error.
    pub fn new(error_type: ErrorType, message: impl Into<String>) -> ApiError {
        ApiError { error_type, message: message.into() }
    }

    /// Makes a `bad_data` error.
    pub fn bad_data(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorType::BadData, message)
    }

    /// Makes the error of one parameter: `invalid parameter "name": reason`.
    pub fn parameter(name: &str, reason: impl std::fmt::Display) -> ApiError {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {reason}"))
    }
}
