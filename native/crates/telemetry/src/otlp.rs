//! Spans as an OTLP `ExportTraceServiceRequest`: the part of opentelemetry-proto that is used here.
//! <https://github.com/open-telemetry/opentelemetry-proto>

use crate::{log::Value, span::Span};
use prost::{Message, Oneof};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
}

/// `Status.code`.
const ERROR: i32 = 2;

/// `Span.flags`: W3C's sampled bit, and whether the parent is known to be remote.
const SAMPLED: u32 = 1;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The message in protobuf; `resource` says which process this is.
pub fn encode(spans: Vec<Span>, resource: &[(String, String)]) -> Vec<u8> {
    let clock = Clock::now();
    let text = |(key, value): &(String, String)| key_value(key, Value::Text(value.clone()));
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let spans = spans.into_iter().map(|span| message(span, &clock)).collect();
    let of_this_process = ResourceSpans {
        resource: Some(Resource { attributes: resource.iter().map(text).collect() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans }],
    };
    ExportTraceServiceRequest { resource_spans: vec![of_this_process] }.encode_to_vec()
}

fn message(span: Span, clock: &Clock) -> SpanMessage {
    let parent_span_id = match span.parent {
        0 => Vec::new(),
        parent => parent.to_be_bytes().to_vec(),
    };
    SpanMessage {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        trace_state: span.state,
        parent_span_id,
        name: span.name.into_owned(),
        kind: span.kind as i32,
        start_time_unix_nano: clock.unix_nanos(span.start),
        end_time_unix_nano: clock.unix_nanos(span.end),
        attributes: span.attributes.into_iter().map(|(key, value)| key_value(key, value)).collect(),
        events: span
            .events
            .into_iter()
            .map(|(name, at)| Event { time_unix_nano: clock.unix_nanos(at), name: name.to_owned() })
            .collect(),
        status: span.error.map(|message| Status { message, code: ERROR }),
        flags: SAMPLED | HAS_IS_REMOTE | if span.remote { IS_REMOTE } else { 0 },
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(value) => Any::String(value),
        Value::Bool(value) => Any::Bool(value),
        Value::Signed(value) => Any::Int(value),
        Value::List(values) => Any::String(values.join(" ")),
        Value::Unsigned(value) => Any::Int(i64::try_from(value).unwrap_or(i64::MAX)),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// Time is monotonic everywhere but here, where it is shown to others.
struct Clock {
    instant: Instant,
    since_1970: Duration,
}

impl Clock {
    #[allow(clippy::disallowed_methods)]
    fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), since_1970 }
    }

    fn unix_nanos(&self, at: Instant) -> u64 {
        let moment = match at.checked_duration_since(self.instant) {
            Some(ahead) => self.since_1970 + ahead,
            None => self.since_1970.saturating_sub(self.instant - at),
        };
        moment.as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Kind;

    #[test]
    fn a_span_is_whole() {
        let end = Instant::now();
        let start = end - Duration::from_millis(3);
        let mut outer = Span {
            trace: 7,
            id: 8,
            parent: 0,
            remote: false,
            state: "a=1".into(),
            name: "outer".into(),
            kind: Kind::Server,
            start,
            end,
            attributes: vec![("rows", 3u64.into()), ("id", "x".into())],
            events: vec![("gathered", start)],
            error: Some("broken".into()),
        };
        let inner = Span::within(&outer, "inner", 9, start, end);
        outer.parent = 5;
        outer.remote = true;
        let encoded = encode(vec![outer, inner], &[("service.name".into(), "test".into())]);
        let decoded = ExportTraceServiceRequest::decode(&encoded[..]).unwrap();
        let [found] = &decoded.resource_spans[..] else { panic!("one resource") };
        assert_eq!(found.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let [outer, inner] = &found.scope_spans[0].spans[..] else { panic!("two spans") };
        assert_eq!(outer.trace_id, [[0; 15].as_slice(), &[7]].concat());
        assert_eq!((&outer.parent_span_id[..], outer.flags), (&[0, 0, 0, 0, 0, 0, 0, 5][..], 0x301));
        assert_eq!(outer.end_time_unix_nano - outer.start_time_unix_nano, 3_000_000);
        assert_eq!(outer.status.as_ref().unwrap().code, 2);
        assert_eq!((outer.attributes.len(), outer.events.len()), (2, 1));
        assert_eq!(inner.parent_span_id, outer.span_id);
        assert_eq!((inner.flags, inner.status.as_ref()), (0x101, None));
    }
}
