//! How a request ended, to whoever sent it.

use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The code of a gRPC call.
    Grpc(u16),
    /// The status of an HTTP answer that has come to its end.
    Http(u16),
    /// An HTTP answer that did not.
    Broken,
    /// Whoever asked over HTTP did not wait for it.
    Left,
}

const OK: u16 = 0;
const CANCELLED: u16 = 1;
const UNKNOWN: u16 = 2;

/// As gRPC writes its codes.
pub const CODES: [&str; 17] = [
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

impl End {
    /// An answer that is complete: with its gRPC status, if it has one, and its HTTP status.
    pub fn complete(grpc: bool, code: Option<u16>, status: u16) -> Self {
        match (grpc, code) {
            (true, Some(code)) => Self::Grpc(known(code)),
            (true, None) => Self::Grpc(code_of(status)),
            (false, _) => Self::Http(status),
        }
    }

    /// The caller did not wait for the end.
    pub fn left(grpc: bool) -> Self {
        if grpc { Self::Grpc(CANCELLED) } else { Self::Left }
    }

    pub fn is_success(self) -> bool {
        match self {
            Self::Grpc(code) => code == OK,
            Self::Http(status) => status < 400,
            Self::Broken | Self::Left => false,
        }
    }

    /// Whether whoever answered is to blame rather than whoever asked, as OpenTelemetry sees it.
    pub fn is_fault(self) -> bool {
        match self {
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
            Self::Grpc(code) => matches!(code, 2 | 4 | 12 | 13 | 14 | 15),
            Self::Http(status) => status >= 500,
            Self::Broken => true,
            Self::Left => false,
        }
    }

    /// For people: gRPC's name, HTTP's number.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Grpc(code) => CODES[known(code) as usize].into(),
            Self::Http(status) => status.to_string().into(),
            Self::Broken => "broken".into(),
            Self::Left => "canceled".into(),
        }
    }
}

/// gRPC takes a code that it does not know for UNKNOWN.
fn known(code: u16) -> u16 {
    if usize::from(code) < CODES.len() { code } else { UNKNOWN }
}

/// What a gRPC client makes of an answer that has no gRPC status.
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn code_of(status: u16) -> u16 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_code_whatever_was_answered() {
        for (code, status, expected) in [
            (Some(0), 200, "OK"),
            (Some(14), 200, "UNAVAILABLE"),
            (Some(99), 200, "UNKNOWN"),
            (None, 200, "UNKNOWN"),
            (None, 503, "UNAVAILABLE"),
            (None, 404, "UNIMPLEMENTED"),
        ] {
            assert_eq!(End::complete(true, code, status).name(), expected);
        }
        assert_eq!(End::left(true).name(), "CANCELLED");
    }

    #[test]
    fn http_has_its_status() {
        assert!(End::complete(false, None, 304).is_success());
        assert_eq!(End::complete(false, Some(14), 404), End::Http(404));
        assert!(!End::Http(404).is_success() && !End::left(false).is_success());
    }
}
