//! gRPC without looking at it: each message is answered with one, the end of a request with OK.

use super::Conversation;
use crate::{
    http2::{
        assembly::Assembly,
        frame::{PREFACE, flag, kind, put_head, setting},
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
    /// Answers that wait for window, in their order.
    blocked: VecDeque<Bytes>,
    window: i64,
    taken: u32,
}

#[derive(Default)]
struct Stream {
    assembly: Assembly,
    answering: bool,
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
                Some(Piece::Data { head, bytes, last, .. }) => {
                    self.taken += bytes.len() as u32;
                    self.data(head.stream, bytes, last && head.flags & flag::END_STREAM != 0)?;
                }
                Some(Piece::Frame(head, payload)) => match head.kind {
                    kind::HEADERS => {
                        self.streams.insert(head.stream, Stream::default());
                        if head.flags & flag::END_STREAM != 0 {
                            self.data(head.stream, &[], true)?;
                        }
                    }
                    kind::RST_STREAM => drop(self.streams.remove(&head.stream)),
                    kind::SETTINGS if head.flags & flag::ACK == 0 => self.settings(payload)?,
                    kind::PING if head.flags & flag::ACK == 0 => {
                        self.out.put(&put_head(payload.len(), kind::PING, flag::ACK, 0));
                        self.out.put(payload);
                    }
                    kind::WINDOW_UPDATE if head.stream == 0 => {
                        let count = payload.first_chunk().ok_or("a short frame")?;
                        self.window += i64::from(u32::from_be_bytes(*count) & WINDOW);
                    }
                    _ => {}
                },
            }
        }
        self.input = input;
        if self.taken >= PORTION {
            self.out.put(&put_head(4, kind::WINDOW_UPDATE, 0, 0));
            self.out.put(&std::mem::take(&mut self.taken).to_be_bytes());
        }
        self.unblock();
        Ok(())
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
            self.streams.remove(&id);
            let flags = flag::END_HEADERS | flag::END_STREAM;
            let head = put_head(TRAILERS.len(), kind::HEADERS, flags, id);
            self.put(Bytes::from([&head[..], TRAILERS].concat()), 0);
        }
        Ok(())
    }

    fn put_answer(&mut self, id: u32) {
        let prefix = [&[0][..], &(self.answer.len() as u32).to_be_bytes()].concat();
        let first = self.answer.len().min(FRAME - prefix.len());
        let head = put_head(prefix.len() + first, kind::DATA, 0, id);
        if self.blocked.is_empty() && self.answer.len() == first && self.window > FRAME as i64 {
            // As nearly all are: no memory is taken.
            self.window -= (prefix.len() + first) as i64;
            self.out.put(&head);
            self.out.put(&prefix);
            self.out.put(&self.answer);
            return;
        }
        self.put([&head[..], &prefix, &self.answer[..first]].concat().into(), prefix.len() + first);
        for part in self.answer.slice(first..).chunks(FRAME) {
            let frame = [&put_head(part.len(), kind::DATA, 0, id)[..], part].concat();
            self.put(frame.into(), part.len());
        }
    }

    /// A whole frame; `cost` is its part of the window.
    fn put(&mut self, frame: Bytes, cost: usize) {
        if self.blocked.is_empty() && self.window >= cost as i64 {
            self.window -= cost as i64;
            self.out.put(&frame);
        } else {
            self.blocked.push_back(frame);
        }
    }

    fn unblock(&mut self) {
        while let Some(frame) = self.blocked.front() {
            let is_data = frame.get(3) == Some(&kind::DATA);
            let cost = if is_data { frame.len() as i64 - 9 } else { 0 };
            if cost > self.window {
                return;
            }
            self.window -= cost;
            self.out.put(frame);
            self.blocked.pop_front();
        }
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), String> {
        for entry in payload.as_chunks::<6>().0 {
            let [a, b, value @ ..] = *entry;
            let small = (u32::from_be_bytes(value) as usize) < self.answer.len() + 5;
            // Streams have no windows here: the answer must fit what they begin with.
            if u16::from_be_bytes([a, b]) == setting::INITIAL_WINDOW_SIZE && small {
                return Err("the client's window is smaller than the answer".into());
            }
        }
        self.out.put(&put_head(0, kind::SETTINGS, flag::ACK, 0));
        Ok(())
    }
}

impl Conversation for Connection {
    fn ready(&mut self, transport: &mut Transport) -> io::Result<()> {
        loop {
            let more = self.input.fill(transport)?;
            self.take().map_err(io::Error::other)?;
            self.out.flush(transport)?;
            if !more {
                return Ok(());
            }
        }
    }
}
