//! One connection: requests out, how they ended back.

use super::{
    frame::{PREFACE, flag, kind, put_head, reason, setting},
    input::{Input, Piece},
    stream::{Rest, Stream},
};
use crate::{
    failure::{Failure, Kind},
    hpack::{Decoder, Encoder},
    link::Event,
    message::{Request, Small, Trace},
    outbox::Outbox,
    plan::{Plan, Protocol},
    transport::Transport,
};
use bytes::Bytes;
use infermesh_wire::framing::PREFIX;
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, io};

/// The largest there is, for streams and the connection: the generator reads whatever comes.
const WINDOW: u32 = (1 << 31) - 1;
const INITIAL_WINDOW: i64 = 65_535;
/// Room is given back in portions of this.
const PORTION: u32 = 1 << 30;
/// Frames of DATA that are read in pieces may be long.
const FRAME: u32 = 1 << 20;
const LAST_STREAM: u32 = (1 << 31) - 1;

pub struct Connection {
    out: Outbox,
    input: Input,
    encoder: Encoder,
    decoder: Decoder,
    /// Header blocks of the workloads, with the version of the table that they hold for.
    blocks: Vec<Option<(u64, Vec<u8>)>>,
    streams: FxHashMap<u32, Stream>,
    /// Open streams that wait for their next request, by workload.
    idle: Vec<Vec<u32>>,
    /// Streams that wait for window.
    blocked: VecDeque<u32>,
    /// A header block that continues, with the flags of its first frame.
    headers: Option<(u32, u8, Vec<u8>)>,
    next_stream: u32,
    window: i64,
    initial_window: i64,
    max_frame: usize,
    max_streams: usize,
    taken: u32,
    settled: bool,
    leaving: bool,
    streaming: bool,
}

impl Connection {
    pub fn new(plan: &Plan) -> Self {
        let mut out = Outbox::default();
        out.put(PREFACE);
        let settings = [
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, WINDOW),
            (setting::MAX_FRAME_SIZE, FRAME),
        ];
        out.put(&put_head(settings.len() * 6, kind::SETTINGS, 0, 0));
        for (name, value) in settings {
            out.put(&name.to_be_bytes());
            out.put(&value.to_be_bytes());
        }
        give(&mut out, 0, WINDOW - INITIAL_WINDOW as u32);
        Self {
            out,
            input: Input::new(),
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            blocks: vec![None; plan.workloads.len()],
            streams: FxHashMap::default(),
            idle: vec![Vec::new(); plan.workloads.len()],
            blocked: VecDeque::new(),
            headers: None,
            next_stream: 1,
            window: INITIAL_WINDOW,
            initial_window: INITIAL_WINDOW,
            max_frame: 16 << 10,
            max_streams: usize::MAX,
            taken: 0,
            settled: false,
            leaving: false,
            streaming: plan.endpoint.protocol == Protocol::GrpcStream,
        }
    }

    /// Whether the peer has shown that it speaks HTTP/2.
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// Whether the peer wants no more requests.
    pub fn leaving(&self) -> bool {
        self.leaving || self.next_stream >= LAST_STREAM
    }

    /// Whether it has nothing to wait for.
    pub fn is_quiet(&self) -> bool {
        self.streams.values().all(|stream| stream.ticket.is_none())
    }

    pub fn has_room(&self, kind: usize) -> bool {
        self.settled
            && !self.leaving()
            && (self.streams.len() < self.max_streams || self.streaming && !self.idle[kind].is_empty())
    }

    /// Sends a request; `has_room` must hold. Returns the stream.
    pub fn send(&mut self, plan: &Plan, ticket: usize, request: &Request<'_>) -> u32 {
        let id = match self.idle[request.kind].pop().filter(|_| self.streaming) {
            Some(id) => id,
            None => self.open(plan, request),
        };
        let mut head = Small::new();
        let entries = request.step.map(|step| step.protobuf()).unwrap_or_default();
        head.push(0);
        head.extend_from_slice(&((entries.len() + request.payload.body.len()) as u32).to_be_bytes());
        head.extend_from_slice(&entries);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ticket = Some(ticket);
            stream.received = 0;
            stream.collect = request.collect || self.streaming;
            stream.rest = Some(Rest { head, body: request.payload.body.clone() });
        }
        self.push(id);
        id
    }

    fn open(&mut self, plan: &Plan, request: &Request<'_>) -> u32 {
        let id = self.next_stream;
        self.next_stream += 2;
        let version = self.encoder.version();
        let cached = matches!(&self.blocks[request.kind], Some((at, _)) if *at == version);
        if !cached {
            let block = encode(&mut self.encoder, plan, request);
            // While the table still changes, the same fields are encoded differently the next time.
            let at = if self.encoder.version() == version { version } else { u64::MAX };
            self.blocks[request.kind] = Some((at, block));
        }
        let block = self.blocks[request.kind].as_ref().map_or(&[][..], |(_, block)| block);
        match request.trace {
            None => put_headers(&mut self.out, id, block, self.max_frame),
            Some(trace) => {
                let mut traced = block.to_vec();
                Encoder::append_once(&mut traced, Trace::HEADER, &trace.value());
                put_headers(&mut self.out, id, &traced, self.max_frame);
            }
        }
        self.streams.insert(
            id,
            Stream {
                ticket: None,
                kind: request.kind,
                window: self.initial_window,
                rest: None,
                assembly: Default::default(),
                taken: 0,
                received: 0,
                collect: false,
                message: Bytes::new(),
                fields: Default::default(),
            },
        );
        id
    }

    /// Sends as much of a stream's message as the windows let.
    fn push(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(rest) = &mut stream.rest else { return };
        loop {
            let left = rest.len();
            let room = self.window.min(stream.window).max(0) as usize;
            let count = left.min(room).min(self.max_frame);
            if count == 0 && left > 0 {
                self.blocked.push_back(id);
                return;
            }
            let last = count == left;
            let flags = if last && !self.streaming { flag::END_STREAM } else { 0 };
            self.out.put(&put_head(count, kind::DATA, flags, id));
            let own = count.min(rest.head.len());
            self.out.put(&rest.head[..own]);
            rest.head.drain(..own);
            self.out.put_shared(rest.body.split_to(count - own));
            self.window -= count as i64;
            stream.window -= count as i64;
            if last {
                stream.rest = None;
                return;
            }
        }
    }

    fn push_blocked(&mut self) {
        for _ in 0..self.blocked.len() {
            if self.window <= 0 {
                return;
            }
            if let Some(id) = self.blocked.pop_front() {
                self.push(id);
            }
        }
    }

    /// The request on this stream is given up.
    pub fn cancel(&mut self, id: u32) {
        if self.streams.remove(&id).is_some() {
            self.reset(id);
        }
    }

    /// The last answer of a stream's request was there: it can take the next one.
    pub fn release(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ticket = None;
            self.idle[stream.kind].push(id);
        }
    }

    /// Ends streams in the regular way, for a connection that is about to be closed.
    pub fn finish(&mut self) {
        for id in self.streams.keys() {
            self.out.put(&put_head(0, kind::DATA, flag::END_STREAM, *id));
        }
        self.out.put(&put_head(8, kind::GOAWAY, 0, 0));
        self.out.put(&[0; 8]);
    }

    fn reset(&mut self, id: u32) {
        const CANCEL: u32 = 8;
        self.out.put(&put_head(4, kind::RST_STREAM, 0, id));
        self.out.put(&CANCEL.to_be_bytes());
    }

    pub fn flush(&mut self, transport: &mut Transport) -> io::Result<()> {
        if self.out.is_empty() { Ok(()) } else { self.out.flush(transport) }
    }

    /// Reads what is there. Fails, with all requests under way, if the connection has.
    pub fn read(&mut self, transport: &mut Transport, events: &mut Vec<Event>) -> Result<(), Failure> {
        loop {
            let more = match self.input.fill(transport) {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Failure::connection("the server closed the connection"));
                }
                Err(error) => return Err(Failure::connection(error.to_string())),
            };
            if !self.settled && self.input.peek().starts_with(b"HTTP/1.") {
                return Err(Failure::protocol(
                    "the server answers in HTTP/1.1, not HTTP/2: is this its HTTP port?",
                ));
            }
            self.take(events).map_err(Failure::protocol)?;
            if !more {
                return Ok(());
            }
        }
    }

    fn take(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        // Out of `self` while its frames are looked at.
        let mut input = std::mem::replace(&mut self.input, Input::none());
        let result = loop {
            match input.next() {
                Ok(None) => break Ok(()),
                Ok(Some(Piece::Data { head, bytes, first, last })) => {
                    let end = last && head.flags & flag::END_STREAM != 0;
                    if first {
                        self.account(head.stream, head.length as u32);
                    }
                    if first && head.flags & flag::PADDED != 0 {
                        break Err("padded DATA, which no gRPC server sends".to_owned());
                    }
                    if let Err(why) = self.data(head.stream, bytes, end, events) {
                        break Err(why);
                    }
                }
                Ok(Some(Piece::Frame(head, payload))) => {
                    if let Err(why) = self.frame(head.kind, head.flags, head.stream, payload, events) {
                        break Err(why);
                    }
                }
                Err(why) => break Err(why),
            }
        };
        self.input = input;
        result
    }

    /// Gives back the room that a frame took.
    fn account(&mut self, id: u32, count: u32) {
        self.taken += count;
        if self.taken >= PORTION {
            give(&mut self.out, 0, std::mem::take(&mut self.taken));
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.taken += count;
            if stream.taken >= PORTION {
                give(&mut self.out, id, std::mem::take(&mut stream.taken));
            }
        }
    }

    fn data(&mut self, id: u32, bytes: &[u8], end: bool, events: &mut Vec<Event>) -> Result<(), String> {
        // What comes after a request was given up.
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.received += bytes.len() as u64;
        let (ticket, streaming, message) = (stream.ticket, self.streaming, &mut stream.message);
        stream.assembly.take(bytes, stream.collect, |whole| match ticket {
            Some(ticket) if streaming => events.push(Event::Message { ticket, message: whole }),
            _ => *message = whole,
        })?;
        if end {
            self.ended(id, events);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        id: u32,
        payload: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), String> {
        if self.headers.is_some() && kind != kind::CONTINUATION {
            return Err("another frame within a header block".into());
        }
        if !self.settled && kind != kind::SETTINGS && kind != kind::GOAWAY {
            return Err("the server does not begin with SETTINGS: it does not speak HTTP/2".into());
        }
        match kind {
            kind::HEADERS => {
                let block = unpadded(flags, payload).ok_or("a HEADERS frame with impossible padding")?;
                if flags & flag::END_HEADERS != 0 {
                    return self.fields(id, flags, block, events);
                }
                self.headers = Some((id, flags, block.to_vec()));
            }
            kind::CONTINUATION => {
                let (stream, first, mut block) = self.headers.take().ok_or("a stray CONTINUATION")?;
                block.extend_from_slice(payload);
                if stream != id || block.len() > super::input::MAX_WHOLE {
                    return Err("a header block that is too long".into());
                }
                if flags & flag::END_HEADERS != 0 {
                    return self.fields(id, first, &block, events);
                }
                self.headers = Some((id, first, block));
            }
            kind::RST_STREAM => self.was_reset(id, number(payload)?, events),
            kind::SETTINGS if flags & flag::ACK == 0 => self.settings(payload)?,
            kind::PING if flags & flag::ACK == 0 => {
                self.out.put(&put_head(payload.len(), kind::PING, flag::ACK, 0));
                self.out.put(payload);
            }
            kind::GOAWAY => self.goaway(payload, events)?,
            kind::WINDOW_UPDATE => {
                let count = i64::from(number(payload)? & 0x7fff_ffff);
                if id == 0 {
                    self.window += count;
                    self.push_blocked();
                } else if let Some(stream) = self.streams.get_mut(&id) {
                    stream.window += count;
                    if stream.rest.is_some() {
                        self.blocked.retain(|blocked| *blocked != id);
                        self.push(id);
                    }
                }
            }
            kind::PUSH_PROMISE => return Err("a promise of a push, which was ruled out".into()),
            _ => {}
        }
        Ok(())
    }

    fn fields(&mut self, id: u32, flags: u8, block: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        let found = self.decoder.decode(block).ok_or("a header block that is not HPACK")?;
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.fields.status = found.status.or(stream.fields.status);
        stream.fields.grpc_status = found.grpc_status.or(stream.fields.grpc_status);
        if found.grpc_message.is_some() {
            stream.fields.grpc_message = found.grpc_message;
        }
        if flags & flag::END_STREAM != 0 {
            self.ended(id, events);
        }
        Ok(())
    }

    /// The peer has ended a stream: what its fields say is how the request ended.
    fn ended(&mut self, id: u32, events: &mut Vec<Event>) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if stream.rest.is_some() || self.streaming {
            // This side has not ended it.
            self.reset(id);
        }
        if self.streaming {
            self.idle[stream.kind].retain(|idle| *idle != id);
        }
        let Some(ticket) = stream.ticket else { return };
        let fields = stream.fields;
        let result = match (fields.grpc_status, fields.status) {
            (Some(0), _) if self.streaming => Err(Failure::protocol("the stream ended before the answer")),
            (Some(0), _) if stream.assembly.messages != 1 || stream.assembly.within() => {
                Err(Failure::protocol(format!("OK with {} messages, expected one", stream.assembly.messages)))
            }
            (Some(0), _) => Ok(stream.message),
            (Some(code), _) => {
                Err(Failure::status(code, percent_decoded(&fields.grpc_message.unwrap_or_default())))
            }
            (None, Some(200) | None) => Err(Failure::protocol("the stream ended without a grpc-status")),
            (None, Some(status)) => {
                Err(Failure::new(Kind::Http(status), "an answer of HTTP, not of gRPC: is this a gRPC port?"))
            }
        };
        events.push(Event::End { ticket, result, received: stream.received });
    }

    fn was_reset(&mut self, id: u32, code: u32, events: &mut Vec<Event>) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.idle[stream.kind].retain(|idle| *idle != id);
        let Some(ticket) = stream.ticket else { return };
        // As gRPC maps them: PROTOCOL-HTTP2, "Errors".
        let status = match code {
            7 => 14,
            8 => 1,
            11 => 8,
            12 => 7,
            _ => 13,
        };
        let failure = Failure::status(status, format!("the server reset the stream: {}", reason(code)));
        events.push(Event::End { ticket, result: Err(failure), received: stream.received });
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), String> {
        for entry in payload.chunks_exact(6) {
            let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
            match u16::from_be_bytes([entry[0], entry[1]]) {
                setting::HEADER_TABLE_SIZE => self.encoder.limit(value as usize),
                setting::MAX_CONCURRENT_STREAMS => self.max_streams = value as usize,
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.initial_window;
                    self.initial_window += change;
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                setting::MAX_FRAME_SIZE if !(16_384..1 << 24).contains(&value) => {
                    return Err(format!("frames of {value} bytes, which HTTP/2 does not know"));
                }
                setting::MAX_FRAME_SIZE => self.max_frame = value as usize,
                _ => {}
            }
        }
        self.settled = true;
        self.out.put(&put_head(0, kind::SETTINGS, flag::ACK, 0));
        self.push_blocked();
        Ok(())
    }

    fn goaway(&mut self, payload: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        let last = number(payload)? & 0x7fff_ffff;
        let code = number(payload.get(4..).unwrap_or_default())?;
        if !self.settled {
            return Err(format!("the server refuses the connection: GOAWAY {}", reason(code)));
        }
        self.leaving = true;
        let mut refused: Vec<_> = self.streams.keys().copied().filter(|id| *id > last).collect();
        refused.sort_unstable();
        for id in refused {
            let Some(Stream { ticket: Some(ticket), received, .. }) = self.streams.remove(&id) else {
                continue;
            };
            let message = format!("the server left before it looked at the request: GOAWAY {}", reason(code));
            events.push(Event::End { ticket, result: Err(Failure::status(14, message)), received });
        }
        Ok(())
    }
}

fn encode(encoder: &mut Encoder, plan: &Plan, request: &Request<'_>) -> Vec<u8> {
    let scheme = if plan.endpoint.tls.is_some() { "https" } else { "http" };
    // Rounded up to what eight digits hold.
    let timeout = plan.timeout.map(|nanoseconds| match nanoseconds.div_ceil(1_000) {
        micros @ 0..100_000_000 => format!("{micros}u"),
        micros => format!("{}S", micros.div_ceil(1_000_000).min(99_999_999)),
    });
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", scheme),
        (":path", request.workload.path.as_str()),
        (":authority", plan.endpoint.authority.as_str()),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", concat!("infermesh-perf/", env!("CARGO_PKG_VERSION"))),
    ];
    // A stream lives as long as the run, a request on it does not.
    if let Some(timeout) = timeout.as_ref().filter(|_| plan.endpoint.protocol == Protocol::Grpc) {
        fields.push(("grpc-timeout", timeout));
    }
    fields.extend(request.workload.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    encoder.encode(&fields)
}

fn put_headers(out: &mut Outbox, id: u32, block: &[u8], max_frame: usize) {
    let mut parts = block.chunks(max_frame).peekable();
    let mut kind = kind::HEADERS;
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
        out.put(&put_head(part.len(), kind, flags, id));
        out.put(part);
        kind = kind::CONTINUATION;
    }
}

fn give(out: &mut Outbox, id: u32, count: u32) {
    out.put(&put_head(4, kind::WINDOW_UPDATE, 0, id));
    out.put(&count.to_be_bytes());
}

fn number(payload: &[u8]) -> Result<u32, String> {
    let bytes = payload.first_chunk().ok_or("a frame that is too short")?;
    Ok(u32::from_be_bytes(*bytes))
}

fn unpadded(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    let mut block = payload;
    let mut padding = 0;
    if flags & flag::PADDED != 0 {
        let (first, rest) = block.split_first()?;
        (padding, block) = (usize::from(*first), rest);
    }
    if flags & flag::PRIORITY != 0 {
        block = block.get(5..)?;
    }
    block.get(..block.len().checked_sub(padding)?)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let coded = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = coded.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const _: () = assert!(PREFIX == 5, "what `send` writes before a message");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decoded() {
        assert_eq!(percent_decoded("100%25 %C3%BC%0A"), "100% \u{fc}\n");
        assert_eq!(percent_decoded("%zz%2"), "%zz%2");
    }

    #[test]
    fn padding_is_taken_off() {
        assert_eq!(unpadded(flag::PADDED, &[2, 9, 0, 0]), Some(&[9][..]));
        assert_eq!(unpadded(flag::PRIORITY, &[0, 0, 0, 0, 0, 9]), Some(&[9][..]));
        assert_eq!(unpadded(flag::PADDED, &[5, 9]), None);
    }
}
