//! What a caller should do about a failure. Every crate's error enum answers with one of these.

/// Answers "what should the caller do?"; retry and HTTP status follow from it, each in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as it is: change it.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// Somebody else was first: read again and decide.
    Conflict,
    /// A limit named in the message was hit.
    Limit,
    /// A transient failure: the same request may succeed later.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of ours.
    Internal,
}
