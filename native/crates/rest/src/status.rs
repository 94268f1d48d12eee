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

/// Of a call's status that is not 0. gRPC does not say whether it is room or size that is exhausted; it is
/// room, as for most. Codes that no part of this project uses are mapped as in
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.
pub fn status_of_grpc(code: u32) -> StatusCode {
    match code {
        9 | 11 => StatusCode::BAD_REQUEST,
        10 => StatusCode::CONFLICT,
        _ => Code::from_number(code).map_or(StatusCode::INTERNAL_SERVER_ERROR, |code| {
            status(&Error { transient: code == Code::ResourceExhausted, ..Error::new(code, "") })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status() {
        let of = |code| status_of_grpc(code).as_u16();
        let all = [400, 500, 400, 504, 404, 400, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
        assert_eq!((1..=16).map(of).collect::<Vec<_>>(), all);
        assert_eq!(of(99), 500);
        // A size does not change by waiting.
        assert_eq!(status(&Error::new(Code::ResourceExhausted, "")), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
