//! Follows a request to its end, and tells those who want to know how it went.

use crate::{
    body::{Body, Lost},
    capture::Passing,
    headers::{GRPC_MESSAGE, grpc_status, says_busy},
    limit::Turn,
    observe::{
        ending::End,
        failure::{Failure, Source},
        metrics::Requests,
        record::Over,
    },
    origin::Origin,
    plan::Route,
    upstream::{endpoint::Ticket, pool::Kept},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use infermesh_policy::{Event, outcome::Bound, retry::Reason};
use infermesh_wire::{Code, Error, framing::decode_message};
use std::{rc::Rc, sync::Arc, time::Instant};

/// gRPC's UNKNOWN.
const UNKNOWN: u16 = 2;

/// Dropped before its end is told, it was given up by whoever asked.
pub struct Watch {
    origin: Rc<Origin>,
    grpc: bool,
    /// Of a call of the proxy's own for a client's request, which is no request more: who is asked.
    aside: Option<Arc<Route>>,
    /// The attempt whose answer it is.
    attempt: Option<(Ticket, Kept)>,
    turn: Option<Rc<Turn>>,
    /// Of the answer's head: the HTTP status, and that of gRPC if it is there.
    status: u16,
    code: Option<u16>,
    /// Whether the upstream has more to do than it can.
    is_busy: bool,
    /// Bytes of the answer's body.
    sent: u64,
    /// Of a request that is kept while it passes.
    passing: Option<Passing>,
    /// Why it fails, as far as that is known already.
    failure: Option<Failure>,
    /// Whether the answer, or its end, is our own.
    is_own: bool,
    over: bool,
}

impl Watch {
    pub fn new(origin: &Rc<Origin>) -> Self {
        Self {
            origin: origin.clone(),
            grpc: origin.grpc,
            aside: None,
            attempt: None,
            turn: None,
            status: 0,
            code: None,
            is_busy: false,
            sent: 0,
            passing: None,
            failure: None,
            is_own: false,
            over: false,
        }
    }

    /// Of a call of the proxy's own.
    pub fn aside(origin: &Rc<Origin>, route: &Arc<Route>) -> Self {
        let mut this = Self::new(origin);
        (this.grpc, this.aside) = (true, Some(route.clone()));
        this
    }

    /// It is known where the request goes.
    pub fn routed(&mut self, route: &Arc<Route>) {
        route.counts.in_flight.enter();
        self.origin.routed(route);
        if let Some(number) = self.origin.number {
            self.origin.shared().tap.begun(number, &self.origin.begun());
        }
    }

    /// It has been let in.
    pub fn hold(&mut self, turn: Option<Rc<Turn>>) {
        self.turn = turn;
    }

    /// Its answer is kept, too.
    pub fn keep(&mut self, passing: Passing) {
        self.passing = Some(passing);
    }

    /// The answer comes from this attempt.
    pub fn follow(&mut self, mut ticket: Ticket, kept: Kept) {
        ticket.answered(Instant::now());
        self.attempt = Some((ticket, kept));
    }

    /// An attempt failed, and another one is made.
    pub fn retried(&mut self) {
        self.counts().retries.add(1);
    }

    /// Whether a second endpoint was asked beside the first.
    pub fn hedged(&mut self, was: bool) {
        if was {
            self.counts().hedges.add(1);
        }
    }

    /// An attempt failed, and no other one is made.
    pub fn not_retried(&mut self, reason: Reason) {
        if let Some(route) = self.route().filter(|route| route.retry.is_some()) {
            route.counts.not_retried(reason);
        }
    }

    /// The answer is our own.
    pub fn refused(&mut self, error: &Error) {
        self.is_own = true;
        let was_sent = self.origin.attempts() > 0;
        self.failure = Some(Failure::of_error(error, self.route().is_some(), was_sent));
    }

    /// The head of the answer is known.
    pub fn answered(&mut self, response: &Response<Body>) {
        self.status = response.status().as_u16();
        self.code = if self.grpc { grpc_status(response.headers()) } else { None };
        self.is_busy = self.code.is_some_and(|code| says_busy(code, response.headers()));
        self.hear(response.headers());
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

    /// The answer has come to its end.
    pub fn ended(mut self, trailers: Option<&HeaderMap>) {
        if let Some(trailers) = trailers {
            self.hear(trailers);
        }
        let told = trailers.and_then(|trailers| Some((grpc_status(trailers)?, trailers)));
        let is_busy = told.map_or(self.is_busy, |(code, trailers)| says_busy(code, trailers));
        let code = told.map(|(code, _)| code).or(self.code);
        self.code = code.filter(|_| self.grpc);
        let event = match code {
            Some(_) if is_busy => Event::Busy,
            Some(code) => Event::grpc(code, Bound::Request),
            // A call without a status has failed, for whoever called.
            None if self.grpc && (200..300).contains(&self.status) => Event::Grpc(UNKNOWN),
            None => Event::Http(self.status),
        };
        self.tell(event, End::complete(self.grpc, code, self.status));
    }

    /// The answer will not come to its end: the caller is told `error`, as far as that can be.
    pub fn broken(mut self, error: &Error, lost: &Lost) {
        self.refused(error);
        let event = match error.code {
            Code::DeadlineExceeded => Event::TimedOut(Bound::Request),
            _ => Event::from(lost.cause),
        };
        self.code = self.grpc.then_some(error.code as u16);
        let end = self.code.map_or(End::Broken, End::Grpc);
        self.tell(event, end);
    }

    /// Keeps what an upstream says of its failure, if anybody wants to know.
    fn hear(&mut self, headers: &HeaderMap) {
        if self.origin.is_told()
            && self.failure.is_none()
            && let Some(code) = grpc_status(headers).filter(|_| self.grpc)
            && let Some(source) = Source::of_event(Event::grpc(code, Bound::Request))
        {
            let said = headers.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes);
            self.failure = Some(Failure::new(source, decode_message(said)));
        }
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
        if self.aside.is_some() {
            return;
        }
        let took = now.saturating_duration_since(self.origin.started);
        if let Some(passing) = self.passing.take() {
            passing.end(self.code, took);
        }
        self.counts().ended(end, took, self.origin.received(), self.sent);
        if let Some(route) = self.route() {
            route.counts.in_flight.leave();
        }
        if self.origin.is_told() || self.is_own {
            if self.failure.is_none() {
                self.failure = Source::of_event(event).map(|source| Failure::new(source, ""));
            }
            let endpoint = self.origin.endpoint();
            self.record(&Over {
                end,
                status: self.status,
                took,
                attempts: self.origin.attempts(),
                endpoint: endpoint.as_deref(),
                received: self.origin.received(),
                sent: self.sent,
                failure: self.failure.as_ref(),
            });
        }
        self.origin.end();
    }

    fn record(&self, over: &Over<'_>) {
        let (origin, shared) = (&self.origin, self.origin.shared());
        let begun = origin.begun();
        shared.access.over(&shared.log, &begun, over, self.is_own);
        if let Some(number) = origin.number {
            shared.tap.over(number, &begun, over);
        }
        if let Some(trace) = origin.end() {
            trace.over(&begun, over, origin.started);
        }
    }

    fn route(&self) -> Option<&Arc<Route>> {
        self.aside.as_ref().or(self.origin.route())
    }

    fn counts(&self) -> &Requests {
        self.route().map_or(&self.origin.door.listener.counts, |route| &route.counts)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.over {
            self.tell(Event::GivenUp, End::left(self.grpc));
        }
    }
}
