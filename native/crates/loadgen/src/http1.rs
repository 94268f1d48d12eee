//! HTTP/1.1 (RFC 9112) from a client's side: one request at a time on a connection.

use crate::{
    failure::{Failure, Kind},
    link::Event,
    message::{Request, Trace},
    outbox::Outbox,
    plan::Plan,
    transport::Transport,
};
use bytes::{Bytes, BytesMut};
use std::{fmt::Write, io};

/// Of an answer's head.
const LONGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;
const READ: usize = 64 << 10;
/// Of an answer that is kept.
const LARGEST: usize = 1 << 30;
/// Of one that is an error, for its message.
const LARGEST_ERROR: usize = 64 << 10;

pub struct Connection {
    out: Outbox,
    head: String,
    buffer: BytesMut,
    /// The request under way, and whether its answer is wanted.
    ticket: Option<(usize, bool)>,
    answer: Option<Answer>,
    received: u64,
    leaving: bool,
}

/// An answer whose head is there.
struct Answer {
    status: u16,
    length: Length,
    keep: usize,
    body: BytesMut,
    json_length: Option<usize>,
}

enum Length {
    /// So many bytes are missing.
    Sized(usize),
    /// So many bytes of a chunk are missing, the line break behind it included.
    Chunk(usize),
    /// The next line says how long the next chunk is.
    ChunkHead,
    /// Behind the last chunk, up to an empty line.
    Trailers,
    UntilClosed,
}

impl Connection {
    pub fn new() -> Self {
        Self {
            out: Outbox::default(),
            head: String::new(),
            buffer: BytesMut::new(),
            ticket: None,
            answer: None,
            received: 0,
            leaving: false,
        }
    }

    pub fn has_room(&self) -> bool {
        self.ticket.is_none() && !self.leaving
    }

    /// Whether it ends with the answer that is there.
    pub fn leaving(&self) -> bool {
        self.leaving
    }

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
        self.ticket = Some((ticket, request.collect));
        self.received = 0;
    }

    pub fn flush(&mut self, transport: &mut Transport) -> io::Result<()> {
        if self.out.is_empty() { Ok(()) } else { self.out.flush(transport) }
    }

    /// Reads what is there. Fails, with the request under way, if the connection has.
    pub fn read(&mut self, transport: &mut Transport, events: &mut Vec<Event>) -> Result<(), Failure> {
        loop {
            let from = self.buffer.len();
            self.buffer.resize(from + READ, 0);
            let read = transport.read(&mut self.buffer[from..]);
            self.buffer.truncate(from + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return self.closed(events),
                Ok(count) => {
                    self.take(events)?;
                    if count < READ && transport.drained_by_short_read() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::connection(error.to_string())),
            }
        }
    }

    fn closed(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        if let Some(Answer { length: Length::UntilClosed, .. }) = &self.answer {
            self.leaving = true;
            self.end(events);
            return Ok(());
        }
        Err(Failure::connection("the server closed the connection"))
    }

    fn take(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        if self.ticket.is_none() {
            return Err(Failure::protocol("the server sends what nobody asked for"));
        }
        if self.answer.is_none() && !self.take_head().map_err(Failure::protocol)? {
            return Ok(());
        }
        if self.take_body().map_err(Failure::protocol)? {
            self.end(events);
        }
        Ok(())
    }

    /// Whether the head is there.
    fn take_head(&mut self) -> Result<bool, String> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.buffer).map_err(|error| match self.buffer.first() {
            // The SETTINGS that a server of HTTP/2 begins with.
            Some(0) => "the server speaks HTTP/2, not HTTP/1.1: is this its gRPC port?".to_owned(),
            _ => format!("the answer is not HTTP/1.1: {error}"),
        })?;
        let httparse::Status::Complete(size) = parsed else {
            if self.buffer.len() > LONGEST_HEAD {
                return Err("the head of the answer is too long".into());
            }
            return Ok(false);
        };
        let status = response.code.unwrap_or(0);
        let find = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
        };
        if find("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
            || response.version == Some(0)
        {
            self.leaving = true;
        }
        let chunked =
            find("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().ends_with("chunked"));
        let length = match find("content-length") {
            _ if chunked => Length::ChunkHead,
            _ if status == 204 || status == 304 => Length::Sized(0),
            Some(text) => Length::Sized(text.parse().map_err(|_| format!("a content-length of {text:?}"))?),
            None => Length::UntilClosed,
        };
        let json_length = find("inference-header-content-length").and_then(|text| text.parse().ok());
        let _ = self.buffer.split_to(size);
        if (100..200).contains(&status) {
            return self.take_head();
        }
        let wanted = self.ticket.is_some_and(|(_, collect)| collect);
        let keep = match status {
            200..300 if wanted => LARGEST,
            200..300 => 0,
            _ => LARGEST_ERROR,
        };
        self.answer = Some(Answer { status, length, keep, body: BytesMut::new(), json_length });
        Ok(true)
    }

    /// Whether the body is there.
    fn take_body(&mut self) -> Result<bool, String> {
        let Some(answer) = &mut self.answer else { return Ok(false) };
        loop {
            match &mut answer.length {
                Length::Sized(missing) => {
                    let count = self.buffer.len().min(*missing);
                    *missing -= count;
                    let done = *missing == 0;
                    self.received += count as u64;
                    answer.keep(&self.buffer.split_to(count))?;
                    return Ok(done);
                }
                Length::UntilClosed => {
                    self.received += self.buffer.len() as u64;
                    answer.keep(&self.buffer.split())?;
                    return Ok(false);
                }
                Length::Chunk(missing) => {
                    let count = self.buffer.len().min(*missing);
                    // The line break is none of the body.
                    let body = count.min(missing.saturating_sub(2));
                    *missing -= count;
                    let done = *missing == 0;
                    self.received += body as u64;
                    answer.keep(&self.buffer.split_to(count)[..body])?;
                    if !done {
                        return Ok(false);
                    }
                    answer.length = Length::ChunkHead;
                }
                Length::ChunkHead => {
                    let Some(line) = take_line(&mut self.buffer)? else { return Ok(false) };
                    let digits = line.as_ref().split(|byte: &u8| *byte == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(digits)
                        .ok()
                        .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
                        .filter(|size| *size <= LARGEST)
                        .ok_or("a chunk without a size")?;
                    answer.length = if size == 0 { Length::Trailers } else { Length::Chunk(size + 2) };
                }
                Length::Trailers => match take_line(&mut self.buffer)? {
                    None => return Ok(false),
                    Some(line) if line.is_empty() => return Ok(true),
                    Some(_) => {}
                },
            }
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        let (Some(answer), Some((ticket, _))) = (self.answer.take(), self.ticket.take()) else { return };
        let result = match answer.status {
            200..300 => Ok(with_length(answer.json_length, answer.body.freeze())),
            status => Err(Failure::new(Kind::Http(status), error_message(&answer.body))),
        };
        events.push(Event::End { ticket, result, received: self.received });
    }
}

impl Answer {
    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        let room = self.keep.saturating_sub(self.body.len());
        if self.keep == LARGEST && bytes.len() > room {
            return Err("the answer is too large to look into".into());
        }
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
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

/// A line without its end.
fn take_line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, String> {
    let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") else {
        return if buffer.len() > LONGEST_HEAD { Err("a line that is too long".into()) } else { Ok(None) };
    };
    let line = buffer.split_to(end);
    let _ = buffer.split_to(2);
    Ok(Some(line))
}
