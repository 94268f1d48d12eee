//! What goes out: requests, as far as the peer's windows let, and what ends them.

use super::{
    connection::Connection,
    frame::{flag, kind, put_head},
    stream::{Rest, Stream},
};
use crate::{
    message::{Request, Small},
    plan::Plan,
};
use infermesh_wire::framing::PREFIX;

impl Connection {
    /// Sends a request; `has_room` must hold. Returns the stream.
    pub fn send(&mut self, plan: &Plan, ticket: usize, request: &Request<'_>) -> u32 {
        let route = request.workload.route;
        let id = match self.idle[route].pop() {
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
            stream.collect = request.collect || self.streaming;
            stream.rest = Some(Rest { head, body: request.payload.body.clone() });
        }
        self.push(id);
        id
    }

    fn open(&mut self, plan: &Plan, request: &Request<'_>) -> u32 {
        let id = self.next_stream;
        self.next_stream += 2;
        self.headers.put(&mut self.out, plan, request, id, self.max_frame);
        let stream =
            Stream { route: request.workload.route, window: self.initial_window, ..Default::default() };
        self.streams.insert(id, stream);
        id
    }

    /// Sends as much of a stream's message as the windows let.
    pub(super) fn push(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(rest) = &mut stream.rest else { return };
        loop {
            if stream.window <= 0 {
                // It goes on when the peer widens its window.
                return;
            }
            if self.window <= 0 {
                if !std::mem::replace(&mut stream.queued, true) {
                    self.blocked.push_back(id);
                }
                return;
            }
            let left = rest.len();
            let count = left.min(self.window.min(stream.window) as usize).min(self.max_frame);
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

    pub(super) fn push_blocked(&mut self) {
        for _ in 0..self.blocked.len() {
            if self.window <= 0 {
                return;
            }
            let Some(id) = self.blocked.pop_front() else { return };
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.queued = false;
            }
            self.push(id);
        }
    }

    /// The request on this stream is given up.
    pub fn cancel(&mut self, id: u32) {
        if self.forget(id).is_some() {
            self.reset(id);
        }
    }

    /// The last answer of a stream's request was there: it can take the next one.
    pub fn release(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.rest.is_some() {
            // It was answered before it was sent: another request would begin in the middle of it.
            return self.cancel(id);
        }
        stream.ticket = None;
        self.idle[stream.route].push(id);
    }

    /// Where the peer's limit is reached by streams that wait for requests of other routes: ends one of them.
    /// Whether it did so.
    pub fn make_room(&mut self, route: usize) -> bool {
        let full = self.settled && self.streams.len() >= self.max_streams && self.idle[route].is_empty();
        if !full || self.ending > 0 {
            return false;
        }
        let Some(id) = self.idle.iter_mut().find_map(Vec::pop) else { return false };
        self.out.put(&put_head(0, kind::DATA, flag::END_STREAM, id));
        self.ending += 1;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended = true;
        }
        true
    }

    /// Ends idle streams in the regular way, for a connection that is about to be closed.
    pub fn finish(&mut self) {
        for id in self.idle.iter().flatten() {
            self.out.put(&put_head(0, kind::DATA, flag::END_STREAM, *id));
        }
        self.out.put(&put_head(8, kind::GOAWAY, 0, 0));
        self.out.put(&[0; 8]);
    }

    pub(super) fn reset(&mut self, id: u32) {
        const CANCEL: u32 = 8;
        self.out.put(&put_head(4, kind::RST_STREAM, 0, id));
        self.out.put(&CANCEL.to_be_bytes());
    }
}

const _: () = assert!(PREFIX == 5, "what `send` writes before a message");
