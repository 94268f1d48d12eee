//! Follows a request to its end, and tells those who want to know how it went.

use crate::{
    body::{Body, Lost},
    capture::Passing,
    edge::Door,
    headers::grpc_status,
    limit::Turn,
    observe::{ending::End, metrics::Requests},
    plan::Route,
    upstream::{endpoint::Ticket, pool::Kept},
};
use bytes::Bytes;
use http::{HeaderMap, Response};
use infermesh_policy::{Event, outcome::Bound, retry::Reason};
use infermesh_wire::Code;
use std::{cell::Cell, rc::Rc, sync::Arc, time::Instant};

/// gRPC's UNKNOWN.
const UNKNOWN: u16 = 2;

/// Dropped before its end is told, it was given up by whoever asked.
pub struct Watch {
    door: Rc<Door>,
    started: Instant,
    grpc: bool,
    route: Option<Arc<Route>>,
    /// The attempt whose answer it is.
    attempt: Option<(Ticket, Kept)>,
    turn: Option<Rc<Turn>>,
    /// Of the answer's head: the HTTP status, and that of gRPC if it is there.
    status: u16,
    code: Option<u16>,
    /// Bytes of the request's body so far, and of the answer's.
    received: Rc<Cell<u64>>,
    sent: u64,
    /// Of a request that is kept while it passes.
    passing: Option<Passing>,
    /// Whether it is a client's request; or a call of the proxy's own for one, which is no request more.
    is_whole: bool,
    over: bool,
}

impl Watch {
    pub fn new(door: &Rc<Door>, started: Instant, grpc: bool) -> Self {
        Self {
            door: door.clone(),
            started,
            grpc,
            route: None,
            attempt: None,
            turn: None,
            status: 0,
            code: None,
            received: Rc::default(),
            sent: 0,
            passing: None,
            is_whole: true,
            over: false,
        }
    }

    /// Of a call of the proxy's own.
    pub fn aside(door: &Rc<Door>, route: &Arc<Route>) -> Self {
        let mut this = Self::new(door, Instant::now(), true);
        (this.route, this.is_whole) = (Some(route.clone()), false);
        this
    }

    /// It is known where the request goes.
    pub fn routed(&mut self, route: &Arc<Route>) {
        route.counts.in_flight.enter();
        self.route = Some(route.clone());
    }

    /// It has been let in.
    pub fn hold(&mut self, turn: Option<Rc<Turn>>) {
        self.turn = turn;
    }

    /// Its answer is kept, too.
    pub fn keep(&mut self, passing: Passing) {
        self.passing = Some(passing);
    }

    /// Where the bytes of the request's body are to be counted.
    pub fn received(&self) -> Rc<Cell<u64>> {
        self.received.clone()
    }

    /// The answer comes from this attempt.
    pub fn follow(&mut self, mut ticket: Ticket, kept: Kept) {
        ticket.answered(Instant::now());
        self.attempt = Some((ticket, kept));
    }

    /// An attempt failed, and another one is made.
    pub fn retried(&mut self) {
        if self.is_whole {
            self.counts().retries.add(1);
        }
    }

    /// An attempt failed, and no other one is made.
    pub fn not_retried(&mut self, reason: Reason) {
        if let Some(route) = self.route.as_ref().filter(|route| route.retry.is_some()) {
            route.counts.not_retried(reason);
        }
    }

    /// The head of the answer is known.
    pub fn answered(&mut self, response: &Response<Body>) {
        self.status = response.status().as_u16();
        self.code = if self.grpc { grpc_status(response.headers()) } else { None };
        if let Some(passing) = &self.passing {
            passing.answered(self.status, response.headers());
        }
    }

    /// A part of the answer has passed.
    pub fn passed(&mut self, data: &Bytes) {
        self.sent += data.len() as u64;
        if let Some(passing) = &self.passing {
            passing.says(data);
        }
    }

    /// The upstream says this at the end of the answer; what is for us alone is taken out.
    pub fn hears(&self, trailers: &mut HeaderMap) {
        if let Some(turn) = &self.turn {
            turn.hears(trailers);
        }
    }

    /// The answer has come to its end; `status`: of its trailers.
    pub fn ended(mut self, status: Option<u16>) {
        let code = status.or(self.code);
        self.code = code.filter(|_| self.grpc);
        let event = match code {
            Some(code) => Event::grpc(code, Bound::Request),
            // A call without a status has failed, for whoever called.
            None if self.grpc && (200..300).contains(&self.status) => Event::Grpc(UNKNOWN),
            None => Event::Http(self.status),
        };
        self.tell(event, End::complete(self.grpc, code, self.status));
    }

    /// The answer will not come to its end: the caller is told `code`.
    pub fn broken(mut self, code: Code, lost: &Lost) {
        let event = match code {
            Code::DeadlineExceeded => Event::TimedOut(Bound::Request),
            _ => Event::from(lost.cause),
        };
        self.code = self.grpc.then_some(code as u16);
        let end = self.code.map_or(End::Broken, End::Grpc);
        self.tell(event, end);
    }

    fn tell(&mut self, event: Event, end: End) {
        self.over = true;
        let now = Instant::now();
        if let Some((ticket, _kept)) = self.attempt.take() {
            ticket.finish(event, now);
        }
        if let Some(turn) = self.turn.take() {
            turn.end(event, now);
        }
        if !self.is_whole {
            return;
        }
        let took = now.saturating_duration_since(self.started);
        if let Some(passing) = self.passing.take() {
            passing.end(self.code, took);
        }
        self.counts().ended(end, took, self.received.get(), self.sent);
        if let Some(route) = &self.route {
            route.counts.in_flight.leave();
        }
    }

    fn counts(&self) -> &Requests {
        self.route.as_ref().map_or(&self.door.listener.counts, |route| &route.counts)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.over {
            self.tell(Event::GivenUp, End::left(self.grpc));
        }
    }
}
