//! One request with its answer, gathered while both pass.

use super::{
    proto,
    room::{Room, Share},
};
use crate::headers::{GRPC_ENCODING, REQUEST_ID, is_grpc};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use prost::Message;
use std::{mem::size_of, sync::Arc, time::Duration};

const CHUNK: usize = size_of::<Bytes>();

/// A larger body is not copied to wait: it fills most of the buffers that it came in.
const SMALL: usize = 64 << 10;

/// The beginning of a body. Its chunks are those that pass: none is copied on the way, and each keeps the
/// buffer that it is a part of.
#[derive(Debug)]
pub struct Body {
    pub content_type: String,
    /// How it is compressed.
    pub encoding: String,
    chunks: Vec<Bytes>,
    /// Bytes that passed.
    size: u64,
    /// What it may still take.
    left: usize,
    share: Share,
}

impl Body {
    pub(super) fn new(room: &Arc<Room>, limit: usize) -> Self {
        Self {
            content_type: String::new(),
            encoding: String::new(),
            chunks: Vec::new(),
            size: 0,
            left: limit,
            share: Share::none(room),
        }
    }

    /// The next part of the body, in the order in which they pass. What there is no room for is counted, and
    /// so is all that follows.
    pub fn push(&mut self, chunk: &Bytes) {
        self.size += chunk.len() as u64;
        let wanted = chunk.len().min(self.left);
        // A chunk takes a place of its own, too: otherwise a body of single bytes would take many times its
        // size.
        let taken = if wanted > 0 { self.share.grow(wanted + CHUNK) } else { 0 };
        let kept = taken.saturating_sub(CHUNK);
        if kept > 0 {
            self.chunks.push(chunk.slice(..kept));
        }
        self.left = if kept == chunk.len() { self.left - kept } else { 0 };
    }

    /// What the headers beside it say of it.
    pub(super) fn describe(&mut self, headers: &HeaderMap) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.content_type = text(CONTENT_TYPE).to_owned();
        let encoding = text(if is_grpc(headers) { GRPC_ENCODING } else { CONTENT_ENCODING });
        self.encoding = if encoding == "identity" { String::new() } else { encoding.to_owned() };
    }

    /// It has passed. A few bytes that have to wait must not hold on to the buffer of many that they came in.
    fn settle(&mut self) {
        self.share.release();
        if !self.chunks.is_empty() && self.kept() <= SMALL {
            self.chunks = vec![self.chunks.concat().into()];
        }
    }

    /// Whether nothing more would be kept.
    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    fn kept(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    fn weight(&self) -> usize {
        self.kept() + self.chunks.len() * CHUNK + self.content_type.len() + self.encoding.len()
    }

    fn into_proto(self) -> proto::Body {
        let kept = self.kept();
        proto::Body {
            data: self.chunks.concat(),
            size: self.size,
            truncated: (kept as u64) < self.size,
            content_type: self.content_type,
            encoding: self.encoding,
        }
    }
}

/// What is said of a request. The fields are those of the message, which describes them.
#[derive(Debug)]
pub struct Record {
    pub time_unix_nano: u64,
    pub route: Arc<str>,
    pub method: String,
    pub path: String,
    pub model: String,
    pub version: String,
    pub request_id: String,
    pub trace_id: Option<u128>,
    pub http_status: u16,
    pub grpc_status: Option<u32>,
    pub latency: Duration,
    pub request: Body,
    pub response: Body,
    /// What it takes of the room for those that wait for their writer.
    pub(super) waits: Option<Share>,
}

impl Record {
    /// Of a request that has arrived, with nothing of it yet but the time, in nanoseconds since 1970.
    pub(super) fn new(time_unix_nano: u64, route: Arc<str>, request: Body, response: Body) -> Self {
        Self {
            time_unix_nano,
            route,
            method: String::new(),
            path: String::new(),
            model: String::new(),
            version: String::new(),
            request_id: String::new(),
            trace_id: None,
            http_status: 0,
            grpc_status: None,
            latency: Duration::ZERO,
            request,
            response,
            waits: None,
        }
    }

    /// What a request's head says.
    pub fn describe(&mut self, head: &Parts) {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        self.method = head.method.as_str().to_owned();
        self.path = head.uri.path().to_owned();
        self.request_id = head.headers.get(REQUEST_ID).map(text).unwrap_or_default();
        self.request.describe(&head.headers);
    }

    /// It has passed, and leaves the room for those under way.
    pub(super) fn settle(&mut self) {
        self.request.settle();
        self.response.settle();
    }

    /// Bytes of memory, roughly.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.method, &self.path, &self.model, &self.version, &self.request_id];
        let texts: usize = texts.into_iter().map(String::len).sum();
        size_of::<Self>() + texts + self.request.weight() + self.response.weight()
    }

    /// A serialised `infermesh.capture.v1.Record`.
    pub(super) fn encode(self) -> Vec<u8> {
        let record = proto::Record {
            time_unix_nano: self.time_unix_nano,
            route: self.route.to_string(),
            method: self.method,
            path: self.path,
            model: self.model,
            version: self.version,
            request_id: self.request_id,
            trace_id: self.trace_id.map(|id| format!("{id:032x}")).unwrap_or_default(),
            http_status: self.http_status.into(),
            grpc_status: self.grpc_status,
            latency_ns: self.latency.as_nanos().try_into().unwrap_or(u64::MAX),
            request: Some(self.request.into_proto()),
            response: Some(self.response.into_proto()),
        };
        record.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn body(limit: usize, chunks: &[&'static str]) -> Body {
        let mut body = Body::new(&Room::new(1000), limit);
        chunks.iter().for_each(|chunk| body.push(&Bytes::from_static(chunk.as_bytes())));
        body
    }

    fn kept(limit: usize, chunks: &[&'static str]) -> (String, u64, bool) {
        let proto::Body { data, size, truncated, .. } = body(limit, chunks).into_proto();
        (String::from_utf8(data).unwrap(), size, truncated)
    }

    #[test]
    fn a_body_is_kept_up_to_its_limit() {
        let chunks = ["one", "", "two", "three"];
        assert_eq!(kept(1000, &chunks), ("onetwothree".into(), 11, false));
        assert_eq!(kept(11, &chunks), ("onetwothree".into(), 11, false));
        assert_eq!(kept(5, &chunks), ("onetw".into(), 11, true));
        // What follows a gap would be taken for what belongs there.
        assert_eq!(kept(5, &["three", "a"]), ("three".into(), 6, true));
        assert_eq!(kept(2, &["three", "a"]), ("th".into(), 6, true));
        assert_eq!(kept(1000, &[]), (String::new(), 0, false));
        assert!(body(2, &["three"]).is_full() && !body(1000, &["three"]).is_full());
    }

    #[test]
    fn chunks_are_not_copied() {
        let chunk = Bytes::from(vec![7; 100]);
        let mut body = Body::new(&Room::new(1000), 1000);
        body.push(&chunk);
        assert_eq!(body.chunks[0].as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn a_small_body_that_waits_holds_no_more_than_itself() {
        let buffer = Bytes::from(vec![7; 2 * SMALL]);
        let settled = |size: usize| {
            let mut body = Body::new(&Room::new(4 * SMALL), 4 * SMALL);
            body.push(&buffer.slice(..size));
            body.settle();
            assert_eq!(body.kept(), size);
            body.chunks[0].as_ptr() != buffer.as_ptr()
        };
        assert_eq!([10, SMALL, SMALL + 1].map(settled), [true, true, false]);
    }

    #[test]
    fn headers_say_how_a_body_is_written() {
        let described = |headers: &[(HeaderName, &'static str)]| {
            let mut body = body(10, &[]);
            let value = HeaderValue::from_static;
            body.describe(&headers.iter().map(|(name, it)| (name.clone(), value(it))).collect());
            (body.content_type, body.encoding)
        };
        let grpc = (CONTENT_TYPE, "application/grpc+proto");
        let both = [grpc.clone(), (GRPC_ENCODING, "gzip"), (CONTENT_ENCODING, "br")];
        assert_eq!(described(&both), ("application/grpc+proto".into(), "gzip".into()));
        assert_eq!(described(&[grpc, (GRPC_ENCODING, "identity")]).1, "");
        let json = [(CONTENT_TYPE, "application/json"), (GRPC_ENCODING, "gzip"), (CONTENT_ENCODING, "br")];
        assert_eq!(described(&json), ("application/json".into(), "br".into()));
        assert_eq!(described(&[]), (String::new(), String::new()));
    }

    #[test]
    fn bodies_share_the_room() {
        let room = Room::new(2 * CHUNK + 5);
        let mut one = Body::new(&room, 1000);
        let mut two = Body::new(&room, 1000);
        one.push(&Bytes::from_static(b"one"));
        two.push(&Bytes::from_static(b"two"));
        two.push(&Bytes::from_static(b"!"));
        assert_eq!((one.kept(), two.kept(), two.size), (3, 2, 4));
        drop(one);
        let mut three = Body::new(&room, 1000);
        three.push(&Bytes::from_static(b"three"));
        assert_eq!(three.kept(), 3);
    }
}
