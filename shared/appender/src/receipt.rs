//! What an append made durable, and how.

use std::fmt;

/// How a request was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By itself.
    #[default]
    Direct,
    /// Together with others.
    Group,
}

/// Why it was written so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The strategy is the only one.
    #[default]
    Fixed,
    /// The process is frozen between requests.
    Frozen,
    /// By the measured rate of requests.
    Rate,
    /// Because compaction is behind.
    Backlog,
}

/// The choice of a strategy with what explains it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// How.
    pub strategy: Strategy,
    /// Why.
    pub reason: Reason,
    /// Requests per minute of the tenant and signal, as this process measured them; 0 where it does not.
    pub requests_per_minute: u32,
}

/// What an append made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Samples or entries; of a group, those of all its requests.
    pub rows: usize,
    /// Segments written.
    pub segments: usize,
    /// Of them, those that live inside the manifest's record.
    pub inline: usize,
    /// Encoded bytes.
    pub bytes: usize,
    /// How it was written.
    pub choice: Choice,
}

impl Receipt {
    pub(crate) fn add(self, other: Receipt) -> Receipt {
        Receipt {
            rows: self.rows + other.rows,
            segments: self.segments + other.segments,
            inline: self.inline + other.inline,
            bytes: self.bytes + other.bytes,
            choice: self.choice,
        }
    }
}

impl Strategy {
    /// Both, as metrics list them.
    pub const ALL: [Strategy; 2] = [Strategy::Direct, Strategy::Group];

    /// Returns the name in headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::Direct => "direct",
            Strategy::Group => "group",
        }
    }
}

impl Reason {
    /// All, as metrics list them.
    pub const ALL: [Reason; 4] = [Reason::Fixed, Reason::Frozen, Reason::Rate, Reason::Backlog];

    /// Returns the name in headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Fixed => "fixed",
            Reason::Frozen => "frozen",
            Reason::Rate => "rate",
            Reason::Backlog => "backlog",
        }
    }
}

/// `group; reason=rate; requests-per-minute=1200; segments=1; inline=0`.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice { strategy, reason, requests_per_minute } = self.choice;
        let (strategy, reason) = (strategy.as_str(), reason.as_str());
        write!(f, "{strategy}; reason={reason}; requests-per-minute={requests_per_minute}; ")?;
        write!(f, "segments={}; inline={}", self.segments, self.inline)
    }
}
