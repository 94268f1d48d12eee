//! HTTP/1.1 without looking at it: each request is answered with the same JSON.

use super::Conversation;
use crate::{outbox::Outbox, transport::Transport};
use bytes::{Bytes, BytesMut};
use std::io;

const READ: usize = 64 << 10;

pub struct Connection {
    answer: Bytes,
    out: Outbox,
    buffer: BytesMut,
    /// Of the body that is coming.
    missing: usize,
}

impl Connection {
    pub fn new(answer: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        Self {
            answer: [head.as_bytes(), answer].concat().into(),
            out: Outbox::default(),
            buffer: BytesMut::new(),
            missing: 0,
        }
    }

    fn take(&mut self) -> io::Result<()> {
        loop {
            let count = self.missing.min(self.buffer.len());
            let _ = self.buffer.split_to(count);
            self.missing -= count;
            if self.missing > 0 || self.buffer.is_empty() {
                return Ok(());
            }
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut headers);
            let httparse::Status::Complete(size) = request.parse(&self.buffer).map_err(io::Error::other)?
            else {
                return Ok(());
            };
            let length =
                request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            self.missing = length
                .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
                .unwrap_or(0);
            let _ = self.buffer.split_to(size);
            self.out.put_shared(self.answer.clone());
        }
    }
}

impl Conversation for Connection {
    fn ready(&mut self, transport: &mut Transport) -> io::Result<()> {
        loop {
            let from = self.buffer.len();
            self.buffer.resize(from + READ, 0);
            let read = transport.read(&mut self.buffer[from..]);
            self.buffer.truncate(from + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.take()?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.out.flush(transport)?;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
