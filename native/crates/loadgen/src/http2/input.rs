//! Bytes from the socket, cut into frames. The payload of DATA is passed on in pieces, as it comes; others are whole.

use super::frame::{HEAD, Head, kind};
use crate::transport::Transport;
use std::io;

const BUFFER: usize = 256 << 10;
/// Of a frame that is kept whole; larger ones were never allowed.
pub const MAX_WHOLE: usize = 64 << 10;

pub struct Input {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// A DATA frame whose payload has not all come, with what is missing.
    data: Option<(Head, usize)>,
}

pub enum Piece<'a> {
    /// A part of a DATA frame; `last` if it is the end of the frame.
    Data {
        head: Head,
        bytes: &'a [u8],
        first: bool,
        last: bool,
    },
    Frame(Head, &'a [u8]),
}

impl Input {
    pub fn new() -> Self {
        Self { buffer: vec![0; BUFFER].into(), start: 0, end: 0, data: None }
    }

    /// Nothing and no room, in place of one that is looked at.
    pub fn none() -> Self {
        Self { buffer: Box::new([]), start: 0, end: 0, data: None }
    }

    /// Reads once. Whether there may be more; an error at the end of the stream.
    pub fn fill(&mut self, transport: &mut Transport) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = self.buffer.len() - self.end;
        match transport.read(&mut self.buffer[self.end..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.end += count;
                Ok(count == room || !transport.drained_by_short_read())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes these bytes if they are all there; None if others are.
    pub fn skip(&mut self, wanted: &[u8]) -> Option<bool> {
        let found = &self.buffer[self.start..self.end];
        if found.starts_with(wanted) {
            self.start += wanted.len();
            return Some(true);
        }
        wanted.starts_with(found).then_some(false)
    }

    /// The first bytes that nobody has taken.
    pub fn peek(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The next frame, or piece of one; None until more is read. Fails for a frame that is too large.
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, String> {
        if let Some((head, missing)) = self.data {
            return Ok(self.data(head, missing, false));
        }
        let Some(bytes) = self.buffer[self.start..self.end].first_chunk::<HEAD>() else { return Ok(None) };
        let head = Head::parse(bytes);
        if head.kind == kind::DATA {
            self.start += HEAD;
            return Ok(self.data(head, head.length, true));
        }
        if head.length > MAX_WHOLE {
            return Err(format!("a frame of type {} has {} bytes", head.kind, head.length));
        }
        let from = self.start + HEAD;
        if self.end - from < head.length {
            return Ok(None);
        }
        self.start = from + head.length;
        Ok(Some(Piece::Frame(head, &self.buffer[from..from + head.length])))
    }

    fn data(&mut self, head: Head, missing: usize, first: bool) -> Option<Piece<'_>> {
        let count = missing.min(self.end - self.start);
        let last = count == missing;
        self.data = (!last).then_some((head, missing - count));
        if count == 0 && !first && !last {
            return None;
        }
        let from = self.start;
        self.start += count;
        Some(Piece::Data { head, bytes: &self.buffer[from..from + count], first, last })
    }
}
