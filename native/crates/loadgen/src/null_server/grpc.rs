//! gRPC without looking at it: each message is answered with one, the end of a request with OK.

use super::{Conversation, send};
use crate::{
    http2::{
        assembly::Assembly,
        frame::{HEAD, PREFACE, flag, kind, put_head, setting},
        input::{Input, Piece},
    },
    outbox::Outbox,
    transport::Transport,
};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, io};

const WINDOW: u32 = (1 << 31) - 1;
const PORTION: u32 = 1 << 30;
/// What any peer takes.
const FRAME: usize = 16 << 10;
const STREAMS: u32 = 1 << 20;
/// Frames that may wait.
const MOST_BLOCKED: usize = 1 << 16;

/// `:status: 200`, `content-type: application/grpc`, as literals that no table remembers.
const HEADERS: &[u8] = b"\x88\x0f\x10\x10application/grpc";
/// `grpc-status: 0`.
const TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";

pub struct Connection {
    answer: Bytes,
    out: Outbox,
    input: Input,
    greeted: bool,
    streams: FxHashMap<u32, Stream>,
    /// Frames that wait for window, in their order.
    blocked: VecDeque<(u32, Bytes)>,
    window: i64,
    initial_window: i64,
    taken: u32,
}

struct Stream {
    assembly: Assembly,
    answering: bool,
    window: i64,
    /// A frame of it waits, and so does whatever comes behind that.
    blocked: bool,
}

impl Connection {
    pub fn new(answer: Bytes) -> Self {
        let mut out = Outbox::default();
        let settings = [
            (setting::INITIAL_WINDOW_SIZE, WINDOW),
            (setting::MAX_CONCURRENT_STREAMS, STREAMS),
            (setting::MAX_FRAME_SIZE, 1 << 20),
        ];
        out.put(&put_head(settings.len() * 6, kind::SETTINGS, 0, 0));
        for (name, value) in settings {
            out.put(&name.to_be_bytes());
            out.put(&value.to_be_bytes());
        }
        out.put(&put_head(4, kind::WINDOW_UPDATE, 0, 0));
        out.put(&(WINDOW - 65_535).to_be_bytes());
        Self {
            answer,
            out,
            input: Input::new(),
            greeted: false,
            streams: FxHashMap::default(),
            blocked: VecDeque::new(),
            window: 65_535,
            initial_window: 65_535,
            taken: 0,
        }
    }

    fn take(&mut self) -> Result<(), String> {
        let mut input = std::mem::replace(&mut self.input, Input::none());
        if !self.greeted {
            self.greeted = input.skip(PREFACE).ok_or("no preface")?;
        }
        while self.greeted {
            match input.next()? {
                None => break,
                Some(Piece::Data { head, bytes, first, last }) => {
                    if first {
                        self.taken += head.length as u32;
                    }
                    self.data(head.stream, bytes, last && head.flags & flag::END_STREAM != 0)?;
                    if self.taken >= PORTION {
                        self.out.put(&put_head(4, kind::WINDOW_UPDATE, 0, 0));
                        self.out.put(&std::mem::take(&mut self.taken).to_be_bytes());
                    }
                }
                Some(Piece::Frame(head, payload)) => match head.kind {
                    kind::HEADERS => {
                        let window = self.initial_window;
                        self.streams.entry(head.stream).or_insert_with(|| Stream {
                            assembly: Assembly::default(),
                            answering: false,
                            window,
                            blocked: false,
                        });
                        if head.flags & flag::END_STREAM != 0 {
                            self.data(head.stream, &[], true)?;
                        }
                    }
                    kind::RST_STREAM => {
                        self.streams.remove(&head.stream);
                        self.blocked.retain(|(id, _)| *id != head.stream);
                    }
                    kind::SETTINGS if head.flags & flag::ACK == 0 => self.settings(payload),
                    kind::PING if head.flags & flag::ACK == 0 => {
                        self.out.put(&put_head(payload.len(), kind::PING, flag::ACK, 0));
                        self.out.put(payload);
                    }
                    kind::WINDOW_UPDATE => {
                        let count = payload.first_chunk().ok_or("a short frame")?;
                        let count = i64::from(u32::from_be_bytes(*count) & WINDOW);
                        match self.streams.get_mut(&head.stream) {
                            Some(stream) => stream.window += count,
                            None if head.stream == 0 => self.window += count,
                            None => {}
                        }
                        self.unblock();
                    }
                    _ => {}
                },
            }
        }
        self.input = input;
        let excess = self.blocked.len() > MOST_BLOCKED;
        if excess { Err("the client does not let this server send".into()) } else { Ok(()) }
    }

    fn data(&mut self, id: u32, bytes: &[u8], end: bool) -> Result<(), String> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        let before = stream.assembly.messages;
        stream.assembly.take(bytes, false, |_| ())?;
        let answers = stream.assembly.messages - before;
        if (answers > 0 || end) && !stream.answering {
            stream.answering = true;
            self.out.put(&put_head(HEADERS.len(), kind::HEADERS, flag::END_HEADERS, id));
            self.out.put(HEADERS);
        }
        for _ in 0..answers {
            self.put_answer(id);
        }
        if end {
            let flags = flag::END_HEADERS | flag::END_STREAM;
            self.put(id, &[&put_head(TRAILERS.len(), kind::HEADERS, flags, id)[..], TRAILERS]);
        }
        Ok(())
    }

    fn put_answer(&mut self, id: u32) {
        let answer = self.answer.clone();
        let [a, b, c, d] = (answer.len() as u32).to_be_bytes();
        let prefix = [0, a, b, c, d];
        let first = answer.len().min(FRAME - prefix.len());
        let head = put_head(prefix.len() + first, kind::DATA, 0, id);
        self.put(id, &[&head, &prefix, &answer[..first]]);
        for part in answer[first..].chunks(FRAME) {
            self.put(id, &[&put_head(part.len(), kind::DATA, 0, id), part]);
        }
    }

    /// A whole frame, its head first, unless it has to wait.
    fn put(&mut self, id: u32, parts: &[&[u8]]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let cost = cost(parts[0], parts.iter().map(|part| part.len()).sum());
        if stream.blocked || cost > self.window.min(stream.window) && cost > 0 {
            stream.blocked = true;
            return self.blocked.push_back((id, parts.concat().into()));
        }
        self.window -= cost;
        stream.window -= cost;
        parts.iter().for_each(|part| self.out.put(part));
        if ends(parts[0]) {
            self.streams.remove(&id);
        }
    }

    /// Sends what has window now, each stream in its order.
    fn unblock(&mut self) {
        for (id, _) in &self.blocked {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.blocked = false;
            }
        }
        for _ in 0..self.blocked.len() {
            let Some((id, frame)) = self.blocked.pop_front() else { return };
            self.put(id, &[&frame]);
        }
    }

    fn settings(&mut self, payload: &[u8]) {
        for entry in payload.as_chunks::<6>().0 {
            let [a, b, value @ ..] = *entry;
            if u16::from_be_bytes([a, b]) == setting::INITIAL_WINDOW_SIZE {
                let change = i64::from(u32::from_be_bytes(value)) - self.initial_window;
                self.initial_window += change;
                self.streams.values_mut().for_each(|stream| stream.window += change);
            }
        }
        self.out.put(&put_head(0, kind::SETTINGS, flag::ACK, 0));
        self.unblock();
    }
}

/// What a frame takes of the windows.
fn cost(head: &[u8], length: usize) -> i64 {
    if head.get(3) == Some(&kind::DATA) { (length - HEAD) as i64 } else { 0 }
}

/// Whether a frame of this server's is the last of its stream.
fn ends(head: &[u8]) -> bool {
    head.get(3) == Some(&kind::HEADERS) && head.get(4).is_some_and(|flags| flags & flag::END_STREAM != 0)
}

impl Conversation for Connection {
    fn ready(&mut self, transport: &mut Transport, ending: bool) -> io::Result<()> {
        // What did not fit before.
        send(&mut self.out, transport)?;
        loop {
            let more = self.input.fill(transport, ending)?;
            self.take().map_err(io::Error::other)?;
            send(&mut self.out, transport)?;
            if !more {
                return Ok(());
            }
        }
    }
}
