//! What an answer says of its own time, to callers who ask for it: proxies learn from it how many requests may be under
//! way. In the trailers of gRPC, which reach whoever asked for them; in the head over HTTP.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Of a request, with the value 1: it wants to know.
const ASKS: HeaderName = HeaderName::from_static("x-infermesh-timing");

/// Of its answer: microseconds in the queue of the model. Left out where there is no one queue: of an ensemble, of an answer
/// that was known.
const QUEUE: HeaderName = HeaderName::from_static("x-infermesh-queue-us");

pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(ASKS).is_some_and(|value| value == "1")
}

pub fn tell(headers: &mut HeaderMap, queued: Duration) {
    // 64 bits are enough for half a million years.
    headers.insert(QUEUE, HeaderValue::from(queued.as_micros() as u64));
}
