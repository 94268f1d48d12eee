//! What headers say, and which of them belong to one connection alone.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use infermesh_policy::{Event, outcome::Bound};
use infermesh_wire::{Code, OVERLOAD};

pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether the content type is gRPC's.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    matches!(content_type.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

/// `grpc-status`, if it is there.
pub fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Whether a status of gRPC that came with these headers or trailers is that of a server with too much to do.
pub fn says_busy(status: u16, headers: &HeaderMap) -> bool {
    status == Code::Unavailable as u16 && headers.contains_key(OVERLOAD)
}

/// What a status of gRPC says that came with these headers or trailers.
pub fn grpc_event(status: u16, headers: &HeaderMap, bound: Bound) -> Event {
    if says_busy(status, headers) { Event::Busy } else { Event::grpc(status, bound) }
}

/// The protocol that a request over HTTP/1.1 wants to go on with, where that is passed on. WebSocket is: what is spoken then
/// is the app's affair. HTTP/2 is not: whoever spoke it to the app would pass by all that is decided here.
pub fn upgrade(head: &Parts) -> Option<Upgrade> {
    let wanted = head.headers.get(UPGRADE)?;
    let connection = head.headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asks =
        connection.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let passes = asks && head.method == Method::GET && wanted.as_bytes().eq_ignore_ascii_case(b"websocket");
    passes.then(|| Upgrade(wanted.clone()))
}

/// What a request asked for, kept while it has no connection.
#[derive(Debug, Clone)]
pub struct Upgrade(HeaderValue);

impl Upgrade {
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.0.clone());
    }
}

/// Takes out what HTTP/1.1 says about its connection (RFC 9110, section 7.6.1), and a length that chunks speak against (RFC
/// 9112, section 6.3).
pub fn leave_http1(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    // Everything but `trailers` is HTTP/1.1's own.
    if headers.get(TE).is_some_and(|te| !te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        headers.remove(TE);
    }
}

/// Takes out what HTTP/1.1 has no place for: there it is each connection's own affair which trailers it takes.
pub fn leave_http2(headers: &mut HeaderMap) {
    headers.remove(TE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut found = headers(&[
            ("connection", "keep-alive, x-private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("x-public", "2"),
        ]);
        leave_http1(&mut found);
        assert_eq!(found, headers(&[("x-public", "2")]));
    }

    #[test]
    fn where_there_are_chunks_a_length_says_nothing() {
        let mut found = headers(&[("transfer-encoding", "chunked"), ("content-length", "5")]);
        leave_http1(&mut found);
        assert_eq!(found, headers(&[]));
    }

    #[test]
    fn te_trailers_passes_because_grpc_servers_ask_for_it() {
        let mut found = headers(&[("te", "trailers")]);
        leave_http1(&mut found);
        assert!(found.contains_key("te"));
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc(&headers(&[("content-type", value)])), expected, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
