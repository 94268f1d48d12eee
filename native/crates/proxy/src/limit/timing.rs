//! Asks an upstream how long a request waited in its queue. infermesh's server tells who asks; nobody else has to.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// Of a request: the time is wanted.
const ASK: HeaderName = HeaderName::from_static("x-infermesh-timing");

/// Of its answer, in the trailers of gRPC: microseconds.
const QUEUE: HeaderName = HeaderName::from_static("x-infermesh-queue-us");

/// Who wants to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// We alone.
    Here,
    /// The caller, too.
    There,
}

/// Has a request ask.
pub fn ask(headers: &mut HeaderMap) -> Asked {
    match headers.try_insert(ASK, HeaderValue::from_static("1")) {
        Ok(None) => Asked::Here,
        // There is no room for another header, and so nobody asks.
        Ok(Some(_)) | Err(_) => Asked::There,
    }
}

/// What an answer says; to nobody but those who asked.
pub fn told(headers: &mut HeaderMap, asked: Asked) -> Option<Duration> {
    let value = headers.get(QUEUE)?.to_str().ok().and_then(|text| text.parse().ok());
    if asked == Asked::Here {
        headers.remove(QUEUE);
    }
    value.map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(QUEUE, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_time_is_asked_for_and_kept_from_who_did_not() {
        let (mut request, mut trailers) = (HeaderMap::new(), answer("1500"));
        let asked = ask(&mut request);
        assert_eq!(request[ASK], "1");
        assert_eq!(told(&mut trailers, asked), Some(Duration::from_micros(1_500)));
        assert!(trailers.is_empty());
    }

    #[test]
    fn who_asked_as_well_gets_it() {
        let mut trailers = answer("1500");
        let asked = ask(&mut HeaderMap::from_iter([(ASK, HeaderValue::from_static("1"))]));
        assert_eq!(told(&mut trailers, asked), Some(Duration::from_micros(1_500)));
        assert_eq!(trailers[QUEUE], "1500");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(told(&mut answer(value), Asked::Here), None, "{value}");
        }
        assert_eq!(told(&mut HeaderMap::new(), Asked::Here), None);
    }
}
