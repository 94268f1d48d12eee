//! Which HTTP status an error has.

use http::StatusCode;
use infermesh_wire::{Code, Error};

/// As Triton maps them; it has no word for a deadline or for a body that is too large.
pub fn status(error: &Error) -> StatusCode {
    match error.code {
        Code::Cancelled | Code::InvalidArgument | Code::AlreadyExists => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ResourceExhausted if error.transient => StatusCode::TOO_MANY_REQUESTS,
        Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}
