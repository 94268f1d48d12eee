//! Follows a request to its end, and tells those who want to know how it went.

use crate::{
    body::{Body, Lost},
    headers::grpc_status,
    upstream::{endpoint::Ticket, pool::Kept},
};
use http::Response;
use infermesh_policy::{Event, outcome::Bound};
use infermesh_wire::{Code, Error};
use std::time::Instant;

pub struct Watch {
    started: Instant,
    grpc: bool,
    /// The attempt whose answer it is.
    attempt: Option<(Ticket, Kept)>,
    /// How it ended, as soon as that is known: of an answer's head, of its trailers.
    event: Option<Event>,
    bytes: u64,
    retries: u32,
}

impl Watch {
    pub fn new(started: Instant, grpc: bool) -> Self {
        Self { started, grpc, attempt: None, event: None, bytes: 0, retries: 0 }
    }

    /// The answer comes from this attempt.
    pub fn follow(&mut self, mut ticket: Ticket, kept: Kept) {
        ticket.answered(Instant::now());
        self.attempt = Some((ticket, kept));
    }

    /// An attempt failed, and another one is made.
    pub fn retried(&mut self) {
        self.retries += 1;
    }

    /// The answer is our own.
    pub fn refused(&mut self, error: &Error) {
        self.event = Some(Event::from(error.code));
    }

    /// The head of the answer is known.
    pub fn answered(&mut self, response: &Response<Body>) {
        if self.event.is_none() {
            self.event = match grpc_status(response.headers()) {
                Some(status) if self.grpc => Some(Event::grpc(status, Bound::Request)),
                _ if self.grpc && response.status().is_success() => None,
                _ => Some(Event::Http(response.status().as_u16())),
            };
        }
    }

    /// A part of the answer has passed.
    pub fn passed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer has come to its end; `status`: of its trailers.
    pub fn ended(mut self, status: Option<u16>) {
        let event = match status {
            Some(status) => Event::grpc(status, Bound::Request),
            // A call without a status has failed, for whoever called: gRPC says UNKNOWN.
            None => self.event.unwrap_or(Event::Grpc(2)),
        };
        if let Some((ticket, _kept)) = self.attempt.take() {
            ticket.finish(event, Instant::now());
        }
        let _ = (self.started, self.bytes);
    }

    /// The answer will not come to its end.
    pub fn broken(mut self, error: &Error, lost: &Lost) {
        let event = match error.code {
            Code::DeadlineExceeded => Event::TimedOut(Bound::Request),
            _ => Event::from(lost.cause),
        };
        if let Some((ticket, _kept)) = self.attempt.take() {
            ticket.finish(event, Instant::now());
        }
    }
}
