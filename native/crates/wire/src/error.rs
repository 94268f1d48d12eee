//! The one error model of the data plane. An edge (gRPC, HTTP, CLI) maps `Code` to its own vocabulary.

use std::{borrow::Cow, fmt, time::Duration};

/// A header, or trailer, of a refusal with UNAVAILABLE: there is more to do than can be done, and this was not begun. Whoever
/// receives it may ask somebody else, and should not take us for dead.
pub const OVERLOAD: &str = "infermesh-overload";

/// What went wrong, in gRPC's numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// `None` for the codes that this project does not use, and for numbers that are none.
    pub fn from_number(number: u32) -> Option<Self> {
        let all = [
            Self::Cancelled,
            Self::InvalidArgument,
            Self::DeadlineExceeded,
            Self::NotFound,
            Self::AlreadyExists,
            Self::PermissionDenied,
            Self::ResourceExhausted,
            Self::Unimplemented,
            Self::Internal,
            Self::Unavailable,
            Self::Unauthenticated,
        ];
        all.into_iter().find(|&code| code as u32 == number)
    }

    /// As gRPC writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// Who has to act for the error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The request itself is wrong or was given up.
    Caller,
    /// This process could not serve it.
    Process,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub message: Cow<'static, str>,
    /// Whether what failed cannot recover within this process: every later use of it would fail too.
    pub fatal: bool,
    /// Whether what was refused for want of room would be accepted at another time.
    pub transient: bool,
    /// After which time it would be, if that is known.
    pub retry_after: Option<Duration>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), fatal: false, transient: false, retry_after: None }
    }

    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// A failure after which the model cannot be used again, such as that of its device.
    pub fn fatal(message: impl Into<Cow<'static, str>>) -> Self {
        Self { fatal: true, ..Self::internal(message) }
    }

    /// Too much is under way; nothing was done.
    pub fn overloaded(message: impl Into<Cow<'static, str>>) -> Self {
        Self { transient: true, ..Self::new(Code::ResourceExhausted, message) }
    }

    /// Too much waits already, so that this would be answered too late or not at all; nothing was done, and another server may
    /// have less to do.
    pub fn busy(message: impl Into<Cow<'static, str>>) -> Self {
        Self { transient: true, ..Self::new(Code::Unavailable, message) }
    }

    /// The caller's own time is up.
    pub fn deadline_exceeded() -> Self {
        Self::new(Code::DeadlineExceeded, "Deadline Exceeded")
    }

    pub fn source(&self) -> Source {
        match self.code {
            Code::Internal | Code::Unavailable | Code::ResourceExhausted => Source::Process,
            _ => Source::Caller,
        }
    }

    /// Whether it is told with `OVERLOAD`.
    pub fn is_busy(&self) -> bool {
        self.code == Code::Unavailable && self.transient
    }

    /// Whether the request certainly did not run, so that sending it again can do no harm.
    pub fn retry_is_safe(&self) -> bool {
        self.code == Code::Unavailable || self.transient
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
