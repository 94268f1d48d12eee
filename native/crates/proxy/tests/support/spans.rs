//! Spans that a proxy has recorded, as a collector reads them.
//! <https://github.com/open-telemetry/opentelemetry-proto>

use infermesh_proxy::Proxy;
use infermesh_telemetry::{outbox::Pace, rules::Choice, traces};
use prost::{Message, Oneof};
use std::time::{Duration, Instant};

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub id: Vec<u8>,
    /// Empty: there is none.
    #[prost(bytes = "vec", tag = "4")]
    pub parent: Vec<u8>,
    #[prost(string, tag = "5")]
    pub name: String,
    #[prost(int32, tag = "6")]
    pub kind: i32,
    #[prost(fixed64, tag = "7")]
    pub start: u64,
    #[prost(fixed64, tag = "8")]
    pub end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<Attribute>,
    #[prost(message, optional, tag = "15")]
    pub status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(int32, tag = "3")]
    pub code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Any", tags = "1, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

pub const SERVER: i32 = 2;
pub const CLIENT: i32 = 3;

impl Span {
    /// An attribute as text; empty if there is none.
    pub fn attribute(&self, key: &str) -> String {
        let found = self.attributes.iter().find(|attribute| attribute.key == key);
        match found.and_then(|attribute| attribute.value.clone()?.value) {
            Some(Any::Text(text)) => text,
            Some(Any::Int(number)) => number.to_string(),
            None => String::new(),
        }
    }

    /// What a `traceparent` that names this span begins with.
    pub fn context(&self) -> String {
        format!("00-{}-{}", hex(&self.trace), hex(&self.id))
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Records every trace from now on.
pub fn record(proxy: &Proxy) {
    let choice = Choice { on: Some(true), rate: Some(1), count: None };
    let pace = Some(Pace { capacity: 1000, batch: 1000, delay: Duration::ZERO });
    proxy.traces().start(traces::Settings { choice, pace, ..Default::default() });
}

/// The next spans, as soon as there are so many, by their start.
pub async fn spans(proxy: &Proxy, count: usize) -> Vec<Span> {
    let (mut found, begun) = (Vec::new(), Instant::now());
    while found.len() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "{count} spans are expected: {found:#?}");
        if let Some((_, bytes)) = proxy.traces().take(Duration::ZERO) {
            let all = Export::decode(&bytes[..]).unwrap().resources.into_iter();
            found.extend(all.flat_map(|it| it.scopes).flat_map(|it| it.spans));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    found.sort_by_key(|span: &Span| span.start);
    found
}
