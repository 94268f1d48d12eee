//! How a request can fail. Failures are data: each kind is counted, with its latency and what one of them said.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A gRPC status other than OK.
    Status(u8),
    /// An HTTP status other than 2xx.
    Http(u16),
    /// Not answered within its time, or not even sent.
    Timeout,
    /// The connection ended under it.
    Connection,
    /// The peer does not keep to the protocol.
    Protocol,
    /// The answer is not the expected one.
    WrongAnswer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: Kind,
    pub message: String,
}

/// Of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Kind {
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Status(code) => STATUSES
                .get(usize::from(*code))
                .map_or_else(|| format!("STATUS {code}").into(), |name| (*name).into()),
            Self::Http(status) => format!("HTTP {status}").into(),
            Self::Timeout => "TIMEOUT".into(),
            Self::Connection => "CONNECTION".into(),
            Self::Protocol => "PROTOCOL".into(),
            Self::WrongAnswer => "WRONG ANSWER".into(),
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(Kind::Protocol, message)
    }

    pub fn connection(message: impl Into<String>) -> Self {
        Self::new(Kind::Connection, message)
    }

    pub fn status(code: u8, message: impl Into<String>) -> Self {
        Self::new(Kind::Status(code), message)
    }
}
