//! A request's place in its sequence.

use std::fmt;

/// The client's name for a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SequenceId {
    Number(u64),
    Text(Box<str>),
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Turn {
    pub id: SequenceId,
    /// The first request of its sequence; within a sequence that runs, it begins anew.
    pub start: bool,
    /// The last one.
    pub end: bool,
}
