//! One connection: a request out, its answer back.

use super::{
    BUFFER,
    body::{Body, Framing, Keep},
    head,
};
use crate::{
    failure::{Failure, Kind},
    inbox::Inbox,
    link::{Event, READS},
    message::{Request, Trace},
    outbox::Outbox,
    plan::Plan,
    transport::Channel,
};
use bytes::Bytes;
use std::{fmt::Write, io};

/// Of an answer that is an error, for its message.
const LARGEST_ERROR: usize = 64 << 10;

pub struct Connection {
    out: Outbox,
    /// The head of a request is put together here.
    head: String,
    inbox: Inbox,
    exchange: Option<Exchange>,
    answer: Option<Answer>,
    settled: bool,
    leaving: bool,
}

/// What an answer is awaited for.
enum Exchange {
    /// Whether this is HTTP/1.1 at all.
    Probe,
    /// A request, whose answer is wanted or only counted.
    Request { ticket: usize, collect: bool },
}

/// An answer whose head is there.
struct Answer {
    status: u16,
    json_length: Option<usize>,
    body: Body,
}

impl Connection {
    /// With `probe` it asks whether the server lives before it takes requests: a server of another protocol shows then.
    pub fn new(plan: &Plan, probe: bool) -> Self {
        let mut connection = Self {
            out: Outbox::default(),
            head: String::new(),
            inbox: Inbox::new(BUFFER),
            exchange: None,
            answer: None,
            settled: !probe,
            leaving: false,
        };
        if probe {
            let host = &plan.endpoint.authority;
            connection.out.put(format!("GET /v2/health/live HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
            connection.exchange = Some(Exchange::Probe);
        }
        connection
    }

    /// Whether the peer is known to speak HTTP/1.1, or taken to.
    pub fn settled(&self) -> bool {
        self.settled
    }

    pub fn has_room(&self) -> bool {
        self.exchange.is_none() && !self.leaving
    }

    /// Whether it ends with the answer that is there.
    pub fn leaving(&self) -> bool {
        self.leaving
    }

    /// The request under way.
    pub fn ticket(&self) -> Option<usize> {
        match self.exchange {
            Some(Exchange::Request { ticket, .. }) => Some(ticket),
            Some(Exchange::Probe) | None => None,
        }
    }

    /// Sends a request; `has_room` must hold.
    pub fn send(&mut self, plan: &Plan, ticket: usize, request: &Request<'_>) {
        let payload = request.payload;
        let more = payload.body.get(payload.insert_at) != Some(&b'}');
        let inserted = request.step.map(|step| step.json(more)).unwrap_or_default();
        let length = payload.body.len() + inserted.len();
        self.head.clear();
        let head = &mut self.head;
        // Into memory: it cannot fail.
        let _ = write!(
            head,
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: infermesh-perf/{}\r\nContent-Length: {length}\r\n",
            request.workload.path,
            plan.endpoint.authority,
            env!("CARGO_PKG_VERSION"),
        );
        if payload.json_length > 0 {
            let _ = write!(
                head,
                "Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {}\r\n",
                payload.json_length + inserted.len()
            );
        } else {
            head.push_str("Content-Type: application/json\r\n");
        }
        if let Some(trace) = request.trace {
            let _ = write!(head, "{}: {}\r\n", Trace::HEADER, trace.value());
        }
        for (name, value) in &request.workload.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        self.out.put(self.head.as_bytes());
        if inserted.is_empty() {
            self.out.put_shared(payload.body.clone());
        } else {
            self.out.put(&payload.body[..payload.insert_at]);
            self.out.put(inserted.as_bytes());
            self.out.put_shared(payload.body.slice(payload.insert_at..));
        }
        self.exchange = Some(Exchange::Request { ticket, collect: request.collect });
    }

    pub fn flush(&mut self, channel: &mut impl Channel) -> io::Result<()> {
        if self.out.is_empty() { Ok(()) } else { self.out.flush(channel) }
    }

    /// Reads what is there, up to a limit; whether there may be more. Fails, with the request under way, if the
    /// connection has.
    pub fn read(
        &mut self,
        channel: &mut impl Channel,
        ending: bool,
        events: &mut Vec<Event>,
    ) -> Result<bool, Failure> {
        for _ in 0..READS {
            let more = match self.inbox.fill(channel, ending) {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.closed(events).map(|()| false);
                }
                Err(error) => return Err(Failure::connection(error.to_string())),
            };
            self.take(events).map_err(Failure::protocol)?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn closed(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        if matches!(&self.answer, Some(Answer { body: Body { framing: Framing::UntilClosed, .. }, .. })) {
            self.leaving = true;
            self.end(events);
            return Ok(());
        }
        Err(match self.settled {
            true => Failure::connection("the server closed the connection"),
            false => Failure::connection(
                "the server closed the connection without an answer in HTTP/1.1: is this its HTTP port, \
                 and does it expect TLS?",
            ),
        })
    }

    fn take(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        loop {
            if self.answer.is_none() && (self.inbox.is_empty() || !self.take_head()?) {
                return Ok(());
            }
            if let Some(answer) = &mut self.answer {
                if !answer.body.take(&mut self.inbox)? {
                    return Ok(());
                }
                self.end(events);
            }
        }
    }

    /// Whether a head was there.
    fn take_head(&mut self) -> Result<bool, String> {
        let Some((head, size)) = head::parse(self.inbox.bytes())? else {
            return if self.inbox.is_full() {
                Err("the head of the answer is too long".into())
            } else {
                Ok(false)
            };
        };
        let wanted = match self.exchange {
            None => return Err("the server sends what nobody asked for".into()),
            Some(Exchange::Probe) => false,
            Some(Exchange::Request { collect, .. }) => collect,
        };
        self.inbox.take(size);
        let keep = match head.status {
            101 => return Err("the server changes to another protocol, which nobody asked for".into()),
            // The answer proper follows.
            100..200 => return Ok(true),
            200..300 if wanted => Keep::All,
            200..300 => Keep::Nothing,
            _ => Keep::Beginning(LARGEST_ERROR),
        };
        self.leaving |= head.closes;
        let body = Body::new(head.framing, keep);
        self.answer = Some(Answer { status: head.status, json_length: head.json_length, body });
        Ok(true)
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        let (Some(answer), Some(exchange)) = (self.answer.take(), self.exchange.take()) else { return };
        // It was answered before it was sent: what the server makes of the rest is unknown.
        self.leaving |= !self.out.is_empty();
        self.settled = true;
        let Exchange::Request { ticket, .. } = exchange else { return };
        let result = match answer.status {
            200..300 => Ok(with_length(answer.json_length, answer.body.kept.freeze())),
            status => Err(Failure::new(Kind::Http(status), error_message(&answer.body.kept))),
        };
        events.push(Event::End { ticket, result, received: answer.body.received });
    }
}

/// An answer as it is looked into: four bytes that say how long its JSON is, then what was sent.
fn with_length(json: Option<usize>, body: Bytes) -> Bytes {
    if body.is_empty() {
        return body;
    }
    let length = json.unwrap_or(body.len()).min(body.len()) as u32;
    [&length.to_be_bytes()[..], &body].concat().into()
}

/// `{"error": "..."}`, or the beginning of whatever there is.
fn error_message(body: &[u8]) -> String {
    let found = serde_json::from_slice::<serde_json::Value>(body).ok();
    let error = found.as_ref().and_then(|value| value.get("error")?.as_str());
    match error {
        Some(error) => error.to_owned(),
        None => String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}
