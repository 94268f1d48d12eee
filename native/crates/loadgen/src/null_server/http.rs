//! HTTP/1.1 without looking at it: each request is answered with the same JSON.

use super::{Conversation, send};
use crate::{inbox::Inbox, outbox::Outbox, transport::Transport};
use bytes::Bytes;
use std::io;

const BUFFER: usize = 64 << 10;

pub struct Connection {
    answer: Bytes,
    out: Outbox,
    inbox: Inbox,
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
            inbox: Inbox::new(BUFFER),
            missing: 0,
        }
    }

    fn take(&mut self) -> io::Result<()> {
        loop {
            let count = self.missing.min(self.inbox.len());
            self.inbox.take(count);
            self.missing -= count;
            if self.missing > 0 || self.inbox.is_empty() {
                return Ok(());
            }
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut request = httparse::Request::new(&mut headers);
            let parsed = request.parse(self.inbox.bytes()).map_err(io::Error::other)?;
            let httparse::Status::Complete(size) = parsed else {
                let full = self.inbox.is_full();
                return if full { Err(io::Error::other("the head is too long")) } else { Ok(()) };
            };
            let length =
                request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            self.missing = length
                .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
                .unwrap_or(0);
            self.inbox.take(size);
            self.out.put_shared(self.answer.clone());
        }
    }
}

impl Conversation for Connection {
    fn ready(&mut self, transport: &mut Transport, ending: bool) -> io::Result<()> {
        // What did not fit before.
        send(&mut self.out, transport)?;
        loop {
            let more = self.inbox.fill(transport, ending)?;
            self.take()?;
            send(&mut self.out, transport)?;
            if !more {
                return Ok(());
            }
        }
    }
}
