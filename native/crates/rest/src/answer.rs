//! What all answers have in common.

use crate::status::status;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use infermesh_wire::Error;

/// The body is in the buffers it was written in; tensors are not copied.
pub type Answer = Response<Vec<Bytes>>;

/// 200 and nothing more.
pub fn empty() -> Answer {
    Response::new(Vec::new())
}

pub fn json(text: impl Into<Bytes>) -> Answer {
    typed("application/json", vec![text.into()])
}

pub fn typed(content_type: &'static str, pieces: Vec<Bytes>) -> Answer {
    let mut answer = Response::new(pieces);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// `{"error": "..."}`.
pub fn refusal(status: StatusCode, message: &str) -> Answer {
    let mut answer = json(serde_json::json!({ "error": message }).to_string());
    *answer.status_mut() = status;
    answer
}

/// `{"error": "..."}` with the status that tells a client what to do about it.
pub fn error(error: &Error) -> Answer {
    refusal(status(error), &error.message)
}

pub fn unknown_path(path: &str) -> Answer {
    refusal(StatusCode::NOT_FOUND, &format!("found nothing at {path}"))
}

pub fn wrong_method(allowed: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, &format!("expected method {allowed}"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
